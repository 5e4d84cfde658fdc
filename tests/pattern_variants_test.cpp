// Fixed patterns with options that show their edges at the lengths of the suite, the groups that
// strides are cut into, and BigBird's plan.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/conformance.hpp"
#include "harness/conformance/kernel_scope.hpp"
#include "tests/expect_error.hpp"
#include "variants/engine/pattern.hpp"

namespace arena {
namespace {

class PatternVariant : public testing::TestWithParam<const char*> {};

TEST_P(PatternVariant, PassesTheSuite) {
  const ChosenVariant chosen = choose_variant(GetParam());
  for (const Check& check : all_checks()) {
    if (check.name.starts_with("option")) continue;
    const CheckResult result = run_check(check, chosen);
    EXPECT_TRUE(result.passed || result.skipped) << check.name << ": " << result.detail;
  }
}

INSTANTIATE_TEST_SUITE_P(Options, PatternVariant,
                         testing::Values("local[window=4,dilation=3]",
                                         "local[window=2,dilation=64]",
                                         "local_block[block=7,back=1,forward=2]",
                                         "strided[stride=7]", "strided[stride=40]",
                                         "fixed[block=7,summary=3]",
                                         "longformer[window=5,globals=3]", "bigbird[block=8]",
                                         "bigbird[block=7,random=5]"),
                         [](const auto& chosen) {
                           std::string name = chosen.param;
                           std::ranges::replace_if(
                               name, [](char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

TEST(ResidueGroups, HoldEachPositionOnce) {
  for (const Index length : {1, 2, 63, 64, 65, 130, 200, 1000}) {
    for (const Index classes : {1, 2, 7, 64, 150, 5000}) {
      for (const Index least : {1, 2}) {
        const ResidueGroups groups(length, classes, least);
        std::set<Index> seen;
        for (Index g = 0; g < groups.count(); ++g) {
          const auto [rows, number, each] = groups[g];
          EXPECT_EQ(rows.count, number * each);
          EXPECT_GE(each, least);
          EXPECT_LE(rows.count, groups[0].rows.count);
          EXPECT_TRUE(rows.is_view() || !groups[0].rows.is_view());
          for (Index i = 0; i < rows.count; ++i) {
            EXPECT_TRUE(seen.insert(rows.at(i)).second) << length << " " << classes;
            EXPECT_TRUE(i % each == 0 || rows.at(i) == rows.at(i - 1) + classes);
          }
        }
        Index wanted = 0;
        for (Index i = 0; i < length; ++i) {
          const bool alone = i < classes && i + classes >= length;
          wanted += least == 1 || !alone ? 1 : 0;
        }
        EXPECT_EQ(std::ssize(seen), wanted) << length << " " << classes << " " << least;
        EXPECT_TRUE(seen.empty() || (*seen.begin() >= 0 && *seen.rbegin() < length));
      }
    }
  }
}

TEST(Patterns, RefuseOtherNumbersOfKeysThanOfQueries) {
  Workers workers(1);
  for (const char* name : {"local", "local_block", "strided", "fixed", "sinkhorn"}) {
    const HeadCase head_case(choose_variant(name), {.extents = {30, 40}});
    EXPECT_ERROR(run(head_case.subject, head_case.example, check_call(workers.team())),
                 fmt::format("{} needs as many keys as queries, not 40 keys and 30 queries", name));
  }
}

TEST(Longformer, TakesTheGlobalPositionsOfTheCall) {
  const ChosenVariant chosen = choose_variant("longformer[window=5]");
  const HeadCase head_case(chosen, {.extents = {100, 100}});
  Workers workers(1);
  Call call = check_call(workers.team());
  const std::vector<std::int64_t> globals{70, 3, 99};
  call.globals = globals;
  const Outcome outcome = run(head_case.subject, head_case.example, call);
  const MatrixD want = chosen.variant.claims.reference(head_case.problem, call, head_case.inputs(),
                                                       head_case.example.weights());
  EXPECT_LE(max_error(outcome.outputs[0].view(), want), 1e-5);
  for (const std::vector<std::int64_t>& wrong : {std::vector<std::int64_t>{3, 3}, {100}, {-1}}) {
    call.globals = wrong;
    EXPECT_THROW(run(head_case.subject, head_case.example, call), Error);
  }
}

/// The blocks of each block of a head, for a length.
std::vector<std::vector<std::int64_t>> blocks_of(Index head, Index length, std::uint64_t step) {
  const Setup setup{.num_heads = 2, .head_dim = 8, .model_dim = 16, .max_len = 1000};
  KernelScope scope(choose_variant("bigbird[block=8]"), setup, {length, length}, RandomKey(5));
  Workers workers(1);
  const Plan plan = scope.plan({.team = workers.team(), .key = RandomKey(step)}, head);
  const std::vector<std::int64_t>&begin = plan.at("begin"), &block = plan.at("block");
  std::vector<std::vector<std::int64_t>> rows;
  for (std::size_t b = 0; b + 1 < begin.size(); ++b) {
    rows.emplace_back(block.begin() + begin[b], block.begin() + begin[b + 1]);
  }
  return rows;
}

TEST(BigBirdPlan, HasEachBlockOnceAndTheFixedOnesAlways) {
  for (const Index length : {1, 8, 33, 80, 333, 1000}) {
    const auto rows = blocks_of(0, length, 1);
    const auto count = static_cast<std::int64_t>(rows.size());
    EXPECT_EQ(count, (length + 7) / 8);
    for (std::int64_t b = 0; b < count; ++b) {
      const auto& row = rows[static_cast<std::size_t>(b)];
      const std::set<std::int64_t> seen(row.begin(), row.end());
      EXPECT_EQ(seen.size(), row.size());
      std::set<std::int64_t> fixed;
      for (const std::int64_t c : {std::int64_t{0}, b - 1, b, b + 1, count - 1}) {
        if (c >= 0 && c < count) fixed.insert(c);
      }
      EXPECT_TRUE(std::ranges::includes(seen, fixed));
      const bool all = b == 0 || b == count - 1;
      const auto drawn = static_cast<std::int64_t>(fixed.size()) + 3;
      EXPECT_EQ(static_cast<std::int64_t>(row.size()), all ? count : std::min(count, drawn));
    }
  }
}

TEST(BigBirdPlan, IsTheHeadsOwnAndTheSameInEveryStep) {
  EXPECT_EQ(blocks_of(0, 333, 1), blocks_of(0, 333, 2));
  EXPECT_NE(blocks_of(0, 333, 1), blocks_of(1, 333, 1));
}

TEST(BigBirdPlan, DrawsEveryBlockEquallyOften) {
  // 125 blocks: each draws 3 of the 120 others, which makes 123 * 3 / 125 a block, about
  std::vector<int> drawn(125);
  for (Index head = 0; head < 2; ++head) {
    const auto rows = blocks_of(head, 1000, 1);
    for (std::size_t b = 1; b + 1 < rows.size(); ++b) {
      for (const std::int64_t c : rows[b]) ++drawn[static_cast<std::size_t>(c)];
    }
  }
  for (std::size_t c = 2; c + 2 < drawn.size(); ++c) {
    EXPECT_NEAR(drawn[c], 6 + 6, 11) << c;  // 6 of the band; 4.5 standard deviations
  }
}

}  // namespace
}  // namespace arena
