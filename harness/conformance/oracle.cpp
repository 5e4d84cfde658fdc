#include "harness/conformance/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace arena {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Probabilities of one query over its visible keys, and their log sum exp.
struct Row {
  std::vector<Index> keys;
  std::vector<double> probabilities;
  double log_sum_exp = -kInfinity;
};

double scale_of(const OracleInputs& in) {
  return 1 / std::sqrt(static_cast<double>(in.query.cols()));
}

Row softmax_row(const OracleInputs& in, const Visibility& visibility, Index i) {
  Row row{visible_keys(visibility, in.extents(), i), {}};
  if (row.keys.empty()) return row;
  const double scale = scale_of(in);
  for (const Index j : row.keys) {
    row.probabilities.push_back(scale * in.query.row(i).dot(in.key.row(j)));
  }
  const double row_max = *std::ranges::max_element(row.probabilities);
  double sum = 0;
  for (double& p : row.probabilities) sum += p = std::exp(p - row_max);
  for (double& p : row.probabilities) p /= sum;
  row.log_sum_exp = row_max + std::log(sum);
  return row;
}

bool unconditional(const ExactCase& exact) {
  return exact.options.empty() && !exact.edit && !exact.edges && exact.extents.query_len == 0;
}

bool always_exact(const Variant& variant) {
  return std::ranges::any_of(variant.claims.exact, unconditional);
}

std::vector<Index> rows_or_all(std::span<const Index> rows, Index count) {
  std::vector<Index> result(rows.begin(), rows.end());
  if (!result.empty()) return result;
  result.resize(static_cast<std::size_t>(count));
  std::iota(result.begin(), result.end(), Index{0});
  return result;
}

}  // namespace

OracleInputs to_double(const HeadInputs& in) {
  return {in.query.cast<double>(), in.key.cast<double>(), in.value.cast<double>()};
}

std::vector<Index> visible_keys(const Visibility& visibility, const Extents& extents, Index i) {
  if (visibility.edges) {
    const Edges& edges = *visibility.edges;
    const auto row = static_cast<std::size_t>(i);
    return {edges.key.begin() + edges.row_begin[row], edges.key.begin() + edges.row_begin[row + 1]};
  }
  const Index count =
      visibility.causal ? std::max(Index{0}, causal_limit(i, extents) + 1) : extents.key_len;
  std::vector<Index> keys(static_cast<std::size_t>(count));
  std::iota(keys.begin(), keys.end(), Index{0});
  return keys;
}

Index count_pairs(const Visibility& visibility, const Extents& extents) {
  Index count = 0;
  for (Index i = 0; i < extents.query_len; ++i) {
    count += static_cast<Index>(visible_keys(visibility, extents, i).size());
  }
  return count;
}

OracleOutputs softmax_attention(const OracleInputs& in, const Visibility& visibility,
                                std::span<const Index> rows) {
  const std::vector<Index> wanted = rows_or_all(rows, in.query.rows());
  const auto count = static_cast<Index>(wanted.size());
  OracleOutputs outputs{MatrixD::Zero(count, in.value.cols()), MatrixD::Zero(count, 1)};
  for (Index r = 0; r < count; ++r) {
    const Row row = softmax_row(in, visibility, wanted[static_cast<std::size_t>(r)]);
    for (std::size_t e = 0; e < row.keys.size(); ++e) {
      outputs.out.row(r) += row.probabilities[e] * in.value.row(row.keys[e]);
    }
    outputs.log_sum_exp(r, 0) = row.log_sum_exp;
  }
  return outputs;
}

// With s = scale * q.k, p = softmax(s), out = sum_j p_j v_j and L = log sum exp(s):
// d_v_j = sum_i p_ij d_out_i, d_s_ij = p_ij (<d_out_i, v_j> - <d_out_i, out_i> + d_L_i).
OracleGrads softmax_attention_backward(const OracleInputs& in, const Visibility& visibility,
                                       const MatrixD& d_out, const MatrixD& d_log_sum_exp) {
  OracleGrads grads{MatrixD::Zero(in.query.rows(), in.query.cols()),
                    MatrixD::Zero(in.key.rows(), in.key.cols()),
                    MatrixD::Zero(in.value.rows(), in.value.cols())};
  const double scale = scale_of(in);
  for (Index i = 0; i < in.query.rows(); ++i) {
    const Row row = softmax_row(in, visibility, i);
    double shift = d_log_sum_exp.size() > 0 ? -d_log_sum_exp(i, 0) : 0;
    for (std::size_t e = 0; e < row.keys.size(); ++e) {
      shift += row.probabilities[e] * d_out.row(i).dot(in.value.row(row.keys[e]));
    }
    for (std::size_t e = 0; e < row.keys.size(); ++e) {
      const Index j = row.keys[e];
      const double p = row.probabilities[e];
      const double d_score = scale * p * (d_out.row(i).dot(in.value.row(j)) - shift);
      grads.value.row(j) += p * d_out.row(i);
      grads.query.row(i) += d_score * in.key.row(j);
      grads.key.row(j) += d_score * in.query.row(i);
    }
  }
  return grads;
}

bool has_softmax_oracle(const Variant& variant) {
  return variant.claims.pattern || (!variant.claims.reference && always_exact(variant));
}

bool has_oracle(const Variant& variant) {
  return has_softmax_oracle(variant) || variant.claims.reference;
}

const char* exactness(const Variant& variant) {
  const Claims& claims = variant.claims;
  if (always_exact(variant) && !claims.pattern) return "exact";
  if (!claims.exact.empty() || claims.pattern) return "exact limit";
  return claims.estimators.empty() ? "other weights" : "approximation";
}

Visibility softmax_visibility(const Variant& variant, const Problem& problem, const Call& call,
                              Edges& edges) {
  if (!variant.claims.pattern) return {.causal = problem.setup.causal};
  edges = variant.claims.pattern(problem, call);
  check(edges.query_len == problem.extents.query_len && edges.key_len == problem.extents.key_len,
        "{}: its pattern is {} x {} where the problem is {} x {}", variant.name, edges.query_len,
        edges.key_len, problem.extents.query_len, problem.extents.key_len);
  return {.edges = &edges};
}

MatrixD oracle_out(const Variant& variant, const Problem& problem, const Call& call,
                   const HeadInputs& in, const Weights& weights, std::span<const Index> rows) {
  if (has_softmax_oracle(variant)) {
    Edges edges;
    const Visibility visibility = softmax_visibility(variant, problem, call, edges);
    return softmax_attention(to_double(in), visibility, rows).out;
  }
  check(has_oracle(variant), "{} claims no pattern, no reference and no unconditional exact case",
        variant.name);
  const MatrixD all = variant.claims.reference(problem, call, in, weights);
  const Index query_len = extents_of(in).query_len;
  check(all.rows() == query_len && all.cols() == in.value.cols(),
        "{}: its reference gives [{}, {}] for [{}, {}]", variant.name, all.rows(), all.cols(),
        query_len, in.value.cols());
  if (rows.empty()) return all;
  MatrixD chosen(static_cast<Index>(rows.size()), all.cols());
  for (std::size_t r = 0; r < rows.size(); ++r)
    chosen.row(static_cast<Index>(r)) = all.row(rows[r]);
  return chosen;
}

double max_error(const MatrixD& actual, const MatrixD& expected) {
  double difference = 0;
  double reference = 0;
  for (Index i = 0; i < expected.rows(); ++i) {
    for (Index j = 0; j < expected.cols(); ++j) {
      if (actual(i, j) == expected(i, j)) {
        if (std::isfinite(expected(i, j))) {
          reference = std::max(reference, std::abs(expected(i, j)));
        }
        continue;
      }
      const double distance = std::abs(actual(i, j) - expected(i, j));
      if (!std::isfinite(distance)) return kInfinity;
      difference = std::max(difference, distance);
      reference = std::max(reference, std::abs(expected(i, j)));
    }
  }
  return difference == 0 ? 0 : difference / reference;
}

double max_error(ConstView actual, const MatrixD& expected) {
  return max_error(MatrixD(actual.cast<double>()), expected);
}

}  // namespace arena
