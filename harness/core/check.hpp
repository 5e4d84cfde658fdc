#pragma once
// Errors that a user can cause: one type, one line of text, thrown through check().

#include <fmt/core.h>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace arena {

/// What kind of row an Error becomes when it ends a cell (design: failure is a value); kOptions,
/// values that do not fit together, is seen before and becomes none.
enum class Failure { kError, kUnsupported, kNoData, kIncorrect, kDiverged, kOptions };

class Error : public std::runtime_error {
 public:
  /// Control characters of the message (it may quote a file) become \xNN: it stays one line.
  explicit Error(const std::string& message, Failure failure = Failure::kError);
  Failure failure() const { return failure_; }

 private:
  Failure failure_;
};

/// Throws Error with the formatted message; out of line, so that callers stay small.
[[noreturn]] void fail_with(Failure failure, fmt::string_view format, fmt::format_args args);

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  fail_with(Failure::kError, format, fmt::make_format_args(args...));
}

/// Throws Error with the formatted message unless `condition` holds.
template <class... Args>
void check(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]] {
    fail(format, std::forward<Args>(args)...);
  }
}

/// The same with Failure::kOptions: of options that are good one by one.
template <class... Args>
void check_fit(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]] {
    fail_with(Failure::kOptions, format, fmt::make_format_args(args...));
  }
}

/// "unknown KIND 'NAME'; did you mean 'X'? (known: A, B, ...)" with the candidate nearest by edit
/// distance, left out where none is near.
std::string unknown_name(std::string_view kind, std::string_view name,
                         std::span<const std::string> candidates);

}  // namespace arena
