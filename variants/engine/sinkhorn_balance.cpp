#include "variants/engine/sinkhorn_balance.hpp"

#include <algorithm>
#include <cmath>

#include "harness/layers/micro_kernel.hpp"

namespace arena {
namespace {

using simd::Vec;

/// The log of a weight that does not exist. Finite, so that no difference is a NaN; what is below
/// kNone never changes.
constexpr float kHidden = -1e30F;
constexpr float kNone = -1e29F;

Vec subtract(Vec r, Vec log_sum) {
  return simd::select(r < Vec(kNone), r, r - log_sum);
}

float largest(Vec x) {
  alignas(64) float lanes[simd::kWidth];
  simd::store(lanes, x);
  return *std::max_element(lanes, lanes + simd::kWidth);
}

const float* row_at(const ConstView& matrix, Index i) {
  return matrix.data() + i * matrix.outerStride();
}

/// body(vector's offset) along a row.
template <class Body>
void along(Index width, const Body& body) {
  for (Index c = 0; c < width; c += simd::kWidth) body(c);
}

float log2_sum(const float* row, Index width) {
  Vec most(kHidden);
  along(width, [&](Index c) { most = simd::maximum(most, simd::load(row + c)); });
  const float row_max = largest(most);
  Vec sum(0.0F);
  along(width, [&](Index c) { sum = sum + simd::exp2(simd::load(row + c) - Vec(row_max)); });
  return row_max + std::log2(simd::sum(sum));
}

}  // namespace

SinkhornBalance::SinkhornBalance(Index size, Index iterations, bool strictly_lower)
    : size_(size),
      iterations_(iterations),
      strictly_lower_(strictly_lower),
      width_(round_up(size, simd::kWidth)) {}

void SinkhornBalance::hide(View log_weights) const {
  for (Index i = 0; i < size_; ++i) {
    const Index first = strictly_lower_ ? i : size_;
    log_weights.row(i).tail(width_ - first).setConstant(kHidden);
  }
}

void SinkhornBalance::run(View log_weights, View steps) const {
  Index kept = 0;
  const auto keep = [&] {
    if (!steps.empty()) steps.middleRows(kept++ * size_, size_) = log_weights;
  };
  for (Index step = 0; step < iterations_; ++step) {
    normalise_rows(log_weights);
    keep();
    strictly_lower_ ? accumulate_columns(log_weights) : normalise_columns(log_weights);
    keep();
  }
}

void SinkhornBalance::backward(const ConstView& steps, View d_log_weights) const {
  for (Index step = 2 * iterations_; step > 0; step -= 2) {
    const ConstView columns = steps.row_slice((step - 1) * size_, size_);
    strictly_lower_ ? accumulated_backward(columns, d_log_weights)
                    : columns_backward(columns, d_log_weights);
    rows_backward(steps.row_slice((step - 2) * size_, size_), d_log_weights);
  }
}

void SinkhornBalance::normalise_rows(View r) const {
  for (Index i = 0; i < size_; ++i) {
    float* const row = &r(i, 0);
    const Vec log_sum(log2_sum(row, width_));
    along(width_, [&](Index c) { simd::store(row + c, subtract(simd::load(row + c), log_sum)); });
  }
}

void SinkhornBalance::normalise_columns(View r) const {
  along(width_, [&](Index c) {
    Vec most(kHidden), sum(0.0F);
    for (Index i = 0; i < size_; ++i) most = simd::maximum(most, simd::load(&r(i, c)));
    for (Index i = 0; i < size_; ++i) sum = sum + simd::exp2(simd::load(&r(i, c)) - most);
    const Vec log_sum = most + simd::log2(sum);
    for (Index i = 0; i < size_; ++i) {
      simd::store(&r(i, c), subtract(simd::load(&r(i, c)), log_sum));
    }
  });
}

/// A column's sum at each row is that of the rows so far.
void SinkhornBalance::accumulate_columns(View r) const {
  along(width_, [&](Index c) {
    Vec log_sum(kHidden);
    for (Index i = 0; i < size_; ++i) {
      const Vec x = simd::load(&r(i, c));
      const Vec ratio = simd::exp2(Vec(0.0F) - simd::absolute(x - log_sum));
      log_sum = simd::maximum(x, log_sum) + simd::log2(Vec(1.0F) + ratio);
      simd::store(&r(i, c), subtract(x, log_sum));
    }
  });
}

void SinkhornBalance::rows_backward(const ConstView& out, View d) const {
  for (Index i = 0; i < size_; ++i) {
    Vec sums(0.0F);
    along(width_, [&](Index c) { sums = sums + simd::load(&d(i, c)); });
    const Vec sum(simd::sum(sums));
    along(width_, [&](Index c) {
      simd::store(&d(i, c),
                  simd::load(&d(i, c)) - simd::exp2(simd::load(row_at(out, i) + c)) * sum);
    });
  }
}

void SinkhornBalance::columns_backward(const ConstView& out, View d) const {
  along(width_, [&](Index c) {
    Vec sum(0.0F);
    for (Index i = 0; i < size_; ++i) sum = sum + simd::load(&d(i, c));
    for (Index i = 0; i < size_; ++i) {
      simd::store(&d(i, c),
                  simd::load(&d(i, c)) - simd::exp2(simd::load(row_at(out, i) + c)) * sum);
    }
  });
}

void SinkhornBalance::accumulated_backward(const ConstView& out, View d) const {
  along(width_, [&](Index c) {
    Vec rest(0.0F);  // (1 - exp r_out_{i+1}) g_{i+1}
    for (Index i = size_; i-- > 0;) {
      const Vec weight = simd::exp2(simd::load(row_at(out, i) + c));
      const Vec g = simd::load(&d(i, c)) + rest;
      simd::store(&d(i, c), simd::load(&d(i, c)) - weight * g);
      rest = g - weight * g;
    }
  });
}

void SinkhornBalance::weights(const ConstView& log_weights, Index columns, View weights) const {
  for (Index i = 0; i < size_; ++i) {
    float* const row = &weights(i, 0);
    weights.row(i) = log_weights.row(i);
    weights.row(i).tail(width_ - columns).setConstant(kHidden);
    const Vec log_sum(log2_sum(row, width_));
    along(width_, [&](Index c) {
      simd::store(row + c, simd::exp2(subtract(simd::load(row + c), log_sum)));
    });
  }
}

void SinkhornBalance::add_weights_gradient(const ConstView& weights, const ConstView& d_weights,
                                           View d_log_weights) const {
  for (Index i = 0; i < size_; ++i) {
    const float mean = weights.row(i).dot(d_weights.row(i));
    d_log_weights.row(i).array() += weights.row(i).array() * (d_weights.row(i).array() - mean);
  }
}

}  // namespace arena
