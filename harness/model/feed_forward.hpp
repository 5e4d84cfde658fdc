#pragma once
// The feed-forward half of an encoder block, with its norm and residual:
//   y = x + dropout(W2 dropout(gelu(W1 norm(x) + b1)) + b2)

#include "harness/layers/dropout.hpp"
#include "variants/attention.hpp"

namespace arena {

struct BlockSettings {
  Index hidden = 128;  // width inside the feed-forward part
  double dropout = 0;  // of attention's result, of the hidden layer and of its result; 0 to 0.9
  float norm_epsilon = 1e-5F;
};

class FeedForward {
 public:
  static constexpr Index kParameters = 6;

  FeedForward(Index dim, const BlockSettings& settings) : dim_(dim), settings_(settings) {}

  std::vector<ParameterSpec> specs() const;
  /// Frame: statistics [len, 2] and hidden [len, hidden]; scratch of both passes.
  Footprint footprint(Index len, const Team& team) const;

  /// y [len, dim] from x [len, dim], which may be the same memory where frame is null.
  void forward(const Call& call, ConstView x, const Weights& weights, View y, Frame* frame) const;
  /// Overwrites d_x, adds to grads.
  void backward(const Call& call, ConstView x, const Weights& weights, ConstView d_y,
                FrameReader& frame, View d_x, const Slices& grads) const;

 private:
  struct Masks {
    Dropout hidden, out;
  };
  struct Rows;
  struct Pass;

  Masks masks(const Call& call) const;
  Rows take_rows(Workspace& workspace, Index count) const;
  void backward_block(const Pass& pass, Index first, Index count, const Rows& rows, View norm_sums,
                      Workspace& workspace) const;

  Index dim_;
  BlockSettings settings_;
};

}  // namespace arena
