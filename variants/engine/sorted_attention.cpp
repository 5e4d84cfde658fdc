#include "variants/engine/sorted_attention.hpp"

#include <algorithm>
#include <cmath>

#include "harness/layers/rows.hpp"
#include "variants/engine/block_mask.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {
namespace {

/// Chunks of one round that see chunks of another or the same: chunk c of `queries` sees those of
/// `keys` from c + first to c + last.
struct ChunkPart {
  Index query_round, key_round;
  Range queries, keys;
  Index first, last;
  bool first_of_queries = false;  // nothing before it has their softmax
};

/// Places whose rows and gradients stay in the second-level cache while attention works on copies.
constexpr Index kSlice = 1024;

/// body(part) for slices of `all`.
template <class Body>
void for_slices(const SortedChunks& chunks, const ChunkPart& all, const Body& body) {
  const Index step = std::max(Index{1}, kSlice / chunks.size);
  for (Index c = all.queries.begin; c < all.queries.end; c += step) {
    ChunkPart part = all;
    part.queries = {c, std::min(c + step, all.queries.end)};
    part.keys = intersection({c + all.first, part.queries.end + all.last}, all.keys);
    body(part);
  }
}

/// body(part) for all parts. Each pair of chunks that see each other is in one of them; those
/// within round 0, with all rows as queries, come first.
template <class Body>
void for_parts(const SortedChunks& chunks, const Body& body) {
  const Index length = chunks.per_round;
  for (Index q = 0; q < chunks.rounds; ++q) {
    for (Index k = 0; k < chunks.rounds; ++k) {
      for (const Index turn : {Index{0}, -chunks.count(), chunks.count()}) {
        // chunk c of round k comes this much after chunk c of round q
        const Index ahead = (k - q) * length + turn;
        const Index first = -chunks.before - ahead, last = chunks.after - ahead;
        const Range queries{std::max(Index{0}, -last), std::min(length, length - first)};
        const Range keys{std::max(Index{0}, first), std::min(length, length + last)};
        if (queries.empty() || keys.empty()) continue;
        for_slices(chunks, {q, k, queries, keys, first, last, q + k == 0 && turn == 0}, body);
      }
    }
  }
}

/// Places of some chunks of a round, counted over all rounds.
Range places_of(const SortedChunks& chunks, Index round, Range some) {
  return {round * chunks.len + some.begin * chunks.size,
          round * chunks.len + std::min(some.end * chunks.size, chunks.len)};
}

/// Without an order only the numbers of rows are known.
PartRows rows_of(const SortedRounds& rounds, const ChunkPart& part) {
  const auto rows = [&](Index round, Range some) {
    const Range places = places_of(rounds.chunks, round, some);
    if (rounds.order.empty()) return RowSet::any(places.size());
    return RowSet::list(rounds.order.subspan(static_cast<std::size_t>(places.begin),
                                             static_cast<std::size_t>(places.size())));
  };
  return {rows(part.query_round, part.queries), rows(part.key_round, part.keys),
          rounds.inverse_norms.data()};
}

/// `labels` [rounds, len] are the rows of all places; absent: only ranges matter.
BlockBandMask mask_of(const SortedRounds& rounds, const ChunkPart& part, const float* labels) {
  const SortedChunks& chunks = rounds.chunks;
  PairRule rule;
  if (labels) {
    rule = {.query = labels + places_of(chunks, part.query_round, part.queries).begin,
            .key = labels + places_of(chunks, part.key_round, part.keys).begin,
            .hide_later = rounds.causal,
            .hide_equal = true};
  }
  const Index skipped = part.queries.begin - part.keys.begin;
  return {chunks.size, part.first + skipped, part.last + skipped, rule};
}

const float* labels_of(Workspace& workspace, const SortedRounds& rounds) {
  const auto labels = workspace.take<float>(static_cast<Index>(rounds.order.size()));
  std::ranges::copy(rounds.order, labels.begin());
  return labels.data();
}

/// The most that scratch(rows, mask) of any part takes, and the labels.
template <class Scratch>
SoftmaxScratch most_of_parts(const SortedChunks& chunks, const Scratch& scratch) {
  SoftmaxScratch most;
  const SortedRounds rounds{chunks, {}, {}};
  for_parts(chunks, [&](const ChunkPart& part) {
    const SoftmaxScratch one = scratch(rows_of(rounds, part), mask_of(rounds, part, nullptr));
    most = {std::max(most.caller, one.caller), std::max(most.total, one.total)};
  });
  const Index labels = stored_bytes<float>(chunks.rounds * chunks.len);
  return {most.caller + labels, most.total + labels};
}

}  // namespace

SortedChunks::SortedChunks(Index length, Index number, Index chunk, Index chunks_before,
                           Index chunks_after)
    : len(length),
      rounds(number),
      size(std::min(chunk, length)),
      per_round((length + size - 1) / size),
      before(std::min(chunks_before, count() - 1)),
      after(std::min(chunks_after, count() - 1 - before)) {}

// All chunks but the last of each round are whole, so at any distance all pairs of chunks but those
// with a last one have size^2 pairs of places.
Index SortedChunks::pairs() const {
  const Index whole = per_round - 1, rest = len - whole * size;
  Index sum = 0;
  for (Index d = -before; d <= after; ++d) {
    sum += d % per_round == 0 ? whole * size * size + rest * rest
                              : (whole - 1) * size * size + 2 * size * rest;
  }
  return rounds * sum;
}

std::span<const float> inverse_norms(const Team& team, const ConstView& query, float epsilon) {
  const auto norms = team.workspace().take<float>(query.rows());
  const float constant = epsilon * static_cast<float>(query.cols());
  for (Index j = 0; j < query.rows(); ++j) {
    norms[static_cast<std::size_t>(j)] = 1 / std::sqrt(query.row(j).squaredNorm() + constant);
  }
  return norms;
}

void sorted_forward(const Team& team, const SortedRounds& rounds, const HeadInputs& in, View out,
                    View statistics) {
  const WorkspaceScope scope(team.workspace());
  const float* const labels = labels_of(team.workspace(), rounds);
  for_parts(rounds.chunks, [&](const ChunkPart& part) {
    softmax_part_forward(team, {in.query, in.query, in.value}, 1, rows_of(rounds, part),
                         mask_of(rounds, part, labels), {out}, statistics,
                         part.first_of_queries ? Output::kOverwrite : Output::kAdd);
  });
  for (Index i = 0; i < out.rows(); ++i) {
    // Out is 0 where a row sees no key but its own; it stays NaN where no score is a number.
    if (statistics(0, i) == kNoReference) out.row(i) += in.value.row(i);
  }
}

void sorted_backward(const Team& team, const SortedRounds& rounds, const HeadInputs& in,
                     const HeadOutputGrads& d_outputs, const ConstView& statistics,
                     HeadGrads d_in) {
  const WorkspaceScope scope(team.workspace());
  const float* const labels = labels_of(team.workspace(), rounds);
  // <d_out_i, out_i> goes by as a gradient of log_sum_exp: a number where rows would be copied
  View shifts = team.workspace().matrix(d_outputs.out.rows(), 1);
  View zeros = team.workspace().matrix(1, d_outputs.out.cols());
  zeros.setZero();
  const ConstView no_out(zeros.data(), d_outputs.out.rows(), zeros.cols(), 0);
  dots_of_rows(d_outputs.out, d_outputs.forward_out, shifts.data());
  for (Index i = 0; i < shifts.rows(); ++i) {
    shifts(i, 0) = -shifts(i, 0);
    d_in.query.row(i).setZero();
    d_in.value.row(i).setZero();
    if (statistics(0, i) == kNoReference) d_in.value.row(i) = d_outputs.out.row(i);
  }
  for_parts(rounds.chunks, [&](const ChunkPart& part) {
    softmax_part_backward(team, {in.query, in.query, in.value}, 1, rows_of(rounds, part),
                          mask_of(rounds, part, labels),
                          {.out = d_outputs.out, .log_sum_exp = shifts, .forward_out = no_out},
                          statistics, {d_in.query, d_in.query, d_in.value}, Output::kAdd);
  });
}

SoftmaxScratch sorted_forward_scratch(const SortedChunks& chunks, Index head_dim, Index workers) {
  return most_of_parts(chunks, [&](const PartRows& rows, const BlockBandMask&) {
    return softmax_part_forward_scratch(rows, head_dim, workers);
  });
}

SoftmaxScratch sorted_backward_scratch(const SortedChunks& chunks, Index head_dim, Index workers) {
  const auto scratch = [&](const PartRows& rows, const BlockBandMask& mask) {
    const Index reach = softmax_chunk_reach(mask, rows.extents());
    return softmax_part_backward_scratch(rows, head_dim, reach, workers, {.log_sum_exp = true});
  };
  const Index shifts = stored_bytes<float>(chunks.len) + stored_bytes<float>(head_dim);
  return added(shifts, most_of_parts(chunks, scratch));
}

}  // namespace arena
