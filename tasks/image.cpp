// image: which of ten things is on a picture of 32 x 32 gray pixels, read as 1024 tokens row by
// row? A token is the pixel's value, 0 to 255. This is Long Range Arena's Image (Tay et al. 2020):
// CIFAR-10 in gray. What differs: the validation part is a tenth of each class in the order of
// content hashes (theirs follows the order of a TensorFlow data set), black pixels are tokens like
// any other, and the whole test split is scored.

#include <fmt/format.h>

#include "tasks/dataset.hpp"
#include "tasks/format/cifar10.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

constexpr Index kTrainSize = 50000;
constexpr Index kTestSize = 10000;

const WantedData kWanted{.task = "image",
                         .patterns = {"cifar-10-batches-bin", "cifar10/cifar-10-batches-bin",
                                      "cifar-10-binary*.tar.gz", "cifar10/cifar-10-binary*.tar.gz"},
                         .how_to_get = "`arena data get cifar10` fetches cifar-10-binary.tar.gz"};

const Register<Dataset> kCifar10{
    {.name = "cifar10",
     .summary = "CIFAR-10, binary version: 60,000 pictures of 10 classes",
     .licence = "none stated; asks to cite Krizhevsky 2009",
     .files = {{.place = "cifar-10-binary.tar.gz",
                .url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                .bytes = 170052171,
                .sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}},
     .tasks = {"image"}}};

class Image final : public Task {
 public:
  Image(const TaskSetup& setup, const Options& options) {
    place_ = find_data(setup.data_dir, kWanted);
    Cifar10Data data = read_cifar10(place_);
    const PartCount parts[] = {
        {"training images", static_cast<Index>(data.train.size()), kTrainSize},
        {"test images", static_cast<Index>(data.test.size()), kTestSize}};
    partial_ = is_subset("image", place_, parts, options.on("partial"));
    content_hash_ = data.content_hash;
    images_ = with_validation(std::move(data.train), std::move(data.test));
  }

  Answer answer() const override { return Answer::kSequenceLabel; }
  Index vocab_size() const override { return 256; }
  Index num_classes() const override { return static_cast<Index>(kCifar10Classes.size()); }
  Index max_len() const override { return kCifar10Side * kCifar10Side; }
  Index size(Split split) const override { return images_.size(split); }
  Sample sample(Split split, Index index) const override {
    const Cifar10Image& image = images_.at(split, index);
    return {.tokens = {image.gray.begin(), image.gray.end()},
            .labels = {image.label},
            .grid = {kCifar10Side, kCifar10Side}};
  }
  std::string dataset_hash() const override { return fmt::format("{:016x}", content_hash_); }
  std::vector<Baseline> baselines() const override { return {images_.majority()}; }
  std::string describe(const Sample& sample) const override;
  bool partial() const override { return partial_; }
  std::vector<std::string> places() const override { return {place_}; }

 private:
  std::string place_{};
  LabelledSet<Cifar10Image> images_{};
  std::uint64_t content_hash_ = 0;
  bool partial_ = false;
};

/// Brighter pixels as fuller blocks; a character stands for two pixels, one above the other.
std::string Image::describe(const Sample& sample) const {
  constexpr std::array kShades = {" ", "░", "▒", "▓", "█"};
  std::string text;
  for (std::size_t y = 0; y < kCifar10Side; y += 2) {
    for (std::size_t x = 0; x < kCifar10Side; ++x) {
      const std::size_t at = y * kCifar10Side + x;
      const std::int32_t sum = sample.tokens[at] + sample.tokens[at + kCifar10Side];
      text += kShades[static_cast<std::size_t>(sum) * kShades.size() / 511];
    }
    text += '\n';
  }
  return text + kCifar10Classes[static_cast<std::size_t>(sample.labels.front())];
}

const Register<TaskInfo> kImage{{
    .name = "image",
    .summary = "what is on a gray picture of 32 x 32 pixels, read pixel by pixel?",
    .answer = Answer::kSequenceLabel,
    .source = "Tay et al., Long Range Arena, 2020; Krizhevsky, CIFAR-10, 2009",
    .options = {partial_option()},
    .make = [](const TaskSetup& setup,
               const Options& options) { return std::make_unique<Image>(setup, options); },
}};

}  // namespace
}  // namespace arena
