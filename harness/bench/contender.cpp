#include "harness/bench/contender.hpp"

#include <fmt/format.h>

#include "harness/bench/gradient_probe.hpp"
#include "harness/conformance/oracle.hpp"
#include "harness/core/hash.hpp"

namespace arena {
namespace {

constexpr std::uint64_t kBenchSeed = 1;
/// Rows to look at, and scores that an oracle may be asked for at once where it makes all of a
/// head, some 10 ns for each.
struct Sampling {
  Index rows, scores;
};
constexpr Sampling kOutputs{64, Index{1} << 26};
constexpr Sampling kGradients{16, Index{1} << 23};  // the oracle runs twice for each tensor

Heads heads_of(const BenchShape& shape) {
  if (shape.scope == "kernel") return {shape.heads, HeadLayout::kStacked};
  return {1};
}

Matrix draw(const BenchShape& shape, std::string_view name, Index sequence) {
  const bool stacked = heads_of(shape).layout == HeadLayout::kStacked;
  Matrix matrix = stacked ? Matrix(shape.heads * shape.length, shape.head_dim)
                          : Matrix(shape.length, shape.heads * shape.head_dim);
  const RandomKey key = RandomKey(kBenchSeed).fold(Purpose::kBench).fold(name);
  fill_normal(key.fold(static_cast<std::uint64_t>(sequence)), 1, matrix);
  return matrix;
}

std::uint64_t hash_of(const Matrix& matrix, std::uint64_t hash) {
  const std::span<const float> values(matrix.data(), static_cast<std::size_t>(matrix.size()));
  return fnv1a(values, hash);
}

/// Those rows of those heads in that order, heads side by side.
MatrixD rows_of(const Heads& heads, ConstView all, const Sampled& sampled) {
  const Index width = heads.part(all, 0).cols();
  MatrixD result(static_cast<Index>(sampled.rows.size()),
                 static_cast<Index>(sampled.heads.size()) * width);
  for (Index at = 0; const Index h : sampled.heads) {
    const ConstView part = heads.part(all, h);
    for (Index i = 0; i < result.rows(); ++i) {
      result.row(i).segment(at, width) =
          part.row(sampled.rows[static_cast<std::size_t>(i)]).cast<double>();
    }
    at += width;
  }
  return result;
}

ConstView as_row(const std::vector<float>& values) {
  return {values.data(), 1, static_cast<Index>(values.size())};
}

}  // namespace

BenchInputs::BenchInputs(const BenchShape& shape) {
  for (Index sequence = 0; sequence < shape.batch; ++sequence) {
    auto& of_sequence = tensors.emplace_back();
    if (shape.scope == "kernel") {
      for (const char* name : {"query", "key", "value"}) {
        of_sequence.push_back(draw(shape, name, sequence));
      }
    } else {
      of_sequence.push_back(draw(shape, "x", sequence));
    }
    if (shape.pass != Pass::kForward) d_out.push_back(draw(shape, "d_out", sequence));
  }
}

void FlatWeights::initialise() {
  const RandomKey key(kBenchSeed);
  values.resize(static_cast<std::size_t>(layout.size()));
  buffers.resize(static_cast<std::size_t>(buffer_layout.size()));
  layout.initialise(key.fold(Purpose::kInitialise), values);
  buffer_layout.initialise(key.fold(Purpose::kBuffer), buffers);
}

Contender::Contender(const BenchShape& shape, const BenchVariant& variant,
                     const BenchInputs& inputs)
    : shape_(shape),
      heads_(heads_of(shape)),
      variant_(Registry<Variant>::find(variant.name)),
      problem_(bench_problem(shape, variant.options)),
      edges_(variant_.claims.edges ? bench_graph(shape.length) : Edges{}),
      inputs_(inputs) {}

void Contender::allocate(std::span<const std::string> names) {
  weights_.initialise();
  for (Index sequence = 0; sequence < shape_.batch; ++sequence) {
    const std::vector<Matrix>& shared = inputs_.tensors.front();
    std::vector<Matrix>& own = own_inputs_.emplace_back();
    for (std::size_t i = shared.size(); i < names.size(); ++i) {
      own.push_back(names[i].empty() ? Matrix() : draw(shape_, names[i], sequence));
    }
    const Matrix zeros = Matrix::Zero(shared[0].rows(), shared[0].cols());
    Outputs& outputs = outputs_.emplace_back();
    outputs.out = zeros;
    if (shape_.pass == Pass::kForward) continue;
    for (const std::string& name : names) {
      outputs.d_tensors.push_back(name.empty() ? Matrix() : zeros);
    }
    outputs.d_weights.assign(weights_.values.size(), 0.0F);
  }
}

void Contender::prepare(const Team& team) {
  if (shape_.pass != Pass::kBackward) return;
  frames_.clear();
  for (Index sequence = 0; sequence < shape_.batch; ++sequence) {
    frames_.push_back(carve_frames(team));
  }
  team.for_each(shape_.batch, [&](Index sequence, const Team& worker) {
    forward(worker, sequence, frames_[static_cast<std::size_t>(sequence)]);
  });
}

void Contender::run(const Team& team) {
  team.for_each(shape_.batch, [&](Index sequence, const Team& worker) {
    const auto at = static_cast<std::size_t>(sequence);
    if (shape_.pass == Pass::kForward) {
      forward(worker, sequence, {});
    } else if (shape_.pass == Pass::kBackward) {
      backward(worker, sequence, frames_[at], inputs_.d_out[at]);
    } else {
      const WorkspaceScope scope(worker.workspace());
      std::vector<Frame> frames = carve_frames(worker);
      forward(worker, sequence, frames);
      backward(worker, sequence, frames, inputs_.d_out[at]);
    }
  });
}

Sampled Contender::sampled(Index most_rows, Index most_scores) const {
  const Claims& claims = variant_.claims;
  const bool by_rows = !claims.reference && !claims.pattern;
  const Index heads = std::max(Index{1}, most_scores / (shape_.length * shape_.length));
  return {sampled_rows(shape_.length, most_rows),
          sampled_rows(heads_.count, by_rows ? heads_.count : heads)};
}

double Contender::output_error(const Team& team) const {
  const Sampled looked_at = sampled(kOutputs.rows, kOutputs.scores);
  double error = 0;
  for (Index sequence = 0; sequence < shape_.batch; ++sequence) {
    Call call = call_of(team, sequence);
    const Plan plan = plan_of(team, sequence);
    call.plan = &plan;
    const MatrixD expected = oracle(call, tensors_of(sequence), weights_.values.data(), looked_at);
    const Matrix& out = outputs_[static_cast<std::size_t>(sequence)].out;
    error = std::max(error, max_error(rows_of(heads_, out, looked_at), expected));
  }
  return error;
}

double Contender::gradient_error(const Team& team) {
  const Sampled looked_at = sampled(kGradients.rows, kGradients.scores);
  const Matrix& whole = inputs_.d_out.front();
  Matrix d_out = Matrix::Zero(whole.rows(), whole.cols());
  for (const Index h : looked_at.heads) {
    View part = heads_.part(View(d_out), h);
    for (const Index row : looked_at.rows)
      part.row(row) = heads_.part(ConstView(whole), h).row(row);
  }
  Outputs& outputs = outputs_of(0);
  std::ranges::fill(outputs.d_weights, 0.0F);
  {
    const WorkspaceScope scope(team.workspace());
    std::vector<Frame> frames = carve_frames(team);
    forward(team, 0, frames);
    backward(team, 0, frames, d_out);
  }
  Call call = call_of(team, 0);
  const Plan plan = plan_of(team, 0);
  call.plan = &plan;
  std::vector<ProbedTensor> probed;
  const std::vector<ConstView> tensors = tensors_of(0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const bool used = outputs.d_tensors[i].size() > 0;
    probed.push_back({used ? tensors[i] : ConstView(), outputs.d_tensors[i]});
  }
  if (!weights_.values.empty()) {
    probed.push_back({as_row(weights_.values), as_row(outputs.d_weights)});
  }
  const auto inputs = static_cast<std::ptrdiff_t>(tensors.size());
  const auto loss = [&](std::span<const Matrix> moved) {
    const std::vector<ConstView> moved_tensors(moved.begin(), moved.begin() + inputs);
    const float* const weights = moved.size() > tensors.size() ? moved.back().data() : nullptr;
    const MatrixD out = oracle(call, moved_tensors, weights, looked_at);
    return rows_of(heads_, d_out, looked_at).cwiseProduct(out).sum();
  };
  const bool long_one = shape_.length * shape_.length > kGradients.scores;
  return directional_error(probed, loss, long_one ? Moved::kTogether : Moved::kEach);
}

std::uint64_t Contender::output_hash() const {
  std::uint64_t hash = kFnvStart;
  for (const Outputs& outputs : outputs_) {
    hash = hash_of(outputs.out, hash);
    for (const Matrix& matrix : outputs.d_tensors) hash = hash_of(matrix, hash);
  }
  return hash;
}

Call Contender::call_of(const Team& team, Index sequence) const {
  return {.team = team,
          .key = RandomKey(kBenchSeed)
                     .fold(Purpose::kAttention)
                     .fold(static_cast<std::uint64_t>(sequence)),
          .edges = variant_.claims.edges ? &edges_ : nullptr};
}

std::vector<ConstView> Contender::tensors_of(Index sequence) const {
  const auto at = static_cast<std::size_t>(sequence);
  std::vector<ConstView> tensors(inputs_.tensors[at].begin(), inputs_.tensors[at].end());
  for (const Matrix& own : own_inputs_[at]) tensors.emplace_back(own);
  return tensors;
}

Edges bench_graph(Index length) {
  return random_graph(length, kBenchDegree, RandomKey(kBenchSeed).fold(Purpose::kBench));
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
  problem.edges = random_graph_edges(shape.length, kBenchDegree);
  return problem;
}

std::string unsupported_reason(const BenchShape& shape, const Variant& variant) {
  if (shape.causal && !variant.claims.causal) {
    return fmt::format("{} is not causal", variant.name);
  }
  if (!variant.make_head && shape.scope == "kernel") {
    return fmt::format("{} has no single-head form", variant.name);
  }
  if (!variant.make_head) {
    return fmt::format("{} has no oracle of a whole layer to be compared with", variant.name);
  }
  return "";
}

std::unique_ptr<Contender> make_contender(const BenchShape& shape, const BenchVariant& variant,
                                          const BenchInputs& inputs) {
  return shape.scope == "kernel" ? make_kernel_contender(shape, variant, inputs)
                                 : make_layer_contender(shape, variant, inputs);
}

MatrixD oracle_heads(const Variant& variant, const Problem& problem, const Call& call,
                     const Heads& heads, const HeadInputs& in, std::span<const Weights> weights,
                     const Sampled& sampled) {
  const Index width = problem.setup.head_dim;
  MatrixD out(static_cast<Index>(sampled.rows.size()),
              static_cast<Index>(sampled.heads.size()) * width);
  for (Index at = 0; const Index h : sampled.heads) {
    const Plan plan = call.plan ? plan_of_head(*call.plan, h) : Plan();
    const Call of_head = call_of_head(call, h, call.team, plan.empty() ? nullptr : &plan);
    const auto parts =
        head_matrices<ConstView>([&](Index slot) { return heads.part(in[slot], h); });
    out.middleCols(at, width) = oracle_out(variant, problem, of_head, parts,
                                           weights[static_cast<std::size_t>(h)], sampled.rows);
    at += width;
  }
  return out;
}

double oracle_bytes(const BenchShape& shape, const Variant& variant) {
  constexpr double kMatrices = 2;  // scores, and weights made of them
  const auto length = static_cast<double>(shape.length);
  return variant.claims.reference ? kMatrices * sizeof(double) * length * length : 0;
}

std::vector<Index> sampled_rows(Index length, Index most) {
  const Index count = std::min(length, most);
  std::vector<Index> rows;
  for (Index i = 0; i < count; ++i) {
    rows.push_back(count == 1 ? 0 : i * (length - 1) / (count - 1));
  }
  return rows;
}

}  // namespace arena
