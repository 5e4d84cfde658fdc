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

/// All variants, each with every combination of its choices.
std::vector<std::string> settings() {
  std::vector<std::string> result;
  for (const std::string& name : Registry<Variant>::names()) {
    std::vector<std::string> chosen{""};
    for (const OptionSpec& option : Registry<Variant>::find(name).options) {
      const std::vector<std::string> before = chosen;
      for (const std::string& choice : option.choices) {
        if (choice == option_text(option.fallback)) continue;
        for (const std::string& texts : before) {
          chosen.push_back(
              fmt::format("{}{}{}={}", texts, texts.empty() ? "" : ",", option.name, choice));
        }
      }
    }
    for (const std::string& texts : chosen) {
      result.push_back(texts.empty() ? name : fmt::format("{}[{}]", name, texts));
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
