// How to repeat a cell.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/core/shell.hpp"
#include "results/report/parts.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

std::string training_command(const Record& record) {
  std::string command =
      fmt::format("./arena train --task {} --variant {} --seeds {}",
                  shell_word(named_text(record.task, record.task_options)),
                  shell_word(named_text(record.variant, record.options)), record.seed);
  for (const auto& [key, value] : record.settings) {
    command += " --set " + shell_word(fmt::format("{}={}", key, option_text(value)));
  }
  return command;
}

/// "torch" of "peer/torch-sdpa"; "" of a variant.
std::string peer_library(const Record& record) {
  constexpr std::string_view kPeer = "peer/";
  if (!record.variant.starts_with(kPeer)) return "";
  const std::size_t end = std::min(record.variant.find('-'), record.variant.size());
  return record.variant.substr(kPeer.size(), end - kPeer.size());
}

/// Variants are timed round-robin in a group, so all of them are part of the command.
std::string timing_command(const RecordSet& set, const Record& record) {
  std::vector<std::string> variants, peers;
  for (const Record& other : set.records) {
    if (other.kind != "bench" || other.group != record.group || other.length != record.length) {
      continue;
    }
    const std::string peer = peer_library(other);
    if (peer.empty()) {
      variants.push_back(named_text(other.variant, other.options));
    } else if (std::ranges::count(peers, peer) == 0) {
      peers.push_back(peer);
    }
  }
  std::string command = fmt::format("./arena bench --variants {} --scope {} --pass {}",
                                    shell_word(fmt::format("{}", fmt::join(variants, ","))),
                                    shell_word(record.scope), shell_word(record.pass));
  if (record.task.empty()) {
    command += fmt::format(" --lengths {}", record.length);
  } else {
    command += " --task " + shell_word(named_text(record.task, record.task_options));
  }
  command += fmt::format(" --heads {} --head-dim {} --batch {} --threads {}", record.heads,
                         record.head_dim, record.batch, record.threads);
  if (record.causal) command += " --causal";
  if (!record.time_ns.empty()) command += fmt::format(" --repetitions {}", record.time_ns.size());
  if (!peers.empty()) command += fmt::format(" --against {}", fmt::join(peers, ","));
  return command;
}

std::string title_of(const RecordSet& set, const Record& record) {
  const std::string variant = set.labels.variant(record);
  return record.kind == "train"
             ? fmt::format("{} on {}, seed {}", variant, set.labels.task(record), record.seed)
             : fmt::format("{} at {}: {}", variant, record.length, set.labels.shape(record));
}

}  // namespace

std::string command_of(const RecordSet& set, const Record& record) {
  return record.kind == "train" ? training_command(record) : timing_command(set, record);
}

std::string cells_data(const RecordSet& set, const std::vector<std::string>& dirs) {
  Json cells = Json::array();
  const std::string dir = dirs.size() == 1 ? dirs.front() : "DIR";
  for (const Record& record : set.records) {
    const std::string path = fmt::format("{}/cells/{}.json", dir, record.id);
    cells.push_back({{"key", record.id},
                     {"title", title_of(set, record)},
                     {"status", record.status + (set.is_stale(record) ? ", stale" : "") +
                                    (record.error.empty() ? "" : ": " + record.error)},
                     {"command", command_of(set, record)},
                     {"rerun", "./arena rerun " + shell_word(path)},
                     {"record", Json::parse(to_json(record))}});
  }
  std::string text = cells.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
    text.replace(at, 1, "\\u003c");  // no </script> ends the data before its end
  }
  return text;
}

}  // namespace arena
