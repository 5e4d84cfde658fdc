#pragma once
// Locality-sensitive hashing of rows by random rotations: rows that point the same way fall into
// the same bucket more often than others.
//
//   bucket of x = argmax of [x R; -x R], R [head_dim, buckets / 2] of standard normals; many
//   buckets are the product of two even factors, each with a rotation and an argmax of its own
//
// Source: Andoni et al., "Practical and optimal LSH for angular distance", 2015, as Kitaev, Kaiser,
// Levskaya, "Reformer", 2020, section 2, uses it; two factors as in its code (trax).

#include <cstdint>
#include <span>

#include "harness/core/random.hpp"
#include "harness/core/team.hpp"

namespace arena {

/// Even numbers whose product is the number of buckets; `second` is 1 where one is enough.
struct BucketFactors {
  Index first = 2;
  Index second = 1;

  Index buckets() const { return first * second; }
  /// Columns of the rotations of one round.
  Index columns() const { return first / 2 + second / 2; }
};
/// At least `buckets` (even) buckets, no more than the nearest even factors need: exactly that many
/// up to 128, where one rotation does.
BucketFactors bucket_factors(Index buckets);

/// Several hashes of the same rows, each by rotations of its own.
struct Hashing {
  BucketFactors factors;
  Index rounds = 1;

  Index columns() const { return rounds * factors.columns(); }
};

/// Writes buckets [rounds, len] of the rows of x [len, head_dim] by the transposed `rotations`
/// [columns, head_dim]; ties go to the lower bucket. In parallel over blocks of rows.
void lsh_buckets(const Team& team, const Hashing& hashing, const ConstView& x,
                 const ConstView& rotations, std::span<std::int32_t> buckets);

/// Writes order [rounds, len]: in each round the rows by bucket, those of one bucket by position.
/// In parallel over rounds.
void lsh_order(const Team& team, const Hashing& hashing, std::span<const std::int32_t> buckets,
               std::span<std::int32_t> order);

/// The rows of x in the order of their buckets, by rotations drawn from `key`.
void draw_lsh_order(const Team& team, const Hashing& hashing, const ConstView& x, RandomKey key,
                    std::span<std::int32_t> order);

/// Writes the order that `positions` give; throws Error unless each round has each row once.
void read_order(std::span<const std::int64_t> positions, Index rounds,
                std::span<std::int32_t> order);

/// Bytes of scratch of draw_lsh_order, and of what runs inside it, at most.
struct LshScratch {
  Index caller = 0;  // worker 0
  Index total = 0;   // all workers
};
LshScratch lsh_scratch(const Hashing& hashing, Index len, Index head_dim, Index workers);

}  // namespace arena
