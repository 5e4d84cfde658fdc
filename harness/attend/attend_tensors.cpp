#include "harness/attend/attend_tensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace arena {
namespace {

const std::string kPlanPrefix = "plan_";

bool fits(const std::vector<Index>& shape, const std::vector<Index>& expected) {
  return std::ranges::equal(shape, expected, [](Index size, Index wanted) {
    return wanted < 0 ? size > 0 : size == wanted;
  });
}

}  // namespace

const Tensor& InputTensors::take(const std::string& name, const std::string& dtype,
                                 const std::vector<Index>& shape, const std::string& what) {
  known_.insert(name);
  const auto found = file_.tensors.find(name);
  check(found != file_.tensors.end(), "{}: no tensor '{}' {}", source_, name, what);
  const Tensor& tensor = found->second;
  check(tensor.dtype == dtype, "{}: tensor '{}' is {}, expected {}", source_, name, tensor.dtype,
        dtype);
  check(fits(tensor.shape, shape), "{}: tensor '{}' has shape [{}], expected {}", source_, name,
        fmt::join(tensor.shape, ", "), what);
  return tensor;
}

const Tensor& InputTensors::floats(const std::string& name, const std::vector<Index>& shape,
                                   const std::string& what) {
  return take(name, "F32", shape, what);
}

const Tensor& InputTensors::integers(const std::string& name, const std::vector<Index>& shape,
                                     const std::string& what) {
  return take(name, "I64", shape, what);
}

Plan InputTensors::plan() {
  Plan plan;
  for (const auto& [name, tensor] : file_.tensors) {
    if (!name.starts_with(kPlanPrefix)) continue;
    plan[name.substr(kPlanPrefix.size())] = integers(name, tensor.shape, "").integers;
  }
  return plan;
}

void InputTensors::check_all_taken() const {
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& [name, tensor] : file_.tensors) {
    if (known_.contains(name)) continue;
    throw Error(fmt::format("{}: {}", source_, unknown_name("tensor", name, known)));
  }
}

void NamedValues::fill(RandomKey key, InputTensors& in) {
  values_.resize(static_cast<std::size_t>(layout_.size()));
  layout_.initialise(key, values_);
  for (const ParameterLayout::Entry& entry : layout_.entries()) {
    const std::vector<Index> shape = {entry.slice.rows, entry.slice.cols};
    const std::string what = fmt::format("[{}]", fmt::join(shape, ", "));
    if (!in.has(entry.name)) {
      in.expect(entry.name);
      continue;
    }
    std::ranges::copy(in.floats(entry.name, shape, what).floats,
                      values_.begin() + entry.slice.offset);
  }
}

void NamedValues::write(const std::string& prefix, std::span<const float> values,
                        TensorFile& out) const {
  for (const ParameterLayout::Entry& entry : layout_.entries()) {
    const auto begin = values.begin() + entry.slice.offset;
    const Index count = entry.slice.rows * entry.slice.cols;
    out.tensors[prefix + entry.name] =
        float_tensor({entry.slice.rows, entry.slice.cols}, {begin, begin + count});
  }
}

CallTensors::CallTensors(InputTensors& in, const Extents& extents) : plan_(in.plan()) {
  for (const char* name : {"edges", "grid", "globals"}) in.expect(name);
  if (in.has("edges")) {
    const auto& pairs = in.integers("edges", {-1, 2}, "[count, 2]: query, key").integers;
    std::vector<std::pair<Index, Index>> list;
    for (std::size_t i = 0; i < pairs.size(); i += 2) list.emplace_back(pairs[i], pairs[i + 1]);
    edges_ = make_edges(extents.query_len, extents.key_len, list);
  }
  if (in.has("grid")) {
    const auto& sizes = in.integers("grid", {2}, "[2]: rows, columns").integers;
    check(sizes[0] > 0 && sizes[1] > 0 && sizes[0] * sizes[1] == extents.key_len,
          "tensor 'grid' says {} x {}, but there are {} keys", sizes[0], sizes[1], extents.key_len);
    grid_ = {sizes[0], sizes[1]};
  }
  if (in.has("globals")) {
    globals_ = in.integers("globals", {-1}, "[count]: positions").integers;
    for (const std::int64_t position : globals_) {
      check(position >= 0 && position < extents.key_len,
            "tensor 'globals' has position {}, which is not in 0..{}", position,
            extents.key_len - 1);
    }
  }
}

Call CallTensors::call(const Team& team, RandomKey key) const {
  Call call{.team = team, .key = key};
  call.edges = edges_ ? &*edges_ : nullptr;
  call.grid = grid_;
  call.globals = globals_;
  call.plan = plan_.empty() ? nullptr : &plan_;
  return call;
}

void CallTensors::write_plan(const Plan& used, TensorFile& out) const {
  std::vector<std::string> known;
  for (const auto& [name, values] : used) {
    known.push_back(kPlanPrefix + name);
    out.tensors[known.back()] = integer_tensor({static_cast<Index>(values.size())}, values);
  }
  for (const auto& [name, values] : plan_) {
    check(used.contains(name), "{}", unknown_name("tensor", kPlanPrefix + name, known));
  }
}

}  // namespace arena
