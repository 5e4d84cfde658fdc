#pragma once
// All heads of one layer, each a part of the same matrices; they run in parallel where there are
// enough of them.

#include <array>
#include <span>
#include <string>
#include <vector>

#include "variants/attention.hpp"

namespace arena {

/// How the heads of a layer lie in a matrix.
enum class HeadLayout {
  kSideBySide,  // [len, count * width]
  kStacked,     // [count * len, width]: rows of a head lie close together, as kernels like it
};

struct Heads {
  Heads(Index number, HeadLayout how = HeadLayout::kSideBySide) : count(number), layout(how) {}

  /// The part of one head; empty where all is.
  template <class AnyView>
  AnyView part(const AnyView& all, Index head) const {
    if (all.empty()) return all;
    if (layout == HeadLayout::kStacked) {
      return all.row_slice(head * (all.rows() / count), all.rows() / count);
    }
    return all.column_slice(head * (all.cols() / count), all.cols() / count);
  }

  Index count;
  HeadLayout layout;
};

/// The name of each slot of HeadMatrices, "" where the head has no such input. Throws Error on a
/// list without "value" or with too many of its own.
using InputNames = std::array<std::string, kNumInputSlots>;
InputNames input_names(const AttentionHead& head);

/// The call of one head of a layer, with its own part of a frozen plan (may be absent).
Call call_of_head(const Call& call, Index head, const Team& team, const Plan* plan);
/// A plan of a layer has its heads' as "heads.<head>.<name>".
Plan plan_of_head(const Plan& of_layer, Index head);
void add_plan_of_head(Plan& of_layer, Index head, const Plan& of_head);

/// Runs all heads. Inputs, outputs.out and outputs.log_sum_exp (empty, or one column for each head)
/// hold them as `heads` says; weights, frames and extras have one entry per head (frames empty:
/// save nothing; extras empty: none). call.key is that of the layer: each head gets it folded by
/// its index. Throws Error on a length of 0.
void forward_heads(const AttentionHead& head, const Call& call, const Heads& heads,
                   const HeadInputs& in, std::span<const Weights> weights,
                   const HeadOutputs& outputs, std::span<Frame> frames,
                   std::span<const Extras> extras = {});

/// Overwrites d_in (shaped like in), adds to grads (one entry per head). Heads that share a slice
/// of the gradient run one after another, so that sums have one order; others run in parallel.
void backward_heads(const AttentionHead& head, const Call& call, const Heads& heads,
                    const HeadInputs& in, std::span<const Weights> weights,
                    const HeadOutputGrads& d_outputs, std::span<const Frame> frames,
                    const HeadGrads& d_in, std::span<const Slices> grads);

}  // namespace arena
