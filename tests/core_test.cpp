#include <gtest/gtest.h>

#include "harness/core/options.hpp"

namespace arena {
namespace {

TEST(Options, ParsesNamesWithOptions) {
  const NamedOptions parsed = parse_named("linformer[rank=64,sharing=layer]");
  EXPECT_EQ(parsed.name, "linformer");
  EXPECT_EQ(parsed.options.at("rank"), "64");
}

}  // namespace
}  // namespace arena
