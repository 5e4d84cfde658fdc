#include "harness/sweep/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <sstream>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr std::string_view kProgress = "progress ";
constexpr std::string_view kRemark = "remark ";
constexpr std::string_view kRecord = "record ";

/// posix_spawn's two sets of settings, freed at the end of the scope.
class SpawnSettings {
 public:
  SpawnSettings(int messages, const std::string& log) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, messages, kMessageDescriptor);
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGPIPE}) sigaddset(&defaults, number);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

}  // namespace

std::string message_line(const Message& message) {
  if (message.record) return std::string(kRecord) + to_json(*message.record) + "\n";
  if (message.progress) {
    const TrainProgress& p = *message.progress;
    const auto plain = [](double number) { return std::isfinite(number) ? number : -1.0; };
    return fmt::format("{}{} {} {} {} {} {} {}\n", kProgress, p.step, p.steps, plain(p.loss),
                       plain(p.accuracy), plain(p.validation_accuracy), plain(p.tokens_per_s),
                       plain(p.seconds_left));
  }
  return fmt::format("{}{}\n", kRemark, message.remark.substr(0, message.remark.find('\n')));
}

Message parse_message(const std::string& line) {
  Message message;
  if (line.starts_with(kRecord)) {
    message.record = record_from_json(line.substr(kRecord.size()), "a child's message");
  } else if (line.starts_with(kProgress)) {
    std::istringstream fields(line.substr(kProgress.size()));
    TrainProgress& p = message.progress.emplace();
    fields >> p.step >> p.steps >> p.loss >> p.accuracy >> p.validation_accuracy >>
        p.tokens_per_s >> p.seconds_left;
  } else {
    check(line.starts_with(kRemark), "a child's message '{}' is of no known kind", line);
    message.remark = line.substr(kRemark.size());
  }
  return message;
}

Child::Child(const std::vector<std::string>& arguments, const std::string& log) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
  descriptor_ = ends[0];
  ::fcntl(descriptor_, F_SETFL, O_NONBLOCK);
  std::vector<std::string> texts{"arena"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  const SpawnSettings settings(ends[1], log);
  const int error = ::posix_spawn(&pid_, "/proc/self/exe", &settings.actions, &settings.attributes,
                                  pointers.data(), environ);
  ::close(ends[1]);
  if (error != 0) ::close(descriptor_);
  check(error == 0, "cannot start a process: {}", std::strerror(error));
}

Child::~Child() {
  if (pid_ > 0) {
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(descriptor_);
}

std::vector<Message> Child::messages() {
  std::array<char, 65536> buffer{};
  for (ssize_t count = 0;
       (count = ::read(descriptor_, buffer.data(), buffer.size())) > 0 || errno == EINTR;) {
    if (count == 0) break;
    if (count > 0) unread_.append(buffer.data(), static_cast<std::size_t>(count));
  }
  std::vector<Message> result;
  for (std::size_t end = 0; (end = unread_.find('\n')) != std::string::npos;) {
    result.push_back(parse_message(unread_.substr(0, end)));
    unread_.erase(0, end + 1);
  }
  return result;
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(-pid_, number);
}

std::optional<int> Child::ended() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  signal(SIGKILL);  // what it may have left behind
  pid_ = -1;
  return status;
}

std::string ending_text(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return fmt::format("killed by signal {} ({})", number, strsignal(number));
  }
  return fmt::format("ended with exit code {}", WEXITSTATUS(wait_status));
}

void obey_parent(Index memory_limit) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::fcntl(kMessageDescriptor, F_SETFD, FD_CLOEXEC);  // not for the child's own children
  if (memory_limit <= 0) return;
  const auto bytes = static_cast<rlim_t>(memory_limit);
  const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
  check(::setrlimit(RLIMIT_AS, &limit) == 0, "cannot limit memory to {} bytes: {}", memory_limit,
        std::strerror(errno));
}

void tell_parent(const Message& message) {
  const std::string line = message_line(message);
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t count = ::write(kMessageDescriptor, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    check(count > 0, "cannot write to the parent process: {}", std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace arena
