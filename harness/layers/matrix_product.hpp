#pragma once
// The products of product.hpp on the matrix unit.

#include "harness/layers/matrix_unit.hpp"
#include "harness/layers/product.hpp"

namespace arena::matrix_unit {

/// Whether the unit is there and faster for this shape. One answer holds for all blocks that a
/// result is cut into, so that its bits do not depend on the cut.
bool takes(std::span<const Term> terms, const View& to);
bool takes(const Factor& a, std::span<const Product> products);

/// As the functions of product.hpp, of one result and of one left factor; only where kInBuild.
void multiply(std::span<const Term> terms, const Start& start, View to);
void multiply(const Factor& a, std::span<const Product> products);

}  // namespace arena::matrix_unit
