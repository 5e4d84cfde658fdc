#include "harness/conformance/subject.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Standard deviation of what is added to parameters that start as constants.
constexpr float kStir = 0.1F;
/// How far from 0 the extra inputs of a head keep: beyond any step of a difference, because it may
/// have a kink there (ReLU).
constexpr float kFromKink = 0.125F;
/// Bytes behind a frame that belong to it, so that a small overrun is reported, not suffered.
constexpr Index kFrameSlack = 1 << 14;

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

std::vector<ConstView> views(const std::vector<GuardedMatrix>& matrices) {
  std::vector<ConstView> result;
  for (const GuardedMatrix& matrix : matrices) result.push_back(matrix.view());
  return result;
}

std::vector<View> writable_views(std::vector<GuardedMatrix>& matrices) {
  std::vector<View> result;
  for (GuardedMatrix& matrix : matrices) result.push_back(matrix.view());
  return result;
}

std::vector<GuardedMatrix> empty_like(const std::vector<Shape>& shapes, Index margin, float guard) {
  std::vector<GuardedMatrix> result;
  for (const Shape& shape : shapes) result.emplace_back(shape.rows, shape.cols, margin, guard);
  return result;
}

std::vector<GuardedMatrix> embed(const std::vector<Matrix>& matrices, Index margin, float guard) {
  std::vector<GuardedMatrix> result;
  for (const Matrix& matrix : matrices) {
    result.emplace_back(matrix.rows(), matrix.cols(), margin, guard);
    result.back().view() = matrix;
  }
  return result;
}

std::string first_difference(const Shape& shape, ConstView a, ConstView b) {
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < a.cols(); ++j) {
      if (!same_bits(a(i, j), b(i, j))) {
        return fmt::format("{}({}, {}) is {} and {}", shape.name, i, j, a(i, j), b(i, j));
      }
    }
  }
  return "";
}

std::string first_not_finite(const Shape& shape, ConstView matrix) {
  for (Index i = 0; i < matrix.rows(); ++i) {
    for (Index j = 0; j < matrix.cols(); ++j) {
      const float x = matrix(i, j);
      const bool no_key = shape.name == "log_sum_exp" && x < 0 && std::isinf(x);
      if (!std::isfinite(x) && !no_key) return fmt::format("{}({}, {}) is {}", shape.name, i, j, x);
    }
  }
  return "";
}

template <class AnyView>
HeadMatrices<AnyView> from_slots(std::span<const AnyView> views) {
  return head_matrices<AnyView>([&](Index slot) { return views[static_cast<std::size_t>(slot)]; });
}

std::string gradient_name(const Shape& shape) {
  return "d_" + shape.name;
}

}  // namespace

std::vector<Shape> HeadSubject::inputs() const {
  std::vector<Shape> shapes;
  for (std::size_t slot = 0; slot < names_.size(); ++slot) {
    const Index len = slot == 1 || slot == 2 ? extents_.key_len : extents_.query_len;
    shapes.push_back(names_[slot].empty() ? Shape{} : Shape{names_[slot], len, head_dim_});
  }
  return shapes;
}

std::vector<Shape> HeadSubject::outputs() const {
  std::vector<Shape> shapes{{"out", extents_.query_len, head_dim_}};
  if (log_sum_exp_) shapes.push_back({"log_sum_exp", extents_.query_len, 1});
  return shapes;
}

void HeadSubject::forward(const Call& call, std::span<const ConstView> in, const Weights& weights,
                          std::span<const View> out, Frame* frame, const Extras& extras) const {
  head_.forward(with_edges(call), from_slots<ConstView>(in), weights,
                {out[0], log_sum_exp_ ? out[1] : View()}, frame, extras);
}

void HeadSubject::backward(const Call& call, std::span<const ConstView> in, const Weights& weights,
                           std::span<const ConstView> out, std::span<const ConstView> d_out,
                           float d_auxiliary_loss, const Frame& frame, std::span<const View> d_in,
                           Slices grads) const {
  head_.backward(with_edges(call), from_slots<ConstView>(in), weights,
                 {.out = d_out[0],
                  .log_sum_exp = log_sum_exp_ ? d_out[1] : ConstView(),
                  .auxiliary_loss = d_auxiliary_loss,
                  .forward_out = out[0]},
                 frame, from_slots<View>(d_in), grads);
}

FlatValues::FlatValues(std::span<const ParameterSpec> specs, RandomKey key)
    : slices(layout.add(specs, "", "")), values(static_cast<std::size_t>(layout.size())) {
  layout.initialise(key, values);
  for (const ParameterLayout::Entry& entry : layout.entries()) {
    const Init::Rule rule = entry.init.rule;
    if (rule != Init::Rule::kZeros && rule != Init::Rule::kOnes && rule != Init::Rule::kIdentity) {
      continue;
    }
    Matrix noise(entry.slice.rows, entry.slice.cols);
    fill_normal(key.fold("stir").fold(entry.name), kStir, noise);
    View(values.data() + entry.slice.offset, entry.slice.rows, entry.slice.cols) += noise;
  }
}

Example::Example(const Subject& subject, RandomKey key)
    : parameters(subject.component().parameters(), key.fold("parameters")),
      buffers(subject.component().buffers(), key.fold("buffers")) {
  for (const Shape& shape : subject.inputs()) {
    const bool extra = inputs.size() > 2;
    Matrix& input = inputs.emplace_back(shape.rows, shape.cols);
    fill_normal(key.fold(shape.name), 1, input);
    if (extra) input = input.unaryExpr([](float x) { return x + std::copysign(kFromKink, x); });
  }
  for (const Shape& shape : subject.outputs()) {
    fill_normal(key.fold(gradient_name(shape)), 1,
                loss_weights.emplace_back(shape.rows, shape.cols));
  }
}

GuardedMatrix::GuardedMatrix(Index rows, Index cols, Index margin, float guard)
    : rows_(rows),
      cols_(cols),
      margin_(margin),
      guard_(guard),
      buffer_(Matrix::Constant(rows + 2 * margin, cols + 2 * margin, guard)) {
  view().setConstant(kNaN);
}

bool GuardedMatrix::untouched() const {
  for (Index i = 0; i < buffer_.rows(); ++i) {
    for (Index j = 0; j < buffer_.cols(); ++j) {
      const bool inside =
          i >= margin_ && i < margin_ + rows_ && j >= margin_ && j < margin_ + cols_;
      if (!inside && !same_bits(buffer_(i, j), guard_)) return false;
    }
  }
  return true;
}

double Outcome::loss(const Example& example) const {
  double sum = static_cast<double>(kAuxiliaryWeight) * static_cast<double>(auxiliary_loss);
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const ConstView out = outputs[o].view();
    for (Index i = 0; i < out.rows(); ++i) {
      for (Index j = 0; j < out.cols(); ++j) {
        if (out(i, j) == -kInfinity) continue;  // log_sum_exp of a row without a key: no part
        sum += static_cast<double>(out(i, j)) * static_cast<double>(example.loss_weights[o](i, j));
      }
    }
  }
  return sum;
}

Outcome run(const Subject& subject, const Example& example, const Call& call,
            const RunSettings& settings) {
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const std::vector<GuardedMatrix> in =
      embed(example.inputs, settings.margin, settings.input_guard);
  const std::vector<GuardedMatrix> d_out =
      embed(example.loss_weights, settings.margin, settings.input_guard);
  Outcome outcome{.outputs = empty_like(subject.outputs(), settings.margin, settings.output_guard),
                  .d_inputs = empty_like(subject.inputs(), settings.margin, settings.output_guard),
                  .grads = std::vector<float>(example.parameters.values.size(), 0.0F)};
  const Index promised = settings.frame ? subject.footprint(call).frame : 0;
  Frame frame = Frame::carve(workspace, promised + kFrameSlack);
  const Extras extras{
      .auxiliary_loss = &outcome.auxiliary_loss, .state = settings.state, .plan = &outcome.plan};
  const Index held = workspace.in_use();
  workspace.reset_high_water();
  subject.forward(call, views(in), example.weights(), writable_views(outcome.outputs),
                  settings.frame ? &frame : nullptr, extras);
  outcome.forward_scratch = workspace.high_water() - held;
  check(workspace.in_use() == held, "forward keeps {} bytes of the workspace",
        workspace.in_use() - held);
  if (!settings.frame) return outcome;
  outcome.frame_used = frame.used();
  check(frame.used() <= promised, "forward takes {} bytes of the frame; footprint() says {}",
        frame.used(), promised);
  workspace.reset_high_water();
  for (Index repeat = 0; repeat < settings.backwards; ++repeat) {
    subject.backward(call, views(in), example.weights(), views(outcome.outputs), views(d_out),
                     kAuxiliaryWeight, frame, writable_views(outcome.d_inputs),
                     {outcome.grads.data(), example.parameters.slices});
  }
  outcome.backward_scratch = workspace.high_water() - held;
  check(workspace.in_use() == held, "backward keeps {} bytes of the workspace",
        workspace.in_use() - held);
  return outcome;
}

std::string output_difference(const Subject& subject, const Outcome& a, const Outcome& b) {
  const std::vector<Shape> outputs = subject.outputs();
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    std::string found = first_difference(outputs[o], a.outputs[o].view(), b.outputs[o].view());
    if (!found.empty()) return found;
  }
  return "";
}

std::string difference(const Subject& subject, const Outcome& a, const Outcome& b) {
  std::string in_outputs = output_difference(subject, a, b);
  if (!in_outputs.empty()) return in_outputs;
  const std::vector<Shape> inputs = subject.inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape gradient{gradient_name(inputs[i]), inputs[i].rows, inputs[i].cols};
    std::string found = first_difference(gradient, a.d_inputs[i].view(), b.d_inputs[i].view());
    if (!found.empty()) return found;
  }
  for (std::size_t p = 0; p < a.grads.size(); ++p) {
    if (!same_bits(a.grads[p], b.grads[p])) {
      return fmt::format("parameter gradient {} is {} and {}", p, a.grads[p], b.grads[p]);
    }
  }
  return "";
}

std::string not_finite(const Subject& subject, const Outcome& outcome) {
  const std::vector<Shape> outputs = subject.outputs();
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    std::string found = first_not_finite(outputs[o], outcome.outputs[o].view());
    if (!found.empty()) return found;
  }
  return not_finite_gradient(subject, outcome);
}

std::string not_finite_gradient(const Subject& subject, const Outcome& outcome) {
  const std::vector<Shape> inputs = subject.inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape gradient{gradient_name(inputs[i]), inputs[i].rows, inputs[i].cols};
    std::string found = first_not_finite(gradient, outcome.d_inputs[i].view());
    if (!found.empty()) return found;
  }
  const ConstView grads(outcome.grads.data(), 1, static_cast<Index>(outcome.grads.size()));
  return first_not_finite({"parameter gradient", 1, grads.cols()}, grads);
}

}  // namespace arena
