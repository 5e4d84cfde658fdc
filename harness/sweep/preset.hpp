#pragma once
// What to compare, before it is a plan: tables whose lists expand to products.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/options.hpp"

namespace arena {

/// The variant text that stands for every variant there is.
inline constexpr const char* kAllVariants = "all";

/// Every variant on every task with every seed and every combination of settings.
struct TrainTable {
  std::string place{};                           // "quick.toml:12", for messages
  std::vector<std::string> variants{}, tasks{};  // "linformer[rank=64]", without kAllVariants
  std::vector<std::uint64_t> seeds{0};
  std::map<std::string, std::vector<std::string>> settings{};  // "model.layers" -> texts
};

/// Every combination of shape values is one timing group of all variants.
struct BenchTable {
  std::string place{};
  std::vector<std::string> variants{};
  std::vector<Index> lengths{1024};
  std::vector<std::string> passes{"forward"}, scopes{"kernel"};
  std::vector<Index> threads{1}, heads{8}, head_dims{64}, batches{1};
  std::vector<bool> causal{false};
  Index repetitions = 9;
};

struct Preset {
  std::string name{};
  std::string summary{};
  std::vector<TrainTable> train{};
  std::vector<BenchTable> bench{};
};

/// Reads TOML (design.md section 8). Throws Error with file, line, key and the nearest valid name.
Preset read_preset(const std::string& text, const std::string& name, const std::string& source);

/// A built-in preset by name, or a file where the text ends in ".toml" or holds a '/'. Throws Error
/// naming the nearest preset.
Preset find_preset(const std::string& name_or_path);

/// What the command line picks from a preset; empty lists pick everything.
struct Selection {
  std::vector<std::string> variants{}, tasks{};
  std::vector<Index> lengths{};
  std::vector<std::uint64_t> seeds{};
};

/// A name without brackets picks the entries of that name as the preset writes them; any other
/// text, and a name that a table does not have, is taken as it stands (a task only where no table
/// has it, then in every training table). Lengths and seeds replace the preset's. Throws Error when
/// nothing is left.
Preset select(Preset preset, const Selection& selection);

/// `texts` with every variant at its defaults in the place of kAllVariants, but those that another
/// text names: "all", "local[window=64]" is every variant once.
std::vector<std::string> every_variant_meant(const std::vector<std::string>& texts);

/// Throws Error, prefixed by `place`, unless `text` is kAllVariants or NAME or NAME[key=value,...]
/// of a registered variant with options it has.
void check_variant_text(const std::string& place, const std::string& text);
void check_task_text(const std::string& place, const std::string& text);
/// The same for one setting: "model.layers" or "train.steps" and its text.
void check_setting(const std::string& place, const std::string& key, const std::string& text);

}  // namespace arena
