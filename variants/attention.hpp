#pragma once
// The interface of an attention variant: the only header a variant must include.
//
// Three levels, each wrapped into the next by generic code (harness/model), so that a variant
// implements the lowest one that can express it:
// - AttentionHead: one head on projected query, key, value (most variants);
// - AttentionLayer: x to y, owning all projections;
// - Encoder: one layer of the stack with its streams and residuals (Luna, Funnel, ...).
// Everything is const: many sequences run through one object at once. There is no batch axis.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/check.hpp"
#include "harness/core/options.hpp"
#include "harness/core/registry.hpp"
#include "harness/core/workspace.hpp"
#include "variants/call.hpp"

namespace arena {

/// What every level owns beside its computation. The order of the specs is the order of the slices
/// in the Weights and Slices that its calls get.
class Component {
 public:
  virtual ~Component() = default;
  virtual std::span<const ParameterSpec> parameters() const { return {}; }
  /// State without gradient (centroids, random features), saved with the weights.
  virtual std::span<const ParameterSpec> buffers() const { return {}; }
  /// What training forward passes add up for update(); zero at the start of each step.
  virtual std::span<const ParameterSpec> statistics() const { return {}; }
  /// Runs once per training step, after the statistics of the whole batch were summed.
  virtual void update(Slices buffers, ConstSlices statistics, RandomKey key, Index step) const {
    static_cast<void>(buffers), static_cast<void>(statistics);
    static_cast<void>(key), static_cast<void>(step);
  }
};

/// One head.
class AttentionHead : public Component {
 public:
  /// Names of its inputs: "value", "query" and "key" where it wants them, and at most
  /// kMaxExtraInputs of its own. Each is a projection of x (key and value: of the context).
  virtual std::span<const std::string_view> inputs() const {
    static constexpr std::array<std::string_view, 3> kUsual{"query", "key", "value"};
    return kUsual;
  }
  /// Bytes saved for backward (0 for a null frame) and bytes of scratch on the calling worker.
  virtual Footprint footprint(const Extents& extents, const Call& call) const = 0;
  /// Writes all of outputs; leaves in frame what backward needs (null: inference, save nothing).
  virtual void forward(const Call& call, const HeadInputs& in, const Weights& weights,
                       HeadOutputs outputs, Frame* frame, const Extras& extras) const = 0;
  /// Overwrites d_in, adds to grads (same order as parameters()). Never redraws a plan.
  virtual void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                        const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                        Slices grads) const = 0;
};

/// All heads of one layer with their projections; the default is MultiHead (harness/model).
class AttentionLayer : public Component {
 public:
  virtual Footprint footprint(const Extents& extents, const Call& call) const = 0;
  /// Writes y [len, model_dim].
  virtual void forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
                       Frame* frame, const Extras& extras) const = 0;
  virtual void backward(const Call& call, const LayerInputs& in, const Weights& weights,
                        ConstView d_y, float d_auxiliary_loss, const Frame& frame, LayerGrads d_in,
                        Slices grads) const = 0;
};

/// One layer of the stack: streams in, streams out. Stream 0 is the sequence; a variant may carry
/// more (Luna's memory, Perceiver's latents), whose residual and norm are its own.
class Encoder : public Component {
 public:
  virtual Index num_streams() const { return 1; }
  /// Index among parameters() of the matrix that starts stream s >= 1 before the first layer.
  virtual Index initial_stream(Index stream) const { return stream - 1; }
  /// Rows of each stream after this layer, given the rows before.
  virtual std::vector<Index> output_len(std::span<const Index> lengths, Index layer) const {
    static_cast<void>(layer);
    return {lengths.begin(), lengths.end()};
  }
  virtual Footprint footprint(std::span<const Index> lengths, Index context_len,
                              const Call& call) const = 0;
  virtual void forward(const Call& call, std::span<const ConstView> in, ConstView context,
                       const Weights& weights, std::span<View> out, Frame* frame,
                       const Extras& extras) const = 0;
  virtual void backward(const Call& call, std::span<const ConstView> in, ConstView context,
                        const Weights& weights, std::span<const ConstView> d_out,
                        float d_auxiliary_loss, const Frame& frame, std::span<View> d_in,
                        View d_context, Slices grads) const = 0;
};

enum class Pass { kForward, kBackward, kTrain };  // train = forward that saves, and backward

/// One measured or counted call of all heads.
struct Problem {
  Setup setup;
  Options options;
  Extents extents;
  Pass pass = Pass::kForward;
  Index workers = 1;
  Index edges = 0;  // how many Call::edges has; 0: there are none
};

/// One head's inputs and parameters, which an exact case may edit. Exact attention is then that of
/// its query, key and value, which are there even where the head does not list them.
struct HeadProblem {
  Setup setup;
  Extents extents;
  HeadMatrices<Matrix> inputs;
  std::vector<Matrix> parameters;
};

/// A setting in which the variant must equal exact softmax attention.
struct ExactCase {
  std::string name;
  OptionTexts options{};
  Extents extents{};                                 // {0, 0}: the suite's usual lengths
  std::function<void(HeadProblem&)> edit{};          // may be absent
  std::function<Edges(const HeadProblem&)> edges{};  // absent: every key (causal: up to i)
};

/// out [query_len, head_dim] of one head in double, by the explicit query_len x key_len formula.
using Reference =
    std::function<MatrixD(const Problem&, const Call&, const HeadInputs&, const Weights&)>;

/// A random mechanism whose mean over draws (of keys and buffers) is known.
struct Estimator {
  std::string name;
  OptionTexts options{};
  Reference expectation;
  Reference estimate{};  // by the kernel's own code, in any shape; absent: out
  double standard_errors = 4;
};

/// What the conformance suite holds a variant to. At least one of exact, pattern and reference.
struct Claims {
  bool causal = false;
  bool cross = false;        // query_len and key_len may differ
  bool log_sum_exp = false;  // writes it and differentiates through it
  bool convex = false;       // each out row is a weighted average of value rows
  bool equivariant = false;  // reordering (key, value) rows together changes nothing
  /// Takes and hands on a state: segments one after another give what one call gives (causal), or
  /// keys of earlier calls count like own ones (not causal). No gradient crosses the state.
  bool streams = false;
  bool edges = false;      // works along Call::edges, and only there
  bool allocates = false;  // exempt from the count of allocations: uses Eigen's packing buffers
  /// The explicit edges under which the variant equals exact attention.
  std::function<Edges(const Problem&, const Call&)> pattern{};
  std::vector<ExactCase> exact{};
  std::vector<Estimator> estimators{};
  Reference reference{};
};

/// In which numbers a variant computes under some options, where that is not plain float.
struct Arithmetic {
  std::string precision = "float32";
  /// Largest relative error that rounding the operands of products makes; float's own is not
  /// counted. What is compared with a formula in double is allowed so much more.
  double rounding = 0;
  bool kinks = false;     // as of ReLU: over steps that float can see, differences miss derivatives
  std::string missing{};  // what this machine lacks for it; empty: nothing
};

/// The survey's classes of mechanisms, in the order of lists; before them exact softmax attention,
/// behind them attention over a graph's edges, and floors, which no mechanism should fall below.
inline constexpr std::array kFamilies = {
    "exact",  "fixed pattern", "learned pattern", "memory", "low rank",
    "kernel", "recurrence",    "downsampling",    "graph",  "floor"};

/// Up to how many tokens a prefix, read alone, gives what it gives within the whole sequence: the
/// longest sequence that a causal variant can write token by token, the end mark included.
struct DecodingLimit {
  std::function<Index(const Options&)> longest{};  // absent: no limit
  std::string reason{};
};

/// A registry entry: one per file in variants/. Exactly one of the make functions is set.
struct Variant {
  static constexpr const char* kKind = "variant";

  std::string name;
  std::string summary;  // one line
  std::string family;   // of kFamilies; a mixture names several: "fixed pattern + memory"
  int year = 0;
  std::string cost;    // time and saved memory as formulas, for people
  std::string source;  // paper and section
  /// The row of Long Range Arena's tables that it stands for, "Linear Trans."; empty: none.
  std::string published_row{};
  /// Whether the mechanism can write a sequence token by token; absent: if it claims causal.
  std::optional<bool> decode{};
  DecodingLimit decoding_limit{};
  std::vector<OptionSpec> options{};
  Claims claims{};
  std::function<std::unique_ptr<AttentionHead>(const Setup&, const Options&)> make_head{};
  std::function<std::unique_ptr<AttentionLayer>(const Setup&, const Options&)> make_layer{};
  std::function<std::unique_ptr<Encoder>(const Setup&, const Options&)> make_encoder{};
  /// Floating-point operations of all heads (a multiply-add counts two), and bytes of frames and
  /// scratch they need beside inputs and outputs: closed formulas, checked against measurement.
  std::function<double(const Problem&)> flops{};
  std::function<double(const Problem&)> analytic_bytes{};
  /// Absent: float throughout.
  std::function<Arithmetic(const Options&)> arithmetic{};

  bool can_decode() const { return decode.value_or(claims.causal); }

  Arithmetic arithmetic_of(const Options& chosen) const {
    return arithmetic ? arithmetic(chosen) : Arithmetic{};
  }
};

}  // namespace arena
