#include "harness/bench/peer_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>

#include "harness/core/check.hpp"

extern char** environ;

namespace arena {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestAnswer = 1 << 20;

/// The last line of a file that is not empty, " (like this)".
std::string last_words(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last.empty() ? "" : fmt::format(" ({})", last.substr(0, 200));
}

std::string text_field(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

double PeerAnswer::number(const char* name) const {
  const auto found = fields.find(name);
  return found != fields.end() && found->is_number() ? found->get<double>() : -1;
}

PeerProcess::PeerProcess(const std::string& python, std::string_view script, std::string log)
    : log_(std::move(log)) {
  std::array<int, 2> ends{};
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0,
        "no socket for a peer: {}", std::strerror(errno));
  socket_ = ends[0];
  std::array<std::string, 3> texts{python, "-c", std::string(script)};
  std::array<char*, 4> argv{texts[0].data(), texts[1].data(), texts[2].data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log_.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  const int error =
      posix_spawnp(&pid_, python.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error == 0) return;
  pid_ = -1;
  give_up("CRASHED", fmt::format("cannot start '{}': {}", python, std::strerror(error)));
}

PeerProcess::~PeerProcess() {
  stop();
}

void PeerProcess::stop() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  if (pid_ <= 0) return;
  kill(-pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

PeerAnswer PeerProcess::give_up(const std::string& status, const std::string& error) {
  stop();
  last_failure_ = {.status = status, .error = error, .fields = {}};
  return last_failure_;
}

/// It closed its end: how did it end?
PeerAnswer PeerProcess::ended() {
  // It may have closed the socket and gone on; then this ends it.
  constexpr int kTries = 100;
  int status = 0;
  pid_t waited = 0;
  for (int i = 0; i < kTries && waited == 0; ++i) {
    waited = waitpid(pid_, &status, WNOHANG);
    if (waited == 0) usleep(10'000);
  }
  if (waited != pid_) return give_up("CRASHED", "stopped answering" + last_words(log_));
  kill(-pid_, SIGKILL);
  pid_ = -1;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    return give_up("OOM", "killed, which is what the system does when memory runs out");
  }
  if (WIFSIGNALED(status)) {
    return give_up("CRASHED", fmt::format("ended by signal {}", WTERMSIG(status)));
  }
  return give_up("CRASHED",
                 fmt::format("ended with exit code {}{}", WEXITSTATUS(status), last_words(log_)));
}

PeerAnswer PeerProcess::ask(const Json& request, double timeout_s) {
  if (!last_failure_.ok()) return last_failure_;
  const std::string line = request.dump() + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t count = send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return ended();
    sent += static_cast<std::size_t>(count);
  }
  return read_answer(timeout_s);
}

PeerAnswer PeerProcess::read_answer(double timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(timeout_s));
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.empty() || text.back() != '\n') {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return give_up("TIMEOUT", fmt::format("no answer within {:g} seconds", timeout_s));
    }
    pollfd wait{.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) continue;
    const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return ended();
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kLongestAnswer) return give_up("ERROR", "an answer without end");
  }
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    const std::string start = text.substr(0, std::min<std::size_t>(text.find('\n'), 60));
    return give_up("ERROR", fmt::format("answered '{}', which is no object of JSON", start));
  }
  if (json.contains("unsupported")) return {"UNSUPPORTED", text_field(json, "unsupported"), {}};
  if (json.contains("error")) return {"ERROR", text_field(json, "error"), {}};
  return {"OK", "", std::move(json)};
}

}  // namespace arena
