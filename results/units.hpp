#pragma once
// Units of tables and figures, in those of records (shares, nanoseconds, bytes), and what all are
// compared with.

namespace arena {

inline constexpr double kPercent = 0.01;
inline constexpr double kMillisecond = 1e6;
inline constexpr double kMebibyte = 1 << 20;

/// The variant that is exact and fast.
inline constexpr const char* kExact = "blocked";

}  // namespace arena
