// The conformance suite over all registered variants, and over each of their options that chooses
// between ways: one test per variant and check.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <tuple>

#include "harness/conformance/conformance.hpp"

namespace arena {
namespace {

using VariantAndCheck = std::tuple<std::string, std::string>;

class Variants : public testing::TestWithParam<VariantAndCheck> {};

TEST_P(Variants, Hold) {
  const auto& [variant, check] = GetParam();
  const CheckResult result = run_check(find_check(check), choose_variant(variant));
  if (result.skipped) GTEST_SKIP() << result.detail;
  EXPECT_TRUE(result.passed) << result.detail;
}

/// All variants as they are, and with each choice that is not the default.
std::vector<std::string> settings() {
  std::vector<std::string> result = Registry<Variant>::names();
  for (const std::string& name : Registry<Variant>::names()) {
    for (const OptionSpec& option : Registry<Variant>::find(name).options) {
      for (const std::string& choice : option.choices) {
        if (choice == option_text(option.fallback)) continue;
        result.push_back(fmt::format("{}[{}={}]", name, option.name, choice));
      }
    }
  }
  return result;
}

std::string test_name(const testing::TestParamInfo<VariantAndCheck>& test) {
  std::string name = std::get<0>(test.param) + "_" + std::get<1>(test.param);
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(, Variants,
                         testing::Combine(testing::ValuesIn(settings()),
                                          testing::ValuesIn(check_names())),
                         test_name);

}  // namespace
}  // namespace arena
