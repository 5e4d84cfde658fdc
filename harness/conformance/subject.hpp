#pragma once
// What the checks see of an attention object, whatever its level: a differentiable function of
// named matrices and parameters. HeadSubject adapts one head; another level is another adapter.

#include <string>
#include <vector>

#include "harness/model/heads.hpp"
#include "variants/attention.hpp"

namespace arena {

struct Shape {
  std::string name;
  Index rows = 0;
  Index cols = 0;
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual const Component& component() const = 0;
  virtual std::vector<Shape> inputs() const = 0;
  virtual std::vector<Shape> outputs() const = 0;
  virtual Footprint footprint(const Call& call) const = 0;
  virtual void forward(const Call& call, std::span<const ConstView> in, const Weights& weights,
                       std::span<const View> out, Frame* frame, const Extras& extras) const = 0;
  virtual void backward(const Call& call, std::span<const ConstView> in, const Weights& weights,
                        std::span<const ConstView> out, std::span<const ConstView> d_out,
                        float d_auxiliary_loss, const Frame& frame, std::span<const View> d_in,
                        Slices grads) const = 0;
};

/// One head: inputs by the slots of HeadMatrices, empty where it has none; outputs out and, if
/// wanted, log_sum_exp.
class HeadSubject final : public Subject {
 public:
  /// `edges`, where given, are those of every call.
  HeadSubject(const AttentionHead& head, const Extents& extents, Index head_dim, bool log_sum_exp,
              const Edges* edges = nullptr)
      : head_(head),
        names_(input_names(head)),
        extents_(extents),
        head_dim_(head_dim),
        log_sum_exp_(log_sum_exp),
        edges_(edges) {}

  const Component& component() const override { return head_; }
  std::vector<Shape> inputs() const override;
  std::vector<Shape> outputs() const override;
  Footprint footprint(const Call& call) const override {
    return head_.footprint(extents_, with_edges(call));
  }
  Call with_edges(Call call) const {
    if (edges_) call.edges = edges_;
    return call;
  }
  void forward(const Call& call, std::span<const ConstView> in, const Weights& weights,
               std::span<const View> out, Frame* frame, const Extras& extras) const override;
  void backward(const Call& call, std::span<const ConstView> in, const Weights& weights,
                std::span<const ConstView> out, std::span<const ConstView> d_out,
                float d_auxiliary_loss, const Frame& frame, std::span<const View> d_in,
                Slices grads) const override;

 private:
  const AttentionHead& head_;
  InputNames names_;
  Extents extents_;
  Index head_dim_;
  bool log_sum_exp_;
  const Edges* edges_;
};

/// A flat buffer with the slices of some specs in it.
struct FlatValues {
  ParameterLayout layout;
  std::vector<Slice> slices;
  std::vector<float> values;

  FlatValues() = default;
  /// Initialised by the specs' rules; constants are stirred, so that no gradient is hidden by them.
  FlatValues(std::span<const ParameterSpec> specs, RandomKey key);
  ConstSlices read() const { return {values.data(), slices}; }
  Slices write() { return {values.data(), slices}; }
};

/// Values for one subject, all drawn from one key.
struct Example {
  std::vector<Matrix> inputs;
  FlatValues parameters, buffers;
  /// The loss is sum(outputs * loss_weights) + kAuxiliaryWeight * auxiliary loss.
  std::vector<Matrix> loss_weights;

  Example(const Subject& subject, RandomKey key);
  Weights weights() const { return {parameters.read(), buffers.read()}; }
};

constexpr float kAuxiliaryWeight = 0.5F;

/// A matrix inside a larger buffer: `margin` rows above and below, `margin` columns on both sides,
/// all holding `guard`; the matrix itself starts as NaN.
class GuardedMatrix {
 public:
  GuardedMatrix(Index rows, Index cols, Index margin, float guard);
  View view() {
    return {buffer_.data() + margin_ * buffer_.cols() + margin_, rows_, cols_, buffer_.cols()};
  }
  ConstView view() const {
    return {buffer_.data() + margin_ * buffer_.cols() + margin_, rows_, cols_, buffer_.cols()};
  }
  /// Whether every guard still has the bits it started with.
  bool untouched() const;

 private:
  Index rows_, cols_, margin_;
  float guard_;
  Matrix buffer_;
};

/// How to run a subject. The defaults are the plain case.
struct RunSettings {
  bool frame = true;    // false: inference, no backward
  Index backwards = 1;  // how many times backward runs on the one frame
  Index margin = 0;     // guards around every matrix
  float input_guard = 0;
  float output_guard = 0;
  State* state = nullptr;  // where forward hands on a state
};

/// Everything that came out.
struct Outcome {
  std::vector<GuardedMatrix> outputs, d_inputs;
  std::vector<float> grads;  // layout of Example::parameters
  float auxiliary_loss = 0;
  Plan plan{};  // what forward drew or computed
  Index frame_used = 0;
  Index forward_scratch = 0, backward_scratch = 0;  // high-water marks of the calling worker

  double loss(const Example& example) const;
};

/// Forward, and backward of Example's loss. Outputs and input gradients start as NaN, parameter
/// gradients as 0. Throws Error where the frame is overrun.
Outcome run(const Subject& subject, const Example& example, const Call& call,
            const RunSettings& settings = {});

/// "" when every float has the same bits, otherwise what differs first.
std::string difference(const Subject& subject, const Outcome& a, const Outcome& b);
/// The same, of the outputs only.
std::string output_difference(const Subject& subject, const Outcome& a, const Outcome& b);
/// "" when every output, input gradient and parameter gradient is finite (log_sum_exp may be
/// -infinity), otherwise what is not.
std::string not_finite(const Subject& subject, const Outcome& outcome);
/// The same, of the gradients only.
std::string not_finite_gradient(const Subject& subject, const Outcome& outcome);

}  // namespace arena
