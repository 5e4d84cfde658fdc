#include "harness/sweep/unit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/bench/step.hpp"
#include "harness/core/check.hpp"
#include "harness/core/hash.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

using Json = nlohmann::json;  // keys sorted: the canonical form that ids are made of

constexpr std::uint64_t kSecondFnvStart = 0x9E3779B97F4A7C15;

Json options_json(const OptionValues& options) {
  Json json = Json::object();
  for (const auto& [name, value] : options) {
    Json& entry = json[name];
    std::visit([&](const auto& v) { entry = v; }, value);
  }
  return json;
}

OptionValues options_from(const Json& json) {
  OptionValues options;
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) {
      options[name] = value.get<std::string>();
    } else if (value.is_boolean()) {
      options[name] = value.get<bool>();
    } else if (value.is_number_integer()) {
      options[name] = value.get<Index>();
    } else {
      options[name] = value.get<double>();
    }
  }
  return options;
}

Json shape_json(const BenchShape& shape) {
  Json json{{"scope", shape.scope},   {"pass", pass_name(shape.pass)}, {"length", shape.length},
            {"heads", shape.heads},   {"head_dim", shape.head_dim},    {"batch", shape.batch},
            {"causal", shape.causal}, {"threads", shape.threads}};
  if (!shape.task.empty()) json["task"] = shape.task;
  return json;
}

BenchShape shape_from(const Json& json) {
  return {.scope = json.at("scope").get<std::string>(),
          .pass = parse_pass(json.at("pass").get<std::string>()),
          .length = json.at("length").get<Index>(),
          .heads = json.at("heads").get<Index>(),
          .head_dim = json.at("head_dim").get<Index>(),
          .batch = json.at("batch").get<Index>(),
          .causal = json.at("causal").get<bool>(),
          .threads = json.at("threads").get<Index>(),
          .task = json.value("task", "")};
}

/// Whether the fields that unit_line() writes are there with their types.
bool is_unit(const Json& json) {
  const auto holds = [&](const char* name, auto&& wanted) {
    return json.contains(name) && wanted(json[name]);
  };
  const auto text = [](const Json& j) { return j.is_string(); };
  const auto object = [](const Json& j) { return j.is_object(); };
  const auto seed = [](const Json& j) { return j.is_number_unsigned(); };
  const auto count = [](const Json& j) {
    return j.is_number_unsigned() && std::in_range<Index>(j.get<std::uint64_t>());
  };
  const auto flat = [&](const Json& j) {
    return j.is_object() && std::ranges::all_of(j, [&](const Json& v) {
             return v.is_string() || v.is_boolean() ||
                    (v.is_number_unsigned() ? count(v) : v.is_number());
           });
  };
  const auto cells = [&](const Json& j) {
    return j.is_array() && std::ranges::all_of(j, [&](const Json& cell) {
             return cell.is_object() && cell.contains("id") && text(cell["id"]) &&
                    cell.contains("variant") && text(cell["variant"]) && cell.contains("options") &&
                    flat(cell["options"]);
           });
  };
  if (!json.is_object() || !holds("id", text) || !holds("kind", text) || !holds("preset", text) ||
      !holds("cells", cells)) {
    return false;
  }
  if (json["kind"] == "train") {
    return json["cells"].size() == 1 && holds("task", text) && holds("task_options", flat) &&
           holds("settings", flat) && holds("dataset_hash", text) && holds("seed", seed) &&
           holds("max_len", count);
  }
  if (json["kind"] != "bench" || !holds("shape", object) || !holds("repetitions", count)) {
    return false;
  }
  const Json& shape = json["shape"];
  const Json model = shape_json({});
  if (shape.contains("task") && !shape["task"].is_string()) return false;
  return std::ranges::all_of(model.items(), [&](const auto& item) {
    if (!shape.contains(item.key())) return false;
    const Json& value = shape[item.key()];
    return item.value().is_number() ? count(value) : value.type() == item.value().type();
  });
}

/// The name with the options that are not at their defaults (of entries that this build knows).
template <class Entry>
std::string short_label(const std::string& name, const OptionValues& options) {
  if (std::ranges::count(Registry<Entry>::names(), name) == 0) return name;
  std::vector<std::string> parts;
  for (const OptionSpec& spec : Registry<Entry>::find(name).options) {
    const auto found = options.find(spec.name);
    if (found != options.end() && found->second != spec.fallback) {
      parts.push_back(spec.name + "=" + option_text(found->second));
    }
  }
  return parts.empty() ? name : fmt::format("{}[{}]", name, fmt::join(parts, ","));
}

/// In which numbers a variant that this build knows computes.
std::string precision_of(const UnitCell& cell) {
  if (std::ranges::count(Registry<Variant>::names(), cell.variant) == 0) return "float32";
  const Variant& variant = Registry<Variant>::find(cell.variant);
  OptionTexts texts;
  for (const OptionSpec& spec : variant.options) {
    const auto found = cell.options.find(spec.name);
    if (found != cell.options.end()) texts[spec.name] = option_text(found->second);
  }
  return variant.arithmetic_of(Options(variant.name, variant.options, texts)).precision;
}

/// What the option says is a subset, until the data itself tells more.
void set_task(const std::string& name, const OptionValues& options, Record& record) {
  record.task = name;
  record.task_options = options;
  const auto partial = options.find("partial");
  record.partial = partial != options.end() && partial->second == OptionValue(true);
  if (std::ranges::count(Registry<TaskInfo>::names(), name) == 0) return;  // an older plan
  const auto in_label = options.find(Registry<TaskInfo>::find(name).label_option);
  if (in_label == options.end()) return;
  record.task_label = fmt::format("{}-{}", name, option_text(in_label->second));
}

}  // namespace

std::string content_id(const std::string& text) {
  return fmt::format("{:016x}{:08x}", fnv1a(text), fnv1a(text, kSecondFnvStart) >> 32);
}

Unit train_unit(Unit unit) {
  unit.kind = "train";
  UnitCell& cell = unit.cells.front();
  const Json identity{{"kind", unit.kind},
                      {"variant", cell.variant},
                      {"options", options_json(cell.options)},
                      {"task", unit.task},
                      {"task_options", options_json(unit.task_options)},
                      {"settings", options_json(unit.settings)},
                      {"dataset_hash", unit.dataset_hash},
                      {"seed", unit.seed}};
  unit.id = cell.id = content_id(identity.dump());
  return unit;
}

Unit bench_unit(Unit unit) {
  unit.kind = "bench";
  std::string ids;
  for (UnitCell& cell : unit.cells) {
    const Json identity{{"kind", unit.kind},
                        {"variant", cell.variant},
                        {"options", options_json(cell.options)},
                        {"shape", shape_json(unit.shape)}};
    cell.id = content_id(identity.dump());
    ids += cell.id + " ";
  }
  unit.id = content_id(ids);
  return unit;
}

std::string unit_line(const Unit& unit) {
  Json cells = Json::array();
  for (const UnitCell& cell : unit.cells) {
    cells.push_back(
        {{"id", cell.id}, {"variant", cell.variant}, {"options", options_json(cell.options)}});
  }
  Json json{{"id", unit.id}, {"kind", unit.kind}, {"preset", unit.preset}, {"cells", cells}};
  if (unit.kind == "train") {
    json["task"] = unit.task;
    json["task_options"] = options_json(unit.task_options);
    json["settings"] = options_json(unit.settings);
    json["dataset_hash"] = unit.dataset_hash;
    json["seed"] = unit.seed;
    json["max_len"] = static_cast<std::uint64_t>(unit.max_len);
  } else {
    json["shape"] = shape_json(unit.shape);
    json["repetitions"] = static_cast<std::uint64_t>(unit.repetitions);
  }
  return json.dump();
}

Unit parse_unit(const std::string& line, const std::string& source) {
  const Json json = Json::parse(line, nullptr, false);
  check(is_unit(json), "{}: not a line of a plan: '{}'", source, line.substr(0, 60));
  Unit unit{.id = json["id"], .kind = json["kind"], .preset = json["preset"], .cells = {}};
  for (const Json& cell : json["cells"]) {
    unit.cells.push_back({cell["id"], cell["variant"], options_from(cell["options"])});
  }
  if (unit.kind == "train") {
    unit.task = json["task"];
    unit.task_options = options_from(json["task_options"]);
    unit.settings = options_from(json["settings"]);
    unit.dataset_hash = json["dataset_hash"];
    unit.seed = json["seed"].get<std::uint64_t>();
    unit.max_len = json["max_len"].get<Index>();
  } else {
    unit.shape = shape_from(json["shape"]);
    unit.repetitions = json["repetitions"].get<Index>();
  }
  return unit;
}

Record planned_record(const Unit& unit, const UnitCell& cell) {
  Record record;
  record.id = cell.id;
  record.kind = unit.kind;
  record.variant = cell.variant;
  record.options = cell.options;
  record.preset = unit.preset;
  record.precision = precision_of(cell);
  if (unit.kind == "train") {
    set_task(unit.task, unit.task_options, record);
    record.settings = unit.settings;
    record.dataset_hash = unit.dataset_hash;
    record.seed = unit.seed;
  } else {
    record.scope = unit.shape.scope;
    record.pass = pass_name(unit.shape.pass);
    record.length = unit.shape.length;
    record.heads = unit.shape.heads;
    record.head_dim = unit.shape.head_dim;
    record.batch = unit.shape.batch;
    record.causal = unit.shape.causal;
    record.threads = unit.shape.threads;
    if (!unit.shape.task.empty()) {
      const ChosenTask task = choose_task(unit.shape.task);
      set_task(task.info.name, task.options.values(), record);
    }
    record.group = unit.id;
  }
  return record;
}

std::string unit_title(const Unit& unit) {
  std::vector<std::string> names;
  for (const UnitCell& cell : unit.cells) {
    names.push_back(short_label<Variant>(cell.variant, cell.options));
  }
  if (unit.kind == "train") {
    return fmt::format("{} on {}, seed {}", names.front(),
                       short_label<TaskInfo>(unit.task, unit.task_options), unit.seed);
  }
  return fmt::format("{} {} at {}: {}", unit.shape.scope, pass_name(unit.shape.pass),
                     unit.shape.length, fmt::join(names, ", "));
}

}  // namespace arena
