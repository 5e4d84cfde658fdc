#include "harness/train/checkpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <filesystem>

#include "harness/core/check.hpp"
#include "harness/safetensors.hpp"

namespace arena {
namespace {

constexpr const char* kFormatKey = "format";
constexpr const char* kFormat = "arena-checkpoint-1";
constexpr const char* kState = "state";
constexpr const char* kLossCurve = "loss_curve";
constexpr const char* kValidationCurve = "validation_curve";
constexpr std::size_t kPointNumbers = 3;  // step, loss, accuracy

// Doubles are kept bit for bit as 64-bit integers.
std::int64_t bits_of(double value) {
  return std::bit_cast<std::int64_t>(value);
}
double number_of(std::int64_t bits) {
  return std::bit_cast<double>(bits);
}

/// Calls visit(number) for each scalar of the state, always in the same order.
template <class State, class Visit>
void for_each_number(State& state, Visit&& visit) {
  visit(state.step), visit(state.best_step), visit(state.best_accuracy);
  visit(state.sequences), visit(state.tokens), visit(state.shortest), visit(state.longest);
  visit(state.longest_source);
  visit(state.interval_loss), visit(state.interval_scored), visit(state.interval_correct);
}

Tensor state_tensor(const TrainState& state) {
  std::vector<std::int64_t> numbers;
  for_each_number(state, [&](const auto& number) {
    if constexpr (std::is_same_v<std::decay_t<decltype(number)>, double>) {
      numbers.push_back(bits_of(number));
    } else {
      numbers.push_back(number);
    }
  });
  const auto count = static_cast<Index>(numbers.size());
  return integer_tensor({count}, std::move(numbers));
}

void read_state(const std::string& path, const Tensor& tensor, TrainState& state) {
  std::size_t expected = 0;
  for_each_number(state, [&](const auto&) { ++expected; });
  check(tensor.integers.size() == expected, "{}: tensor '{}' holds {} numbers, expected {}", path,
        kState, tensor.integers.size(), expected);
  std::size_t next = 0;
  for_each_number(state, [&](auto& number) {
    const std::int64_t saved = tensor.integers[next++];
    if constexpr (std::is_same_v<std::decay_t<decltype(number)>, double>) {
      number = number_of(saved);
    } else {
      number = saved;
    }
  });
}

Tensor curve_tensor(const std::vector<CurvePoint>& curve) {
  std::vector<std::int64_t> numbers;
  for (const CurvePoint& point : curve) {
    numbers.insert(numbers.end(), {point.step, bits_of(point.loss), bits_of(point.accuracy)});
  }
  return integer_tensor({static_cast<Index>(curve.size()), Index{kPointNumbers}},
                        std::move(numbers));
}

std::vector<CurvePoint> read_curve(const std::string& path, const char* name,
                                   const Tensor& tensor) {
  check(tensor.integers.size() % kPointNumbers == 0,
        "{}: tensor '{}' holds {} numbers, expected a multiple of {}", path, name,
        tensor.integers.size(), kPointNumbers);
  std::vector<CurvePoint> curve;
  for (std::size_t i = 0; i < tensor.integers.size(); i += kPointNumbers) {
    curve.push_back({.step = tensor.integers[i],
                     .loss = number_of(tensor.integers[i + 1]),
                     .accuracy = number_of(tensor.integers[i + 2])});
  }
  return curve;
}

const Tensor& find_tensor(const std::string& path, const TensorFile& file, const std::string& name,
                          const std::string& dtype) {
  const auto found = file.tensors.find(name);
  check(found != file.tensors.end(), "{}: no tensor '{}'", path, name);
  check(found->second.dtype == dtype, "{}: tensor '{}' is {}, expected {}", path, name,
        found->second.dtype, dtype);
  return found->second;
}

std::string tensor_name(const CheckpointBuffer& buffer, const ParameterLayout::Entry& entry) {
  return buffer.prefix + "/" + entry.name;
}

void check_identity(const std::string& path, const TensorFile& file, const Identity& identity) {
  const auto format = file.metadata.find(kFormatKey);
  check(format != file.metadata.end() && format->second == kFormat,
        "{}: not a checkpoint of this program (no {} '{}' in its metadata)", path, kFormatKey,
        kFormat);
  for (const auto& [key, value] : identity) {
    const auto saved = file.metadata.find(key);
    check(saved != file.metadata.end(), "{}: checkpoint of another configuration: it has no '{}'",
          path, key);
    check(saved->second == value,
          "{}: checkpoint of another configuration: its {} is '{}', expected '{}'", path, key,
          saved->second, value);
  }
  for (const auto& [key, value] : file.metadata) {
    check(key == kFormatKey || identity.contains(key),
          "{}: checkpoint of another configuration: it has '{}'", path, key);
  }
}

void read_buffer(const std::string& path, const TensorFile& file, const CheckpointBuffer& buffer) {
  for (const ParameterLayout::Entry& entry : buffer.layout.entries()) {
    const std::string name = tensor_name(buffer, entry);
    const Tensor& tensor = find_tensor(path, file, name, "F32");
    const std::vector<Index> shape{entry.slice.rows, entry.slice.cols};
    check(tensor.shape == shape, "{}: tensor '{}' has shape [{}], expected [{}]", path, name,
          fmt::join(tensor.shape, ", "), fmt::join(shape, ", "));
    std::ranges::copy(tensor.floats, buffer.values.begin() + entry.slice.offset);
  }
}

}  // namespace

void save_checkpoint(const std::string& path, const Identity& identity, const TrainState& state,
                     std::span<const CheckpointBuffer> buffers) {
  TensorFile file{.metadata = identity};
  file.metadata[kFormatKey] = kFormat;
  file.tensors[kState] = state_tensor(state);
  file.tensors[kLossCurve] = curve_tensor(state.loss_curve);
  file.tensors[kValidationCurve] = curve_tensor(state.validation_curve);
  for (const CheckpointBuffer& buffer : buffers) {
    for (const ParameterLayout::Entry& entry : buffer.layout.entries()) {
      const auto begin = buffer.values.begin() + entry.slice.offset;
      file.tensors[tensor_name(buffer, entry)] =
          float_tensor({entry.slice.rows, entry.slice.cols},
                       {begin, begin + entry.slice.rows * entry.slice.cols});
    }
  }
  write_safetensors(path, file);
}

bool load_checkpoint(const std::string& path, const Identity& identity, TrainState& state,
                     std::span<const CheckpointBuffer> buffers) {
  if (!std::filesystem::exists(path)) return false;
  const TensorFile file = read_safetensors(path);
  check_identity(path, file, identity);
  std::size_t expected = 3;
  for (const CheckpointBuffer& buffer : buffers) expected += buffer.layout.entries().size();
  check(file.tensors.size() == expected, "{}: {} tensors, expected {}", path, file.tensors.size(),
        expected);
  TrainState loaded;
  read_state(path, find_tensor(path, file, kState, "I64"), loaded);
  loaded.loss_curve = read_curve(path, kLossCurve, find_tensor(path, file, kLossCurve, "I64"));
  loaded.validation_curve =
      read_curve(path, kValidationCurve, find_tensor(path, file, kValidationCurve, "I64"));
  for (const CheckpointBuffer& buffer : buffers) read_buffer(path, file, buffer);
  state = std::move(loaded);
  return true;
}

}  // namespace arena
