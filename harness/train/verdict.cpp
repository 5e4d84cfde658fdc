#include "harness/train/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "harness/conformance/kernel_scope.hpp"
#include "results/statistics.hpp"

namespace arena {
namespace {

constexpr double kStandardErrors = 3;
constexpr double kPercent = 0.01;
constexpr std::size_t kBits = 64;

/// The edges along which the variant attends; a pattern that is drawn, and so differs between heads
/// and layers, is none.
std::optional<Edges> fixed_edges(const ChosenVariant& chosen, const Setup& setup,
                                 const Sample& sample) {
  const Claims& claims = chosen.variant.claims;
  if (claims.edges) return *sample.edges;
  if (!claims.pattern) return std::nullopt;
  const Index len = input_of(sample).len();
  Workspace workspace;
  const Call call{.team = Team(std::span(&workspace, 1))};
  KernelScope scope(chosen, setup, {len, len}, RandomKey(0));
  if (!scope.plan(call, 0).empty()) return std::nullopt;
  return claims.pattern({.setup = setup, .options = chosen.options, .extents = {len, len}}, call);
}

/// All positions, or those with a label of their own.
std::vector<Index> scored_positions(const Sample& sample) {
  const auto len = static_cast<std::size_t>(input_of(sample).len());
  std::vector<Index> positions;
  for (std::size_t i = 0; i < len; ++i) {
    if (sample.labels.size() == len && sample.labels[i] == kNotScored) continue;
    positions.push_back(static_cast<Index>(i));
  }
  return positions;
}

/// Right labels of each sequence beyond what the mean accuracy gives it, squared and summed.
double squares_between_sequences(const Evaluation& evaluation) {
  double sum = 0, excess = 0;
  for (std::size_t i = 0; i < evaluation.right.size(); ++i) {
    if (evaluation.starts[i] == 1) sum += excess * excess, excess = 0;
    excess += evaluation.right[i] - evaluation.accuracy;
  }
  return sum + excess * excess;
}

/// Of the constant's accuracy. Labels of one sequence are right or wrong together, so where there
/// are several the sequences are what is drawn: the error of a mean over clusters of unequal size
/// (Cochran, Sampling Techniques, 9A.1), if that is the larger one.
double standard_error(const Evaluation& evaluation, const Baseline& constant) {
  const auto labels = static_cast<double>(evaluation.scored());
  const auto sequences = static_cast<double>(evaluation.sequences());
  const double independent = binomial_standard_error(constant.accuracy, labels);
  if (sequences < 2 || sequences == labels) return independent;
  const double variance = squares_between_sequences(evaluation) * sequences / (sequences - 1);
  return std::max(independent, std::sqrt(variance) / labels);
}

}  // namespace

std::string why_not_learned(const Evaluation& evaluation, const Baseline& constant) {
  const double error = standard_error(evaluation, constant);
  if (evaluation.accuracy > constant.accuracy + kStandardErrors * error) return "";
  const Index labels = evaluation.scored(), sequences = evaluation.sequences();
  return fmt::format(
      "test accuracy {:.2f} % is not above the {:.2f} % of the best constant ({}) by {} standard "
      "errors of {:.2f} % ({} labels{})",
      evaluation.accuracy / kPercent, constant.accuracy / kPercent, constant.name, kStandardErrors,
      error / kPercent, labels,
      sequences < labels ? fmt::format(" in {} sequences", sequences) : "");
}

Reach reach(const Edges& edges, Index layers, std::span<const Index> targets) {
  const auto len = static_cast<std::size_t>(edges.query_len), words = (len + kBits - 1) / kBits;
  std::vector<std::uint64_t> sources(len * words);  // bit j of row i: i has something from j
  for (std::size_t i = 0; i < len; ++i) {
    sources[i * words + i / kBits] = std::uint64_t{1} << (i % kBits);
  }
  for (Index layer = 0; layer < layers; ++layer) {
    const std::vector<std::uint64_t> before = sources;
    for (std::size_t i = 0; i < len; ++i) {
      for (Index e = edges.row_begin[i]; e < edges.row_begin[i + 1]; ++e) {
        const auto j = static_cast<std::size_t>(edges.key[static_cast<std::size_t>(e)]);
        for (std::size_t w = 0; w < words; ++w) sources[i * words + w] |= before[j * words + w];
      }
    }
  }
  Reach result{.least = edges.query_len};
  for (const Index i : targets) {
    const auto row = sources.begin() + i * static_cast<Index>(words);
    const Index count =
        std::accumulate(row, row + static_cast<Index>(words), Index{0},
                        [](Index sum, auto bits) { return sum + std::popcount(bits); });
    result = {std::min(result.least, count), std::max(result.most, count)};
  }
  return result;
}

std::string why_out_of_reach(const ChosenVariant& chosen, const Setup& setup,
                             const Sample& sample) {
  const std::optional<Edges> edges = fixed_edges(chosen, setup, sample);
  if (!edges) return "";
  const Reach found = reach(*edges, setup.num_layers, scored_positions(sample));
  if (found.least == edges->query_len) return "";
  const std::string count = found.least == found.most
                                ? fmt::format("{}", found.least)
                                : fmt::format("{} to {}", found.least, found.most);
  return fmt::format(
      "through its pattern a scored position reaches only {} of {} positions in {} "
      "layer{}",
      count, edges->query_len, setup.num_layers, setup.num_layers == 1 ? "" : "s");
}

}  // namespace arena
