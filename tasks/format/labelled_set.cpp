#include "tasks/format/labelled_set.hpp"

#include <fmt/format.h>

#include <map>

namespace arena {

std::vector<bool> held_out(std::span<const std::uint64_t> hashes,
                           std::span<const std::int32_t> labels) {
  std::map<std::int32_t, std::vector<std::uint64_t>> of_class;
  for (std::size_t i = 0; i < hashes.size(); ++i) of_class[labels[i]].push_back(hashes[i]);
  std::vector<std::uint64_t> held;
  for (auto& [label, all] : of_class) {
    std::ranges::sort(all);
    const auto tenth = static_cast<std::ptrdiff_t>((all.size() + 9) / 10);
    held.insert(held.end(), all.begin(), all.begin() + tenth);
  }
  std::ranges::sort(held);
  std::vector<bool> result;
  for (const std::uint64_t hash : hashes) result.push_back(std::ranges::binary_search(held, hash));
  return result;
}

bool is_subset(const std::string& task, const std::string& place, std::span<const PartCount> parts,
               bool accepted) {
  bool subset = false;
  for (const auto& [part, found, official] : parts) {
    if (found == 0) {
      throw Error(fmt::format("{}: '{}' has no {}", task, place, part), Failure::kNoData);
    }
    check(found <= official, "{}: '{}' has {} {}, more than the {} of the data set", task, place,
          found, part, official);
    if (found == official) continue;
    subset = true;
    if (accepted) continue;
    throw Error(fmt::format("{}: '{}' has {} {}, the whole data set {}; task.partial=true accepts "
                            "a subset",
                            task, place, found, part, official),
                Failure::kNoData);
  }
  return subset;
}

OptionSpec partial_option() {
  return switch_option("partial", false, "accept a subset of the data set; rows say PARTIAL");
}

}  // namespace arena
