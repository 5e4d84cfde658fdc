#include "harness/sweep/preset.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
// Debug builds: toml++ 3.3 asserts what bad input breaks ('[^'), before it reports it properly.
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>

#include "harness/bench/bench.hpp"
#include "harness/core/check.hpp"
#include "harness/sweep/environment.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

/// Reads one table; every message names the file, the line and the key.
class TableReader {
 public:
  TableReader(std::string source, const toml::table& table)
      : source_(std::move(source)), table_(table) {}

  std::string place(const toml::node& node) const {
    return fmt::format("{}:{}", source_, node.source().begin.line);
  }
  std::string place() const { return place(table_); }

  void check_keys(const std::vector<std::string>& known) const {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (std::ranges::count(known, name) == 0) {
        throw Error(place(node) + ": " + unknown_name("key", name, known));
      }
    }
  }

  void require(const std::string& key) const {
    check(table_.contains(key), "{}: key '{}' is missing", place(), key);
  }

  /// Calls use(place, text) for the value, or for each value of a list.
  template <class Use>
  void for_texts(const std::string& key, Use&& use) const {
    const toml::node* const node = table_.get(key);
    if (!node) return;
    const toml::array* const list = node->as_array();
    if (!list) return use(place(*node), text_of(key, *node));
    check(!list->empty(), "{}: {} is an empty list", place(*node), key);
    for (const toml::node& item : *list) use(place(item), text_of(key, item));
  }

  std::vector<std::string> texts(const std::string& key, std::vector<std::string> fallback) const {
    if (!table_.contains(key)) return fallback;
    std::vector<std::string> result;
    for_texts(key, [&](const std::string&, const std::string& text) { result.push_back(text); });
    return result;
  }

  /// Whole numbers in [low, high], or ranges as parse_lengths() reads them.
  std::vector<Index> numbers(const std::string& key, Index low, std::vector<Index> fallback) const {
    if (!table_.contains(key)) return fallback;
    std::vector<Index> result;
    for_texts(key, [&](const std::string& where, const std::string& text) {
      const bool digits = !text.empty() && text.size() < 16 &&
                          text.find_first_not_of("0123456789") == std::string::npos;
      check(digits && std::stoll(text) >= low, "{}: {}: '{}' is not a whole number of at least {}",
            where, key, text, low);
      result.push_back(std::stoll(text));
    });
    return result;
  }

  std::vector<Index> lengths(const std::string& key, std::vector<Index> fallback) const {
    if (!table_.contains(key)) return fallback;
    std::vector<Index> result;
    for_texts(key, [&](const std::string& where, const std::string& text) {
      check(!text.empty() && text.find_first_not_of("0123456789:x+,") == std::string::npos,
            "{}: {}: '{}' is not a length or range such as 256:4096:x2", where, key, text);
      const std::vector<Index> parsed = parse_lengths(text);
      result.insert(result.end(), parsed.begin(), parsed.end());
    });
    return result;
  }

  const toml::table* child(const std::string& key) const {
    const toml::node* const node = table_.get(key);
    if (!node) return nullptr;
    check(node->is_table(), "{}: {} is not a table; write {}.NAME = VALUE", place(*node), key, key);
    return node->as_table();
  }

  std::string text_of(const std::string& key, const toml::node& node) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* on = node.as_boolean()) return on->get() ? "true" : "false";
    fail("{}: {}: expected a text, a number, true or false, or a list of them", place(node), key);
  }

 private:
  std::string source_;
  const toml::table& table_;
};

std::vector<std::string> read_variants(const TableReader& reader) {
  reader.require("variants");
  std::vector<std::string> texts;
  reader.for_texts("variants", [&](const std::string& place, const std::string& text) {
    check_variant_text(place, text);
    texts.push_back(text);
  });
  return every_variant_meant(texts);
}

TrainTable read_train(const TableReader& reader, const std::string& source) {
  reader.check_keys({"variants", "tasks", "seeds", "model", "train"});
  reader.require("tasks");
  TrainTable table{.place = reader.place(), .variants = read_variants(reader), .tasks = {}};
  reader.for_texts("tasks", [&](const std::string& place, const std::string& text) {
    check_task_text(place, text);
    table.tasks.push_back(text);
  });
  const std::vector<Index> seeds = reader.numbers("seeds", 0, {0});
  table.seeds.assign(seeds.begin(), seeds.end());
  for (const std::string group : {"model", "train"}) {
    const toml::table* const settings = reader.child(group);
    if (!settings) continue;
    const TableReader inner(source, *settings);
    for (const auto& [key, node] : *settings) {
      const std::string name = group + "." + std::string(key.str());
      inner.for_texts(std::string(key.str()),
                      [&](const std::string& place, const std::string& text) {
                        check_setting(place, name, text);
                        table.settings[name].push_back(text);
                      });
    }
  }
  return table;
}

BenchTable read_bench(const TableReader& reader) {
  reader.check_keys({"variants", "lengths", "pass", "scope", "threads", "heads", "head_dim",
                     "batch", "causal", "repetitions"});
  BenchTable table{.place = reader.place(), .variants = read_variants(reader)};
  const auto check_choice = [](const std::string& place, const std::string& kind,
                               const std::string& text, const std::vector<std::string>& known) {
    if (std::ranges::count(known, text) == 0) {
      throw Error(place + ": " + unknown_name(kind, text, known));
    }
  };
  reader.for_texts("pass", [&](const std::string& place, const std::string& text) {
    check_choice(place, "pass", text, {"forward", "backward", "train"});
  });
  reader.for_texts("scope", [&](const std::string& place, const std::string& text) {
    check_choice(place, "scope", text, {"kernel", "layer"});
  });
  table.passes = reader.texts("pass", table.passes);
  table.scopes = reader.texts("scope", table.scopes);
  table.lengths = reader.lengths("lengths", table.lengths);
  table.threads = reader.numbers("threads", 1, table.threads);
  table.heads = reader.numbers("heads", 1, table.heads);
  table.head_dims = reader.numbers("head_dim", 1, table.head_dims);
  table.batches = reader.numbers("batch", 1, table.batches);
  table.repetitions = reader.numbers("repetitions", 1, {table.repetitions}).front();
  table.causal.clear();
  for (const std::string& text : reader.texts("causal", {"false"})) {
    check(text == "true" || text == "false", "{}: causal: '{}' is not true or false",
          reader.place(), text);
    table.causal.push_back(text == "true");
  }
  return table;
}

template <class Read>
void for_tables(const toml::table& root, const std::string& key, const std::string& source,
                Read&& read) {
  const toml::node* const node = root.get(key);
  if (!node) return;
  const toml::array* const list = node->as_array();
  check(list && list->is_array_of_tables(), "{}:{}: write [[{}]], not [{}] or a value", source,
        node->source().begin.line, key, key);
  for (const toml::node& item : *list) read(TableReader(source, *item.as_table()));
}

}  // namespace

Preset read_preset(const std::string& text, const std::string& name, const std::string& source) {
  const toml::parse_result parsed = toml::parse(text);
  check(static_cast<bool>(parsed), "{}:{}: {}", source,
        parsed ? 0 : parsed.error().source().begin.line,
        parsed ? "" : parsed.error().description());
  const TableReader reader(source, parsed.table());
  reader.check_keys({"summary", "train", "bench"});
  Preset preset{.name = name, .summary = "", .train = {}, .bench = {}};
  for (const std::string& summary : reader.texts("summary", {})) preset.summary += summary;
  for_tables(parsed.table(), "train", source,
             [&](const TableReader& table) { preset.train.push_back(read_train(table, source)); });
  for_tables(parsed.table(), "bench", source,
             [&](const TableReader& table) { preset.bench.push_back(read_bench(table)); });
  check(!preset.train.empty() || !preset.bench.empty(),
        "{}: neither a [[train]] nor a [[bench]] table", source);
  return preset;
}

Preset find_preset(const std::string& name_or_path) {
  if (name_or_path.ends_with(".toml") || name_or_path.find('/') != std::string::npos) {
    return read_preset(read_file(name_or_path), std::filesystem::path(name_or_path).stem().string(),
                       name_or_path);
  }
  std::vector<std::string> known;
  for (const BuiltInPreset& preset : built_in_presets()) {
    if (preset.name == name_or_path) {
      return read_preset(preset.text, preset.name, preset.name + ".toml");
    }
    known.push_back(preset.name);
  }
  throw Error(unknown_name("preset", name_or_path, known));
}

}  // namespace arena
