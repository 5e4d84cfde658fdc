#pragma once
// Ctrl-C and SIGTERM as a flag that work looks at.

#include <atomic>

namespace arena {

constexpr int kStoppedExitCode = 75;

/// From now on SIGINT and SIGTERM only set the flag, and a closed pipe is no signal.
void catch_stop_signals();
/// Set once a stop was asked for.
const std::atomic<bool>& stop_flag();
/// How often it was asked for; the second time means: at once.
int stop_requests();

}  // namespace arena
