#pragma once
// ARENA_SANITIZED: defined where AddressSanitizer or ThreadSanitizer has taken the place of malloc,
// keeps freed memory and makes everything slow.

#if defined(__has_feature)  // clang's way to tell what gcc tells by __SANITIZE_...
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ARENA_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ARENA_SANITIZED
#endif
