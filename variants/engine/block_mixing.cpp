#include "variants/engine/block_mixing.hpp"

#include "harness/layers/product.hpp"

namespace arena {
namespace {

constexpr Index kRows = 8;  // rows t whose products share the packed weights
static_assert(2 * kRows <= static_cast<Index>(kMostSharedTerms));

/// Rows t of a group in pieces, each of at most kRows with the same weights.
class Pieces {
 public:
  explicit Pieces(const BlockGroup& group)
      : rows_(group.mixture_rows()), alike_(group.alike_rows()) {}

  Index count() const { return first_count() + (rows_ - alike_ + kRows - 1) / kRows; }
  Range operator[](Index i) const {
    const bool first = i < first_count();
    const Index begin = first ? i * kRows : alike_ + (i - first_count()) * kRows;
    return {begin, std::min(begin + kRows, first ? alike_ : rows_)};
  }

 private:
  Index first_count() const { return (alike_ + kRows - 1) / kRows; }

  Index rows_, alike_;
};

}  // namespace

double BlockGroup::mixing_flops() const {
  double products = 0;
  for (Index t = 0; t < mixture_rows(); ++t) {
    products += static_cast<double>(blocks_.size() * sources(t));
  }
  return 4 * products * static_cast<double>(shape_.head_dim);
}

void mix_blocks(const Team& team, const BlockGroup& group, const BlockMixture<ConstView>& mixture,
                const HeadInputs& in, const MixedRows<View>& mixtures) {
  const Pieces pieces(group);
  team.for_each(pieces.count(), [&](Index piece, const Team& worker) {
    const Range rows = pieces[piece];
    if (group.sources(rows.begin) == 0) return;
    Products products(worker, group.weights(mixture, rows.begin));
    for (Index t = rows.begin; t < rows.end; ++t) {
      products.add({group.source_rows(in.key, t), {}, group.rows_of_mixtures(mixtures.key, t)});
      products.add({group.source_rows(in.value, t), {}, group.rows_of_mixtures(mixtures.value, t)});
    }
  });
}

void mix_blocks_backward(const Team& team, const BlockGroup& group,
                         const BlockMixture<ConstView>& mixture, const HeadInputs& in,
                         const MixedRows<View>& d_mixtures, const HeadGrads& d_in,
                         const BlockMixture<View>& grads) {
  const Pieces pieces(group);
  team.for_each(pieces.count(), [&](Index piece, const Team& worker) {
    const Range rows = pieces[piece];
    if (group.sources(rows.begin) == 0) return;
    Products products(worker, transpose(group.weights(mixture, rows.begin)));
    const auto add = [&](const ConstView& d_mixture, View d_rows) {
      products.add({d_mixture, {.rows = d_rows}, d_rows});
    };
    for (Index t = rows.begin; t < rows.end; ++t) {
      add(group.rows_of_mixtures(d_mixtures.key, t), group.source_rows(d_in.key, t));
      add(group.rows_of_mixtures(d_mixtures.value, t), group.source_rows(d_in.value, t));
    }
  });
  for (Index piece = 0; piece < pieces.count(); ++piece) {
    const Range rows = pieces[piece];
    if (group.sources(rows.begin) == 0) continue;
    InplaceVector<Term, 2 * kRows> terms;
    const auto add = [&](const ConstView& d_mixture, const ConstView& source) {
      terms.push_back({d_mixture, transpose(source)});
    };
    for (Index t = rows.begin; t < rows.end; ++t) {
      add(group.rows_of_mixtures(d_mixtures.key, t), group.source_rows(in.key, t));
      add(group.rows_of_mixtures(d_mixtures.value, t), group.source_rows(in.value, t));
    }
    const View d_weights = group.weights(grads, rows.begin);
    multiply(team, terms, {.rows = d_weights}, d_weights);
  }
}

}  // namespace arena
