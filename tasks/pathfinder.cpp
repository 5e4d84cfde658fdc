// pathfinder: do two discs lie on one dashed contour or on two? An image with two long contours
// among shorter ones, read as pixels row by row; a token is a pixel's value, 0 to 255.
//
// This is Long Range Arena's Pathfinder (Tay et al. 2020), generated as a function of (data seed,
// split, index) with its settings: 200,000 images at 32 x 32 with contours of 14 paddles, unless
// told otherwise. `data=official` reads the released files instead. What differs: splits follow
// from the images' contents, and black pixels are tokens like any other.

#include "tasks/pathfinder/export.hpp"
#include "tasks/pathfinder/task.hpp"

namespace arena {
namespace {

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> all = {
      choice_option("size", "32", {"32", "64", "128", "256"}, "pixels along a side"),
      choice_option("difficulty", "hard", {"easy", "inter", "hard"},
                    "contours of 6, 9 or 14 paddles")};
  const std::vector<OptionSpec> data = pathfinder_data_options();
  all.insert(all.end(), data.begin(), data.end());
  return all;
}

PathfinderDifficulty difficulty_of(const std::string& name) {
  return name == "easy"    ? PathfinderDifficulty::kEasy
         : name == "inter" ? PathfinderDifficulty::kIntermediate
                           : PathfinderDifficulty::kHard;
}

const Register<TaskInfo> kPathfinder{{
    .name = "pathfinder",
    .summary = "do two discs lie on one dashed contour, among others, or on two?",
    .answer = Answer::kSequenceLabel,
    .source = "Tay et al., Long Range Arena, 2020; Linsley et al., Learning long-range spatial "
              "dependencies with horizontal gated recurrent units, 2018",
    .options = options(),
    .make =
        [](const TaskSetup& setup, const Options& chosen) {
          return make_pathfinder({.task = "pathfinder",
                                  .side = std::stol(chosen.text("size")),
                                  .difficulty = difficulty_of(chosen.text("difficulty"))},
                                 setup, chosen);
        },
    .label_option = "data",
    .write =
        [](const Task& task, const Options& chosen, const std::string& folder,
           const WriteProgress& progress) {
          export_pathfinder(task, std::stol(chosen.text("size")),
                            difficulty_of(chosen.text("difficulty")), folder, progress);
        },
}};

}  // namespace
}  // namespace arena
