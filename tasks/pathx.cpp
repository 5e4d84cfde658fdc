// pathx: Long Range Arena's Path-X (Tay et al. 2020), which is pathfinder at 128 x 128 pixels,
// hard: 16,384 tokens. No model of the paper did better than a guess.

#include "tasks/pathfinder/export.hpp"
#include "tasks/pathfinder/task.hpp"

namespace arena {
namespace {

const Register<TaskInfo> kPathX{{
    .name = "pathx",
    .summary = "pathfinder at 128 x 128 pixels: 16,384 tokens",
    .answer = Answer::kSequenceLabel,
    .source = "Tay et al., Long Range Arena, 2020; Linsley et al., Learning long-range spatial "
              "dependencies with horizontal gated recurrent units, 2018",
    .options = pathfinder_data_options(),
    .make =
        [](const TaskSetup& setup, const Options& chosen) {
          return make_pathfinder(
              {.task = "pathx", .side = 128, .difficulty = PathfinderDifficulty::kHard}, setup,
              chosen);
        },
    .label_option = "data",
    .write =
        [](const Task& task, const Options&, const std::string& folder,
           const WriteProgress& progress) {
          export_pathfinder(task, 128, PathfinderDifficulty::kHard, folder, progress);
        },
}};

}  // namespace
}  // namespace arena
