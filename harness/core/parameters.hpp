#pragma once
// Weights are one flat buffer of floats; a parameter is a named slice of it with a shape, an
// initialisation rule and a scope of sharing. Gradients, moments and checkpoints are other buffers
// of the same layout.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"
#include "harness/core/random.hpp"

namespace arena {

struct Init {
  enum class Rule {
    kZeros,
    kOnes,
    kNormal,
    kUniform,
    kXavierUniform,
    kIdentity,
    kOrthogonalNormal
  };
  Rule rule = Rule::kZeros;
  float scale = 1;  // standard deviation of kNormal, bound of kUniform

  static Init zeros() { return {Rule::kZeros}; }
  static Init ones() { return {Rule::kOnes}; }
  static Init normal(float deviation) { return {Rule::kNormal, deviation}; }
  static Init uniform(float bound) { return {Rule::kUniform, bound}; }
  /// Uniform within sqrt(6 / (rows + cols)).
  static Init xavier() { return {Rule::kXavierUniform}; }
  static Init identity() { return {Rule::kIdentity}; }
  /// Each row by itself is standard normal, but the rows of each block of `cols` are orthogonal.
  static Init orthogonal_normal() { return {Rule::kOrthogonalNormal}; }
};

/// Who shares one slice: each head its own, the heads of a layer, or all layers of the model.
enum class Sharing { kHead, kLayer, kModel };

struct ParameterSpec {
  std::string name;
  Index rows = 0;
  Index cols = 1;
  Init init{};
  Sharing sharing = Sharing::kLayer;
  /// Name of an earlier spec of the same list whose slice this one is ("" = a slice of its own);
  /// rows may then be 0, otherwise the shapes must agree.
  std::string tie{};
  bool trainable = true;
  bool transposed = false;  // Weights also has its transpose, made once for all sequences
};

/// Where a parameter lies in the flat buffer, in floats.
struct Slice {
  Index offset = 0;
  Index rows = 0;
  Index cols = 0;
};

/// The slices of one component (a head, a layer) inside one flat buffer, in the order of its specs.
template <class Float, class ViewType>
class SliceViews {
 public:
  SliceViews() = default;
  SliceViews(Float* data, std::span<const Slice> slices) : data_(data), slices_(slices) {}

  ViewType operator[](Index i) const {
    const Slice& slice = slices_[static_cast<std::size_t>(i)];
    return {data_ + slice.offset, slice.rows, slice.cols};
  }
  /// Slice i of a buffer that holds transposes.
  ViewType transpose_at(Index i) const {
    const Slice& slice = slices_[static_cast<std::size_t>(i)];
    return {data_ + slice.offset, slice.cols, slice.rows};
  }
  SliceViews part(Index first, Index count) const {
    if (!present()) return {};
    return {data_,
            slices_.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))};
  }
  Index size() const { return static_cast<Index>(slices_.size()); }
  bool present() const { return data_ != nullptr; }

 private:
  Float* data_ = nullptr;
  std::span<const Slice> slices_{};
};

using Slices = SliceViews<float, View>;  // gradients, statistics
using ConstSlices = SliceViews<const float, ConstView>;

/// What a component computes with: its parameters and its non-gradient buffers.
struct Weights {
  ConstSlices parameters;
  ConstSlices buffers;
  /// In the place of each parameter that asked for it, its transpose; absent: nobody prepared.
  ConstSlices transposed{};

  /// Parameters [first, first + count), and all buffers.
  Weights part(Index first, Index count) const {
    return {parameters.part(first, count), buffers, transposed.part(first, count)};
  }
};

/// Resolves the specs of all components of a model to slices of one flat buffer.
class ParameterLayout {
 public:
  struct Entry {
    std::string name;  // full name, unique
    Slice slice;
    Init init;
    bool trainable = true;
    bool transposed = false;
  };

  /// Slices for `specs` of the component at `prefix` ("layers.0.") whose model-wide part is
  /// `model_prefix` ("shared."). A name met before is the same slice; another shape is an Error.
  std::vector<Slice> add(std::span<const ParameterSpec> specs, const std::string& prefix,
                         const std::string& model_prefix);
  Index size() const { return size_; }  // floats, padding between slices included
  Index parameter_count() const;        // floats without padding
  const std::vector<Entry>& entries() const { return entries_; }

  /// Fills a flat buffer of size() floats; each parameter's numbers depend on key and its name
  /// only.
  void initialise(RandomKey key, std::span<float> values) const;

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> by_name_;
  Index size_ = 0;
};

/// Fills one parameter by its rule.
void initialise(const Init& init, RandomKey key, View out);

/// `specs` of a head turned into specs of its layer: Sharing::kHead becomes "heads.<head>.<name>".
std::vector<ParameterSpec> specs_of_head(std::span<const ParameterSpec> specs, Index head);
/// `specs` with `prefix` before each name and tie.
std::vector<ParameterSpec> with_prefix(std::span<const ParameterSpec> specs,
                                       const std::string& prefix);

}  // namespace arena
