#pragma once
// Between the tensors of a file and the matrices, weights and calls of a variant.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/safetensors.hpp"
#include "variants/attention.hpp"

namespace arena {

/// The tensors of one file, checked as they are taken. Every message names the file.
class InputTensors {
 public:
  InputTensors(const TensorFile& file, std::string source)
      : file_(file), source_(std::move(source)) {}

  bool has(const std::string& name) const { return file_.tensors.contains(name); }
  /// A name that may be there: check_all_taken() lets it pass and suggests it.
  void expect(const std::string& name) { known_.insert(name); }
  /// Throws Error where it is missing or not F32 of this shape; -1 stands for any positive size,
  /// and `what` says the shape in words.
  const Tensor& floats(const std::string& name, const std::vector<Index>& shape,
                       const std::string& what);
  /// The same for I64.
  const Tensor& integers(const std::string& name, const std::vector<Index>& shape,
                         const std::string& what);
  /// Tensors "plan_NAME", by NAME.
  Plan plan();
  /// Throws Error naming a tensor that nobody took and the nearest name that would have been.
  void check_all_taken() const;

 private:
  const Tensor& take(const std::string& name, const std::string& dtype,
                     const std::vector<Index>& shape, const std::string& what);

  const TensorFile& file_;
  std::string source_;
  std::set<std::string> known_;  // asked for, present or not
};

/// Parameters or buffers in one flat buffer, with names.
class NamedValues {
 public:
  /// Adds the specs of one component; returns their slices.
  std::vector<Slice> add(std::span<const ParameterSpec> specs) {
    return layout_.add(specs, "", "");
  }
  /// Makes all values from the key, then replaces those that the file has.
  void fill(RandomKey key, InputTensors& in);
  /// Puts `values` (of this layout) into the file, one tensor [rows, cols] each, by prefix + name.
  void write(const std::string& prefix, std::span<const float> values, TensorFile& out) const;

  std::span<const float> values() const { return values_; }

 private:
  ParameterLayout layout_;
  std::vector<float> values_;
};

/// What a Call points to: edges, grid, globals and plan of the file, which must outlive the call.
class CallTensors {
 public:
  CallTensors(InputTensors& in, const Extents& extents);
  Call call(const Team& team, RandomKey key) const;
  /// Writes the plan that a forward call used. Throws Error naming one that was given and not used.
  void write_plan(const Plan& used, TensorFile& out) const;

 private:
  std::optional<Edges> edges_;
  std::array<Index, 2> grid_{};
  std::vector<std::int64_t> globals_;
  Plan plan_;
};

}  // namespace arena
