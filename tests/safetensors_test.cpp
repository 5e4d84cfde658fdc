#include "harness/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "harness/core/check.hpp"

namespace arena {
namespace {

class Safetensors : public ::testing::Test {
 protected:
  Safetensors() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("arena_safetensors_") + info->name());
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "file.safetensors").string();
  }
  ~Safetensors() override { std::filesystem::remove_all(folder_); }

  void write_bytes(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  /// Header length, header, data.
  void write_parts(const std::string& header, const std::string& data) const {
    std::uint64_t length = header.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    write_bytes(bytes + header + data);
  }
  /// Reading fails with one line that names the file and has `expected` in it.
  void expect_refused(const std::string& expected) const {
    try {
      read_safetensors(path_);
      FAIL() << "accepted; expected an error with: " << expected;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(path_), std::string::npos) << message;
      EXPECT_NE(message.find(expected), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }

  std::filesystem::path folder_;
  std::string path_;
};

TensorFile example() {
  return {.tensors = {{"a", float_tensor({2, 3}, {1, 2, 3, 4, 5, -6.5F})},
                      {"scalar", integer_tensor({}, {-7})},
                      {"none", float_tensor({0, 4}, {})}},
          .metadata = {{"note", "caf\u00e9 \"quoted\""}}};
}

TEST_F(Safetensors, ReadsBackWhatItWrote) {
  write_safetensors(path_, example());
  EXPECT_EQ(read_safetensors(path_), example());
}

TEST_F(Safetensors, SameContentSameBytesAndNoTemporaryFileLeft) {
  const auto bytes = [&] {
    std::ifstream stream(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  write_safetensors(path_, example());
  const std::string first = bytes();
  write_safetensors(path_, example());
  EXPECT_EQ(bytes(), first);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
  std::uint64_t length = 0;
  std::memcpy(&length, first.data(), sizeof(length));
  EXPECT_EQ(length % 8, 0U);
  EXPECT_EQ(first[8], '{');
}

TEST_F(Safetensors, ReadsAHeaderOfAnotherWriter) {
  write_parts(R"({ "x" : {"shape":[1],"data_offsets":[8,12],"dtype":"F32"},
                   "n" : {"dtype":"I64","shape":[],"data_offsets":[0,8]} }  )",
              std::string("\x05\0\0\0\0\0\0\0\0\0\x80\x3f", 12));
  const TensorFile file = read_safetensors(path_);
  EXPECT_EQ(file.tensors.at("x").floats, std::vector<float>{1.0F});
  EXPECT_EQ(file.tensors.at("n").integers, std::vector<std::int64_t>{5});
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  write_safetensors(path_, example());
  std::ifstream stream(path_, std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(stream), {});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_bytes(whole.substr(0, size));
    expect_refused(size + 1 == whole.size() ? "do not lie in the" : "");
  }
  write_bytes(whole + "x");
  expect_refused("its tensors end at");
}

TEST_F(Safetensors, NamesThePlaceOfEachFault) {
  expect_refused("no such file");
  write_bytes(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10));
  expect_refused("header length");
  write_parts("{\"a\":", "");
  expect_refused("not a JSON object");
  write_parts(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", "12345678");
  expect_refused("dtype 'F64', expected F32 or I64");
  write_parts(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "12345678");
  expect_refused("tensor 'a': shape [3]");
  write_parts(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "12345678");
  expect_refused("shape holds -2");
  write_parts(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", "12345678");
  expect_refused("do not lie in the 8 bytes");
  write_parts(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678");
  expect_refused("begins at data byte 4, expected 0");
  write_parts(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
              R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
              "1234");
  expect_refused("'a' stands twice");
  write_parts(R"({"__metadata__":{"k":1}})", "");
  expect_refused("'k' is not a text");
}

TEST_F(Safetensors, RefusesShapesWhoseProductOverflows) {
  write_parts(R"({"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,16]}})",
              "1234567812345678");
  expect_refused("shape [4611686018427387905, 4]");
  write_parts(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],)"
              R"("data_offsets":[0,0]}})",
              "");
  expect_refused("does not match 0 bytes");
}

TEST_F(Safetensors, RefusesDeepListsAndNamesThatAreLines) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  write_parts(R"({"a":{"dtype":"F32","shape":[)" + deep + R"(],"data_offsets":[0,0]}})", "");
  expect_refused("shape holds array");
  write_parts(R"({"a\nb":{"dtype":"F64","shape":[],"data_offsets":[0,0]}})", "");
  expect_refused("tensor 'a\\x0ab'");
}

TEST_F(Safetensors, RefusesToWriteNonsense) {
  EXPECT_THROW(write_safetensors(path_, {{{"a", float_tensor({2}, {1})}}, {}}), Error);
  EXPECT_THROW(write_safetensors((folder_ / "missing" / "f").string(), example()), Error);
}

}  // namespace
}  // namespace arena
