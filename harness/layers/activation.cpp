#include "harness/layers/activation.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace arena {
namespace {

/// e^x for x <= 0, relative error 2e-7; 0 below -87. No branch: loops over it become vector code.
inline float exp_of_negative(float x) {
  constexpr float kLog2E = 1.44269504088896341F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  // ln 2 in two parts, so that x - n ln 2 is exact enough.
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  const float clamped = x < -87.0F ? -87.0F : x;
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = clamped - n * kLn2High - n * kLn2Low;
  // Taylor series of e^r for |r| <= ln(2) / 2: the seventh term is below 1e-7.
  const float p =
      1 + r * (1 + r * (1 / 2.0F +
                        r * (1 / 6.0F + r * (1 / 24.0F + r * (1 / 120.0F + r * (1 / 720.0F))))));
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23;
  const float power = std::bit_cast<float>(exponent);
  return x < -87.0F ? 0.0F : p * power;
}

struct Normal {
  float tail;     // Phi(-|x|)
  float density;  // phi(x)
};

/// Abramowitz and Stegun 7.1.26 for erfc(z), z = |x| / sqrt(2): absolute error 1.5e-7.
inline Normal normal_of(float x) {
  const float z = std::abs(x) * 0.707106781186547524F;
  const float t = 1 / (1 + 0.3275911F * z);
  const float polynomial =
      t * (0.254829592F +
           t * (-0.284496736F + t * (1.421413741F + t * (-1.453152027F + t * 1.061405429F))));
  const float bell = exp_of_negative(-z * z);
  return {0.5F * polynomial * bell, 0.398942280401432678F * bell};
}

}  // namespace

void gelu(ConstView x, View y) {
  for (Index i = 0; i < x.rows(); ++i) {
    const float* const from = x.row(i).data();
    float* const to = y.row(i).data();
    for (Index j = 0; j < x.cols(); ++j) {
      const float value = from[j];
      const float positive = value > 0 ? value : 0.0F;
      to[j] = positive - std::abs(value) * normal_of(value).tail;
    }
  }
}

// gelu'(x) = Phi(x) + x phi(x).
void gelu_backward(ConstView x, ConstView d_y, View y, View d_x) {
  for (Index i = 0; i < x.rows(); ++i) {
    const float* const from = x.row(i).data();
    const float* const d_from = d_y.row(i).data();
    float* const to = y.row(i).data();
    float* const d_to = d_x.row(i).data();
    for (Index j = 0; j < x.cols(); ++j) {
      const float value = from[j];
      const Normal normal = normal_of(value);
      const float positive = value > 0 ? value : 0.0F;
      const float below = value > 0 ? 1 - normal.tail : normal.tail;
      to[j] = positive - std::abs(value) * normal.tail;
      d_to[j] = d_from[j] * (below + value * normal.density);
    }
  }
}

void relu(View x) {
  for (Index i = 0; i < x.rows(); ++i) x.row(i) = x.row(i).cwiseMax(0.0F);
}

void relu_backward(ConstView y, View d_y) {
  for (Index i = 0; i < y.rows(); ++i) {
    d_y.row(i).array() = (y.row(i).array() > 0).select(d_y.row(i).array(), 0.0F);
  }
}

}  // namespace arena
