#pragma once
// All heads of a variant with everything they need, in memory that is allocated once: what `arena
// bench` calls scope kernel.

#include <optional>
#include <string>
#include <vector>

#include "harness/conformance/subject.hpp"
#include "harness/model/heads.hpp"
#include "harness/model/make.hpp"

namespace arena {

class KernelScope {
 public:
  /// Draws inputs, loss weights and parameters from `key`; heads share parameters as their specs
  /// say.
  KernelScope(const ChosenVariant& chosen, const Setup& setup, const Extents& extents,
              RandomKey key);

  /// The call with the edges (check_edges) that the heads get, where they want them.
  Call with_edges(Call call) const {
    if (edges_) call.edges = &*edges_;
    return call;
  }
  /// Forward of all heads, saving nothing.
  void forward(const Call& call);
  /// The plan of a forward call's head, which saves nothing.
  Plan plan(const Call& call, Index head);
  /// Forward that saves, then backward; parameter gradients start from 0.
  void train(const Call& call);

  /// "" when all that the last call wrote has the same bits in both, otherwise what differs first.
  friend std::string difference(const KernelScope& a, const KernelScope& b);

 private:
  HeadInputs inputs() const {
    return head_matrices<ConstView>(
        [&](Index slot) -> ConstView { return inputs_[static_cast<std::size_t>(slot)]; });
  }

  Setup setup_;
  Extents extents_;
  std::optional<Edges> edges_;
  std::unique_ptr<AttentionHead> head_;
  InputNames names_;
  std::array<Matrix, kNumInputSlots> inputs_, d_inputs_;
  Matrix d_out_, d_log_sum_exp_, out_, log_sum_exp_;
  std::vector<std::vector<Slice>> parameter_slices_, buffer_slices_;
  std::vector<float> parameters_, buffers_, grads_;
  std::vector<Weights> weights_;
  std::vector<Slices> head_grads_;
  std::vector<Frame> frames_;
};

}  // namespace arena
