// CIFAR-10 archives: members, records, labels.

#include "tasks/format/cifar10.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    const Cifar10Data images = read_cifar10(file.path());
    for (const auto* part : {&images.train, &images.test}) {
      for (const Cifar10Image& image : *part) require(image.label >= 0 && image.label < 10);
    }
  });
  return 0;
}
