#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "harness/bench/bench_entry.hpp"
#include "harness/layers/eigen_blocking.hpp"

namespace arena {
namespace {

/// The difference quotient of a loss in float errs by some 1e-3; a part of the gradient that is
/// missing or doubled errs by 1e-1 and more.
constexpr double kGradientTolerance = 2e-2;
/// Two orders of summation of the same float losses.
constexpr double kLossTolerance = 1e-5;

/// Frames of all layers of the sequences that run at once, by the variant's formula.
double attention_bytes(const BenchShape& shape, const BenchVariant& chosen) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  if (!variant.analytic_bytes) return 0;
  BenchShape one = shape;
  one.pass = Pass::kTrain;
  const Index at_once = std::min(shape.batch, shape.threads);
  return static_cast<double>(kStepLayers * at_once) *
         variant.analytic_bytes(bench_problem(one, chosen.options));
}

/// One head's worth of trouble is seen here with the oracle's precision, not through a model.
void judge_heads(const BenchShape& shape, const BenchVariant& chosen, const Arithmetic& arithmetic,
                 Record& record) {
  if (!Registry<Variant>::find(chosen.name).make_head) return;
  BenchShape kernel = shape;
  kernel.scope = "kernel";
  kernel.batch = 1;
  kernel.task.clear();
  const BenchInputs inputs(kernel);
  const auto contender = make_contender(kernel, chosen, inputs);
  Workers workers(shape.threads);
  const WorkspaceScope scope(workers.team().workspace());
  contender->run(workers.team());
  judge_outputs(kernel, *contender, workers.team(), arithmetic, record);
}

void judge_step(const StepContender::GradientCheck& expected, double loss, Record& record) {
  if (!(expected.error <= kGradientTolerance)) {
    set_status(record, "INCORRECT",
               fmt::format("the gradient of the weights differs from a central difference of the "
                           "loss by {:.3g}, more than {:g}",
                           expected.error, kGradientTolerance));
  } else if (!(std::abs(loss - expected.loss) <= kLossTolerance * expected.loss)) {
    set_status(record, "INCORRECT",
               fmt::format("the step's loss is {:.7g}, the model's on the same batch {:.7g}", loss,
                           expected.loss));
  }
}

}  // namespace

BenchEntry make_step_entry(const BenchShape& shape, const BenchVariant& chosen,
                           const StepBatch& batch, Workers& workers) {
  fix_eigen_blocking();
  BenchEntry entry{blank_record(shape, chosen), nullptr, 0, static_cast<double>(batch.tokens())};
  Record& record = entry.record;
  record.dataset_hash = batch.dataset_hash();
  record.lengths = batch.lengths();
  const std::string reason = why_unsupported(Registry<Variant>::find(chosen.name), batch);
  if (!reason.empty()) {
    set_status(record, "UNSUPPORTED", reason);
    return entry;
  }
  const Arithmetic arithmetic = note_arithmetic(chosen, record);
  if (record.status != "OK") return entry;
  refuse_too_large(record, attention_bytes(shape, chosen), 0);
  if (record.status != "OK") return entry;
  measure_resident_memory(shape, label_of(chosen), record);
  if (record.status != "OK") return entry;
  judge_heads(shape, chosen, arithmetic, record);
  if (record.status != "OK") return entry;

  auto step = std::make_unique<StepContender>(shape, chosen, batch, workers);
  const Model& model = step->training().model();
  record.parameters = static_cast<double>(model.parameters().parameter_count());
  record.flops = entry.flops = step_flops(shape, chosen, batch, model);
  const StepContender::GradientCheck expected = step->check_gradient(workers.team());
  const auto start = std::chrono::steady_clock::now();
  step->run(workers.team());
  const double cold =
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
  judge_step(expected, step->mean_loss(), record);
  if (record.status != "OK") return entry;
  record.time_ns_cold = cold;
  record.workspace_bytes =
      static_cast<double>(workers.team().size() * step->training().longest_footprint());
  entry.contender = std::move(step);
  return entry;
}

}  // namespace arena
