#include "harness/bench/peer_reference.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "harness/bench/bench_entry.hpp"
#include "harness/model/make.hpp"
#include "harness/safetensors.hpp"

namespace arena {
namespace {

/// Two float kernels that add in another order differ by some 1e-6, gradients by 1e-5; a wrong mask
/// or scale differs by 1e-2 and more.
constexpr double kOutputTolerance = 1e-4;
constexpr double kGradientTolerance = 1e-3;
/// Of a loss after one update: Adam divides by the root of tiny second moments.
constexpr double kLossTolerance = 1e-3;
constexpr Index kComparedSteps = 2;

BenchVariant blocked() {
  const ChosenVariant chosen = choose_variant("blocked");
  return {chosen.variant.name, chosen.options};
}

/// One tensor [batch, heads, length, head_dim] of the matrices that `of(sequence)` gives.
template <class Of>
Tensor tensor_of(const BenchShape& shape, Of&& of) {
  std::vector<float> values;
  for (Index sequence = 0; sequence < shape.batch; ++sequence) {
    const Matrix& matrix = of(sequence);
    values.insert(values.end(), matrix.data(), matrix.data() + matrix.size());
  }
  return float_tensor({shape.batch, shape.heads, shape.length, shape.head_dim}, std::move(values));
}

/// max |difference| / max |expected|; infinite where a number is not finite or a shape differs.
double relative_error(const Tensor& given, const Tensor& expected) {
  if (given.dtype != "F32" || given.shape != expected.shape) return HUGE_VAL;
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < expected.floats.size(); ++i) {
    const double one = std::abs(static_cast<double>(given.floats[i]) - expected.floats[i]);
    if (!std::isfinite(one)) return HUGE_VAL;
    difference = std::max(difference, one);
    largest = std::max(largest, std::abs(static_cast<double>(expected.floats[i])));
  }
  return largest > 0 ? difference / largest : difference;
}

class KernelReference final : public PeerReference {
 public:
  KernelReference(const BenchShape& shape, const BenchInputs& inputs)
      : shape_(shape), inputs_(inputs) {}

  nlohmann::json write_inputs(const PeerRow&, const std::string& path) override {
    TensorFile file;
    const char* const names[] = {"query", "key", "value"};
    for (std::size_t t = 0; t < 3; ++t) {
      file.tensors[names[t]] = tensor_of(shape_, [&](Index sequence) -> const Matrix& {
        return inputs_.tensors[static_cast<std::size_t>(sequence)][t];
      });
    }
    if (!inputs_.d_out.empty()) {
      file.tensors["d_out"] = tensor_of(shape_, [&](Index sequence) -> const Matrix& {
        return inputs_.d_out[static_cast<std::size_t>(sequence)];
      });
    }
    write_safetensors(path, file);
    return nlohmann::json::object();
  }

  PeerVerdict judge(const PeerRow&, const PeerAnswer&, const std::string& outputs) override {
    compute();
    TensorFile given;
    try {  // a file that another program wrote, or did not
      given = read_safetensors(outputs);
    } catch (const Error& error) {
      return {HUGE_VAL, fmt::format("gave no outputs: {}", error.what())};
    }
    PeerVerdict verdict;
    for (const auto& [name, tensor] : expected_.tensors) {
      const bool output = name == "out";
      const double error = relative_error(given.tensors[name], tensor);
      if (output) verdict.error = error;
      const double tolerance = output ? kOutputTolerance : kGradientTolerance;
      if (error <= tolerance || !verdict.problem.empty()) continue;
      verdict.problem = fmt::format(
          "{} differs from that of blocked by {:.3g} of its largest value, "
          "more than {:g}",
          name, error, tolerance);
    }
    return verdict;
  }

  double flops(const PeerRow& row) override {
    return static_cast<double>(shape_.batch) *
           Registry<Variant>::find(row.like.name).flops(bench_problem(shape_, row.like.options));
  }
  double tokens() const override { return static_cast<double>(shape_.length * shape_.batch); }

 private:
  /// Once: outputs and gradients of blocked.
  void compute() {
    if (!expected_.tensors.empty()) return;
    const auto contender = make_contender(shape_, blocked(), inputs_);
    Workers workers(shape_.threads);
    const Team team = workers.team();
    const auto run = [&] {
      const WorkspaceScope scope(team.workspace());
      contender->prepare(team);
      contender->run(team);
    };
    run();
    Record record;
    judge_outputs(shape_, *contender, team, {}, record);
    check(record.status == "OK", "blocked, which peers are compared with, is wrong: {}",
          record.error);
    run();  // the comparison of gradients overwrote some of them
    const auto add = [&](const char* name, auto&& of) {
      expected_.tensors[name] = tensor_of(shape_, of);
    };
    add("out", [&](Index s) -> const Matrix& { return contender->out(s); });
    if (shape_.pass == Pass::kForward) return;
    add("d_query", [&](Index s) -> const Matrix& { return contender->d_tensors(s)[0]; });
    add("d_key", [&](Index s) -> const Matrix& { return contender->d_tensors(s)[1]; });
    add("d_value", [&](Index s) -> const Matrix& { return contender->d_tensors(s)[2]; });
  }

  const BenchShape& shape_;
  const BenchInputs& inputs_;
  TensorFile expected_;
};

class StepReference final : public PeerReference {
 public:
  StepReference(const BenchShape& shape, const StepBatch& batch) : shape_(shape), batch_(batch) {}

  nlohmann::json write_inputs(const PeerRow& row, const std::string& path) override {
    Workers workers(shape_.threads);
    const StepContender step(shape_, row.like, batch_, workers);
    TensorFile file;
    const std::span<const float> weights = step.training().last_values().parameters;
    for (const auto& entry : step.training().model().parameters().entries()) {
      const auto [offset, rows, cols] = entry.slice;
      const float* const begin = weights.data() + offset;
      file.tensors["weights/" + entry.name] =
          float_tensor({rows, cols}, {begin, begin + rows * cols});
    }
    std::vector<std::int64_t> tokens, lengths, labels;
    for (const Sample& sample : batch_.samples()) {
      tokens.insert(tokens.end(), sample.tokens.begin(), sample.tokens.end());
      lengths.push_back(static_cast<std::int64_t>(sample.tokens.size()));
      labels.push_back(sample.labels.front());
    }
    for (auto& [name, values] :
         {std::pair{"tokens", &tokens}, {"lengths", &lengths}, {"labels", &labels}}) {
      file.tensors[name] = integer_tensor({static_cast<Index>(values->size())}, *values);
    }
    write_safetensors(path, file);
    const TrainJob job = step_job(shape_, row.like, batch_);
    return {{"layers", kStepLayers},
            {"steps", kComparedSteps},
            {"norm_epsilon", job.model.real("norm_eps")},
            {"learning_rate", job.train.real("learning_rate")},
            {"betas", {job.train.real("beta1"), job.train.real("beta2")}},
            {"epsilon", job.train.real("epsilon")},
            {"weight_decay", job.train.real("weight_decay")}};
  }

  PeerVerdict judge(const PeerRow& row, const PeerAnswer& answer, const std::string&) override {
    const auto found = answer.fields.find("losses");
    double sum = 0;
    Index count = 0;
    if (found != answer.fields.end() && found->is_array()) {
      for (const auto& loss : *found) {
        if (loss.is_number()) sum += loss.get<double>(), ++count;
      }
    }
    if (count != kComparedSteps) return {HUGE_VAL, "gave no losses"};
    const double given = sum / kComparedSteps, expected = expected_loss(row.like);
    const double error = std::abs(given - expected) / expected;
    if (error <= kLossTolerance) return {error};
    return {error, fmt::format("mean loss {:.6g} over {} steps from the weights with which ours is "
                               "{:.6g}",
                               given, kComparedSteps, expected)};
  }

  double flops(const PeerRow& row) override {
    Workers workers(1);
    const StepContender step(shape_, row.like, batch_, workers);
    return step_flops(shape_, row.like, batch_, step.training().model());
  }
  double tokens() const override { return static_cast<double>(batch_.tokens()); }

 private:
  double expected_loss(const BenchVariant& like) {
    const auto [found, is_new] = losses_.try_emplace(label_of(like));
    if (!is_new) return found->second;
    Workers workers(shape_.threads);
    StepContender step(shape_, like, batch_, workers);
    for (Index i = 0; i < kComparedSteps; ++i) step.run(workers.team());
    return found->second = step.mean_loss();
  }

  const BenchShape& shape_;
  const StepBatch& batch_;
  std::map<std::string, double> losses_;  // by label
};

}  // namespace

std::unique_ptr<PeerReference> make_kernel_reference(const BenchShape& shape,
                                                     const BenchInputs& inputs) {
  return std::make_unique<KernelReference>(shape, inputs);
}

std::unique_ptr<PeerReference> make_step_reference(const BenchShape& shape,
                                                   const StepBatch& batch) {
  return std::make_unique<StepReference>(shape, batch);
}

}  // namespace arena
