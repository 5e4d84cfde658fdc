// Memory as a stack, frames, and the team that hands it down.

#include "harness/core/workspace.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "expect_error.hpp"
#include "harness/conformance/allocation_counter.hpp"
#include "harness/core/team.hpp"

namespace arena {
namespace {

TEST(Workspace, EverythingIsAlignedAndApart) {
  Workspace workspace;
  std::vector<std::span<float>> pieces;
  for (const Index count : {1, 15, 16, 17, 1000, 100000}) {
    pieces.push_back(workspace.take<float>(count));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pieces.back().data()) % kAlignment, 0U);
    EXPECT_EQ(static_cast<Index>(pieces.back().size()), count);
    std::ranges::fill(pieces.back(), static_cast<float>(count));
  }
  for (const auto& piece : pieces) {
    for (const float value : piece) ASSERT_EQ(value, static_cast<float>(piece.size()));
  }
  EXPECT_EQ(stored_bytes<float>(1), 64);
  EXPECT_EQ(stored_bytes<double>(8), 64);
  EXPECT_EQ(stored_bytes<double>(9), 128);
  EXPECT_EQ(stored_bytes<float>(0), 0);
}

TEST(Workspace, MarksCountBytesInUse) {
  Workspace workspace;
  workspace.take<float>(16);
  {
    const WorkspaceScope scope(workspace);
    workspace.matrix(10, 32);
    EXPECT_EQ(workspace.in_use(), 64 + 1280);
  }
  EXPECT_EQ(workspace.in_use(), 64);
  EXPECT_EQ(workspace.high_water(), 64 + 1280);
  workspace.reset_high_water();
  EXPECT_EQ(workspace.high_water(), 64);
}

TEST(Workspace, ReleasedMemoryIsTakenAgain) {
  Workspace workspace;
  workspace.take<float>(1);
  const Workspace::Mark mark = workspace.mark();
  const float* const first = workspace.take<float>(100).data();
  workspace.release(mark);
  EXPECT_EQ(workspace.take<float>(7).data(), first);
}

TEST(Workspace, GrowingMovesNothingAndReleasingJoinsTheBlocks) {
  Workspace workspace;
  const Workspace::Mark bottom = workspace.mark();
  const std::span<float> early = workspace.take<float>(1000);
  std::ranges::fill(early, 3.0F);
  for (int i = 0; i < 6; ++i) workspace.take<float>(50000);  // does not fit the first block
  for (const float value : early) ASSERT_EQ(value, 3.0F);
  const Index peak = workspace.in_use();
  workspace.release(bottom);
  EXPECT_EQ(workspace.in_use(), 0);
  EXPECT_EQ(workspace.high_water(), peak);
  const std::int64_t before = allocation_count;
  const std::span<std::byte> all = workspace.take<std::byte>(peak);
  EXPECT_EQ(allocation_count, before) << "the joined block has room for all";
  std::ranges::fill(all, std::byte{1});
}

TEST(Workspace, TheSecondRoundAllocatesNothing) {
  Workspace workspace;
  const auto round = [&] {
    const WorkspaceScope whole(workspace);
    workspace.take<float>(20000);
    for (int i = 0; i < 3; ++i) {
      const WorkspaceScope part(workspace);
      workspace.take<float>(30000 * (i + 1));
      workspace.take<std::int64_t>(77);
    }
    workspace.take<float>(100000);
  };
  round();
  const std::int64_t before = allocation_count;
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(allocation_count, before);
}

TEST(Workspace, TheSecondRoundAllocatesNothingBelowSomethingKept) {
  Workspace workspace;
  workspace.take<float>(10);  // never released: blocks are reused without being joined
  const auto round = [&] {
    const WorkspaceScope scope(workspace);
    for (int i = 0; i < 4; ++i) workspace.take<float>(40000);
  };
  round();
  const std::int64_t before = allocation_count;
  round();
  EXPECT_EQ(allocation_count, before);
}

TEST(Frame, IsReadInTheOrderOfWriting) {
  Workspace workspace;
  const Index child_bytes = stored_bytes<float>(5);
  const Index bytes = stored_bytes<float>(6) + stored_bytes<std::int64_t>(3) + child_bytes;
  Frame frame = Frame::carve(workspace, bytes);
  frame.matrix(2, 3).setConstant(4);
  std::ranges::fill(frame.take<std::int64_t>(3), 5);
  Frame child = frame.child(child_bytes);
  std::ranges::fill(child.take<float>(5), 6.0F);
  EXPECT_EQ(frame.used(), bytes);
  for (int reading = 0; reading < 2; ++reading) {  // a frame may be read again
    FrameReader reader(frame);
    EXPECT_TRUE((reader.matrix(2, 3).array() == 4).all());
    for (const std::int64_t value : reader.take<std::int64_t>(3)) EXPECT_EQ(value, 5);
    FrameReader inner(reader.child(child_bytes));
    for (const float value : inner.take<float>(5)) EXPECT_EQ(value, 6);
  }
}

class Teams : public testing::TestWithParam<Index> {};

TEST_P(Teams, DoEveryItemOnce) {
  Workers workers(GetParam());
  for (const Index count : {0, 1, 2, 3, 4, 100}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
    workers.team().for_each(count, [&](Index i, const Team& worker) {
      ++done[static_cast<std::size_t>(i)];
      EXPECT_EQ(worker.size(), count < GetParam() ? GetParam() : 1);
    });
    for (const auto& times : done) EXPECT_EQ(times, 1);
  }
}

TEST_P(Teams, WorkersHaveWorkspacesOfTheirOwn) {
  Workers workers(GetParam());
  std::atomic<int> clashes{0};
  workers.team().for_each(200, [&](Index i, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    const std::span<Index> mine = worker.workspace().take<Index>(500);
    std::ranges::fill(mine, i);
    for (const Index value : mine) clashes += value == i ? 0 : 1;
  });
  EXPECT_EQ(clashes, 0);
  EXPECT_GE(workers.high_water(), stored_bytes<Index>(500));
  EXPECT_LE(workers.high_water(), GetParam() * stored_bytes<Index>(500));
  workers.reset_high_water();
  EXPECT_EQ(workers.high_water(), 0);
}

TEST_P(Teams, WorkAtTheSameTime) {
  Workers workers(GetParam());
  std::atomic<Index> started{0};
  std::vector<Workspace*> used(static_cast<std::size_t>(GetParam()));
  workers.team().for_each(GetParam(), [&](Index i, const Team& worker) {
    used[static_cast<std::size_t>(i)] = &worker.workspace();
    ++started;
    // Each item waits for all others; one after another they would wait for the far deadline.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (started < GetParam() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(started, GetParam());
  });
  EXPECT_EQ(std::set<Workspace*>(used.begin(), used.end()).size(), used.size());
}

TEST_P(Teams, MayBeNested) {
  Workers workers(GetParam());
  std::vector<std::atomic<int>> done(10 * 20);
  for (const Index outer : {1, 10}) {
    workers.team().for_each(outer, [&](Index i, const Team& worker) {
      worker.for_each(20, [&](Index j, const Team& inner) {
        EXPECT_EQ(inner.size(), 1);
        ++done[static_cast<std::size_t>(20 * i + j)];
      });
    });
  }
  for (std::size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i], i < 20 ? 2 : 1);
}

TEST_P(Teams, ThrowABodysException) {
  Workers workers(GetParam());
  const auto body = [](Index i, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    worker.workspace().take<float>(10);
    if (i == 37) fail("item {} is bad", i);
  };
  EXPECT_ERROR(workers.team().for_each(100, body), "item 37 is bad");
  EXPECT_ERROR(workers.team().for_each(38, body), "item 37 is bad");
  EXPECT_EQ(workers.team().workspace().in_use(), 0) << "scopes released what they took";
  workers.team().for_each(30, body);  // the team is as good as new
}

INSTANTIATE_TEST_SUITE_P(Sizes, Teams, testing::Values(1, 2, 3));

TEST(Workers, NeedAThread) {
  EXPECT_ERROR(Workers(0), "0 threads");
  EXPECT_ERROR(Workers(-2), "-2 threads");
  EXPECT_GE(available_threads(), 1);
}

}  // namespace
}  // namespace arena
