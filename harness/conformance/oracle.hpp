#pragma once
// Exact softmax attention in double precision, by explicit rows of keys: what every claim is held
// against. Written plainly; includes no engine.

#include <span>

#include "variants/attention.hpp"

namespace arena {

/// Which keys query i sees: those of `edges` where present, else all, or (causal) those up to
/// causal_limit(i).
struct Visibility {
  bool causal = false;
  const Edges* edges = nullptr;
};

struct OracleInputs {
  MatrixD query, key, value;  // [query_len, head_dim], 2 x [key_len, head_dim]

  Extents extents() const { return {query.rows(), key.rows()}; }
};

struct OracleOutputs {
  MatrixD out;          // [rows, head_dim]
  MatrixD log_sum_exp;  // [rows, 1]
};

struct OracleGrads {
  MatrixD query, key, value;
};

OracleInputs to_double(const HeadInputs& in);

/// Keys that query i sees, ascending.
std::vector<Index> visible_keys(const Visibility& visibility, const Extents& extents, Index i);
/// Pairs (query, key) that see each other.
Index count_pairs(const Visibility& visibility, const Extents& extents);

/// softmax(query key^T / sqrt(head_dim)) value over the visible keys. A row that sees no key gives
/// zeros and log_sum_exp = -infinity. Only the given query rows, in that order (none given: all).
OracleOutputs softmax_attention(const OracleInputs& in, const Visibility& visibility,
                                std::span<const Index> rows = {});

/// Gradient of sum(d_out * out) + sum(d_log_sum_exp * log_sum_exp); d_log_sum_exp may be empty.
OracleGrads softmax_attention_backward(const OracleInputs& in, const Visibility& visibility,
                                       const MatrixD& d_out, const MatrixD& d_log_sum_exp);

/// Whether oracle_out can say what the variant's output must be: it claims a pattern, a reference,
/// or an exact case without conditions.
bool has_oracle(const Variant& variant);
/// Whether that oracle is exact softmax attention (under edges or not), so that softmax_visibility
/// applies.
bool has_softmax_oracle(const Variant& variant);

/// How the variant relates to softmax attention over all keys, by its claims: "exact" (always),
/// "exact limit" (under some options, weights or edges), "approximation" (its mean over random
/// keys is known), "other weights" (a formula of its own).
const char* exactness(const Variant& variant);

/// What a variant with has_softmax_oracle lets each query see: `edges` receives the pattern's, if
/// it claims one, and must outlive the result.
Visibility softmax_visibility(const Variant& variant, const Problem& problem, const Call& call,
                              Edges& edges);

/// What one head of the variant must compute for these very inputs, [rows, head_dim]: exact
/// attention under its pattern, or its reference, or exact attention where an exact case holds
/// without conditions. Only the given query rows, in that order (none given: all). Throws Error
/// where the variant claims none of these.
MatrixD oracle_out(const Variant& variant, const Problem& problem, const Call& call,
                   const HeadInputs& in, const Weights& weights, std::span<const Index> rows = {});

/// max |actual - expected| / max |expected|; 0 where both are equal throughout (equal infinities
/// count as equal), infinity where a NaN or an unequal infinity stands in either.
double max_error(const MatrixD& actual, const MatrixD& expected);
double max_error(ConstView actual, const MatrixD& expected);

}  // namespace arena
