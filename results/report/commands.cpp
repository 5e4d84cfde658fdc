// How to repeat a cell.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "results/report/parts.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

/// A word for a shell, in quotes where it needs them.
std::string shell_word(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_./=:,+").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// "linformer[rank=64]" with every option that has a value.
std::string in_full(const std::string& name, const OptionValues& options) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : options) {
    const std::string text = option_text(value);
    if (!text.empty()) parts.push_back(key + "=" + text);
  }
  return parts.empty() ? name : fmt::format("{}[{}]", name, fmt::join(parts, ","));
}

std::string training_command(const Record& record) {
  std::string command =
      fmt::format("./arena train --task {} --variant {} --seeds {}",
                  shell_word(in_full(record.task, record.task_options)),
                  shell_word(in_full(record.variant, record.options)), record.seed);
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
      variants.push_back(in_full(other.variant, other.options));
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
    command += " --task " + shell_word(in_full(record.task, record.task_options));
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
