#include "variants/engine/length_projection.hpp"

namespace arena {

ParameterSpec length_projection(const char* name, Index mixtures, Index max_len, Sharing sharing) {
  return {.name = name,
          .rows = mixtures,
          .cols = max_len,
          .init = Init::normal(0.02F),
          .sharing = sharing,
          .transposed = true};
}

void LengthProjection::forward(const Team& team, const ConstView& x, View mixed) const {
  const ConstView projection = weights_.parameters[parameter_];
  check(x.rows() <= projection.cols(), "{} positions to mix, but the projection is for at most {}",
        x.rows(), projection.cols());
  multiply(team, projection.column_slice(0, x.rows()), x, mixed, Output::kOverwrite);
}

void LengthProjection::backward(const Team& team, const ConstView& x, const ConstView& d_mixed,
                                View d_x, View d_projection) const {
  // a prepared transpose has rows, which are read faster than columns
  const Factor transposed =
      weights_.transposed.present()
          ? weights_.transposed.transpose_at(parameter_).row_slice(0, x.rows())
          : transpose(weights_.parameters[parameter_].column_slice(0, x.rows()));
  multiply(team, transposed, d_mixed, d_x, Output::kOverwrite);
  multiply(team, d_mixed, transpose(x), d_projection.column_slice(0, x.rows()), Output::kAdd);
}

}  // namespace arena
