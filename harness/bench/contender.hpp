#pragma once
// One variant in one shape, with its weights and outputs: what a timing calls again and again.

#include <memory>
#include <span>
#include <vector>

#include "harness/bench/bench.hpp"
#include "harness/bench/timed.hpp"
#include "harness/core/team.hpp"
#include "harness/model/heads.hpp"

namespace arena {

/// Random inputs of one shape, shared by all variants of a group: a function of the shape alone.
struct BenchInputs {
  /// Per sequence of the batch: query, key and value, each [heads * length, head_dim], in scope
  /// kernel; x [length, heads * head_dim] in scope layer.
  std::vector<std::vector<Matrix>> tensors;
  /// Per sequence; empty for a forward pass.
  std::vector<Matrix> d_out;

  explicit BenchInputs(const BenchShape& shape);
};

/// All parameters of a contender in one flat buffer, and all buffers in another.
struct FlatWeights {
  ParameterLayout layout, buffer_layout;
  std::vector<float> values, buffers;

  /// Fills both by the rules of their layouts.
  void initialise();
};

/// What a comparison with the oracle looks at.
struct Sampled {
  std::vector<Index> rows, heads;
};

class Contender : public Timed {
 public:
  /// For Pass::kBackward the forward pass, whose frames are taken from the team's workspace and
  /// stay valid until the caller releases them.
  void prepare(const Team& team) override;
  /// Runs the pass once on every sequence of the batch, in parallel where there are enough.
  void run(const Team& team) override;

  /// After run(): max |difference| / max |reference| of the outputs to the variant's oracle in
  /// double precision, over sampled rows of every sequence; of long ones in some heads only, where
  /// the oracle makes all scores of a head.
  double output_error(const Team& team) const;
  /// Only with a backward pass: largest relative error of the gradients (gradient_probe.hpp)
  /// against central differences of the oracle, for a loss on sampled rows of the first sequence;
  /// of long ones for all tensors at once. Overwrites the outputs of that sequence.
  double gradient_error(const Team& team);

  /// What run() wrote for one sequence; output and gradients are shaped like the inputs.
  const Matrix& out(Index sequence) const { return of(sequence).out; }
  const std::vector<Matrix>& d_tensors(Index sequence) const { return of(sequence).d_tensors; }

  Index parameter_count() const { return weights_.layout.parameter_count(); }
  /// Of outputs, and gradients of inputs.
  std::uint64_t output_hash() const override;

 protected:
  Contender(const BenchShape& shape, const BenchVariant& variant, const BenchInputs& inputs);

  /// Makes outputs, gradients and inputs that only this variant has; the constructors of derived
  /// classes end with it, weights_ being laid out. `names` has one entry for each of the tensors
  /// that are given to forward() and backward(), "" for one that the variant does not look at.
  void allocate(std::span<const std::string> names);

  virtual std::vector<Frame> carve_frames(const Team& team) const = 0;
  /// Writes output_; no frames: saves nothing.
  virtual void forward(const Team& team, Index sequence, std::span<Frame> frames) = 0;
  /// Overwrites the gradients of the inputs, adds to those of the weights.
  virtual void backward(const Team& team, Index sequence, std::span<const Frame> frames,
                        ConstView d_out) = 0;
  /// What the output [rows, heads * head_dim] must be for these inputs and weights (a flat buffer).
  virtual MatrixD oracle(const Call& call, std::span<const ConstView> tensors, const float* weights,
                         const Sampled& sampled) const = 0;
  /// The plan of the layer in a forward call on that sequence.
  virtual Plan plan_of(const Team& team, Index sequence) const = 0;

  struct Outputs {
    Matrix out;
    std::vector<Matrix> d_tensors;  // like the inputs; empty: not used; none for a forward pass
    std::vector<float> d_weights;
  };

  Call call_of(const Team& team, Index sequence) const;
  std::vector<ConstView> tensors_of(Index sequence) const;
  Outputs& outputs_of(Index sequence) { return outputs_[static_cast<std::size_t>(sequence)]; }

  BenchShape shape_;
  Heads heads_;  // how inputs and outputs hold them
  const Variant& variant_;
  Problem problem_;
  FlatWeights weights_;
  Edges edges_;  // where the variant wants them

 private:
  /// At most so many rows, and as many heads as the oracle can be asked for.
  Sampled sampled(Index most_rows, Index most_scores) const;
  const Outputs& of(Index sequence) const { return outputs_[static_cast<std::size_t>(sequence)]; }

  const BenchInputs& inputs_;
  std::vector<std::vector<Matrix>> own_inputs_;  // per sequence, behind those of inputs_
  std::vector<Outputs> outputs_;                 // per sequence
  std::vector<std::vector<Frame>> frames_;       // per sequence, from prepare()
};

/// What variants that attend along edges get: a random graph, a function of the length alone, in
/// which each node sees itself and kBenchDegree - 1 others.
constexpr Index kBenchDegree = 32;
Edges bench_graph(Index length);

/// The single problem (one sequence, with that graph) that the shape is made of.
Problem bench_problem(const BenchShape& shape, const Options& options);

/// Why the variant cannot run in this shape, "" when it can.
std::string unsupported_reason(const BenchShape& shape, const Variant& variant);

/// Scope kernel: all heads of a layer on query, key and value. Scope layer: x to y through the
/// variant's layer. `inputs` must outlive the result. Throws Error where the variant refuses.
std::unique_ptr<Contender> make_contender(const BenchShape& shape, const BenchVariant& variant,
                                          const BenchInputs& inputs);
std::unique_ptr<Contender> make_kernel_contender(const BenchShape& shape,
                                                 const BenchVariant& variant,
                                                 const BenchInputs& inputs);
std::unique_ptr<Contender> make_layer_contender(const BenchShape& shape,
                                                const BenchVariant& variant,
                                                const BenchInputs& inputs);

/// What the heads of a layer must compute, side by side [rows, heads * head_dim], for inputs that
/// hold them as `heads` says and one Weights per head; `call` is that of the layer.
MatrixD oracle_heads(const Variant& variant, const Problem& problem, const Call& call,
                     const Heads& heads, const HeadInputs& in, std::span<const Weights> weights,
                     const Sampled& sampled);

/// Bytes of what the oracle makes of one head: all its scores, in double, of a variant that is held
/// against a formula of its own.
double oracle_bytes(const BenchShape& shape, const Variant& variant);

/// Rows that a comparison with the oracle looks at: all of a short sequence, else `most` spread
/// evenly, the first and the last among them.
std::vector<Index> sampled_rows(Index length, Index most);

}  // namespace arena
