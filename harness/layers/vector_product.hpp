#pragma once
// The products of product.hpp on the vector units.

#include "harness/layers/product.hpp"

namespace arena {

/// As multiply() of one result.
void multiply_on_vectors(std::span<const Term> terms, const Start& start, View to);

}  // namespace arena
