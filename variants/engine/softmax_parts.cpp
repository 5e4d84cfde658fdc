#include "variants/engine/softmax_parts.hpp"

#include <array>
#include <limits>
#include <optional>

#include "harness/layers/rows.hpp"
#include "harness/layers/simd.hpp"

namespace arena {
namespace {

constexpr Index kCopyRows = 256;  // at a time, in parallel
constexpr Index kAhead = 8;       // rows that are fetched meanwhile

template <class AnyView>
AnyView view_of(const AnyView& all, const RowSet& rows) {
  if (all.empty()) return {};
  auto* const data = const_cast<float*>(all.data()) + rows.first * all.outerStride();
  return {data, rows.count, all.cols(), rows.step * all.outerStride()};
}

/// body(i, rows.at(i)) for all i, in parallel; these rows of `home` are fetched ahead.
template <class Body>
void for_rows(const Team& team, const ConstView& home, const RowSet& rows, const Body& body) {
  constexpr Index kLine = 64 / sizeof(float);
  team.for_each((rows.count + kCopyRows - 1) / kCopyRows, [&](Index block, const Team&) {
    const Index end = std::min((block + 1) * kCopyRows, rows.count);
    for (Index i = block * kCopyRows; i < end; ++i) {
      const float* const next = row_of(home, rows.at(std::min(i + kAhead, end - 1)));
      for (Index c = 0; c < home.cols(); c += kLine) __builtin_prefetch(next + c);
      body(i, rows.at(i));
    }
  });
}

/// Rows of `to` are those of the set, row rows.at(i) times factors[rows.at(i)] (null: 1).
void gather(const Team& team, const ConstView& from, const RowSet& rows, const float* factors,
            View to) {
  for_rows(team, from, rows, [&](Index i, Index at) {
    const float* const row = row_of(from, at);
    float* const copy = row_of(to, i);
    const simd::Vec factor(factors ? factors[at] : 1);
    simd::for_vectors(to.cols(), [&](Index c, Index count) {
      simd::store_part(copy + c, simd::load_part(row + c, count) * factor, count);
    });
  });
}

/// The rows as they lie, or a copy in the workspace, by `factors` of gather().
ConstView rows_of(const Team& team, const ConstView& from, const RowSet& rows,
                  const float* factors = nullptr) {
  if (rows.is_view() || from.empty()) return view_of(from, rows);
  const View copy = team.workspace().matrix(rows.count, from.cols());
  gather(team, from, rows, factors, copy);
  return copy;
}

/// Rows that are written: as they lie, or a copy in the workspace that put_back() takes home.
class Target {
 public:
  Target(const Team& team, View home, const RowSet& rows)
      : view(rows.is_view() || home.empty() ? view_of(home, rows)
                                            : team.workspace().matrix(rows.count, home.cols())),
        team_(team),
        home_(home),
        rows_(rows) {}

  void load() const {
    if (is_copy()) gather(team_, home_, rows_, nullptr, view);
  }
  void put_back(Output output) {
    if (!is_copy()) return;
    for_rows(team_, home_, rows_, [&](Index i, Index at) {
      const float* const row = row_of(view, i);
      float* const to = row_of(home_, at);
      simd::for_vectors(view.cols(), [&](Index c, Index count) {
        simd::Vec x = simd::load_part(row + c, count);
        if (output == Output::kAdd) x = x + simd::load_part(to + c, count);
        simd::store_part(to + c, x, count);
      });
    });
  }

  View view;

 private:
  bool is_copy() const { return !rows_.is_view() && !home_.empty(); }

  const Team& team_;
  View home_;
  const RowSet& rows_;
};

/// d_key by the keys of a part becomes that by the rows they were made of: with key = a x and
/// a = (|x|^2 + constant)^(-1/2) it is a (d_key - <d_key, key> key).
void differentiate_norms(const Team& team, const ConstView& key, const PartRows& rows, View d_key) {
  for_rows(team, key, RowSet::all(key.rows()), [&](Index i, Index) {
    const Index at = rows.keys.at(i);
    const float along = d_key.row(i).dot(key.row(i));
    d_key.row(i) = rows.inverse_norms[at] * (d_key.row(i) - along * key.row(i));
  });
}

/// As they lie, or a copy in the workspace.
template <class AnyView>
StatisticsOf<AnyView> statistics_of(Workspace& workspace, const AnyView& all, const RowSet& rows) {
  if (all.empty()) return {};
  if (rows.is_view()) return {all.column_slice(rows.first, all.cols() - rows.first), rows.step};
  View copy = workspace.matrix(2, rows.count);
  for (Index i = 0; i < rows.count; ++i) copy.col(i) = all.col(rows.at(i));
  return {copy};
}

/// The softmax of a part with inputs as they lie or copied.
SoftmaxProblem problem_of(const Team& team, const HeadInputs& in, const PartRows& rows,
                          const TileMask& mask, const HeadOutputs& outputs,
                          const Statistics& statistics) {
  return {
      {rows_of(team, in.query, rows.queries), rows_of(team, in.key, rows.keys, rows.inverse_norms),
       rows_of(team, in.value, rows.keys)},
      &mask,
      outputs,
      statistics};
}

SoftmaxScratch operator+(const SoftmaxScratch& scratch, Index bytes) {
  return {scratch.caller + bytes, scratch.total + bytes};
}

/// Of `number` matrices with the part's queries and as many with its keys, and of statistics.
Index copied_bytes(const PartRows& rows, Index number, Index head_dim, const PartExtras& extras) {
  const Index length = rows.queries.count;
  Index bytes = 0;
  if (!rows.keys.is_view()) bytes += number * stored_bytes<float>(rows.keys.count * head_dim);
  if (rows.queries.is_view()) return bytes;
  bytes += number * stored_bytes<float>(length * head_dim);
  bytes += extras.statistics ? softmax_statistics_bytes(length) : 0;
  return bytes + (extras.log_sum_exp ? stored_bytes<float>(length) : 0);
}

}  // namespace
void softmax_part_forward(const Team& team, const HeadInputs& in, float scale, const PartRows& rows,
                          const TileMask& mask, HeadOutputs outputs, View statistics,
                          Output output) {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const RowSet& queries = rows.queries;
  Target out(team, outputs.out, queries), log_sum_exp(team, outputs.log_sum_exp, queries);
  if (output == Output::kAdd) out.load(), log_sum_exp.load();
  const Statistics some = statistics_of(workspace, statistics, queries);
  softmax_forward_into(team, problem_of(team, in, rows, mask, {out.view, log_sum_exp.view}, some),
                       scale, output);
  out.put_back(Output::kOverwrite);
  log_sum_exp.put_back(Output::kOverwrite);
  if (statistics.empty() || queries.is_view()) return;
  for (Index i = 0; i < queries.count; ++i) statistics.col(queries.at(i)) = some.all.col(i);
}

void softmax_parts_forward(const Team& team, const HeadInputs& in, float scale,
                           const Series<SoftmaxPart>& parts, HeadOutputs outputs, View statistics,
                           Output output) {
  const SoftmaxPart* part = parts();
  if (part && (team.size() > 1 || !part->rows.are_views())) {
    for (; part; part = parts()) {
      softmax_part_forward(team, in, scale, part->rows, *part->mask, outputs, statistics, output);
    }
    return;
  }
  std::array<std::optional<SoftmaxProblem>, 2> problems;
  std::size_t turn = 0;
  const auto next = [&]() -> const SoftmaxProblem* {
    if (turn > 0) part = parts();
    if (!part) return nullptr;
    const RowSet& queries = part->rows.queries;
    const HeadOutputs some{view_of(outputs.out, queries), view_of(outputs.log_sum_exp, queries)};
    return &problems[turn++ % 2].emplace(
        problem_of(team, in, part->rows, *part->mask, some,
                   statistics_of(team.workspace(), statistics, queries)));
  };
  softmax_forward_each(team.workspace(), std::ref(next), scale, output);
}

namespace {

/// What a part reads and writes where it lies.
RowsAhead ahead_of(const PartRows& rows, const HeadInputs& in, const HeadOutputGrads& d_outputs,
                   const HeadGrads& d_in) {
  RowsAhead ahead;
  const auto add = [&](const RowSet& set, const ConstView& matrix) {
    if (set.is_view()) ahead.add(view_of(matrix, set));
  };
  for (const ConstView& of : {in.query, d_outputs.out, d_outputs.forward_out}) {
    add(rows.queries, of);
  }
  for (const ConstView& of : {in.key, in.value}) add(rows.keys, of);
  add(rows.queries, d_in.query);
  for (const View& of : {d_in.key, d_in.value}) add(rows.keys, of);
  return ahead;
}

void backward(const Team& team, const HeadInputs& in, float scale, const PartRows& rows,
              const TileMask& mask, const HeadOutputGrads& d_outputs, const ConstView& statistics,
              HeadGrads d_in, Output output, const RowsAhead& ahead) {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const HeadInputs some{rows_of(team, in.query, rows.queries),
                        rows_of(team, in.key, rows.keys, rows.inverse_norms),
                        rows_of(team, in.value, rows.keys)};
  const HeadOutputGrads some_d{.out = rows_of(team, d_outputs.out, rows.queries),
                               .log_sum_exp = rows_of(team, d_outputs.log_sum_exp, rows.queries),
                               .forward_out = rows_of(team, d_outputs.forward_out, rows.queries)};
  const ConstStatistics some_statistics = statistics_of(workspace, statistics, rows.queries);
  Target d_query(team, d_in.query, rows.queries);
  Target d_key(team, d_in.key, rows.keys), d_value(team, d_in.value, rows.keys);
  const HeadGrads d_some{d_query.view, d_key.view, d_value.view};
  if (output == Output::kAdd) {
    // copies start at zero and are added as they are put back
    if (!rows.queries.is_view()) d_query.view.setZero();
    if (!rows.keys.is_view()) d_key.view.setZero(), d_value.view.setZero();
  }
  softmax_backward_into(team, some, scale, mask, some_d, some_statistics, d_some, output, ahead);
  if (rows.inverse_norms) differentiate_norms(team, some.key, rows, d_key.view);
  for (Target* target : {&d_query, &d_key, &d_value}) target->put_back(output);
}

}  // namespace

void softmax_part_backward(const Team& team, const HeadInputs& in, float scale,
                           const PartRows& rows, const TileMask& mask,
                           const HeadOutputGrads& d_outputs, const ConstView& statistics,
                           HeadGrads d_in, Output output) {
  backward(team, in, scale, rows, mask, d_outputs, statistics, d_in, output, {});
}

void softmax_parts_backward(const Team& team, const HeadInputs& in, float scale,
                            const Series<SoftmaxPart>& parts, const HeadOutputGrads& d_outputs,
                            const ConstView& statistics, HeadGrads d_in, Output output) {
  const SoftmaxPart* part = parts();
  while (part) {
    const SoftmaxPart* const next = parts();
    RowsAhead ahead;
    if (next) ahead = ahead_of(next->rows, in, d_outputs, d_in);
    backward(team, in, scale, part->rows, *part->mask, d_outputs, statistics, d_in, output, ahead);
    part = next;
  }
}

void clear_softmax(HeadOutputs outputs, View statistics) {
  outputs.out.setZero();
  if (!outputs.log_sum_exp.empty()) {
    outputs.log_sum_exp.setConstant(-std::numeric_limits<float>::infinity());
  }
  statistics.row(0).setConstant(kNoReference);
  statistics.row(1).setZero();
}

SoftmaxScratch softmax_part_forward_scratch(const PartRows& rows, Index head_dim, Index workers,
                                            const PartExtras& extras) {
  return softmax_forward_scratch(rows.extents(), head_dim, workers) +
         copied_bytes(rows, 2, head_dim, extras);
}

SoftmaxScratch softmax_part_backward_scratch(const PartRows& rows, Index head_dim,
                                             Index chunk_reach, Index workers,
                                             const PartExtras& extras) {
  return softmax_backward_scratch(rows.extents(), head_dim, chunk_reach, workers) +
         copied_bytes(rows, 4, head_dim, extras);
}

}  // namespace arena
