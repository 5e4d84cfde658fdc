#include "harness/conformance/allocation_counter.hpp"

#include <cerrno>
#include <cstddef>

#if defined(__has_feature)  // clang's way to tell what gcc tells by __SANITIZE_...
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ARENA_MALLOC_IS_TAKEN
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ARENA_MALLOC_IS_TAKEN
#endif

#if defined(__GLIBC__) && !defined(ARENA_MALLOC_IS_TAKEN)

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
