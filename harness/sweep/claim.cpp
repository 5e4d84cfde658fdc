#include "harness/sweep/claim.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "harness/core/check.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

constexpr int kStateField = 3;  // of /proc/PID/stat
constexpr int kStartTimeField = 22;
constexpr double kWritingSeconds = 5;  // an empty claim is being written, or its process was killed
constexpr const char* kLockName = ".lock";

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// When the process was started, in ticks since boot; "" when there is none. With it a number that
/// is used again names another process.
std::string start_time(const std::string& pid) {
  const std::string stat = first_line("/proc/" + pid + "/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return "";  // ended, but nobody has asked how
  for (int i = kStateField; i < kStartTimeField; ++i) fields >> field;
  return field;
}

/// Within which numbers of processes mean the same: this boot and this container.
std::string process_space() {
  std::error_code error;
  const std::string names = fs::read_symlink("/proc/self/ns/pid", error).string();
  return first_line("/proc/sys/kernel/random/boot_id") + names;
}

/// What a claim says: "HOST PID SPACE START".
struct Owner {
  std::string host, pid, space, start;
};

Owner read_owner(const std::string& path) {
  Owner owner;
  std::istringstream(first_line(path)) >> owner.host >> owner.pid >> owner.space >> owner.start;
  return owner;
}

double modified_s(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return -1;
  return static_cast<double>(info.st_mtim.tv_sec) +
         1e-9 * static_cast<double>(info.st_mtim.tv_nsec);
}

/// Now by the clock that stamps the files of this folder, which may be another machine's.
double folder_now_s(const std::string& folder) {
  const std::string probe = temporary_name(folder + "/.now");
  std::ofstream(probe) << '.';
  const double now = modified_s(probe);
  std::error_code error;
  fs::remove(probe, error);
  if (now >= 0) return now;
  // A folder of somebody else: as good as can be had.
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

ClaimFolder::ClaimFolder(const std::string& dir, double expiry_s)
    : folder_(dir + "/claims"), expiry_s_(expiry_s) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string pid = fmt::format("{}", ::getpid());
  token_ = fmt::format("{} {} {} {}", host.data(), pid, process_space(), start_time(pid));
}

bool ClaimFolder::create(const std::string& id) const {
  const int file = ::open(path(id).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0 && errno == EEXIST) return false;
  check(file >= 0, "cannot create {}: {}", path(id), std::strerror(errno));
  const std::string line = token_ + "\n";
  const bool written = ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int reason = errno;
  ::close(file);
  if (!written) ::unlink(path(id).c_str());
  check(written, "cannot write {}: {}", path(id), std::strerror(reason));
  return true;
}

bool ClaimFolder::alive(const std::string& path) const {
  const Owner owner = read_owner(path);
  // Of a time to come: a clock was put back since.
  const double age = std::abs(folder_now_s(folder_) - modified_s(path));
  if (owner.host.empty()) return age < std::min(expiry_s_, kWritingSeconds);
  if (owner.space == process_space()) return start_time(owner.pid) == owner.start;
  return age < expiry_s_;
}

bool ClaimFolder::take(const std::string& id) const {
  create_folder(folder_);
  if (create(id) || holds(id)) return true;
  return bury(id, [&] { return create(id); });
}

void ClaimFolder::forget_dead(const std::string& id) const {
  std::error_code error;
  if (fs::exists(path(id), error)) bury(id, [] { return true; });
}

/// Removes a dead claim and does what is next before anyone else may; false when it lives.
bool ClaimFolder::bury(const std::string& id, const std::function<bool()>& next) const {
  if (alive(path(id))) return false;
  const int lock =
      ::open((folder_ + "/" + kLockName).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  check(lock >= 0, "cannot open {}/{}: {}", folder_, kLockName, std::strerror(errno));
  ::flock(lock, LOCK_EX);
  bool done = false;
  if (!alive(path(id))) {
    ::unlink(path(id).c_str());
    done = next();
  }
  ::close(lock);
  return done;
}

bool ClaimFolder::holds(const std::string& id) const {
  return first_line(path(id)) == token_;
}

void ClaimFolder::beat(const std::string& id) const {
  if (holds(id)) ::utimensat(AT_FDCWD, path(id).c_str(), nullptr, 0);
}

void ClaimFolder::release(const std::string& id) const {
  if (holds(id)) ::unlink(path(id).c_str());
}

bool ClaimFolder::left_behind(const std::string& id, std::span<const std::string> results) const {
  const double last_sign = modified_s(path(id));
  return std::ranges::all_of(
      results, [&](const std::string& result) { return modified_s(result) >= last_sign; });
}

std::vector<ClaimFolder::Holder> ClaimFolder::holders() const {
  std::vector<Holder> result;
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.')) names.push_back(name);
  }
  if (names.empty()) return result;
  std::ranges::sort(names);
  const double now = folder_now_s(folder_);
  for (const std::string& name : names) {
    const Owner owner = read_owner(path(name));
    result.push_back({.id = name,
                      .owner = fmt::format("{}, process {}", owner.host, owner.pid),
                      .age_s = now - modified_s(path(name)),
                      .alive = alive(path(name))});
  }
  return result;
}

}  // namespace arena
