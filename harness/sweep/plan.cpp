#include "harness/sweep/plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "harness/core/check.hpp"
#include "harness/sweep/cell.hpp"

namespace arena {
namespace {

using Settings = std::map<std::string, std::string>;

UnitCell cell_of(const std::string& text) {
  const NamedOptions named = parse_named(text);
  const Variant& variant = Registry<Variant>::find(named.name);
  return {.variant = variant.name,
          .options = Options(variant.name, variant.options, named.options).values()};
}

std::vector<UnitCell> cells_of(const std::vector<std::string>& texts) {
  std::vector<UnitCell> cells;
  for (const std::string& text : texts) {
    UnitCell cell = cell_of(text);
    if (std::ranges::count(cells, cell) == 0) cells.push_back(std::move(cell));
  }
  return cells;
}

/// All combinations of one value per setting.
std::vector<Settings> product(const std::map<std::string, std::vector<std::string>>& lists) {
  std::vector<Settings> result{{}};
  for (const auto& [name, texts] : lists) {
    std::vector<Settings> longer;
    for (const Settings& shorter : result) {
      for (const std::string& text : texts) {
        longer.push_back(shorter);
        longer.back()[name] = text;
      }
    }
    result = std::move(longer);
  }
  return result;
}

/// Every model.* and train.* value after defaults.
OptionValues all_settings(const Settings& texts) {
  OptionValues all;
  const auto add = [&](const std::string& owner, const std::vector<OptionSpec>& specs) {
    OptionTexts own;
    for (const auto& [key, text] : texts) {
      if (key.starts_with(owner + ".")) own[key.substr(owner.size() + 1)] = text;
    }
    const Options options(owner, specs, own);
    for (const auto& [name, value] : options.values()) all[owner + "." + name] = value;
  };
  add("model", model_options());
  add("train", train_options());
  return all;
}

void plan_trainings(const TrainTable& table, const std::string& preset, const std::string& data_dir,
                    std::vector<Unit>& units) {
  const std::vector<UnitCell> cells = cells_of(table.variants);
  for (const std::string& text : table.tasks) {
    const NamedOptions named = parse_named(text);
    const TaskInfo& info = Registry<TaskInfo>::find(named.name);
    const Options options(info.name, info.options, named.options);
    const TaskFacts facts = task_facts(info, options, data_dir);
    for (const Settings& settings : product(table.settings)) {
      for (const std::uint64_t seed : table.seeds) {
        for (const UnitCell& cell : cells) {
          units.push_back(train_unit({.preset = preset,
                                      .cells = {cell},
                                      .task = info.name,
                                      .task_options = options.values(),
                                      .settings = all_settings(settings),
                                      .dataset_hash = facts.dataset_hash,
                                      .seed = seed,
                                      .max_len = facts.max_len}));
        }
      }
    }
  }
}

std::vector<BenchShape> shapes_of(const BenchTable& table) {
  std::vector<BenchShape> shapes;
  const auto expand = [&](const auto& values, auto&& set) {
    std::vector<BenchShape> longer;
    for (const BenchShape& shape : shapes) {
      for (const auto& value : values) {
        longer.push_back(shape);
        set(longer.back(), value);
      }
    }
    shapes = std::move(longer);
  };
  shapes.emplace_back();
  expand(table.scopes, [](BenchShape& s, const std::string& scope) { s.scope = scope; });
  expand(table.passes, [](BenchShape& s, const std::string& pass) { s.pass = parse_pass(pass); });
  expand(table.threads, [](BenchShape& s, Index threads) { s.threads = threads; });
  expand(table.heads, [](BenchShape& s, Index heads) { s.heads = heads; });
  expand(table.head_dims, [](BenchShape& s, Index head_dim) { s.head_dim = head_dim; });
  expand(table.batches, [](BenchShape& s, Index batch) { s.batch = batch; });
  expand(table.causal, [](BenchShape& s, bool causal) { s.causal = causal; });
  expand(table.lengths, [](BenchShape& s, Index length) { s.length = length; });
  return shapes;
}

/// A whole-numbered setting; 1 where there is none (a plan of another version).
double setting(const Unit& unit, const std::string& name) {
  const auto found = unit.settings.find(name);
  const Index* const number =
      found == unit.settings.end() ? nullptr : std::get_if<Index>(&found->second);
  return number ? static_cast<double>(*number) : 1;
}

}  // namespace

std::vector<Unit> plan_units(const Preset& preset, const std::string& data_dir) {
  std::vector<Unit> planned;
  for (const BenchTable& table : preset.bench) {
    for (const BenchShape& shape : shapes_of(table)) {
      planned.push_back(bench_unit({.preset = preset.name,
                                    .cells = cells_of(table.variants),
                                    .shape = shape,
                                    .repetitions = table.repetitions}));
    }
  }
  for (const TrainTable& table : preset.train) {
    plan_trainings(table, preset.name, data_dir, planned);
  }
  std::vector<Unit> units;
  std::set<std::string> seen;
  for (Unit& unit : planned) {
    if (seen.insert(unit.id).second) units.push_back(std::move(unit));
  }
  check(!units.empty(), "preset {}: nothing is selected", preset.name);
  return units;
}

double unit_cost(const Unit& unit) {
  if (unit.kind == "train") {
    const auto length = static_cast<double>(unit.max_len);
    const double width = setting(unit, "model.dim"), hidden = setting(unit, "model.hidden");
    const double token = 6 * width * (4 * width + 2 * hidden) + 14 * length * width;
    return setting(unit, "train.steps") * setting(unit, "train.batch") * length *
           setting(unit, "model.layers") * token;
  }
  const auto length = static_cast<double>(unit.shape.length);
  const auto width = static_cast<double>(unit.shape.heads * unit.shape.head_dim);
  const double passes = unit.shape.pass == Pass::kForward ? 4 : 12;
  constexpr double kLeast = 3e9;  // a process of its own for memory, short calls many times
  return static_cast<double>(unit.cells.size()) * (kLeast + passes * length * length * width);
}

}  // namespace arena
