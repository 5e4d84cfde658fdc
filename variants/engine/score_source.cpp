#include "variants/engine/score_source.hpp"

#include "harness/layers/linear.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

template <class AnyView>
AnyView rows_of(const AnyView& matrix, Range rows) {
  return matrix.row_slice(rows.begin, rows.size());
}
template <class AnyView>
AnyView columns_of(const AnyView& matrix, Range columns) {
  return matrix.column_slice(columns.begin, columns.size());
}

/// The matrix of a factor [width, key_len], cut to some keys.
template <class AnyView>
AnyView keys_of(const AnyView& matrix, bool transposed, Range keys) {
  return transposed ? rows_of(matrix, keys) : columns_of(matrix, keys);
}

/// Calls body(column, first, count) for each piece of `keys` in one column of the outer product's
/// high side: keys first .. first + count of its low side.
template <class Body>
void for_high_columns(Range keys, Index low_cols, const Body& body) {
  for (Index j = keys.begin; j < keys.end;) {
    const Index column = j / low_cols;
    const Index end = std::min(keys.end, (column + 1) * low_cols);
    body(column, j - column * low_cols, Range{j - keys.begin, end - keys.begin});
    j = end;
  }
}

}  // namespace

void TableScores::write(Range queries, Range keys, View scores, Output output) const {
  const ConstView tile = columns_of(rows_of(table_, queries), keys);
  output == Output::kAdd ? add_rows(tile, scores) : copy_rows(tile, scores);
}

void TableScores::add_gradients(Range queries, Range keys, ConstView d_scores, View) const {
  if (!d_table_.empty()) add_rows(d_scores, columns_of(rows_of(d_table_, queries), keys));
}

void ProductScores::write(Range queries, Range keys, View scores, Output output) const {
  const auto& [left, right, bias] = operands_;
  const Term term{rows_of(left, queries),
                  {keys_of(right.matrix, right.transposed, keys), right.transposed}};
  multiply(std::span(&term, 1),
           {.bias = bias.empty() ? bias : columns_of(bias, keys),
            .rows = output == Output::kAdd ? ConstView(scores) : ConstView()},
           scores);
}

void ProductScores::add_gradients(Range queries, Range keys, ConstView d_scores, View part) const {
  const Factor& right = operands_.right;
  const ConstView left = rows_of(operands_.left, queries);
  if (!gradients_.left.empty()) {
    multiply(d_scores, {keys_of(right.matrix, right.transposed, keys), !right.transposed}, part,
             Output::kAdd);
  }
  if (!gradients_.right.empty()) {
    const View d_right = keys_of(gradients_.right, right.transposed, keys);
    right.transposed ? multiply(transpose(d_scores), left, d_right, Output::kAdd)
                     : multiply(transpose(left), d_scores, d_right, Output::kAdd);
  }
  if (!gradients_.bias.empty()) add_column_sums(d_scores, columns_of(gradients_.bias, keys));
}

void ProductScores::add_part(Range queries, ConstView part) const {
  View d_left = rows_of(gradients_.left, queries);
  for (Index i = 0; i < part.rows(); ++i) d_left.row(i) += gradients_.left_factor * part.row(i);
}

void OuterScores::write(Range queries, Range keys, View scores, Output output) const {
  for_high_columns(keys, low_.cols(), [&](Index column, Index first, Range at) {
    for (Index i = 0; i < scores.rows(); ++i) {
      const auto low = low_.row(queries.begin + i).segment(first, at.size());
      const float high = high_(queries.begin + i, column);
      auto to = scores.row(i).segment(at.begin, at.size());
      if (output == Output::kAdd) {
        to += high * low;
      } else {
        to = high * low;
      }
    }
  });
}

// d_low and d_high stand side by side in the part.
void OuterScores::add_gradients(Range queries, Range keys, ConstView d_scores, View part) const {
  for_high_columns(keys, low_.cols(), [&](Index column, Index first, Range at) {
    for (Index i = 0; i < d_scores.rows(); ++i) {
      const auto low = low_.row(queries.begin + i).segment(first, at.size());
      const auto d = d_scores.row(i).segment(at.begin, at.size());
      part.row(i).segment(first, at.size()) += high_(queries.begin + i, column) * d;
      part(i, low_.cols() + column) += d.dot(low);
    }
  });
}

void OuterScores::add_part(Range queries, ConstView part) const {
  add_rows(part.column_slice(0, low_.cols()), rows_of(d_low_, queries));
  add_rows(part.column_slice(low_.cols(), high_.cols()), rows_of(d_high_, queries));
}

}  // namespace arena
