#include "tasks/pathfinder/export.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "tasks/format/png.hpp"
#include "tasks/format/sample_batches.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& content) {
  std::ofstream stream(path, std::ios::binary);
  stream << content;
  check(static_cast<bool>(stream.flush()), "cannot write '{}'", path.string());
}

/// The eleven columns. Of an image's margin only the choice is known; the first one is written.
std::string metadata_row(const PathfinderShape& shape, Index folder, std::size_t number,
                         std::int32_t label) {
  return fmt::format("imgs/{} sample_{}.png {} {} {} {} {} {} {} {} 1\n", folder, number, number,
                     label, shape.continuity, shape.target_paddles, shape.distractor_paddles,
                     shape.paddle_length, shape.thickness, shape.margins.front());
}

}  // namespace

void export_pathfinder(const Task& task, Index side, PathfinderDifficulty difficulty,
                       const std::string& folder, const WriteProgress& progress) {
  const PathfinderShape shape = pathfinder_shape(side, difficulty);
  const fs::path set =
      fs::path(folder) / fmt::format("pathfinder{}", side) / pathfinder_folder(difficulty);
  check(!fs::exists(set), "'{}' is there already", set.string());
  fs::create_directories(set / "metadata");
  write(set / kGeneratedMark, fmt::format("Made by Attention Arena, data hash {}: not the images "
                                          "of Long Range Arena's release.\n",
                                          task.dataset_hash()));
  Index batch = 0;
  for_each_batch(task, progress, [&](Split, Index, std::span<const Sample> samples) {
    const fs::path images = set / "imgs" / std::to_string(batch);
    fs::create_directories(images);
    std::string metadata;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::vector<std::uint8_t> pixels(samples[i].tokens.begin(), samples[i].tokens.end());
      write(images / fmt::format("sample_{}.png", i), write_gray_png(side, pixels));
      metadata += metadata_row(shape, batch, i, samples[i].labels.front());
    }
    write(set / "metadata" / fmt::format("{}.npy", batch), metadata);
    ++batch;
  });
}

}  // namespace arena
