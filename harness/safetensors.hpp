#pragma once
// Tensors on disk in the safetensors format: an 8-byte little-endian header length, a JSON header
// {"NAME": {"dtype", "shape", "data_offsets"}, "__metadata__": {...}}, then the bytes of all
// tensors without gaps. Only what this project exchanges: F32 and I64.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

/// One tensor in row-major order; the values stand in the vector that belongs to dtype.
struct Tensor {
  std::string dtype = "F32";  // "F32" or "I64"
  std::vector<Index> shape;   // empty: one number
  std::vector<float> floats{};
  std::vector<std::int64_t> integers{};

  /// Product of the shape.
  Index count() const;
  bool operator==(const Tensor&) const = default;
};

struct TensorFile {
  std::map<std::string, Tensor> tensors{};
  std::map<std::string, std::string> metadata{};

  bool operator==(const TensorFile&) const = default;
};

Tensor float_tensor(std::vector<Index> shape, std::vector<float> values);
Tensor integer_tensor(std::vector<Index> shape, std::vector<std::int64_t> values);

/// Throws Error naming the file, the place and what was expected, whatever the file holds.
TensorFile read_safetensors(const std::string& path);

/// Writes a temporary file beside `path`, syncs it and renames it over `path`: a reader sees the
/// old file or the new one, never a part. Same content, same bytes. Throws Error where the system
/// refuses, or where a tensor's shape and number of values disagree.
void write_safetensors(const std::string& path, const TensorFile& file);

}  // namespace arena
