// Masks of blocks against their definition pair by pair, and softmax in parts against one softmax
// in double over all pairs of the parts.

#include "variants/engine/softmax_parts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "variants/engine/block_mask.hpp"
#include "variants/engine/global_mask.hpp"

namespace arena {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Index kDim = 12;

using Sees = std::function<bool(Index, Index)>;

/// What a mask says of one tile, of its rows of queries and of keys, is what `sees` says.
void expect_tile(const TileMask& mask, const Sees& sees, Range queries, Range keys) {
  Range seen_keys{keys.end, keys.begin}, seen_queries{queries.end, queries.begin};
  Index count = 0;
  Matrix by_query = Matrix::Ones(queries.size(), 80), by_key = Matrix::Ones(keys.size(), 80);
  const bool with_hide = mask.cover(queries, keys) == Cover::kSome;
  if (with_hide) mask.hide(queries, keys, {by_query.data(), 80, 1});
  if (with_hide) mask.hide(queries, keys, {by_key.data(), 1, 80});
  for (Index i = queries.begin; i < queries.end; ++i) {
    for (Index j = keys.begin; j < keys.end; ++j) {
      const bool seen = sees(i, j);
      if (with_hide) {
        const float want = seen ? 1 : -kInfinity;
        EXPECT_EQ(by_query(i - queries.begin, j - keys.begin), want) << i << ", " << j;
        EXPECT_EQ(by_key(j - keys.begin, i - queries.begin), want) << i << ", " << j;
      }
      if (!seen) continue;
      ++count;
      seen_keys = {std::min(seen_keys.begin, j), std::max(seen_keys.end, j + 1)};
      seen_queries = {std::min(seen_queries.begin, i), std::max(seen_queries.end, i + 1)};
    }
  }
  const Range got_keys = mask.keys_of(queries, keys), got_queries = mask.queries_of(keys, queries);
  if (count > 0) {
    EXPECT_LE(got_keys.begin, seen_keys.begin);
    EXPECT_GE(got_keys.end, seen_keys.end);
    EXPECT_LE(got_queries.begin, seen_queries.begin);
    EXPECT_GE(got_queries.end, seen_queries.end);
  }
  const Cover cover = mask.cover(queries, keys);
  const Index all = queries.size() * keys.size();
  EXPECT_TRUE(cover == Cover::kSome || count == (cover == Cover::kAll ? all : 0));
}

void expect_mask(const TileMask& mask, const Sees& sees, const Extents& extents) {
  for (const Index step : {1, 7, 16, 64}) {
    for (Index i = 0; i < extents.query_len; i += step) {
      for (Index j = 0; j < extents.key_len; j += step) {
        expect_tile(mask, sees, {i, std::min(i + step, extents.query_len)},
                    {j, std::min(j + step, extents.key_len)});
      }
    }
  }
}

TEST(OtherBlocksMask, IsWhatItSays) {
  using Blocks = OtherBlocksMask::Blocks;
  for (const auto& [query_block, key_block] : {std::pair{1, 1}, {5, 2}, {16, 16}, {100, 3}}) {
    for (const Blocks blocks : {Blocks::kEarlier, Blocks::kOther}) {
      const Extents extents{67, 67 / query_block * key_block + 1};
      const OtherBlocksMask mask(extents, query_block, key_block, blocks);
      const Sees sees = [&, q = query_block, k = key_block](Index i, Index j) {
        return blocks == Blocks::kEarlier ? j / k < i / q : j / k != i / q;
      };
      expect_mask(mask, sees, extents);
      Index count = 0;
      for (Index i = 0; i < extents.query_len; ++i) {
        for (Index j = 0; j < extents.key_len; ++j) count += sees(i, j) ? 1 : 0;
      }
      EXPECT_EQ(mask.covered(), count);
    }
  }
}

TEST(StackedBandMask, IsWhatItSays) {
  using Own = StackedBandMask::Own;
  for (const Index each : {1, 2, 5, 16, 67}) {
    for (const auto& [before, after] : {std::pair{0, 0}, {1, 2}, {70, -1}, {70, 70}}) {
      for (const Own own : {Own::kSeen, Own::kHidden}) {
        const Index number = 67 / each, length = number * each;
        const StackedBandMask mask(number, each, before, after, own);
        Index count = 0;
        const Sees sees = [&, b = before, a = after](Index i, Index j) {
          return i / each == j / each && j >= i - b && j <= i + a && (i != j || own == Own::kSeen);
        };
        expect_mask(mask, sees, {length, length});
        for (Index i = 0; i < length; ++i) {
          for (Index j = 0; j < length; ++j) count += sees(i, j) ? 1 : 0;
        }
        EXPECT_EQ(mask.covered(), count) << each << " " << before << " " << after;
      }
    }
  }
}

TEST(WindowAndGlobals, IsWhatItSays) {
  for (const Index window : {0, 4, 30}) {
    for (const std::vector<std::int32_t>& globals :
         {std::vector<std::int32_t>{}, {0}, {0, 1, 2}, {5, 33, 34, 66}}) {
      const auto is_global = [&](Index i) { return std::ranges::binary_search(globals, i); };
      const WindowAndGlobals mask(67, window, globals);
      expect_mask(mask,
                  [&](Index i, Index j) {
                    return !is_global(i) && (std::abs(i - j) <= window || is_global(j));
                  },
                  {67, 67});
    }
  }
}

/// Random lists of blocks with their transpose.
struct Lists {
  Lists(Index blocks, Index percent) : table(blocks, blocks) {
    RandomStream random(RandomKey(7).fold(static_cast<std::uint64_t>(percent)));
    for (Index b = 0; b < blocks; ++b) {
      begin.push_back(static_cast<std::int32_t>(block.size()));
      for (Index c = 0; c < blocks; ++c) {
        table(b, c) = random.below(100) < percent ? 1 : 0;
        if (table(b, c) > 0) block.push_back(static_cast<std::int32_t>(c));
      }
    }
    begin.push_back(static_cast<std::int32_t>(block.size()));
    begin_t.resize(begin.size());
    block_t.resize(block.size());
    queries = transpose({begin, block}, begin_t, block_t);
  }
  BlockLists keys() const { return {begin, block}; }

  Matrix table;
  std::vector<std::int32_t> begin, block, begin_t, block_t;
  BlockLists queries;
};

TEST(BlockMask, IsWhatItSaysWithAndWithoutARule) {
  constexpr Index kLength = 67;
  std::vector<float> labels(kLength);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<float>(i * 31 % kLength);
  for (const Index block : {1, 8, 16, 64}) {
    for (const Index percent : {10, 50, 100}) {
      const Lists lists((kLength + block - 1) / block, percent);
      const auto in_lists = [&](Index i, Index j) { return lists.table(i / block, j / block) > 0; };
      expect_mask(BlockMask(block, lists.keys(), lists.queries), in_lists, {kLength, kLength});
      for (const auto& [later, equal] : {std::pair{true, false}, {false, true}, {true, true}}) {
        const BlockMask mask(block, lists.keys(), lists.queries,
                             {labels.data(), labels.data(), later, equal});
        const Sees sees = [&, later = later, equal = equal](Index i, Index j) {
          const float query = labels[static_cast<std::size_t>(i)];
          const float key = labels[static_cast<std::size_t>(j)];
          return in_lists(i, j) && !(later && key > query) && !(equal && key == query);
        };
        for (Index i = 0; i < kLength; i += 32) {
          const Range rows{i, std::min(i + 32, kLength)};
          if (mask.cover(rows, rows) != Cover::kSome) continue;
          Matrix scores = Matrix::Ones(rows.size(), 48), flipped = scores;
          mask.hide(rows, rows, {scores.data(), 48, 1});
          mask.hide(rows, rows, {flipped.data(), 1, 48});
          for (Index q = rows.begin; q < rows.end; ++q) {
            for (Index k = rows.begin; k < rows.end; ++k) {
              const float want = sees(q, k) ? 1 : -kInfinity;
              EXPECT_EQ(scores(q - i, k - i), want);
              EXPECT_EQ(flipped(k - i, q - i), want);
            }
          }
        }
      }
    }
  }
}

TEST(RowSet, NamesItsRows) {
  const auto rows = [](const RowSet& set) {
    std::vector<Index> result;
    for (Index i = 0; i < set.count; ++i) result.push_back(set.at(i));
    return result;
  };
  EXPECT_EQ(rows(RowSet::residues(2, 1, 4, 3)), (std::vector<Index>{2, 6, 10}));
  EXPECT_EQ(rows(RowSet::residues(1, 2, 4, 3)), (std::vector<Index>{1, 5, 9, 2, 6, 10}));
  EXPECT_EQ(rows(RowSet::block_ends(2, 5, 15)), (std::vector<Index>{3, 4, 8, 9, 13, 14}));
  EXPECT_EQ(rows(RowSet::block_ends(2, 5, 14)), (std::vector<Index>{3, 4, 8, 9, 13}));
  EXPECT_EQ(rows(RowSet::block_ends(2, 5, 13)), (std::vector<Index>{3, 4, 8, 9}));
  EXPECT_EQ(rows(RowSet::block_ends(2, 5, 2)), std::vector<Index>{});
}

/// Parts of all kinds over one set of rows, by index how often they count each pair.
class Parts {
 public:
  explicit Parts(Index length) : length_(length), order_(static_cast<std::size_t>(length)) {
    for (std::size_t i = 0; i < order_.size(); ++i) {
      order_[i] = static_cast<std::int32_t>(i * 67 % order_.size());
    }
    const RowSet all = RowSet::all(length), permuted = RowSet::list(order_);
    const RowSet ends = RowSet::block_ends(3, 10, length);
    add({all, all}, BandMask({length, length}, 9, 4));
    add({permuted, permuted}, BandMask({length, length}, 20, -1));  // some pairs twice
    add({all, ends}, BandMask::causal({length, ends.count}));
    add({all, permuted}, BandMask({length, length}, -3, 70));
    for (Index r = 0; r < 7; ++r) {
      const RowSet rows = RowSet::residues(r, 1, 7, (length - r + 6) / 7);
      add({rows, rows}, BandMask({rows.count, rows.count}, 1, 2));
    }
  }

  /// Calls body(rows, mask) for each part.
  void each(const std::function<void(const PartRows&, const BandMask&)>& body) const {
    for (const auto& [rows, mask] : parts_) body(rows, mask);
  }
  MatrixD counts() const {
    MatrixD counts = MatrixD::Zero(length_, length_);
    each([&](const PartRows& rows, const BandMask& mask) {
      for (Index i = 0; i < rows.queries.count; ++i) {
        for (Index j = 0; j < rows.keys.count; ++j) {
          counts(rows.queries.at(i), rows.keys.at(j)) += mask.sees(i, j) ? 1 : 0;
        }
      }
    });
    return counts;
  }

 private:
  void add(const PartRows& rows, const BandMask& mask) { parts_.emplace_back(rows, mask); }

  Index length_;
  std::vector<std::int32_t> order_;
  std::vector<std::pair<PartRows, BandMask>> parts_;
};

Matrix normal(Index rows, Index cols, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  fill_normal(RandomKey(seed), 1, matrix);
  return matrix;
}

struct Values {
  explicit Values(Index length, Index head_dim = kDim)
      : query(3 * normal(length, head_dim, 1)),
        key(normal(length, head_dim, 2)),
        value(normal(length, head_dim, 3)),
        d_out(normal(length, head_dim, 4)),
        d_log_sum_exp(normal(length, 1, 5)) {}
  HeadInputs inputs() const { return {query, key, value}; }

  Matrix query, key, value, d_out, d_log_sum_exp;
};

struct Results {
  Matrix out, log_sum_exp, d_query, d_key, d_value;
};

Results by_parts(const Values& p, const Parts& parts, Index threads) {
  const Index length = p.query.rows();
  Workers workers(threads);
  Matrix statistics(2, length);
  Results r{p.query, p.d_log_sum_exp, p.query, p.key, p.value};
  const HeadOutputs outputs{r.out, r.log_sum_exp};
  clear_softmax(outputs, statistics);
  parts.each([&](const PartRows& rows, const BandMask& mask) {
    softmax_part_forward(workers.team(), p.inputs(), 0.3F, rows, mask, outputs, statistics,
                         Output::kAdd);
  });
  for (Matrix* gradient : {&r.d_query, &r.d_key, &r.d_value}) gradient->setZero();
  const HeadOutputGrads d_outputs{
      .out = p.d_out, .log_sum_exp = p.d_log_sum_exp, .forward_out = r.out};
  parts.each([&](const PartRows& rows, const BandMask& mask) {
    softmax_part_backward(workers.team(), p.inputs(), 0.3F, rows, mask, d_outputs, statistics,
                          {r.d_query, r.d_key, r.d_value}, Output::kAdd);
  });
  return r;
}

void expect_near(const Matrix& got, const MatrixD& want, const char* what) {
  EXPECT_LE((got.cast<double>() - want).cwiseAbs().maxCoeff(),
            1e-5 * std::max(1.0, want.cwiseAbs().maxCoeff()))
      << what;
}

TEST(SoftmaxParts, MergeToOneSoftmaxOverAllTheirPairs) {
  using Shape = std::pair<Index, Index>;
  for (const auto& [length, head_dim] : {Shape{40, kDim}, {300, kDim}, {40, 32}, {300, 32}}) {
    const Values p(length, head_dim);
    const Parts parts(length);
    const Results got = by_parts(p, parts, 1);
    const MatrixD q = p.query.cast<double>(), k = p.key.cast<double>(), v = p.value.cast<double>();
    MatrixD weights = (0.3F * 1.0 * q * k.transpose()).array().exp() * parts.counts().array();
    const MatrixD sums = weights.rowwise().sum();
    weights = sums.cwiseInverse().asDiagonal() * weights;
    const MatrixD out = weights * v, g = p.d_out.cast<double>();
    const MatrixD shift = g.cwiseProduct(out).rowwise().sum() - p.d_log_sum_exp.cast<double>();
    const MatrixD d_scores =
        weights.cwiseProduct(g * v.transpose() - shift.replicate(1, length)) * double{0.3F};
    expect_near(got.out, out, "out");
    expect_near(got.log_sum_exp, sums.array().log(), "log_sum_exp");
    expect_near(got.d_query, d_scores * k, "d_query");
    expect_near(got.d_key, d_scores.transpose() * q, "d_key");
    expect_near(got.d_value, weights.transpose() * g, "d_value");
    for (const Index threads : {2, 3}) {
      const Results again = by_parts(p, parts, threads);
      EXPECT_EQ(got.out, again.out);
      EXPECT_EQ(got.d_query, again.d_query);
      EXPECT_EQ(got.d_key, again.d_key);
      EXPECT_EQ(got.d_value, again.d_value);
    }
  }
}

TEST(SoftmaxParts, GradientsOfOneTileAreAddedToWhatThereIs) {
  for (const Index head_dim : {kDim, Index{32}, Index{64}}) {
    const Values p(50, head_dim);
    const PartRows all{RowSet::all(50), RowSet::all(50)};
    const BandMask mask = BandMask::full({50, 50});
    Workers workers(1);
    Matrix out(50, head_dim), statistics(2, 50);
    softmax_part_forward(workers.team(), p.inputs(), 0.3F, all, mask, {out}, statistics,
                         Output::kOverwrite);
    const auto gradients = [&](Output output) {
      Results r{{}, {}, p.key, p.value, p.query};
      softmax_part_backward(workers.team(), p.inputs(), 0.3F, all, mask,
                            {.out = p.d_out, .forward_out = out}, statistics,
                            {r.d_query, r.d_key, r.d_value}, output);
      return r;
    };
    const Results alone = gradients(Output::kOverwrite), added = gradients(Output::kAdd);
    expect_near(added.d_query, (p.key + alone.d_query).cast<double>(), "d_query");
    expect_near(added.d_key, (p.value + alone.d_key).cast<double>(), "d_key");
    expect_near(added.d_value, (p.query + alone.d_value).cast<double>(), "d_value");
  }
}

TEST(SoftmaxParts, QueriesWithoutAKeyGiveZero) {
  constexpr Index kLength = 90;
  const Values p(kLength);
  Workers workers(1);
  Matrix out(kLength, kDim), log_sum_exp(kLength, 1), statistics(2, kLength);
  clear_softmax({out, log_sum_exp}, statistics);
  const RowSet rows = RowSet::residues(0, 1, 2, (kLength + 1) / 2);
  const BandMask mask({45, 45}, -5, 5);  // the last five of these see nothing
  for (int part = 0; part < 2; ++part) {
    softmax_part_forward(workers.team(), p.inputs(), 0.3F, {rows, rows}, mask, {out, log_sum_exp},
                         statistics, Output::kAdd);
  }
  for (Index i = 0; i < kLength; ++i) {
    const bool sees = i % 2 == 0 && i < 80;
    EXPECT_EQ(out.row(i).isZero(0), !sees) << i;
    EXPECT_EQ(log_sum_exp(i, 0) == -kInfinity, !sees) << i;
    EXPECT_TRUE(out.row(i).allFinite());
  }
}

TEST(SoftmaxParts, ScratchIsWhatTheFormulasSay) {
  constexpr Index kLength = 300;
  const Values p(kLength);
  Results r{p.query, p.d_log_sum_exp, p.query, p.key, p.value};
  Matrix statistics(2, kLength);
  Parts(kLength).each([&](const PartRows& rows, const BandMask& mask) {
    for (const Index threads : {1, 5}) {
      Workers workers(threads);
      softmax_part_forward(workers.team(), p.inputs(), 1, rows, mask, {r.out, r.log_sum_exp},
                           statistics, Output::kOverwrite);
      EXPECT_EQ(workers.high_water(),
                softmax_part_forward_scratch(rows, kDim, threads, {.log_sum_exp = true}).total);
      workers.reset_high_water();
      softmax_part_backward(workers.team(), p.inputs(), 1, rows, mask,
                            {.out = p.d_out, .log_sum_exp = p.d_log_sum_exp, .forward_out = r.out},
                            statistics, {r.d_query, r.d_key, r.d_value}, Output::kOverwrite);
      const Index reach = softmax_chunk_reach(mask, rows.extents());
      EXPECT_EQ(
          workers.high_water(),
          softmax_part_backward_scratch(rows, kDim, reach, threads, {.log_sum_exp = true}).total);
    }
  });
}

}  // namespace
}  // namespace arena
