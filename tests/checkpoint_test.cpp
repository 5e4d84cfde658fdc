#include "harness/train/checkpoint.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "harness/core/check.hpp"
#include "harness/safetensors.hpp"

namespace arena {
namespace {

class Checkpoint : public ::testing::Test {
 protected:
  Checkpoint() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = (std::filesystem::path(::testing::TempDir()) /
             (std::string("arena_checkpoint_") + info->name()))
                .string();
    const std::vector<ParameterSpec> specs{{.name = "a", .rows = 3, .cols = 5},
                                           {.name = "b", .rows = 2, .cols = 2}};
    layout_.add(specs, "layers.0.", "shared.");
    values_.resize(static_cast<std::size_t>(layout_.size()));
    layout_.initialise(RandomKey(1), values_);
    for (const ParameterLayout::Entry& entry : layout_.entries()) {
      const Slice& s = entry.slice;
      fill_normal(RandomKey(2).fold(entry.name), 1,
                  View(values_.data() + s.offset, s.rows, s.cols));
    }
    state_.step = 7;
    state_.best_accuracy = 1.0 / 3;
    state_.interval_loss = -0.0;
    state_.loss_curve = {{.step = 1, .loss = 0.1, .accuracy = 0.2}};
    state_.validation_curve = {{.step = 5, .loss = 1e-300, .accuracy = 1}, {.step = 6}};
  }
  ~Checkpoint() override { std::filesystem::remove(path_); }

  std::vector<CheckpointBuffer> buffers(std::vector<float>& values) const {
    return {{"weights", layout_, values}};
  }
  void save() { save_checkpoint(path_, identity_, state_, buffers(values_)); }
  /// Loading fails with one line naming the file and `expected`, and changes nothing.
  void expect_refused(const Identity& identity, const std::string& expected) {
    TrainState state;
    std::vector<float> values(values_.size());
    try {
      load_checkpoint(path_, identity, state, buffers(values));
      FAIL() << "accepted; expected an error with: " << expected;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(path_), std::string::npos) << message;
      EXPECT_NE(message.find(expected), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
    EXPECT_EQ(state, TrainState());
  }

  std::string path_;
  ParameterLayout layout_;
  std::vector<float> values_;
  TrainState state_;
  Identity identity_{{"variant", "dense"}, {"train.steps", "500"}};
};

TEST_F(Checkpoint, ComesBackBitForBit) {
  save();
  TrainState state;
  std::vector<float> values(values_.size());
  EXPECT_TRUE(load_checkpoint(path_, identity_, state, buffers(values)));
  EXPECT_EQ(state, state_);
  EXPECT_EQ(values, values_);
}

TEST_F(Checkpoint, IsNotThereAtFirst) {
  TrainState state;
  EXPECT_FALSE(load_checkpoint(path_, identity_, state, buffers(values_)));
}

TEST_F(Checkpoint, OfAnotherConfigurationIsRefused) {
  save();
  expect_refused({{"variant", "local"}, {"train.steps", "500"}},
                 "its variant is 'dense', expected 'local'");
  expect_refused({{"variant", "dense"}, {"train.steps", "500"}, {"seed", "1"}}, "it has no 'seed'");
  expect_refused({{"variant", "dense"}}, "it has 'train.steps'");
}

TEST_F(Checkpoint, OfAnotherLayoutIsRefused) {
  save();
  TensorFile file = read_safetensors(path_);
  file.tensors["weights/layers.0.a"].shape = {5, 3};
  write_safetensors(path_, file);
  expect_refused(identity_, "'weights/layers.0.a' has shape [5, 3], expected [3, 5]");
  file.tensors.erase("weights/layers.0.a");
  write_safetensors(path_, file);
  expect_refused(identity_, "4 tensors, expected 5");
  file.tensors["weights/layers.0.c"] = float_tensor({1}, {0});
  write_safetensors(path_, file);
  expect_refused(identity_, "no tensor 'weights/layers.0.a'");
}

TEST_F(Checkpoint, AnyOtherFileIsRefused) {
  write_safetensors(path_, {{{"x", float_tensor({1}, {0})}}, {}});
  expect_refused(identity_, "not a checkpoint");
  save();
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  expect_refused(identity_, "");
}

TEST_F(Checkpoint, HoldsNoTimes) {
  save();
  const TensorFile first = read_safetensors(path_);
  for (CurvePoint& point : state_.loss_curve) point.wall_s = 12;
  save();
  EXPECT_EQ(read_safetensors(path_), first);
}

}  // namespace
}  // namespace arena
