#include "harness/sweep/stop.hpp"

#include <csignal>

namespace arena {
namespace {

std::atomic<bool> stop_asked{false};
std::atomic<int> requests{0};

void on_signal(int) {
  stop_asked = true;
  ++requests;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) sigaction(number, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

const std::atomic<bool>& stop_flag() {
  return stop_asked;
}

int stop_requests() {
  return requests;
}

}  // namespace arena
