#include "harness/core/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/core/check.hpp"

namespace arena {
namespace {

/// In double, and in the order of the elements: Eigen's order depends on where a row lies.
double dot(const View& rows, Index a, Index b) {
  double sum = 0;
  for (Index c = 0; c < rows.cols(); ++c) {
    sum += static_cast<double>(rows(a, c)) * static_cast<double>(rows(b, c));
  }
  return sum;
}

/// Rows of standard normals made orthogonal in blocks of `cols`, by Gram and Schmidt. A row keeps
/// its norm, on which no direction depends, and the sign of what is left of it: so by itself it
/// stays standard normal. (Factors Q of other methods do not: they fix signs by some convention.)
void orthogonalise_blocks(View rows) {
  for (Index first = 0; first < rows.rows(); first += rows.cols()) {
    for (Index r = first; r < std::min(first + rows.cols(), rows.rows()); ++r) {
      const double norm = std::sqrt(dot(rows, r, r));
      for (int pass = 0; pass < 2; ++pass) {  // where little is left, one pass leaves rounding
        for (Index s = first; s < r; ++s) {
          const auto part = static_cast<float>(dot(rows, r, s) / dot(rows, s, s));
          rows.row(r) -= part * rows.row(s);
        }
      }
      rows.row(r) *= static_cast<float>(norm / std::sqrt(dot(rows, r, r)));
    }
  }
}

}  // namespace

std::vector<Slice> ParameterLayout::add(std::span<const ParameterSpec> specs,
                                        const std::string& prefix,
                                        const std::string& model_prefix) {
  std::vector<Slice> slices;
  std::map<std::string, Slice> local;
  for (const ParameterSpec& spec : specs) {
    if (!spec.tie.empty()) {
      check(local.contains(spec.tie), "parameter '{}' is tied to unknown '{}'", spec.name,
            spec.tie);
      const Slice& tied = local[spec.tie];
      check(spec.rows == 0 || (spec.rows == tied.rows && spec.cols == tied.cols),
            "parameter '{}' [{}, {}] is tied to '{}' [{}, {}]", spec.name, spec.rows, spec.cols,
            spec.tie, tied.rows, tied.cols);
      slices.push_back(tied);
      local[spec.name] = tied;
      continue;
    }
    check(spec.rows > 0 && spec.cols > 0, "parameter '{}' has shape [{}, {}]", spec.name, spec.rows,
          spec.cols);
    const std::string name = (spec.sharing == Sharing::kModel ? model_prefix : prefix) + spec.name;
    const auto [position, fresh] = by_name_.emplace(name, entries_.size());
    if (fresh) {
      entries_.push_back({.name = name,
                          .slice = {size_, spec.rows, spec.cols},
                          .init = spec.init,
                          .trainable = spec.trainable,
                          .transposed = spec.transposed});
      // Every slice starts on a vector boundary; the few padding floats stay zero.
      size_ += (spec.rows * spec.cols + 15) / 16 * 16;
    }
    const Slice& slice = entries_[position->second].slice;
    check(slice.rows == spec.rows && slice.cols == spec.cols,
          "parameter '{}' is declared as [{}, {}] and as [{}, {}]", name, slice.rows, slice.cols,
          spec.rows, spec.cols);
    slices.push_back(slice);
    local[spec.name] = slice;
  }
  return slices;
}

Index ParameterLayout::parameter_count() const {
  Index count = 0;
  for (const Entry& entry : entries_) count += entry.slice.rows * entry.slice.cols;
  return count;
}

void ParameterLayout::initialise(RandomKey key, std::span<float> values) const {
  check(static_cast<Index>(values.size()) == size_, "{} floats for a layout of {}", values.size(),
        size_);
  std::fill(values.begin(), values.end(), 0.0F);
  for (const Entry& entry : entries_) {
    arena::initialise(entry.init, key.fold(entry.name),
                      View(values.data() + entry.slice.offset, entry.slice.rows, entry.slice.cols));
  }
}

void initialise(const Init& init, RandomKey key, View out) {
  switch (init.rule) {
    case Init::Rule::kZeros:
      out.setZero();
      return;
    case Init::Rule::kOnes:
      out.setOnes();
      return;
    case Init::Rule::kIdentity:
      out.setIdentity();
      return;
    case Init::Rule::kNormal:
      fill_normal(key, init.scale, out);
      return;
    case Init::Rule::kUniform:
      fill_uniform(key, init.scale, out);
      return;
    case Init::Rule::kOrthogonalNormal:
      fill_normal(key, 1, out);
      orthogonalise_blocks(out);
      return;
    case Init::Rule::kXavierUniform:
      fill_uniform(key, std::sqrt(6.0F / static_cast<float>(out.rows() + out.cols())), out);
      return;
  }
}

std::vector<ParameterSpec> specs_of_head(std::span<const ParameterSpec> specs, Index head) {
  std::vector<ParameterSpec> result;
  std::map<std::string, std::string> renamed;
  for (ParameterSpec spec : specs) {
    const std::string name =
        spec.sharing == Sharing::kHead ? fmt::format("heads.{}.{}", head, spec.name) : spec.name;
    renamed[spec.name] = name;
    if (!spec.tie.empty()) {
      check(renamed.contains(spec.tie), "parameter '{}' is tied to unknown '{}'", spec.name,
            spec.tie);
      spec.tie = renamed[spec.tie];
    }
    if (spec.sharing == Sharing::kHead) spec.sharing = Sharing::kLayer;
    spec.name = name;
    result.push_back(std::move(spec));
  }
  return result;
}

std::vector<ParameterSpec> with_prefix(std::span<const ParameterSpec> specs,
                                       const std::string& prefix) {
  std::vector<ParameterSpec> result(specs.begin(), specs.end());
  for (ParameterSpec& spec : result) {
    spec.name = prefix + spec.name;
    if (!spec.tie.empty()) spec.tie = prefix + spec.tie;
  }
  return result;
}

}  // namespace arena
