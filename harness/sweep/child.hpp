#pragma once
// A unit in a process of its own: whatever happens to it, the sweep goes on.

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/train/trainer.hpp"
#include "results/record.hpp"

namespace arena {

constexpr int kMessageDescriptor = 3;  // a child writes its messages there

/// What a child tells: how far it is, a line for people, or a finished record.
struct Message {
  std::optional<TrainProgress> progress{};
  std::string remark{};
  std::optional<Record> record{};
};
/// One line of text and back.
std::string message_line(const Message& message);
Message parse_message(const std::string& line);

class Child {
 public:
  /// Starts this very program with the arguments, in a process group of its own; its standard
  /// output and error go to the file `log`. Throws Error when that fails.
  Child(const std::vector<std::string>& arguments, const std::string& log);
  /// Kills it (and its own children) if it still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int descriptor() const { return descriptor_; }
  /// Messages that have come since; never waits.
  std::vector<Message> messages();
  void signal(int number) const;
  /// The status as waitpid() gives it, once it has ended; never waits.
  std::optional<int> ended();

 private:
  pid_t pid_ = -1;
  int descriptor_ = -1;
  std::string unread_;
};

/// "killed by signal 11 (Segmentation fault)", "ended with exit code 2".
std::string ending_text(int wait_status);

/// In the child: dies with its parent, and takes no more than `memory_limit` bytes of addresses (0:
/// no limit), so that what is too big ends as OOM and not the machine.
void obey_parent(Index memory_limit);
/// In the child: writes a message to the parent.
void tell_parent(const Message& message);

}  // namespace arena
