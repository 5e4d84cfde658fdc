#include "harness/sweep/cell.hpp"

#include <algorithm>
#include <cmath>
#include <new>

#include "harness/model/model.hpp"
#include "harness/sweep/environment.hpp"

namespace arena {
namespace {

/// Values as texts, of the names with this prefix and without it.
OptionTexts texts_of(const OptionValues& values, const std::string& prefix = "") {
  OptionTexts texts;
  for (const auto& [name, value] : values) {
    if (name.starts_with(prefix)) texts[name.substr(prefix.size())] = option_text(value);
  }
  return texts;
}

/// "closed" where the model has as many parameters as one with dense attention, within 10%. A
/// network that only one variant has is "open".
std::string track_of(const Record& record, const TrainJob& job) {
  constexpr double kClosedTrack = 0.1;
  if (job.model.text("block") != "transformer") return "open";
  const Variant& dense = Registry<Variant>::find("dense");
  const Model model(dense, Options(dense.name, dense.options, {}), job.model, shape_of(job.task));
  const auto of_dense = static_cast<double>(model.parameters().size());
  return std::abs(record.parameters.value_or(0) - of_dense) <= kClosedTrack * of_dense ? "closed"
                                                                                       : "open";
}

Record train_cell(const Unit& unit, const CellSetup& setup) {
  const UnitCell& cell = unit.cells.front();
  const Variant& variant = Registry<Variant>::find(cell.variant);
  const TaskInfo& info = Registry<TaskInfo>::find(unit.task);
  const auto task = info.make({.data_dir = setup.data_dir},
                              Options(info.name, info.options, texts_of(unit.task_options)));
  const TrainJob job{
      .variant = variant,
      .variant_options = Options(variant.name, variant.options, texts_of(cell.options)),
      .task = *task,
      .model = Options("model", model_options(), texts_of(unit.settings, "model.")),
      .train = Options("train", train_options(), texts_of(unit.settings, "train.")),
      .seed = unit.seed,
      .checkpoint = setup.checkpoint,
      .stop = setup.stop};
  Workers workers(setup.threads);
  Record record = train(job, workers, setup.progress);
  record.threads = setup.threads;
  record.track = track_of(record, job);
  return record;
}

std::vector<Record> bench_cells(const Unit& unit, const CellSetup& setup) {
  BenchGroup group{.shape = unit.shape, .variants = {}, .repetitions = unit.repetitions};
  for (const UnitCell& cell : unit.cells) {
    const Variant& variant = Registry<Variant>::find(cell.variant);
    group.variants.push_back(
        {variant.name, Options(variant.name, variant.options, texts_of(cell.options))});
  }
  return run_bench_group(group, setup.remark);
}

const char* status_of(Failure failure) {
  switch (failure) {
    case Failure::kUnsupported:
      return "UNSUPPORTED";
    case Failure::kNoData:
      return "NO_DATA";
    case Failure::kIncorrect:
      return "INCORRECT";
    case Failure::kDiverged:
      return "DIVERGED";
    case Failure::kError:
    case Failure::kOptions:
      break;
  }
  return "ERROR";
}

}  // namespace

Record completed_record(const Unit& unit, const UnitCell& cell, Record measured) {
  const Record planned = planned_record(unit, cell);
  measured.id = planned.id;
  measured.kind = planned.kind;
  measured.variant = planned.variant;
  measured.options = planned.options;
  measured.task = planned.task;
  measured.task_label = planned.task_label;
  measured.task_options = planned.task_options;
  measured.settings = planned.settings;
  measured.preset = planned.preset;
  measured.precision = planned.precision;
  measured.seed = planned.seed;
  measured.scope = planned.scope;
  measured.pass = planned.pass;
  measured.length = planned.length;
  measured.heads = planned.heads;
  measured.head_dim = planned.head_dim;
  measured.batch = planned.batch;
  measured.causal = planned.causal;
  measured.group = planned.group;
  if (unit.kind == "bench") measured.threads = planned.threads;
  if (measured.dataset_hash.empty()) {
    measured.dataset_hash = planned.dataset_hash;
    measured.partial = planned.partial;
  }
  stamp(measured);
  return measured;
}

std::vector<Record> run_unit(const Unit& unit, const CellSetup& setup) {
  try {
    std::vector<Record> measured;
    if (unit.kind == "train") {
      measured.push_back(train_cell(unit, setup));
    } else {
      measured = bench_cells(unit, setup);
    }
    check(measured.size() == unit.cells.size(), "{} records for {} cells", measured.size(),
          unit.cells.size());
    for (std::size_t i = 0; i < measured.size(); ++i) {
      measured[i] = completed_record(unit, unit.cells[i], std::move(measured[i]));
    }
    return measured;
  } catch (const Stopped&) {
    throw;
  } catch (const Error& error) {
    return failed_records(unit, status_of(error.failure()), error.what());
  } catch (const std::bad_alloc&) {
    return failed_records(unit, "OOM", "not enough memory");
  } catch (const std::exception& error) {
    return failed_records(unit, "ERROR", error.what());
  }
}

std::vector<Record> failed_records(const Unit& unit, const std::string& status,
                                   const std::string& error) {
  std::vector<Record> records;
  for (const UnitCell& cell : unit.cells) {
    Record record;
    record.status = status;
    record.error = error;
    records.push_back(completed_record(unit, cell, std::move(record)));
  }
  return records;
}

TaskFacts task_facts(const TaskInfo& info, const Options& options, const std::string& data_dir) {
  try {
    const auto task = info.make({.data_dir = data_dir}, options);
    return {.dataset_hash = task->dataset_hash(),
            .max_len = (task->pairs() ? 2 : 1) * task->max_len()};
  } catch (const Error& error) {
    if (error.failure() == Failure::kOptions) throw;
    return {};
  }
}

const std::vector<std::string>& failure_statuses() {
  static const std::vector<std::string> statuses{"OOM",       "TIMEOUT",  "CRASHED",
                                                 "INCORRECT", "DIVERGED", "ERROR"};
  return statuses;
}

bool is_failure(const std::string& status) {
  return std::ranges::count(failure_statuses(), status) > 0;
}

}  // namespace arena
