#pragma once
// One variant in one shape, with its weights and outputs: what a timing calls again and again.

#include <memory>
#include <span>
#include <vector>

#include "harness/bench.hpp"
#include "harness/core/team.hpp"

namespace arena {

/// Random inputs of one shape, shared by all variants of a group: a function of the shape alone.
struct BenchInputs {
  // One entry per sequence of the batch, each [length, heads * head_dim]. Scope kernel: query, key
  // and value; scope layer: x alone, in `query`.
  std::vector<Matrix> query, key, value;
  std::vector<Matrix> d_out;  // only for a backward pass

  explicit BenchInputs(const BenchShape& shape);
};

class Contender {
 public:
  virtual ~Contender() = default;

  /// What must stand before run(): for Pass::kBackward the forward pass, whose frames are taken
  /// from the team's workspace and stay valid until the caller releases them.
  virtual void prepare(const Team& team) = 0;
  /// Runs the pass once on every sequence of the batch.
  virtual void run(const Team& team) = 0;

  /// After run(): max |difference| / max |reference| of the outputs to the variant's oracle in
  /// double precision, over sampled rows of every head and sequence.
  virtual double output_error(const Team& team) const = 0;
  /// Only with a backward pass: relative error of the gradient along a direction near the gradient
  /// itself, against a central difference of the oracle, for a loss on sampled rows of the first
  /// sequence. Overwrites the outputs of that sequence.
  virtual double gradient_error(const Team& team) = 0;

  virtual Index parameter_count() const = 0;
  /// Hash of the bytes of all outputs of the pass that run() overwrites.
  virtual std::uint64_t output_hash() const = 0;
};

/// The single problem (one sequence) that the shape is made of.
Problem bench_problem(const BenchShape& shape, const Options& options);

/// Why the variant cannot run in this shape, "" when it can.
std::string unsupported_reason(const BenchShape& shape, const Variant& variant);

/// `inputs` must outlive the result.
std::unique_ptr<Contender> make_kernel_contender(const BenchShape& shape,
                                                 const BenchVariant& variant,
                                                 const BenchInputs& inputs);
std::unique_ptr<Contender> make_layer_contender(const BenchShape& shape,
                                                const BenchVariant& variant,
                                                const BenchInputs& inputs);

/// Rows that a comparison with the oracle looks at: all of a short sequence, else 64 spread evenly,
/// the first and the last among them.
std::vector<Index> sampled_rows(Index length);

}  // namespace arena
