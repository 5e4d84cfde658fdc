// Tiled softmax and its masks against double loops.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A matrix inside a larger one whose other elements are NaN.
struct Padded {
  Padded(Index rows, Index cols, Index pad)
      : storage(Matrix::Constant(rows + 2, cols + pad, kNaN)), rows_(rows), cols_(cols) {}
  Padded(Index rows, Index cols, Index pad, std::uint64_t seed) : Padded(rows, cols, pad) {
    Matrix values(rows, cols);
    fill_normal(RandomKey(seed), 1, values);
    view() = values;
  }
  View view() { return View(storage).column_slice(pad() / 2, cols_).row_slice(1, rows_); }
  Index pad() const { return storage.cols() - cols_; }
  /// Whether all that surrounds the view is still NaN.
  bool intact() const {
    Matrix copy = storage;
    View(copy).column_slice(pad() / 2, cols_).row_slice(1, rows_).setConstant(kNaN);
    return copy.array().isNaN().all();
  }

  Matrix storage;
  Index rows_, cols_;
};

enum class Pattern { kFull, kCausal, kWindow, kCausalWindow };

struct Case {
  Extents extents;
  Index head_dim;
  Pattern pattern;
  Index window = 0;
  Index pad = 0;
  float logits = 1;  // factor on query
};

BandMask mask_of(const Case& c) {
  switch (c.pattern) {
    case Pattern::kFull:
      return BandMask::full(c.extents);
    case Pattern::kCausal:
      return BandMask::causal(c.extents);
    case Pattern::kWindow:
      return {c.extents, c.window, c.window};
    case Pattern::kCausalWindow:
      return {c.extents, c.window, 0};
  }
  throw Error("no such pattern");
}

bool sees(const Case& c, Index i, Index j) {
  const Index distance = j - i - (c.extents.key_len - c.extents.query_len);
  const bool causal = c.pattern == Pattern::kCausal || c.pattern == Pattern::kCausalWindow;
  const bool windowed = c.pattern == Pattern::kWindow || c.pattern == Pattern::kCausalWindow;
  return !(causal && distance > 0) && !(windowed && std::abs(distance) > c.window);
}

struct Results {
  MatrixD out, log_sum_exp, d_query, d_key, d_value;
};

struct Buffers {
  explicit Buffers(const Case& c)
      : query(c.extents.query_len, c.head_dim, c.pad, 1),
        key(c.extents.key_len, c.head_dim, c.pad, 2),
        value(c.extents.key_len, c.head_dim, c.pad, 3),
        d_out(c.extents.query_len, c.head_dim, c.pad, 4),
        d_log_sum_exp(c.extents.query_len, 1, c.pad, 5) {
    query.view() *= c.logits;
  }
  Padded query, key, value, d_out, d_log_sum_exp;
};

Results by_double_loop(const Case& c, Buffers& problem, double scale) {
  const MatrixD q = problem.query.view().cast<double>(), k = problem.key.view().cast<double>(),
                v = problem.value.view().cast<double>(), g = problem.d_out.view().cast<double>();
  const auto [n, m] = c.extents;
  MatrixD p = MatrixD::Zero(n, m);
  Results r{MatrixD::Zero(n, c.head_dim), MatrixD::Constant(n, 1, -kInfinity), {}, {}, {}};
  for (Index i = 0; i < n; ++i) {
    double largest = -kInfinity, sum = 0;
    for (Index j = 0; j < m; ++j) {
      if (sees(c, i, j)) largest = std::max(largest, scale * q.row(i).dot(k.row(j)));
    }
    for (Index j = 0; j < m; ++j) {
      if (sees(c, i, j)) sum += p(i, j) = std::exp(scale * q.row(i).dot(k.row(j)) - largest);
    }
    if (sum == 0) continue;
    p.row(i) /= sum;
    r.log_sum_exp(i, 0) = largest + std::log(sum);
  }
  r.out = p * v;
  MatrixD d_scores = g * v.transpose();
  for (Index i = 0; i < n; ++i) {
    const double shift = g.row(i).dot(r.out.row(i)) - problem.d_log_sum_exp.view()(i, 0);
    d_scores.row(i) = p.row(i).array() * (d_scores.row(i).array() - shift);
  }
  r.d_query = scale * d_scores * k;
  r.d_key = scale * d_scores.transpose() * q;
  r.d_value = p.transpose() * g;
  return r;
}

/// By the engine, on padded buffers, checking that nothing around them was written.
Results by_engine(const Case& c, Buffers& problem, double scale, Index threads) {
  const auto [n, m] = c.extents;
  Workers workers(threads);
  const BandMask mask = mask_of(c);
  const HeadInputs in{problem.query.view(), problem.key.view(), problem.value.view()};
  Padded out(n, c.head_dim, c.pad), lse(n, 1, c.pad), d_query(n, c.head_dim, c.pad),
      d_key(m, c.head_dim, c.pad), d_value(m, c.head_dim, c.pad);
  Matrix statistics(2, n);
  const auto factor = static_cast<float>(scale);
  softmax_forward(workers.team(), in, factor, mask, {out.view(), lse.view()}, statistics);
  softmax_backward(workers.team(), in, factor, mask,
                   {.out = problem.d_out.view(),
                    .log_sum_exp = problem.d_log_sum_exp.view(),
                    .forward_out = out.view()},
                   statistics, {d_query.view(), d_key.view(), d_value.view()});
  for (Padded* buffer : {&out, &lse, &d_query, &d_key, &d_value}) EXPECT_TRUE(buffer->intact());
  return {out.view().cast<double>(), lse.view().cast<double>(), d_query.view().cast<double>(),
          d_key.view().cast<double>(), d_value.view().cast<double>()};
}

void expect_near(const MatrixD& got, const MatrixD& want, double tolerance, const char* what) {
  ASSERT_EQ(got.rows(), want.rows());
  const double size = std::max(1.0, want.array().isFinite().select(want, 0).cwiseAbs().maxCoeff());
  for (Index i = 0; i < want.rows(); ++i) {
    for (Index j = 0; j < want.cols(); ++j) {
      if (got(i, j) == want(i, j)) continue;  // infinities
      ASSERT_NEAR(got(i, j), want(i, j), tolerance * size) << what << " at " << i << ", " << j;
    }
  }
}

class TiledSoftmax : public testing::TestWithParam<Case> {};

TEST_P(TiledSoftmax, EqualsDoubleLoopOnAnyNumberOfThreads) {
  const Case c = GetParam();
  Buffers problem(c);
  const double scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  const Results want = by_double_loop(c, problem, scale);
  const Results got = by_engine(c, problem, scale, 1);
  // Single precision: sums of up to some hundred products; scores of size s lose s * 1e-7.
  const double tolerance = 3e-6 * std::max(1.0F, c.logits);
  expect_near(got.out, want.out, tolerance, "out");
  expect_near(got.log_sum_exp, want.log_sum_exp, tolerance, "log_sum_exp");
  expect_near(got.d_query, want.d_query, tolerance, "d_query");
  expect_near(got.d_key, want.d_key, tolerance, "d_key");
  expect_near(got.d_value, want.d_value, tolerance, "d_value");
  for (const Index threads : {2, 3}) {
    const Results again = by_engine(c, problem, scale, threads);
    EXPECT_EQ(got.out, again.out);
    EXPECT_EQ(got.d_query, again.d_query);
    EXPECT_EQ(got.d_key, again.d_key);
    EXPECT_EQ(got.d_value, again.d_value);
  }
}

std::vector<Case> cases() {
  std::vector<Case> result;
  for (const Pattern pattern :
       {Pattern::kFull, Pattern::kCausal, Pattern::kWindow, Pattern::kCausalWindow}) {
    for (const Index n : {1, 2, 7, 31, 32, 33, 100, 300}) {
      result.push_back({{n, n}, 16, pattern, 5, 3});
    }
    for (const Index head_dim : {1, 2, 3, 5, 8, 13, 24, 32, 40, 64, 100, 128, 256}) {
      result.push_back({{70, 70}, head_dim, pattern, 20, head_dim % 3});
    }
    // a few queries and keys beyond whole vectors; of them alone; sums either way round
    result.push_back({{50, 50}, 64, pattern, 20, 1});
    result.push_back({{130, 50}, 64, pattern, 60, 0, 100.0F});
    result.push_back({{49, 67}, 40, pattern, 20, 2});
    result.push_back({{65, 81}, 96, pattern, 30, 0});
    result.push_back({{5, 140}, 12, pattern, 9, 1});
    result.push_back({{140, 5}, 12, pattern, 9, 0});  // causal: rows without a key
    result.push_back({{1, 77}, 64, pattern, 33, 0});
    result.push_back({{700, 650}, 8, pattern, 40, 0});    // several chunks of keys
    result.push_back({{70, 2200}, 8, pattern, 1500, 0});  // chunks of more keys than go together
    result.push_back({{90, 90}, 16, pattern, 30, 0, 100.0F});
    result.push_back({{300, 400}, 16, pattern, 250, 0, 200.0F});  // references move between blocks
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(Shapes, TiledSoftmax, testing::ValuesIn(cases()),
                         [](const auto& shape) { return fmt::format("case{}", shape.index); });

/// Every query sees the keys of each fourth block of 128. Of the blocks between, the first two are
/// hidden only from those who ask for few queries, as a mask may do that knows no better.
class EachFourthBlock final : public TileMask {
 public:
  static constexpr Index kBlock = 128, kPeriod = 4;

  Range keys_of(Range queries, Range within) const override {
    const Index block = within.begin / kBlock % kPeriod;
    const bool hidden = block == kPeriod - 1 || (block > 0 && queries.size() <= 64);
    return hidden ? Range{} : within;
  }
  Range queries_of(Range /*keys*/, Range within) const override { return within; }
  Cover cover(Range /*queries*/, Range keys) const override {
    return keys.begin / kBlock % kPeriod == 0 ? Cover::kAll : Cover::kNone;
  }
  void hide(Range /*queries*/, Range /*keys*/, ScoreTile /*scores*/) const override {}
};

TEST(TiledSoftmax, SkipsBlocksThatNobodySees) {
  constexpr Index kBlock = EachFourthBlock::kBlock, kPeriod = EachFourthBlock::kPeriod;
  constexpr Index kSeen = 4, kPad = 8;
  const Case all{{300, (kPeriod * (kSeen - 1) + 1) * kBlock}, 24, Pattern::kFull, 0, kPad};
  const Case seen{{300, kSeen * kBlock}, 24, Pattern::kFull, 0, kPad};
  Buffers problem(all), packed(seen);
  for (Index b = 0; b < kSeen; ++b) {
    const auto copy = [&](Padded& from, Padded& to) {
      to.view().row_slice(b * kBlock, kBlock) = from.view().row_slice(kPeriod * b * kBlock, kBlock);
    };
    copy(problem.key, packed.key);
    copy(problem.value, packed.value);
  }
  Workers workers(1);
  Matrix out(300, 24), want(300, 24);
  const auto run = [&](Buffers& from, const TileMask& mask, Matrix& to) {
    softmax_forward(workers.team(), {from.query.view(), from.key.view(), from.value.view()}, 0.3F,
                    mask, {View(to)}, View());
  };
  run(problem, EachFourthBlock(), out);
  run(packed, BandMask::full(seen.extents), want);
  EXPECT_EQ(out, want);
}

TEST(TiledSoftmax, HugeScoresStayFiniteAndPickTheLargest) {
  const Case c{{50, 60}, 16, Pattern::kFull, 0, 0, 1e4F};
  Buffers problem(c);
  const Results got = by_engine(c, problem, 0.25, 1);
  for (const MatrixD* m : {&got.out, &got.log_sum_exp, &got.d_query, &got.d_key, &got.d_value}) {
    EXPECT_TRUE(m->allFinite());
  }
  expect_near(got.out, by_double_loop(c, problem, 0.25).out, 1e-2, "out");
}

TEST(TiledSoftmax, ScoresFarBelowZeroAreAsGoodAsOthers) {
  const Case c{{50, 150}, 16, Pattern::kCausal};
  Buffers problem(c);
  problem.query.view().col(0).setConstant(1);
  problem.key.view().col(0).setConstant(-1000);
  const Results got = by_engine(c, problem, 0.25, 1), want = by_double_loop(c, problem, 0.25);
  expect_near(got.out, want.out, 1e-4, "out");
  expect_near(got.log_sum_exp, want.log_sum_exp, 1e-6, "log_sum_exp");
  expect_near(got.d_value, want.d_value, 1e-4, "d_value");
}

TEST(TiledSoftmax, PassesNaNOn) {
  const Case c{{40, 40}, 16, Pattern::kCausal};
  Buffers problem(c);
  problem.key.view()(20, 3) = kNaN;
  const Results got = by_engine(c, problem, 0.25, 1);
  EXPECT_TRUE(got.out.topRows(16).allFinite());
  EXPECT_TRUE(got.out.bottomRows(20).array().isNaN().all());
}

TEST(TiledSoftmax, ScratchIsWhatTheFormulasSay) {
  // On 5 threads, more than there are chunks of keys, the caller does all: what it takes is known.
  for (const Index threads : {1, 2, 3, 5}) {
    for (const Index n : {5, 130, 700}) {
      const Case c{{n, n + 3}, 24, Pattern::kWindow, 40};
      Buffers problem(c);
      const BandMask mask = mask_of(c);
      Workers workers(threads);
      const HeadInputs in{problem.query.view(), problem.key.view(), problem.value.view()};
      Matrix out(n, 24), statistics(2, n), d_query(n, 24), d_key(n + 3, 24), d_value(n + 3, 24);
      softmax_forward(workers.team(), in, 1, mask, {out}, statistics);
      EXPECT_LE(workers.high_water(), softmax_forward_scratch(c.extents, 24, threads).total);
      workers.reset_high_water();
      softmax_backward(workers.team(), in, 1, mask,
                       {.out = problem.d_out.view(), .forward_out = out}, statistics,
                       {d_query, d_key, d_value});
      const Index reach = softmax_chunk_reach(mask, c.extents);
      const Index total = softmax_backward_scratch(c.extents, 24, reach, threads).total;
      EXPECT_LE(workers.high_water(), total);
      const bool known = threads == 1 || threads == 5;
      EXPECT_TRUE(!known || workers.high_water() == total);
    }
  }
}

TEST(BandMask, CountsAndCoversWhatItShows) {
  for (const Case& c : cases()) {
    if (c.head_dim != 16 && c.head_dim != 12) continue;
    const BandMask mask = mask_of(c);
    Index count = 0;
    for (Index i = 0; i < c.extents.query_len; ++i) {
      for (Index j = 0; j < c.extents.key_len; ++j) {
        EXPECT_EQ(mask.sees(i, j), sees(c, i, j));
        count += sees(c, i, j) ? 1 : 0;
      }
    }
    EXPECT_EQ(mask.covered(), count);
    const Range queries{c.extents.query_len / 3, c.extents.query_len / 3 + 1};
    const Range keys = mask.keys_of(queries, {0, c.extents.key_len});
    for (Index j = 0; j < c.extents.key_len; ++j) {
      EXPECT_EQ(sees(c, queries.begin, j), keys.begin <= j && j < keys.end);
      const Range seen_by = mask.queries_of({j, j + 1}, {0, c.extents.query_len});
      EXPECT_EQ(sees(c, queries.begin, j),
                seen_by.begin <= queries.begin && queries.begin < seen_by.end);
    }
  }
}

}  // namespace
}  // namespace arena
