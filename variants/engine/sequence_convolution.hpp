#pragma once
// Convolution along the sequence by one kernel for all columns (depthwise, shared weights), zeros
// beyond both ends:
//
//   y_i = sum over c < size of kernel_c x_{i + c - reach},  reach = (size - 1) / 2
//
// As products with a banded block of the kernel's Toeplitz matrix.

#include "variants/attention.hpp"

namespace arena {

/// y [len, width] += kernel * x, in parallel over rows.
void add_convolution(const Team& team, const ConstView& x, const ConstView& kernel, View y);

/// d_x += the gradient of that.
void add_convolution_input_gradient(const Team& team, const ConstView& d_y, const ConstView& kernel,
                                    View d_x);

/// d_kernel [1, size] += the gradient of that; where not empty, row_dots [len, 1] = <d_y_i, what
/// add_convolution adds to y_i>.
void add_convolution_kernel_gradient(const Team& team, const ConstView& x, const ConstView& d_y,
                                     const ConstView& kernel, View d_kernel, View row_dots);

/// Bytes of scratch on the calling worker, and on all, that one of these takes at most.
struct ConvolutionScratch {
  Index caller = 0;
  Index total = 0;
};
ConvolutionScratch convolution_scratch(Index len, Index size, Index workers);

/// Multiply-adds that the definition asks for, times two: one of the three functions.
double convolution_flops(Index len, Index size, Index width);

}  // namespace arena
