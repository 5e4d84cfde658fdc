// Tiled softmaxes that come one after another: each is what it is alone.

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

constexpr Index kHeadDim = 24;
constexpr float kScale = 0.3F;

/// One of several, with a row of NaN after each matrix that is read.
struct Softmax {
  Softmax(const BandMask& of, Extents extents)
      : mask(of),
        query(random(extents.query_len, 1)),
        key(random(extents.key_len, 2)),
        value(random(extents.key_len, 3)),
        out(extents.query_len, kHeadDim),
        log_sum_exp(extents.query_len, 1),
        statistics(2, extents.query_len) {}

  SoftmaxProblem problem() {
    const auto rows = [](Matrix& all) { return View(all).row_slice(0, all.rows() - 1); };
    return {{rows(query), rows(key), rows(value)}, &mask, {out, log_sum_exp}, {statistics}};
  }

  static Matrix random(Index rows, std::uint64_t seed) {
    Matrix values(rows + 1, kHeadDim);
    fill_normal(RandomKey(seed), 1, values);
    values.row(rows).setConstant(std::numeric_limits<float>::quiet_NaN());
    return values;
  }

  BandMask mask;
  Matrix query, key, value, out, log_sum_exp, statistics;
};

Softmax full(Index queries, Index keys) {
  return {BandMask::full({queries, keys}), {queries, keys}};
}
Softmax causal(Index queries, Index keys) {
  return {BandMask::causal({queries, keys}), {queries, keys}};
}
Softmax windowed(Index queries, Index keys, Index window) {
  return {{{queries, keys}, window, window}, {queries, keys}};
}

TEST(SoftmaxSeries, EachIsWhatItIsAlone) {
  Workers workers(1);
  for (const Output output : {Output::kOverwrite, Output::kAdd}) {
    std::vector<Softmax> got{
        full(600, 130),        full(50, 50), causal(64, 64),   full(64, 64), full(5, 3),
        windowed(70, 300, 40), full(1, 300), causal(512, 200), full(64, 70), full(64, 130)};
    for (Softmax& softmax : got) {
      softmax_forward_into(workers.team(), softmax.problem(), kScale, Output::kOverwrite);
      softmax.key *= 1.5F;  // of the softmax that is added or replaces it
    }
    std::vector<Softmax> want = got;
    for (Softmax& softmax : want) {
      softmax_forward_into(workers.team(), softmax.problem(), kScale, output);
    }
    std::size_t done = 0;
    std::optional<SoftmaxProblem> held[2];
    const Series<SoftmaxProblem> series = [&]() -> const SoftmaxProblem* {
      if (done == got.size()) return nullptr;
      const std::size_t p = done++;
      return &held[p % 2].emplace(got[p].problem());
    };
    softmax_forward_each(workers.team().workspace(), series, kScale, output);
    for (std::size_t p = 0; p < got.size(); ++p) {
      EXPECT_EQ(got[p].out, want[p].out) << p;
      EXPECT_EQ(got[p].log_sum_exp, want[p].log_sum_exp) << p;
      EXPECT_EQ(got[p].statistics, want[p].statistics) << p;
      EXPECT_TRUE(got[p].out.allFinite()) << p;
    }
  }
}

TEST(SoftmaxSeries, MayBeEmpty) {
  Workers workers(1);
  softmax_forward_each(
      workers.team().workspace(), [] { return nullptr; }, kScale, Output::kOverwrite);
  EXPECT_EQ(workers.high_water(), 0);
}

TEST(SoftmaxSeries, DoesNotGrow) {
  Softmax small = full(50, 50), large = full(200, 50);
  const SoftmaxProblem problems[] = {small.problem(), large.problem()};
  std::size_t done = 0;
  const auto growing = [&] { return done == 2 ? nullptr : &problems[done++]; };
  Workers workers(1);
  EXPECT_THROW(
      softmax_forward_each(workers.team().workspace(), growing, kScale, Output::kOverwrite),
      std::logic_error);
}

}  // namespace
}  // namespace arena
