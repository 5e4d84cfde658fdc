// Files of tensors: whatever is read has as many values as its shape says.

#include "harness/safetensors.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    for (const auto& [name, tensor] : read_safetensors(file.path()).tensors) {
      const std::size_t held = tensor.floats.size() + tensor.integers.size();
      require(tensor.count() == static_cast<Index>(held));
    }
  });
  return 0;
}
