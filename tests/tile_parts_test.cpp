// What tiled softmax attention visits: sections of tiles, and the rows it fetches ahead.

#include <gtest/gtest.h>

#include <algorithm>

#include "variants/engine/rows_ahead.hpp"
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
