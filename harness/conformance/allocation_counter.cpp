#include "harness/conformance/allocation_counter.hpp"

#include <cerrno>
#include <cstddef>

#include "harness/core/sanitizers.hpp"

#if defined(__GLIBC__) && !defined(ARENA_SANITIZED)

// glibc's own functions behind malloc and its relatives; free stays glibc's.
extern "C" {
void* __libc_malloc(std::size_t size);                           // NOLINT(bugprone-reserved-*)
void* __libc_calloc(std::size_t count, std::size_t size);        // NOLINT(bugprone-reserved-*)
void* __libc_realloc(void* old, std::size_t size);               // NOLINT(bugprone-reserved-*)
void* __libc_memalign(std::size_t alignment, std::size_t size);  // NOLINT(bugprone-reserved-*)
}

namespace {

void count() {
  arena::allocation_count.fetch_add(1, std::memory_order_relaxed);
}

const bool kCounting = [] {
  arena::allocations_are_counted = true;
  return true;
}();

}  // namespace

extern "C" {

void* malloc(std::size_t size) noexcept {
  count();
  return __libc_malloc(size);
}

void* calloc(std::size_t items, std::size_t size) noexcept {
  count();
  return __libc_calloc(items, size);
}

void* realloc(void* old, std::size_t size) noexcept {
  count();
  return __libc_realloc(old, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** result, std::size_t alignment, std::size_t size) noexcept {
  count();
  *result = __libc_memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}

}  // extern "C"

#endif
