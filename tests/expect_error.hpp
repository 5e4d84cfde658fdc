#pragma once
// What a user would read: the message of the Error that an expression throws.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "harness/core/check.hpp"

namespace arena {

/// The Error thrown by body(); nullopt where none was.
template <class Body>
std::optional<Error> error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

template <class Body>
testing::AssertionResult throws_error_with(Body&& body, const std::string& part) {
  const std::optional<Error> error = error_of(body);
  if (!error) return testing::AssertionFailure() << "no Error was thrown";
  const std::string message = error->what();
  if (message.find('\n') != std::string::npos) {
    return testing::AssertionFailure() << "more than one line: " << message;
  }
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << message << "' has no '" << part << "'";
}

}  // namespace arena

/// `statement` throws an Error whose one-line message contains `part`.
#define EXPECT_ERROR(statement, part) \
  EXPECT_TRUE(::arena::throws_error_with([&] { static_cast<void>(statement); }, part))
