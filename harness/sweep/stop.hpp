#pragma once
// Ctrl-C, SIGTERM and SIGUSR1 (a batch system's "your time is nearly up") as a flag that work looks
// at.

#include <atomic>

namespace arena {

constexpr int kStoppedExitCode = 75;

/// From now on SIGINT, SIGTERM and SIGUSR1 only set the flag, and a closed pipe is no signal.
void catch_stop_signals();
/// Set once a stop was asked for.
const std::atomic<bool>& stop_flag();
/// How often it was asked for; the second time means: at once.
int stop_requests();

}  // namespace arena
