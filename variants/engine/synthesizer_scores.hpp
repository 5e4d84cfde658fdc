#pragma once
// The scores of a synthesizer (synthesizer.cpp has the formulas): which parameters a form has, what
// is computed once per token before the softmax, the summands, and the way back through all that.

#include <array>
#include <variant>

#include "variants/attention.hpp"
#include "variants/engine/score_source.hpp"

namespace arena {

/// The form that the options ask for, and its widths; 0 for what it has not.
struct SynthesizerForm {
  SynthesizerForm(const Setup& setup, const Options& options);
  std::vector<ParameterSpec> specs() const;
  /// Derivatives that belong to one query: the width of a part of explicit_softmax_backward.
  Index part_width() const { return dot + (fixed() ? 0 : product) + low + high; }
  /// Nothing to learn in the scores but the dot product.
  bool fixed() const { return random && !trainable; }

  Index max_len, dot;
  float scale;
  Index hidden = 0, product = 0, low = 0, high = 0;
  bool random, table, trainable;
};

/// The summands of the scores of one call, in the caller's workspace.
class SynthesizerScores {
 public:
  struct Gradients {
    HeadGrads in;
    Slices parameters;
  };

  /// Without gradients (null): for forward. With them: d_in is overwritten but for value.
  SynthesizerScores(const SynthesizerForm& form, const Team& team, const HeadInputs& in,
                    const ConstSlices& parameters, const Gradients* gradients);
  SynthesizerScores(const SynthesizerScores&) = delete;
  SynthesizerScores& operator=(const SynthesizerScores&) = delete;

  static Index bytes(const SynthesizerForm& form, Index length, bool backward);

  std::span<const ScoreSource* const> list() const { return {list_.data(), count_}; }
  /// After backward of the softmax: gradients of what lies below the scores.
  void finish_gradients(const Team& team) const;

 private:
  /// What scores are made of beside inputs and parameters, or its gradients; [length, width] each.
  struct Features {
    View query;   // scale * query
    View hidden;  // relu(hidden)
    View low, high;
  };
  using Learned = std::variant<TableScores, ProductScores, OuterScores>;

  Features make_features(const Team& team, const HeadInputs& in) const;
  Features start_gradients(const Team& team, Index length) const;
  Learned learned() const;
  ProductScores dot(const HeadInputs& in) const;

  const SynthesizerForm& form_;
  ConstSlices parameters_;
  const Gradients* gradients_;
  Features features_, d_features_;
  Learned learned_;
  ProductScores dot_;
  std::array<const ScoreSource*, 2> list_;
  std::size_t count_;
};

}  // namespace arena
