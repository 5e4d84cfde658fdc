#include "variants/engine/sorted_blocks.hpp"

#include <algorithm>

#include "harness/layers/rows.hpp"
#include "variants/engine/block_mixing.hpp"

namespace arena {
namespace {

constexpr Index kGroup = 128;  // blocks whose mixtures stand in memory together

template <class Body>
void for_groups(const SortedBlocks& shape, const Body& body) {
  for (Index begin = 0; begin < shape.count(); begin += kGroup) {
    body(BlockGroup(shape, {begin, std::min(begin + kGroup, shape.count())}));
  }
}

template <class AnyView, class From>
PairSaved<AnyView> take_saved(const SortedBlocks& shape, From& from) {
  const AnyView statistics = from.matrix(2, shape.len);
  if (!shape.added) return {statistics};
  const AnyView own_statistics = from.matrix(2, shape.len);
  return {statistics, own_statistics, from.matrix(shape.len, shape.head_dim)};
}

/// Rows of block i.
template <class AnyView>
AnyView rows_of(const SortedBlocks& shape, const AnyView& x, Index i) {
  return x.empty() ? x : x.row_slice(i * shape.block, shape.pair(i).rows);
}

template <class AnyView>
PairSaved<AnyView> saved_of(const SortedBlocks& shape, const PairSaved<AnyView>& all, Index i) {
  const auto columns = [&](const AnyView& x) {
    return x.empty() ? x : x.column_slice(i * shape.block, shape.pair(i).rows);
  };
  return {columns(all.statistics), columns(all.own_statistics), rows_of(shape, all.other_out, i)};
}

PairInputs inputs_of(const SortedBlocks& shape, const HeadInputs& in, const BlockGroup& group,
                     const MixedRows<View>& mixtures, const BlockMixture<ConstView>& mixture,
                     Index i) {
  const bool null = shape.causal && i == 0;
  const Index other = shape.pair(i).other;
  return {rows_of(shape, in.query, i), rows_of(shape, in.key, i), rows_of(shape, in.value, i),
          null ? mixture.null_key : ConstView(group.mixture(mixtures.key, i, other)),
          null ? mixture.null_value : ConstView(group.mixture(mixtures.value, i, other))};
}

}  // namespace

void sorted_blocks_forward(const Team& team, const SortedBlocks& shape, const HeadInputs& in,
                           const BlockMixture<ConstView>& mixture, View out, Frame* frame) {
  const WorkspaceScope scope(team.workspace());
  const auto mixtures = MixedRows<View>::take(team.workspace(), shape, kGroup);
  const PairSaved<View> saved = frame ? take_saved<View>(shape, *frame) : PairSaved<View>{};
  for_groups(shape, [&](const BlockGroup& group) {
    mix_blocks(team, group, mixture, in, mixtures);
    team.for_each(group.blocks().size(), [&](Index b, const Team& worker) {
      const Index i = group.blocks().begin + b;
      pair_forward(worker, shape.pair(i), inputs_of(shape, in, group, mixtures, mixture, i),
                   saved_of(shape, saved, i), rows_of(shape, out, i));
    });
  });
}

void sorted_blocks_backward(const Team& team, const SortedBlocks& shape, const HeadInputs& in,
                            const BlockMixture<ConstView>& mixture,
                            const HeadOutputGrads& d_outputs, FrameReader& frame, HeadGrads d_in,
                            const BlockMixture<View>& grads) {
  const WorkspaceScope scope(team.workspace());
  const auto mixtures = MixedRows<View>::take(team.workspace(), shape, kGroup);
  const PairSaved<ConstView> saved = take_saved<ConstView>(shape, frame);
  zero_rows(d_in.key);
  zero_rows(d_in.value);
  for_groups(shape, [&](const BlockGroup& group) {
    mix_blocks(team, group, mixture, in, mixtures);
    team.for_each(group.blocks().size(), [&](Index b, const Team& worker) {
      const Index i = group.blocks().begin + b;
      const auto of = [&](const auto& x) { return rows_of(shape, x, i); };
      const BlockPair pair = shape.pair(i);
      const PairGrads pair_grads{of(d_in.query), of(d_in.key), of(d_in.value),
                                 group.mixture(mixtures.key, i, pair.other),
                                 group.mixture(mixtures.value, i, pair.other)};
      pair_backward(worker, pair, inputs_of(shape, in, group, mixtures, mixture, i),
                    saved_of(shape, saved, i),
                    {.out = of(d_outputs.out), .forward_out = of(d_outputs.forward_out)},
                    pair_grads);
      if (!shape.causal || i > 0) return;
      add_rows(pair_grads.other_key, grads.null_key);
      add_rows(pair_grads.other_value, grads.null_value);
      zero_rows(group.mixture(mixtures.key, 0, shape.mixture_rows()));
      zero_rows(group.mixture(mixtures.value, 0, shape.mixture_rows()));
    });
    mix_blocks_backward(team, group, mixture, in, mixtures, d_in, grads);
  });
}

BlockPair SortedBlocks::pair(Index i) const {
  return {.rows = i + 1 < count() ? block : last_rows(),
          .other = causal && i == 0 ? 1 : mixture_rows(),
          .head_dim = head_dim,
          .causal = causal,
          .added = added,
          .scale = scale};
}

Index SortedBlocks::frame_bytes() const {
  const Index statistics = softmax_statistics_bytes(len);
  return added ? 2 * statistics + stored_bytes<float>(len * head_dim) : statistics;
}

/// Groups of fewer blocks than workers share each block.
SoftmaxScratch SortedBlocks::scratch(Index workers, const SoftmaxScratch& alone,
                                     const SoftmaxScratch& shared) const {
  const Index mixtures = mixed_bytes(*this, kGroup);
  return {mixtures + std::max(alone.caller, shared.caller),
          mixtures + std::max(workers * alone.caller, shared.total)};
}

SoftmaxScratch SortedBlocks::forward_scratch(Index workers) const {
  const BlockPair whole = largest_pair();
  return scratch(workers, whole.forward_scratch(1), whole.forward_scratch(workers));
}

SoftmaxScratch SortedBlocks::backward_scratch(Index workers) const {
  const BlockPair whole = largest_pair();
  return scratch(workers, whole.backward_scratch(1), whole.backward_scratch(workers));
}

BlockPair SortedBlocks::largest_pair() const {
  BlockPair whole = pair(0);
  whole.other = mixture_rows();
  return whole;
}

double SortedBlocks::mixing_flops() const {
  double flops = 0;
  for_groups(*this, [&](const BlockGroup& group) { flops += group.mixing_flops(); });
  return flops;
}

double SortedBlocks::pair_flops() const {
  double pairs = 0;
  for (Index i = 0; i < count(); ++i) pairs += static_cast<double>(pair(i).pairs());
  return 2 * pairs * static_cast<double>(head_dim);
}

double SortedBlocks::flops_forward() const {
  return mixing_flops() + 2 * pair_flops();
}

double SortedBlocks::flops_backward() const {
  return 3 * mixing_flops() + 5 * pair_flops();
}

}  // namespace arena
