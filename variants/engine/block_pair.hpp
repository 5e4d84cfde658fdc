#pragma once
// Attention of one block of queries to two blocks of keys: another one, of which it sees all, and
// its own, of which it sees all or (causal) the rows up to its own.
//
//   joined: one softmax over both;  added: the sum of two softmaxes

#include "variants/engine/tiled_softmax.hpp"

namespace arena {

struct BlockPair {
  Index rows;   // of the block
  Index other;  // rows of the other one
  Index head_dim;
  bool causal;
  bool added;
  float scale;

  Index pairs() const;  // of queries and keys that are scored
  SoftmaxScratch forward_scratch(Index workers) const;
  SoftmaxScratch backward_scratch(Index workers) const;
};

struct PairInputs {
  ConstView query, key, value;       // [rows, head_dim]
  ConstView other_key, other_value;  // [other, head_dim]
};

/// What forward leaves; those of own and the output of the other block only where added.
template <class AnyView>
struct PairSaved {
  AnyView statistics;        // [2, rows]
  AnyView own_statistics{};  // [2, rows]
  AnyView other_out{};       // [rows, head_dim]
};

struct PairGrads {
  View query;                   // overwritten
  View key, value;              // added to
  View other_key, other_value;  // overwritten; may be the inputs
};

/// Writes out and what is not empty of saved.
void pair_forward(const Team& team, const BlockPair& pair, const PairInputs& in,
                  const PairSaved<View>& saved, View out);
void pair_backward(const Team& team, const BlockPair& pair, const PairInputs& in,
                   const PairSaved<ConstView>& saved, const HeadOutputGrads& d_outputs,
                   const PairGrads& grads);

}  // namespace arena
