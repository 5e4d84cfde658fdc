// What tiled softmax attention visits: sections of tiles, lanes beyond whole vectors, last rows,
// and the rows it fetches ahead.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "variants/engine/rows_ahead.hpp"
#include "variants/engine/softmax_few_lanes.hpp"
#include "variants/engine/softmax_sections.hpp"

namespace arena {
namespace {

TEST(Sections, HoldWhatIsSeenInWholeVectorsOnly) {
  const Range queries{300, 300 + kTileLanes - 1}, keys{210, 210 + 15 * Sections::kUnit + 3};
  for (const Index window : {0, 30, 1000}) {
    const BandMask mask({500, 500}, window, window);
    Sections sections;
    sections.set(keys, queries, mask.cover(queries, keys),
                 [&](Range some) { return mask.queries_of(some, queries); });
    const auto held = [&](Index i, Index j) {
      return std::ranges::count_if(sections, [&](const Section& section) {
        const Range lanes = section.lanes(queries), rows = section.rows;
        return lanes.begin <= i && i < lanes.end && rows.begin <= j && j < rows.end;
      });
    };
    const auto vector_of = [&](Index i) { return (i - queries.begin) / simd::kWidth; };
    const auto unit_of = [&](Index j) { return (j - keys.begin) / Sections::kUnit; };
    for (Index i = queries.begin; i < queries.end; ++i) {
      for (Index j = keys.begin; j < keys.end; ++j) {
        bool wanted = false;  // some query of the vector sees some key of the unit
        for (Index a = queries.begin; a < queries.end; ++a) {
          for (Index b = keys.begin; b < keys.end; ++b) {
            const bool same = vector_of(a) == vector_of(i) && unit_of(b) == unit_of(j);
            wanted = wanted || (same && mask.sees(a, b));
          }
        }
        EXPECT_EQ(held(i, j), wanted ? 1 : 0) << window << " " << i << " " << j;
      }
    }
  }
}

TEST(FewLanes, AreTheOnesThatAVectorWouldBeMostlyEmptyFor) {
  constexpr Index kFew = FewLanes::kMost, kWide = 2 * simd::kWidth;
  for (const Index whole : {Index{0}, simd::kWidth, 3 * simd::kWidth}) {
    EXPECT_EQ(FewLanes::among(whole, kWide), 0);
    EXPECT_EQ(FewLanes::among(whole + kFew, kWide), kFew);
    EXPECT_EQ(FewLanes::among(whole + kFew, kWide - 1), 0);
    EXPECT_EQ(FewLanes::among(whole + kFew + 1, kWide), 0);
  }
}

TEST(FewLanes, GiveDotProductsInTheirLanes) {
  for (const Index head_dim : {2 * simd::kWidth, 3 * simd::kWidth + 5}) {
    const Index width = round_up(head_dim, simd::kWidth), most = 3 * simd::kWidth + 1;
    Matrix lanes = Matrix::Random(9, head_dim), rows = Matrix::Zero(most, width);
    rows.leftCols(head_dim) = Matrix::Random(most, head_dim);
    Workspace workspace;
    FewLanes few;
    few.take(workspace, head_dim);
    EXPECT_EQ(workspace.in_use(), FewLanes::bytes(head_dim));
    for (Index count = FewLanes::kMost; count > 0; --count) {
      few.start(lanes, {3, 3 + count}, 2);
      for (Index n = 0; n <= most; ++n) {
        const simd::Vec start = simd::iota();
        Matrix got = Matrix::Constant(most, simd::kWidth + 1, -7);
        alignas(64) float largest[simd::kWidth];
        simd::store(largest, few.multiply({rows.data(), width}, n, start, got.data(), got.cols()));
        for (Index f = 0; f < simd::kWidth; ++f) {
          float highest = std::numeric_limits<float>::lowest();
          for (Index i = 0; i < n; ++i) {
            const double dot = f < count ? 2 * lanes.row(3 + f).cast<double>().dot(
                                                   rows.row(i).head(head_dim).cast<double>())
                                         : 0;
            EXPECT_NEAR(got(i, f), dot + static_cast<double>(f), 1e-5) << count << " " << i;
            highest = std::max(highest, got(i, f));
          }
          EXPECT_EQ(largest[f], highest);
        }
        EXPECT_TRUE((got.bottomRows(most - n).array() == -7).all());
        EXPECT_TRUE((got.col(simd::kWidth).array() == -7).all());
      }
    }
  }
}

template <int Vectors>
void expect_each_row_once(Index count) {
  std::vector<int> visits(static_cast<std::size_t>(count));
  for_row_tiles<Vectors>(count, [&]<int kRows>(Index i) {
    for (Index row = i; row < i + kRows; ++row) ++visits.at(static_cast<std::size_t>(row));
  });
  EXPECT_EQ(visits, std::vector<int>(visits.size(), 1)) << Vectors << " " << count;
}

TEST(RowTiles, TakeEachRowOnce) {
  for (Index count = 0; count < 40; ++count) {
    with_vectors(kTileLanes, [&]<int Vectors>() { expect_each_row_once<Vectors>(count); });
    expect_each_row_once<1>(count);
    expect_each_row_once<2>(count);
    if constexpr (kTileVectors > 3) expect_each_row_once<3>(count);
  }
}

TEST(RowsAhead, HurriesWhereThereAreMoreLinesThanSteps) {
  const Matrix rows = Matrix::Zero(5, 40);
  for (const Index steps : {12, 13, 14, 15}) {
    RowsAhead together, apart;
    together.add(rows);                            // 13 lines
    apart.add(ConstView(rows.data(), 5, 33, 40));  // 15
    together.spread(steps);
    apart.spread(steps);
    EXPECT_EQ(together.hurries(), steps < 13);
    EXPECT_EQ(apart.hurries(), steps < 15);
  }
}

TEST(RowsAhead, FetchesALineAStepAndWithAnotherWeftEverySecond) {
  if (!simd::kManyRegisters) GTEST_SKIP() << "lines are fetched between tiles";
  const Matrix rows = Matrix::Zero(5, 32);  // ten lines
  RowsAhead ahead;
  ahead.add(rows);
  const auto left = [&] {
    RowsAhead copy = ahead;
    int lines = 0;
    while (copy.next_line()) ++lines;
    return lines;
  };
  auto alone = ahead.weft();
  unrolled<3>(alone);
  EXPECT_EQ(left(), 7);
  int steps = 0;
  const auto count = [&](auto) { ++steps; };
  unrolled<4>(WithRowsAhead<decltype(count)>{count, &ahead});
  EXPECT_EQ(left(), 5);
  EXPECT_EQ(steps, 4);
}

TEST(RowsAhead, GivesEachLineOfEachRowOnce) {
  const Matrix one = Matrix::Zero(3, 64), two = Matrix::Zero(6, 40);
  RowsAhead ahead;
  EXPECT_EQ(ahead.next_line(), nullptr);
  ahead.add(one);
  ahead.add(ConstView());
  ahead.add(ConstView(two.data(), 3, 40, 80));  // every second row
  std::vector<const float*> want, got;
  for (Index i = 0; i < 3; ++i) {
    for (Index d = 0; d < 64; d += 16) want.push_back(&one(i, d));
  }
  for (Index i = 0; i < 3; ++i) {
    for (Index d = 0; d < 40; d += 16) want.push_back(&two(2 * i, d));
  }
  while (const float* const line = ahead.next_line()) got.push_back(line);
  EXPECT_EQ(got, want);
  ahead.add(two);
  EXPECT_EQ(ahead.next_line(), two.data());
  ahead.clear();
  EXPECT_EQ(ahead.next_line(), nullptr);
}

TEST(RowsAhead, LeavesOutWhatIsTooMuch) {
  const Matrix row = Matrix::Zero(1, 16);
  RowsAhead ahead;
  for (int i = 0; i < 20; ++i) ahead.add(row);
  int lines = 0;
  while (ahead.next_line()) ++lines;
  EXPECT_EQ(lines, 8);
}

}  // namespace
}  // namespace arena
