#pragma once
// Pathfinder images as files in the layout of Long Range Arena's release.

#include "tasks/pathfinder/shape.hpp"
#include "tasks/task.hpp"

namespace arena {

/// Beside images that were made here: such a folder is never taken for the release.
constexpr const char* kGeneratedMark = "GENERATED";

/// Writes folder/pathfinderR/SET/{imgs/K/sample_I.png, metadata/K.npy, GENERATED}: all samples, a
/// thousand in each K, training first, then validation and test.
void export_pathfinder(const Task& task, Index side, PathfinderDifficulty difficulty,
                       const std::string& folder, const WriteProgress& progress);

}  // namespace arena
