#pragma once
// One call of an attention mechanism: its lengths, matrices, random key and what else it may need,
// and what it gives beside its output.

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "harness/core/edges.hpp"
#include "harness/core/matrix.hpp"
#include "harness/core/parameters.hpp"
#include "harness/core/random.hpp"
#include "harness/core/team.hpp"

namespace arena {

/// Fixed when a variant is made.
struct Setup {
  Index num_heads = 1;
  Index head_dim = 64;
  Index model_dim = 64;
  Index max_len = 512;  // longest key sequence; parameters may depend on it
  Index num_layers = 1;
  bool causal = false;
};

/// Lengths of one call.
struct Extents {
  Index query_len = 0;
  Index key_len = 0;
};

/// Named integers that a variant drew or computed (buckets, blocks): frozen ones replace drawing.
using Plan = std::map<std::string, std::vector<std::int64_t>>;

/// What one segment or decoding step hands to the next; the layout is the variant's own.
struct State {
  std::vector<float> values;
  Index position = 0;  // tokens seen so far
};

/// Everything that one call may need beside its matrices.
struct Call {
  Team team;
  RandomKey key{};        // already folded by purpose, step, sequence, layer and head
  bool training = false;  // dropout, noise and statistics are on
  Index layer = 0;
  Index head = 0;
  Index position_offset = 0;
  const Edges* edges = nullptr;
  std::array<Index, 2> grid{};  // rows, columns of an image; 0: not an image
  std::span<const std::int64_t> globals{};
  const Plan* plan = nullptr;
  const State* state = nullptr;
};

/// Causal attention with unequal lengths is aligned at the bottom right: query i sees key j iff
/// j <= i + key_len - query_len.
constexpr Index causal_limit(Index i, const Extents& extents) {
  return i + extents.key_len - extents.query_len;
}

/// What forward gives beside its matrices; each member may be absent.
struct Extras {
  Slices statistics{};              // added to; absent on recomputation and in evaluation
  float* auxiliary_loss = nullptr;  // written; 0 where a variant has none
  State* state = nullptr;           // written by variants that hand on a state
  Plan* plan = nullptr;             // gets what was drawn or computed, as Call::plan would give it
};

constexpr Index kMaxExtraInputs = 3;
/// query, key and value stand before a head's extra inputs.
constexpr Index kNumInputSlots = 3 + kMaxExtraInputs;

/// What one head works on, or the gradients of it; a slot that the head does not list in inputs()
/// is empty.
template <class AnyMatrix>
struct HeadMatrices {
  AnyMatrix query{};                               // [query_len, head_dim]
  AnyMatrix key{};                                 // [key_len, head_dim]
  AnyMatrix value{};                               // [key_len, head_dim], always there
  std::array<AnyMatrix, kMaxExtraInputs> extra{};  // [query_len, head_dim], in the head's order

  const AnyMatrix& operator[](Index slot) const {
    return slot == 0   ? query
           : slot == 1 ? key
           : slot == 2 ? value
                       : extra[static_cast<std::size_t>(slot - 3)];
  }
};
/// That of make(slot) for each slot.
template <class AnyMatrix, class Make>
HeadMatrices<AnyMatrix> head_matrices(const Make& make) {
  static_assert(kMaxExtraInputs == 3);
  return {make(0), make(1), make(2), {make(3), make(4), make(5)}};
}
using HeadInputs = HeadMatrices<ConstView>;
using HeadGrads = HeadMatrices<View>;

/// A head without a query has as many rows as its value.
inline Extents extents_of(const HeadInputs& in) {
  return {in.query.empty() ? in.value.rows() : in.query.rows(), in.value.rows()};
}

struct HeadOutputs {
  View out;            // [query_len, head_dim]
  View log_sum_exp{};  // [query_len, 1]; empty: not wanted
};
/// Derivatives by forward's outputs, and those outputs' values (backward often needs out).
struct HeadOutputGrads {
  ConstView out;             // d_out [query_len, head_dim]
  ConstView log_sum_exp{};   // d_log_sum_exp [query_len, 1]; empty: zero
  float auxiliary_loss = 0;  // coefficient of the auxiliary loss
  ConstView forward_out{};   // out as forward wrote it [query_len, head_dim]
};

struct LayerInputs {
  ConstView x;          // [len, model_dim]
  ConstView context{};  // [context_len, model_dim]; empty: self attention
};
struct LayerGrads {
  View x;          // overwritten
  View context{};  // overwritten; empty: not wanted
};

}  // namespace arena
