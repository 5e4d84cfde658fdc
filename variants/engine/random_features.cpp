#include "variants/engine/random_features.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "harness/layers/micro_kernel.hpp"
#include "harness/layers/product.hpp"

namespace arena {
namespace {

using simd::kWidth;
using simd::Vec;

constexpr float kLog2E = std::numbers::log2e_v<float>;

/// The largest measure(y_r).
template <class Measure>
float largest(const float* y, Index count, const Measure& measure) {
  alignas(64) float lanes[kWidth];
  Vec most(-std::numeric_limits<float>::infinity());
  Index r = 0;
  for (; r + kWidth <= count; r += kWidth) most = simd::maximum(most, measure(simd::load(y + r)));
  simd::store(lanes, most);
  float result = *std::max_element(lanes, lanes + kWidth);
  for (; r < count; ++r) {
    simd::store(lanes, measure(Vec(y[r])));
    result = std::max(result, lanes[0]);
  }
  return result;
}

float squared_norm(const float* x, Index count) {
  Vec sum(0.0F);
  simd::for_vectors(count, [&](Index d, Index lanes) {
    const Vec part = simd::load_part(x + d, lanes);
    sum = part * part + sum;
  });
  return simd::sum(sum);
}

}  // namespace

RandomFeatures::RandomFeatures(RandomKernel kernel, ConstView projection, Workspace& workspace)
    : kernel_(kernel),
      projection_(projection),
      num_features_(work(kernel, projection.rows(), projection.cols()).num_features),
      shrink_(1 / std::sqrt(std::sqrt(static_cast<float>(projection.cols())))),
      transposed_(workspace.matrix(projection.cols(), projection.rows())) {
  copy_transposed(projection.data(), projection.outerStride(), projection.rows(), projection.cols(),
                  exponential(kernel) ? kLog2E * shrink_ : shrink_, transposed_.data(),
                  transposed_.outerStride());
}

FeatureWork RandomFeatures::work(RandomKernel kernel, Index rows, Index width) {
  const auto product = static_cast<double>(2 * rows * width);
  return {.num_features = kernel == RandomKernel::kPlainRelu    ? width
                          : kernel == RandomKernel::kHyperbolic ? 2 * rows
                                                                : rows,
          .scaled = exponential(kernel),
          .evaluate = product,
          .differentiate = product};
}

void RandomFeatures::evaluate(const ConstView& x, View features, float* exponents) const {
  if (kernel_ == RandomKernel::kPlainRelu) return rectify(x, features);
  const View y = features.column_slice(0, projection_.rows());
  multiply(x, transposed_, y, Output::kOverwrite);
  exponential(kernel_) ? exponentiate(x, features, exponents) : rectify(y, features);
}

void RandomFeatures::differentiate(const ConstView& x, const ConstView& features, View d_features,
                                   View d_x) const {
  switch (kernel_) {
    case RandomKernel::kPlainRelu:
      return differentiate_rectified(features, d_features, 1, d_x);
    case RandomKernel::kRelu:
      differentiate_rectified(features, d_features, shrink_, d_features);
      return multiply(d_features, projection_, d_x, Output::kOverwrite);
    case RandomKernel::kSoftmax:
    case RandomKernel::kHyperbolic:
      return differentiate_exponentials(x, features, d_features, d_x);
  }
}

/// In place: y times log2(e) stands in the first columns of features.
void RandomFeatures::exponentiate(const ConstView& x, View features, float* exponents) const {
  const bool both = kernel_ == RandomKernel::kHyperbolic;
  const Index count = projection_.rows();
  const Vec epsilon(kFeatureEpsilon);
  for (Index i = 0; i < x.rows(); ++i) {
    float* const y = features.data() + i * features.outerStride();
    const float top =
        both ? largest(y, count, simd::absolute) : largest(y, count, [](Vec v) { return v; });
    const float norm = shrink_ * shrink_ * squared_norm(x.data() + i * x.outerStride(), x.cols());
    exponents[i] = top - kLog2E / 2 * norm;
    simd::for_vectors(count, [&](Index r, Index lanes) {
      const Vec v = simd::load_part(y + r, lanes);
      simd::store_part(y + r, simd::exp2(v - Vec(top)) + epsilon, lanes);
      if (both) simd::store_part(y + count + r, simd::exp2(Vec(-top) - v) + epsilon, lanes);
    });
  }
}

void RandomFeatures::differentiate_exponentials(const ConstView& x, const ConstView& features,
                                                View d_features, View d_x) const {
  const Index count = projection_.rows();
  const Vec epsilon(kFeatureEpsilon), top(1 + kFeatureEpsilon);
  for (Index i = 0; i < x.rows(); ++i) {
    const float* const phi = features.data() + i * features.outerStride();
    float* const d_phi = d_features.data() + i * d_features.outerStride();
    Vec sums(0.0F), products(0.0F);
    simd::for_vectors(num_features_, [&](Index r, Index lanes) {
      const Vec d = simd::load_part(d_phi + r, lanes);
      sums = sums + d;
      products = d * simd::load_part(phi + r, lanes) + products;
    });
    const Vec of_largest(kFeatureEpsilon * simd::sum(sums));
    const auto derivative = [&](Index r, Index lanes) {
      const Vec value = simd::load_part(phi + r, lanes);
      const Vec d = simd::load_part(d_phi + r, lanes) * (value - epsilon);
      return simd::select(value < top, d, d + of_largest);
    };
    simd::for_vectors(count, [&](Index r, Index lanes) {
      Vec d_y = derivative(r, lanes);
      if (kernel_ == RandomKernel::kHyperbolic) d_y = d_y - derivative(count + r, lanes);
      simd::store_part(d_phi + r, Vec(shrink_) * d_y, lanes);
    });
    d_x.row(i) = -shrink_ * shrink_ * simd::sum(products) * x.row(i);
  }
  multiply(d_features.column_slice(0, count), projection_, d_x, Output::kAdd);
}

void RandomFeatures::rectify(const ConstView& y, View features) const {
  for (Index i = 0; i < y.rows(); ++i) {
    const float* const from = y.data() + i * y.outerStride();
    float* const to = features.data() + i * features.outerStride();
    simd::for_vectors(num_features_, [&](Index r, Index lanes) {
      const Vec given = simd::load_part(from + r, lanes);
      const Vec positive = simd::select(given < Vec(0.0F), Vec(0.0F), given);  // NaN stays
      simd::store_part(to + r, positive + Vec(kReluFloor), lanes);
    });
  }
}

/// d_y may be d_features.
void RandomFeatures::differentiate_rectified(const ConstView& features, const ConstView& d_features,
                                             float factor, View d_y) const {
  for (Index i = 0; i < d_y.rows(); ++i) {
    const float* const phi = features.data() + i * features.outerStride();
    const float* const d_phi = d_features.data() + i * d_features.outerStride();
    float* const to = d_y.data() + i * d_y.outerStride();
    simd::for_vectors(num_features_, [&](Index r, Index lanes) {
      const auto positive = simd::load_part(phi + r, lanes) > Vec(kReluFloor);
      const Vec slope = simd::select(positive, Vec(factor), Vec(0.0F));
      simd::store_part(to + r, slope * simd::load_part(d_phi + r, lanes), lanes);
    });
  }
}

MatrixD feature_products(const FeatureMap& map, const ConstView& query, const ConstView& key) {
  Matrix phi_q(query.rows(), map.num_features()), phi_k(key.rows(), map.num_features());
  Eigen::VectorXf of_query = Eigen::VectorXf::Zero(query.rows());
  Eigen::VectorXf of_key = Eigen::VectorXf::Zero(key.rows());
  map.evaluate(query, phi_q, of_query.data());
  map.evaluate(key, phi_k, of_key.data());
  const auto power = [](float exponent) { return std::exp2(static_cast<double>(exponent)); };
  const Eigen::VectorXd q = of_query.unaryExpr(power), k = of_key.unaryExpr(power);
  return q.asDiagonal() * phi_q.cast<double>() * phi_k.cast<double>().transpose() * k.asDiagonal() /
         static_cast<double>(map.num_features());
}

}  // namespace arena
