// reformer beyond what the suite asks of every variant: its mask against explicit pairs, its limits
// and its plan. (Gradients, causality under a frozen plan and the exact cases are in the suite.)

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "harness/conformance/cases.hpp"
#include "harness/layers/simd.hpp"
#include "tests/expect_error.hpp"
#include "variants/engine/block_mask.hpp"
#include "variants/engine/sorted_attention.hpp"

namespace arena {
namespace {

/// Pairs of entries whose chunks see each other, by walking the ring.
std::set<std::pair<Index, Index>> ring_pairs(Index len, Index rounds, Index size, Index before,
                                             Index after) {
  std::vector<std::vector<Index>> chunks;
  for (Index entry = 0; entry < rounds * len; ++entry) {
    if (entry % len % size == 0) chunks.emplace_back();
    chunks.back().push_back(entry);
  }
  const auto count = static_cast<Index>(chunks.size());
  std::set<std::pair<Index, Index>> pairs;
  for (Index c = 0; c < count; ++c) {
    for (Index d = -before; d <= after; ++d) {
      const auto other = static_cast<std::size_t>(((c + d) % count + count) % count);
      for (const Index i : chunks[static_cast<std::size_t>(c)]) {
        for (const Index j : chunks[other]) pairs.emplace(i, j);
      }
    }
  }
  return pairs;
}

struct ChunkCase {
  Index len, rounds, size, before, after;
};
const ChunkCase kChunkCases[] = {{64, 1, 16, 1, 0}, {64, 2, 16, 1, 0}, {50, 2, 16, 1, 0},
                                 {50, 3, 7, 2, 1},  {10, 2, 64, 1, 0}, {33, 1, 8, 9, 9},
                                 {40, 1, 8, 2, 2},  {13, 4, 1, 0, 3},  {1, 1, 64, 1, 0}};

TEST(SortedChunks, CountTheirPairs) {
  for (const auto& [len, rounds, size, before, after] : kChunkCases) {
    const SortedChunks chunks(len, rounds, size, before, after);
    EXPECT_EQ(chunks.pairs(),
              static_cast<Index>(ring_pairs(len, rounds, size, before, after).size()))
        << len << " " << rounds << " " << size << " " << before << " " << after;
  }
}

struct BandCase {
  Index block, first, last;
  bool hide_later, hide_equal;
};

/// Ranges of several lengths that start everywhere.
std::vector<Range> ranges_within(Index rows) {
  std::vector<Range> ranges;
  for (const Index count : {Index{1}, Index{5}, Index{24}, rows}) {
    for (Index begin = 0; begin + count <= rows; begin += 3) {
      ranges.push_back({begin, begin + count});
    }
  }
  return ranges;
}

constexpr Index kQueries = 50, kKeys = 41;

/// body(mask, in_band(i, j), sees(i, j)) for some bands of blocks with and without a rule.
template <class Body>
void for_bands(const Body& body) {
  const auto labels = [](Index count, std::uint64_t seed) {
    const std::vector<Index> order = RandomStream(RandomKey(seed)).permutation(count);
    return std::vector<float>(order.begin(), order.end());
  };
  const std::vector<float> query = labels(kQueries, 1), key = labels(kKeys, 2);
  for (const BandCase& c : {BandCase{16, -1, 0, false, true}, BandCase{16, -1, 0, true, true},
                            BandCase{7, 2, 4, false, true}, BandCase{7, -3, -2, false, false},
                            BandCase{1, 0, 3, true, false}, BandCase{64, 0, 0, false, true}}) {
    const bool has_rule = c.hide_later || c.hide_equal;
    const BlockBandMask mask(
        c.block, c.first, c.last,
        {has_rule ? query.data() : nullptr, key.data(), c.hide_later, c.hide_equal});
    const auto in_band = [&](Index i, Index j) {
      const Index distance = j / c.block - i / c.block;
      return c.first <= distance && distance <= c.last;
    };
    const auto sees = [&](Index i, Index j) {
      const float q = query[static_cast<std::size_t>(i)], k = key[static_cast<std::size_t>(j)];
      return in_band(i, j) && !(c.hide_later && k > q) && !(c.hide_equal && k == q);
    };
    body(mask, in_band, sees);
  }
}

TEST(BlockBandMask, HullsAndCoversAreThoseOfThePairs) {
  for_bands([](const BlockBandMask& mask, const auto& in_band, const auto& sees) {
    for (const Range queries : ranges_within(kQueries)) {
      for (const Range keys : ranges_within(kKeys)) {
        Range seen_keys{kKeys, 0}, seen_queries{kQueries, 0};
        Index seen = 0;
        for (Index i = queries.begin; i < queries.end; ++i) {
          for (Index j = keys.begin; j < keys.end; ++j) {
            seen += sees(i, j) ? 1 : 0;
            if (!in_band(i, j)) continue;
            seen_keys = {std::min(seen_keys.begin, j), std::max(seen_keys.end, j + 1)};
            seen_queries = {std::min(seen_queries.begin, i), std::max(seen_queries.end, i + 1)};
          }
        }
        const Range got_keys = mask.keys_of(queries, keys);
        const Range got_queries = mask.queries_of(keys, queries);
        ASSERT_EQ(got_keys.empty(), seen_keys.empty());
        ASSERT_EQ(got_queries.empty(), seen_keys.empty());
        if (seen_keys.empty()) continue;
        EXPECT_EQ(std::pair(got_keys.begin, got_keys.end),
                  std::pair(seen_keys.begin, seen_keys.end));
        EXPECT_EQ(std::pair(got_queries.begin, got_queries.end),
                  std::pair(seen_queries.begin, seen_queries.end));
        const Cover cover = mask.cover(queries, keys);
        EXPECT_TRUE(cover != Cover::kNone || seen == 0);
        EXPECT_TRUE(cover != Cover::kAll || seen == queries.size() * keys.size());
      }
    }
  });
}

TEST(BlockBandMask, HidesWhatIsNotSeen) {
  for_bands([](const BlockBandMask& mask, const auto&, const auto& sees) {
    for (const Range queries : ranges_within(kQueries)) {
      for (const Range keys : ranges_within(kKeys)) {
        for (const bool lanes_are_queries : {true, false}) {
          const Index lines = lanes_are_queries ? keys.size() : queries.size();
          const Index lanes = lanes_are_queries ? queries.size() : keys.size();
          const Index width = (lanes + simd::kWidth - 1) / simd::kWidth * simd::kWidth;
          Matrix tile = Matrix::Ones(lines, width);
          mask.hide(queries, keys,
                    {tile.data(), lanes_are_queries ? 1 : width, lanes_are_queries ? width : 1});
          Index wrong = 0;
          for (Index i = 0; i < queries.size(); ++i) {
            for (Index j = 0; j < keys.size(); ++j) {
              const bool kept = (lanes_are_queries ? tile(j, i) : tile(i, j)) == 1;
              wrong += kept == sees(queries.begin + i, keys.begin + j) ? 0 : 1;
            }
          }
          EXPECT_EQ(wrong, 0) << "queries from " << queries.begin << ", keys from " << keys.begin;
        }
      }
    }
  });
}

Outcome run_head(const HeadCase& head_case, const Plan* plan = nullptr) {
  Workers workers(1);
  Call call = check_call(workers.team());
  call.plan = plan;
  return run(head_case.subject, head_case.example, call);
}

double distance(const Outcome& a, const Outcome& b) {
  return max_error(a.outputs[0].view(), b.outputs[0].view().cast<double>());
}

TEST(Reformer, ATokenAloneGivesItsValue) {
  for (const bool causal : {false, true}) {
    const HeadCase alone(choose_variant("reformer"), {.extents = {1, 1}, .causal = causal});
    const Outcome outcome = run_head(alone);
    EXPECT_TRUE((outcome.outputs[0].view().array() == alone.inputs().value.array()).all());
    EXPECT_TRUE(
        (outcome.d_inputs[2].view().array() == alone.example.loss_weights[0].array()).all());
    EXPECT_TRUE((outcome.d_inputs[0].view().array() == 0).all());
  }
}

TEST(Reformer, KeysSeenTwiceByAllChangeNothing) {
  for (const bool causal : {false, true}) {
    const CaseSpec spec{.extents = {60, 60}, .causal = causal};
    const Outcome once = run_head({choose_variant("reformer[chunk=64,rounds=1,before=0]"), spec});
    const Outcome often =
        run_head({choose_variant("reformer[chunk=64,rounds=4,before=1,after=2]"), spec});
    EXPECT_LT(distance(often, once), 1e-6);
  }
}

TEST(Reformer, EqualVectorsMeetWhateverTheRotations) {
  HeadCase head_case(choose_variant("reformer[chunk=8,rounds=1,before=0,buckets=64]"),
                     {.extents = {64, 64}, .head_dim = 16});
  // 8 directions of 8 tokens each, far apart in position
  Matrix& query = head_case.example.inputs[0];
  Matrix& value = head_case.example.inputs[2];
  for (Index i = 8; i < 64; ++i) query.row(i) = query.row(i % 8);
  for (Index i = 0; i < 64; ++i) value.row(i).setConstant(static_cast<float>(i % 8));
  const Outcome outcome = run_head(head_case);
  Index at_home = 0;
  for (Index i = 0; i < 64; ++i) {
    at_home += std::abs(outcome.outputs[0].view()(i, 0) - static_cast<float>(i % 8)) < 1e-5 ? 1 : 0;
  }
  EXPECT_GE(at_home, 32);  // all of them where no two directions share a bucket
}

TEST(Reformer, AFrozenPlanIsUsedAndReported) {
  const HeadCase head_case(choose_variant("reformer[chunk=16]"), {.extents = {100, 100}});
  const Outcome drawn = run_head(head_case);
  EXPECT_EQ(drawn.plan.at("order").size(), 200U);
  const Outcome same = run_head(head_case, &drawn.plan);
  EXPECT_EQ(difference(head_case.subject, drawn, same), "");
  Plan reversed = drawn.plan;
  std::ranges::reverse(reversed["order"]);
  const Outcome other = run_head(head_case, &reversed);
  EXPECT_EQ(other.plan, reversed);
  EXPECT_GT(distance(other, drawn), 1e-3);
}

TEST(Reformer, RefusesAPlanThatIsNone) {
  const HeadCase head_case(choose_variant("reformer"), {.extents = {7, 7}});
  const Plan short_one{{"order", {0, 1, 2}}};
  const Plan twice{{"order", {0, 1, 2, 3, 4, 5, 5, 0, 1, 2, 3, 4, 5, 6}}};
  const Plan outside{{"order", {0, 1, 2, 3, 4, 5, std::int64_t{1} << 32, 0, 1, 2, 3, 4, 5, 6}}};
  EXPECT_ERROR(run_head(head_case, &short_one), "3 positions, not 14");
  EXPECT_ERROR(run_head(head_case, &twice), "position 5 twice in round 0");
  EXPECT_ERROR(run_head(head_case, &outside), "position 4294967296");
}

TEST(Reformer, RefusesAnOddNumberOfBuckets) {
  const ChosenVariant chosen = choose_variant("reformer[buckets=7]");
  EXPECT_ERROR(make_head(chosen.variant, {}, chosen.options), "7");
}

TEST(Reformer, FlopsCountEveryPairOfNeighbouringChunks) {
  const ChosenVariant chosen = choose_variant("reformer[chunk=16,rounds=3,before=1,after=1]");
  for (const Index len : {1, 16, 100, 128}) {
    const Problem problem{
        .setup = {.head_dim = 32}, .options = chosen.options, .extents = {len, len}};
    const auto pairs = static_cast<double>(ring_pairs(len, 3, 16, 1, 1).size());
    const Index rotations = std::max(Index{1}, len / 16);  // each tells two buckets apart
    const double hash = 2.0 * static_cast<double>(len * 3 * rotations);
    EXPECT_EQ(chosen.variant.flops(problem), 32 * (4 * pairs + hash)) << len;
  }
}

TEST(Reformer, TwoRotationsDrawTwoOrders) {
  const HeadCase head_case(choose_variant("reformer[rounds=1]"), {.extents = {300, 300}});
  Workers workers(1);
  Call call = check_call(workers.team());
  const Plan first = run(head_case.subject, head_case.example, call).plan;
  call.key = call.key.fold(std::uint64_t{1});
  EXPECT_NE(run(head_case.subject, head_case.example, call).plan, first);
}

}  // namespace
}  // namespace arena
