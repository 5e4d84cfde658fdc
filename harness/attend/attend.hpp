#pragma once
// One attention call on tensors from outside, so that anyone can hold a variant against other code.

#include <cstdint>
#include <string>

#include "harness/safetensors.hpp"
#include "variants/attention.hpp"

namespace arena {

struct AttendJob {
  const Variant& variant;
  Options options;
  bool causal = false;
  std::uint64_t seed = 0;
  Index threads = 1;
  Index max_len = 0;    // parameters are made for this many keys; 0: as many as there are
  Index num_heads = 0;  // only with `x`, whose width does not tell; 0: one
};

/// Runs the variant once on `in`, read from `source` (for messages).
///
/// In: `query` [query_len, heads, head_dim], `key`, `value` [key_len, heads, head_dim], or the
/// inputs that the variant's heads name: the heads alone. Or `x` [len, model_dim] (and `context`
/// [context_len, model_dim]): the layer with its projections. Optional `d_out` shaped like `out`;
/// `edges` [count, 2], `grid` [2], `globals` [g], `plan_NAME` (I64); any parameter [rows, cols] and
/// buffer of the variant by its name, one of a head as "heads.0.NAME".
///
/// Out: `out` shaped like `query` or `x`, `log_sum_exp` [query_len, heads] where the variant claims
/// it; with `d_out` also d_NAME of each input (d_query, ...) or d_x, d_context, and of each
/// parameter; and every parameter, buffer and plan that was used. What was not given is made from
/// the seed.
///
/// Throws Error on a missing or unknown tensor or a wrong shape or type, naming file and tensor,
/// and Failure::kUnsupported where the variant cannot do what is asked.
TensorFile attend(const AttendJob& job, const TensorFile& in, const std::string& source);

}  // namespace arena
