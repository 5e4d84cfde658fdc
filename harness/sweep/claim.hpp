#pragma once
// Who is working on what: DIR/claims/ID, created exclusively, so that processes and machines which
// share a folder do not work twice. A claim whose process has died, or whose heartbeat (the file's
// time) has stood still too long, counts for nothing.

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace arena {

class ClaimFolder {
 public:
  /// ClaimFolder of one result folder. A heartbeat older than `expiry_s` seconds is dead.
  explicit ClaimFolder(const std::string& dir, double expiry_s = 120);

  /// Takes a claim unless a living one stands; true when it is ours now. Asked again for a claim
  /// that is ours: true.
  bool take(const std::string& id) const;
  /// Whether the claim is still ours: another may have taken it while this process was asleep.
  bool holds(const std::string& id) const;
  /// A sign of life; once in a fraction of the expiry.
  void beat(const std::string& id) const;
  void release(const std::string& id) const;
  /// Removes the claim unless its process lives.
  void forget_dead(const std::string& id) const;
  /// Whether all these files are younger than the claim's last sign of life: its process saved them
  /// and died before it let go, though it may still count as alive.
  bool left_behind(const std::string& id, std::span<const std::string> results) const;

  struct Holder {
    std::string id;
    std::string owner;  // "HOST, process PID"
    double age_s = 0;   // since the last heartbeat
    bool alive = false;
  };
  /// All claims, sorted by id.
  std::vector<Holder> holders() const;

 private:
  std::string path(const std::string& id) const { return folder_ + "/" + id; }
  bool create(const std::string& id) const;
  bool bury(const std::string& id, const std::function<bool()>& next) const;
  bool alive(const std::string& path) const;

  std::string folder_;
  double expiry_s_;
  std::string token_;
};

}  // namespace arena
