// The conformance suite over all registered variants: one test per variant and check.

#include <gtest/gtest.h>

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

INSTANTIATE_TEST_SUITE_P(, Variants,
                         testing::Combine(testing::ValuesIn(Registry<Variant>::names()),
                                          testing::ValuesIn(check_names())),
                         [](const testing::TestParamInfo<VariantAndCheck>& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param);
                         });

}  // namespace
}  // namespace arena
