// gnuplot as a child process: the script in one file in memory, the picture in another.

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "harness/core/check.hpp"
#include "results/figure/drawing.hpp"

extern char** environ;

namespace arena {
namespace {

class MemoryFile {
 public:
  MemoryFile() : number_(::memfd_create("gnuplot", MFD_CLOEXEC)) {
    check(number_ >= 0, "no memory for a figure: {}", std::strerror(errno));
  }
  ~MemoryFile() { ::close(number_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int number() const { return number_; }

  void write(const std::string& text) const {
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = ::write(number_, text.data() + done, text.size() - done);
      check(count > 0, "no memory for a figure: {}", std::strerror(errno));
      done += static_cast<std::size_t>(count);
    }
    ::lseek(number_, 0, SEEK_SET);
  }

  std::string content() const {
    std::string text;
    std::array<char, 65536> buffer{};
    ssize_t count = 0;
    ::lseek(number_, 0, SEEK_SET);
    while ((count = ::read(number_, buffer.data(), buffer.size())) > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int number_;
};

/// The exit status as waitpid() gives it; absent where the program can not be started.
std::optional<int> run(const MemoryFile& in, const MemoryFile& out, const MemoryFile& words) {
  std::array<std::string, 3> texts{"gnuplot", "-d", "-"};  // -d: no settings of the user
  std::array<char*, 4> argv{texts[0].data(), texts[1].data(), texts[2].data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.number(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.number(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, words.number(), STDERR_FILENO);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, "gnuplot", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::nullopt;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

std::optional<std::string> run_gnuplot(const std::string& script) {
  const MemoryFile in, out, words;
  in.write(script);
  const std::optional<int> status = run(in, out, words);
  if (!status) return std::nullopt;
  const std::string said = words.content();
  check(*status == 0 && said.find("line ") == std::string::npos, "gnuplot refused a figure: {}",
        said);
  return out.content();
}

std::optional<std::string> picture(const Figure& figure, PictureFormat format) {
  const auto drawn = run_gnuplot(gnuplot_script(figure, format));
  if (!drawn || format == PictureFormat::kPdf) return drawn;
  return standalone_svg(themed_svg(figure, *drawn));
}

}  // namespace arena
