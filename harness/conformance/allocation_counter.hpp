#pragma once
// Counts what this process asks of malloc and its relatives (Eigen bypasses operator new). The
// counting functions stand in the object library arena_allocation_counter; only programs that link
// it count, and not under a sanitizer, which brings its own malloc.

#include <atomic>
#include <cstdint>

namespace arena {

inline constinit std::atomic<bool> allocations_are_counted{false};
/// Calls of malloc, calloc, realloc, memalign, aligned_alloc and posix_memalign, by any thread.
inline constinit std::atomic<std::int64_t> allocation_count{0};

}  // namespace arena
