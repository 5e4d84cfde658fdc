#include "harness/contender.hpp"

#include <fmt/format.h>

namespace arena {
namespace {

constexpr std::uint64_t kBenchSeed = 1;
constexpr Index kSampledRows = 64;

std::vector<Matrix> draw(const BenchShape& shape, std::string_view name) {
  std::vector<Matrix> matrices;
  const RandomKey key = RandomKey(kBenchSeed).fold(Purpose::kBench).fold(name);
  for (Index sequence = 0; sequence < shape.batch; ++sequence) {
    matrices.emplace_back(shape.length, shape.heads * shape.head_dim);
    fill_normal(key.fold(static_cast<std::uint64_t>(sequence)), 1, matrices.back());
  }
  return matrices;
}

}  // namespace

BenchInputs::BenchInputs(const BenchShape& shape) : query(draw(shape, "query")) {
  if (shape.scope == "kernel") {
    key = draw(shape, "key");
    value = draw(shape, "value");
  }
  if (shape.pass != Pass::kForward) d_out = draw(shape, "d_out");
}

Problem bench_problem(const BenchShape& shape, const Options& options) {
  Problem problem;
  problem.setup = {.num_heads = shape.heads,
                   .head_dim = shape.head_dim,
                   .model_dim = shape.heads * shape.head_dim,
                   .max_len = shape.length,
                   .num_layers = 1,
                   .causal = shape.causal};
  problem.options = options;
  problem.extents = {shape.length, shape.length};
  problem.pass = shape.pass;
  // A batch of at least as many sequences as workers gives each sequence one worker.
  problem.workers = shape.batch >= shape.threads ? 1 : shape.threads;
  return problem;
}

std::string unsupported_reason(const BenchShape& shape, const Variant& variant) {
  if (shape.causal && !variant.claims.causal) {
    return fmt::format("{} is not causal", variant.name);
  }
  if (shape.scope == "kernel" && !variant.make_head) {
    return fmt::format("{} has no single-head form; use --scope layer", variant.name);
  }
  if (shape.scope == "layer" && !variant.make_head && !variant.make_layer) {
    return fmt::format("{} is neither a head nor a layer", variant.name);
  }
  return "";
}

std::vector<Index> sampled_rows(Index length) {
  const Index count = std::min(length, kSampledRows);
  std::vector<Index> rows;
  for (Index i = 0; i < count; ++i) {
    rows.push_back(count == 1 ? 0 : i * (length - 1) / (count - 1));
  }
  return rows;
}

}  // namespace arena
