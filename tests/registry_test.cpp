// The folders variants/ and tasks/ are the lists: every file registers its stem, nothing twice.

#include "harness/core/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

std::vector<std::string> stems(const std::string& folder) {
  std::vector<std::string> result;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(ARENA_SOURCE_DIR) / folder)) {
    if (entry.path().extension() == ".cpp") result.push_back(entry.path().stem());
  }
  std::ranges::sort(result);
  return result;
}

TEST(Registry, HasOneVariantPerFile) {
  EXPECT_EQ(Registry<Variant>::names(), stems("variants"));
}

TEST(Registry, HasOneTaskPerFile) {
  EXPECT_EQ(Registry<TaskInfo>::names(), stems("tasks"));
}

TEST(Registry, FindsByName) {
  EXPECT_EQ(Registry<Variant>::find("dense").name, "dense");
}

TEST(Registry, SuggestsTheNearestName) {
  try {
    Registry<Variant>::find("dens");
    FAIL() << "an unknown name was found";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'dense'"), std::string::npos)
        << error.what();
  }
}

TEST(RegistryDeathTest, StopsAtADuplicateNamingIt) {
  Variant twin;
  twin.name = "dense";
  EXPECT_EXIT(Register<Variant>(std::move(twin)), testing::ExitedWithCode(2),
              "two variants are named 'dense'");
}

}  // namespace
}  // namespace arena
