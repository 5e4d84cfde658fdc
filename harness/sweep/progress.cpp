#include "harness/sweep/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace arena {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::seconds(30);
constexpr double kGuessedTimings = 7e9;  // of unit_cost() a second
constexpr double kGuessedTrainings = 1e11;

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(std::lround(std::max(0.0, seconds)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string count_text(double count) {
  if (count < 1e3) return fmt::format("{:.0f}", count);
  if (count < 1e6) return fmt::format("{:.1f}k", count / 1e3);
  return fmt::format("{:.2f}M", count / 1e6);
}

StatusLine::StatusLine() : on_terminal_(isatty(STDERR_FILENO) == 1), last_(Clock::now()) {}

StatusLine::~StatusLine() {
  clear();
}

void StatusLine::clear() {
  if (shown_) fmt::print(stderr, "\r\033[K");
  shown_ = false;
  std::fflush(stderr);
}

void StatusLine::show(const std::string& text) {
  const Clock::time_point now = Clock::now();
  if (on_terminal_ ? shown_ && now - last_ < kTerminalInterval : now - last_ < kLogInterval) return;
  last_ = now;
  if (on_terminal_) {
    fmt::print(stderr, "\r\033[K{}",
               text.substr(0, static_cast<std::size_t>(terminal_width() - 1)));
    shown_ = true;
  } else {
    fmt::print(stderr, "{}\n", text);
  }
  std::fflush(stderr);
}

void StatusLine::say(const std::string& text) {
  clear();
  fmt::print(stderr, "{}\n", text);
  std::fflush(stderr);
}

void TimeLeft::add_done(const std::string& kind, double cost, double seconds) {
  done_[kind].cost += cost;
  done_[kind].seconds += seconds;
}

void TimeLeft::add_running(const std::string& kind, double cost, double part_done, double elapsed,
                           double seconds_left) {
  add_done(kind, cost, part_done < 1 ? seconds_left / (1 - part_done) : elapsed);
}

double TimeLeft::seconds_for(const std::string& kind, double cost) const {
  const auto found = done_.find(kind);
  if (found != done_.end() && found->second.cost > 0) {
    return cost * found->second.seconds / found->second.cost;
  }
  return cost / (kind == "train" ? kGuessedTrainings : kGuessedTimings);
}

}  // namespace arena
