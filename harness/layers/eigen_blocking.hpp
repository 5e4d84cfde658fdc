#pragma once
// Eigen cuts its products by the sizes of this machine's caches, so sums would run in another order
// on another machine.

#include <Eigen/Core>

namespace arena {

/// Sets the sizes to constants, for the whole process; call it before the first product.
inline void fix_eigen_blocking() {
  constexpr std::ptrdiff_t kFirst = std::ptrdiff_t{32} << 10;
  constexpr std::ptrdiff_t kSecond = std::ptrdiff_t{1} << 20;
  constexpr std::ptrdiff_t kThird = std::ptrdiff_t{8} << 20;
  Eigen::setCpuCacheSizes(kFirst, kSecond, kThird);
}

}  // namespace arena
