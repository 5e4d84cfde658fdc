// Accuracy while training: over steps and over seconds, one figure each per task.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results/figure/figure.hpp"
#include "results/statistics.hpp"
#include "results/units.hpp"

namespace arena {
namespace {

/// All seeds at one step of training.
struct Moment {
  std::vector<double> accuracies, seconds;
};

std::map<Index, Moment> moments_of(const SeedGroup& group) {
  std::map<Index, Moment> moments;
  for (const Record* record : group.records) {
    for (const CurvePoint& point : record->validation_curve) {
      if (!std::isfinite(point.accuracy)) continue;
      Moment& moment = moments[point.step];
      moment.accuracies.push_back(point.accuracy / kPercent);
      if (std::isfinite(point.wall_s)) moment.seconds.push_back(point.wall_s);
    }
  }
  return moments;
}

/// The mean over seeds, in a band from the lowest to the highest.
Series curve_of(const SeedGroup& group, const Look& look, bool over_seconds) {
  Series series{.name = group.variant, .look = look, .band = true};
  for (const auto& [step, moment] : moments_of(group)) {
    if (over_seconds && moment.seconds.empty()) continue;
    Mark mark{.x = over_seconds ? mean(moment.seconds) : static_cast<double>(step),
              .y = mean(moment.accuracies)};
    mark.words = fmt::format("{}\n{:.1f} % after {} steps", group.variant, mark.y, step);
    if (!moment.seconds.empty()) {
      mark.words += fmt::format(", {} s", number(mean(moment.seconds)).text);
    }
    if (moment.accuracies.size() > 1) {
      const auto [low, high] = std::ranges::minmax(moment.accuracies);
      mark.low = low, mark.high = high;
      mark.words +=
          fmt::format("\n{} seeds: {:.1f} to {:.1f} %", moment.accuracies.size(), low, high);
    }
    series.marks.push_back(std::move(mark));
  }
  return series;
}

constexpr const char* kBand =
    "Accuracy on the validation split, mean over seeds; the band holds all seeds. ";

std::optional<Figure> learning_figure(const std::string& task,
                                      const std::vector<const SeedGroup*>& groups,
                                      const std::map<std::string, Look>& looks, bool over_seconds) {
  Figure figure{
      .id = over_seconds ? "accuracy_seconds" : "accuracy_steps",
      .title = fmt::format("{}: {}", over_seconds ? "Time to accuracy" : "Learning curves", task),
      .caption = std::string(kBand) + (over_seconds
                                           ? "Seconds of training on the machine and threads named "
                                             "above, validation left out."
                                           : "Equal steps, equal data, equal order.")};
  std::vector<double> xs{0}, ys;
  std::optional<double> chance;
  for (const SeedGroup* group : groups) {
    Series series = curve_of(*group, looks.at(group->variant), over_seconds);
    for (const Mark& mark : series.marks) {
      xs.push_back(mark.x);
      ys.insert(ys.end(), {mark.low.value_or(mark.y), mark.high.value_or(mark.y)});
    }
    if (!series.marks.empty()) figure.series.push_back(std::move(series));
    for (const Record* record : group->records) {
      if (record->chance_accuracy) chance = *record->chance_accuracy / kPercent;
    }
  }
  if (figure.series.empty()) return std::nullopt;
  if (chance) ys.push_back(*chance);
  figure.x = axis_around(over_seconds ? "seconds of training" : "steps", false, xs);
  figure.x.low = 0;
  figure.y = axis_around("validation accuracy in %", false, ys);
  if (chance) {
    figure.guides.push_back(
        {.name = "chance", .x = 0, .y = *chance, .to_x = figure.x.high, .to_y = *chance});
  }
  return figure;
}

}  // namespace

std::vector<Figure> learning_figures(const RecordSet& set) {
  const std::vector<SeedGroup> groups = seed_groups(set);
  const auto looks = looks_of(set);
  std::map<std::string, std::vector<const SeedGroup*>> by_task;
  for (const SeedGroup& group : groups) by_task[group.task].push_back(&group);
  std::vector<Figure> figures;
  for (const auto& [task, of_task] : by_task) {
    for (const bool over_seconds : {false, true}) {
      auto figure = learning_figure(task, of_task, looks, over_seconds);
      if (figure) figures.push_back(std::move(*figure));
    }
  }
  return figures;
}

}  // namespace arena
