#pragma once
// What a peer gets and what it must give back.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/bench/contender.hpp"
#include "harness/bench/peer_process.hpp"
#include "harness/bench/step.hpp"

namespace arena {

/// How a peer's result differs from ours: `error` is relative, `problem` says what is wrong.
struct PeerVerdict {
  double error = 0;
  std::string problem{};  // "" where it is right
};

class PeerReference {
 public:
  virtual ~PeerReference() = default;

  /// Writes the file that a row reads its inputs from; what else its request must say.
  virtual nlohmann::json write_inputs(const PeerRow& row, const std::string& path) = 0;
  /// Judges the answer of a row and the file of outputs that it wrote.
  virtual PeerVerdict judge(const PeerRow& row, const PeerAnswer& answer,
                            const std::string& outputs) = 0;
  /// Floating-point operations and tokens of one call.
  virtual double flops(const PeerRow& row) = 0;
  virtual double tokens() const = 0;
};

/// Scope kernel: outputs and gradients of `blocked`, themselves held against the oracle. Scope
/// step: the mean loss over two steps of the model with `row.like` from the same weights. What the
/// arguments refer to must outlive the result.
std::unique_ptr<PeerReference> make_kernel_reference(const BenchShape& shape,
                                                     const BenchInputs& inputs);
std::unique_ptr<PeerReference> make_step_reference(const BenchShape& shape, const StepBatch& batch);

}  // namespace arena
