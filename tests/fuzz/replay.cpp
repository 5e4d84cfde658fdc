// Stands in for libFuzzer where it is not: runs a target once on each file of the given folders.

#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "harness/core/check.hpp"
#include "results/store.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  int inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      const std::string content = arena::read_file(entry.path().string());
      std::printf("%s\n", entry.path().c_str());
      std::fflush(stdout);
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
      ++inputs;
    }
  }
  return inputs > 0 ? 0 : 1;
}
