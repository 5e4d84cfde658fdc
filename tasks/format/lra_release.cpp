// The archive of Long Range Arena, which several tasks read.

#include <fmt/format.h>

#include "tasks/dataset.hpp"

namespace arena {
namespace {

std::vector<std::string> reading_tasks() {
  std::vector<std::string> tasks = {"retrieval", "pathx[data=official]"};
  for (const int size : {32, 64, 128, 256}) {
    for (const char* difficulty : {"easy", "inter", "hard"}) {
      tasks.push_back(
          fmt::format("pathfinder[size={},difficulty={},data=official]", size, difficulty));
    }
  }
  for (const char* part : {"train", "val", "test"}) {
    tasks.push_back(
        fmt::format("listops[min_len=500,test_file={{data}}/lra_release/lra_release/"
                    "listops-1000/basic_{}.tsv]",
                    part));
  }
  return tasks;
}

const Register<Dataset> kLraRelease{
    {.name = "lra",
     .summary = "Long Range Arena's release: pairs of papers, Pathfinder images, ListOps",
     .licence = "none stated for the data; asks to cite Tay et al. 2020",
     .files = {{.place = "lra_release.gz",
                .url = "https://storage.googleapis.com/long-range-arena/lra_release.gz"}},
     .tasks = reading_tasks()}};

}  // namespace
}  // namespace arena
