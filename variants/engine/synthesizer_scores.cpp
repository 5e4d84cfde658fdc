#include "variants/engine/synthesizer_scores.hpp"

#include <cmath>
#include <utility>

#include "harness/layers/activation.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"

namespace arena {

SynthesizerForm::SynthesizerForm(const Setup& setup, const Options& options)
    : max_len(setup.max_len),
      dot(options.text("dot") == "on" ? setup.head_dim : 0),
      scale(1 / std::sqrt(static_cast<float>(setup.head_dim))),
      trainable(options.on("trainable")) {
  const std::string& scores = options.text("scores");
  table = scores == "random";
  random = table || scores == "factorized_random";
  hidden = random ? 0 : setup.head_dim;
  if (scores == "factorized_random") product = options.integer("rank");
  if (scores == "dense") product = hidden;
  if (scores == "factorized_dense") {
    low = static_cast<Index>(std::ceil(std::sqrt(static_cast<double>(max_len))));
    high = (max_len + low - 1) / low;
  }
}

std::vector<ParameterSpec> SynthesizerForm::specs() const {
  const auto spec = [&](const char* name, Index rows, Index cols, Init init) {
    return ParameterSpec{name, rows, cols, init, Sharing::kHead, "", trainable};
  };
  const Init xavier = Init::xavier(), zeros = Init::zeros();
  if (table) return {spec("R", max_len, max_len, xavier)};
  if (random) return {spec("R1", max_len, product, xavier), spec("R2", product, max_len, xavier)};
  if (product > 0) return {spec("W2", hidden, max_len, xavier), spec("b2", 1, max_len, zeros)};
  return {spec("Wa", hidden, low, xavier), spec("ba", 1, low, zeros),
          spec("Wb", hidden, high, xavier), spec("bb", 1, high, zeros)};
}

SynthesizerScores::SynthesizerScores(const SynthesizerForm& form, const Team& team,
                                     const HeadInputs& in, const ConstSlices& parameters,
                                     const Gradients* gradients)
    : form_(form),
      parameters_(parameters),
      gradients_(gradients),
      features_(make_features(team, in)),
      d_features_(gradients ? start_gradients(team, in.value.rows()) : Features{}),
      learned_(learned()),
      dot_(dot(in)),
      list_{std::visit([](const auto& source) -> const ScoreSource* { return &source; }, learned_),
            &dot_},
      count_(form.dot > 0 ? 2 : 1) {}

Index SynthesizerScores::bytes(const SynthesizerForm& form, Index length, bool backward) {
  const Index outer = form.low + form.high;
  return stored_bytes<float>(length * (form.dot + form.hidden + outer)) +
         (backward ? stored_bytes<float>(length * outer) : 0);
}

SynthesizerScores::Features SynthesizerScores::make_features(const Team& team,
                                                             const HeadInputs& in) const {
  const Index width = form_.dot + form_.hidden + form_.low + form_.high;
  const View all = team.workspace().matrix(in.value.rows(), width);
  auto columns = [&, first = Index{0}](Index count) mutable {
    return all.column_slice(std::exchange(first, first + count), count);
  };
  const Features features{columns(form_.dot), columns(form_.hidden), columns(form_.low),
                          columns(form_.high)};
  for_row_blocks(team, all.rows(), [&](Index first, Index rows, const Team&) {
    const auto block = [&](const auto& matrix) { return matrix.row_slice(first, rows); };
    if (form_.dot > 0) block(features.query) = form_.scale * block(in.query);
    if (form_.hidden == 0) return;
    const View hidden = block(features.hidden);
    copy_rows(block(in.extra[0]), hidden);
    relu(hidden);
    if (form_.low == 0) return;
    linear(hidden, parameters_[0], parameters_[1], block(features.low));
    linear(hidden, parameters_[2], parameters_[3], block(features.high));
  });
  return features;
}

SynthesizerScores::Features SynthesizerScores::start_gradients(const Team& team,
                                                               Index length) const {
  const HeadGrads& d_in = gradients_->in;
  const View outer = team.workspace().matrix(length, form_.low + form_.high);
  for (const View& sum : {d_in.query, d_in.key, d_in.extra[0], outer}) zero_rows(sum);
  return {d_in.query, d_in.extra[0], outer.column_slice(0, form_.low),
          outer.column_slice(form_.low, form_.high)};
}

SynthesizerScores::Learned SynthesizerScores::learned() const {
  const auto grad = [&](Index i) {
    return gradients_ && form_.trainable ? gradients_->parameters[i] : View();
  };
  if (form_.table) return TableScores(parameters_[0], grad(0));
  if (form_.random) return ProductScores({parameters_[0], parameters_[1]}, {grad(0), grad(1)});
  if (form_.product > 0) {
    return ProductScores({features_.hidden, parameters_[0], parameters_[1]},
                         {d_features_.hidden, grad(0), grad(1)});
  }
  return OuterScores(features_.low, features_.high, d_features_.low, d_features_.high);
}

ProductScores SynthesizerScores::dot(const HeadInputs& in) const {
  return {{features_.query, transpose(in.key)},
          {d_features_.query, gradients_ ? gradients_->in.key : View(), {}, form_.scale}};
}

void SynthesizerScores::finish_gradients(const Team& team) const {
  if (form_.hidden == 0) return;
  const View& d_hidden = d_features_.hidden;
  if (form_.low > 0) {
    const Slices& grads = gradients_->parameters;
    multiply(team, d_features_.low, transpose(parameters_[0]), d_hidden, Output::kOverwrite);
    multiply(team, d_features_.high, transpose(parameters_[2]), d_hidden, Output::kAdd);
    if (form_.trainable) {
      linear_backward_weights(team, features_.hidden, d_features_.low, grads[0], grads[1]);
      linear_backward_weights(team, features_.hidden, d_features_.high, grads[2], grads[3]);
    }
  }
  relu_backward(features_.hidden, d_hidden);
}

}  // namespace arena
