// The chart of Long Range Arena's paper: score against speed, bubbles by memory.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "results/figure/figure.hpp"
#include "results/statistics.hpp"
#include "results/units.hpp"

namespace arena {
namespace {

constexpr double kMargin = 0.15;             // of an axis: room for bubbles
constexpr std::size_t kFewestToAverage = 3;  // variants

/// What training one variant gives, on one task or on average.
struct Outcome {
  double accuracy = 0, deviation = 0;  // in percent
  double speed = 0;                    // tokens per second
  double bytes = 0;
  std::size_t seeds = 0;
};

double mean_of(const SeedGroup& group, std::optional<double> Record::*member) {
  const auto values = group.values([&](const Record& record) { return record.*member; });
  return values.empty() ? 0 : mean(values);
}

std::optional<Outcome> outcome_of(const SeedGroup& group) {
  const auto scores = group.values([](const Record& r) { return r.test_accuracy_best; });
  Outcome outcome{.speed = mean_of(group, &Record::tokens_per_s),
                  .bytes = mean_of(group, &Record::workspace_bytes),
                  .seeds = scores.size()};
  if (scores.empty() || outcome.speed <= 0) return std::nullopt;
  outcome.accuracy = mean(scores) / kPercent;
  outcome.deviation = sample_deviation(scores) / kPercent;
  return outcome;
}

Mark mark_of(const std::string& variant, const Outcome& outcome, double most_bytes) {
  Mark mark{.x = outcome.speed, .y = outcome.accuracy};
  mark.words = fmt::format("{}\naccuracy {:.1f} %", variant, outcome.accuracy);
  if (outcome.deviation > 0) {
    mark.low = outcome.accuracy - outcome.deviation;
    mark.high = outcome.accuracy + outcome.deviation;
    mark.words += fmt::format(" ± {:.1f} over {} seeds", outcome.deviation, outcome.seeds);
  }
  mark.words += fmt::format("\n{} tokens/s", number(outcome.speed).text);
  if (outcome.bytes > 0) {
    mark.area = outcome.bytes / most_bytes;
    mark.words += fmt::format("\n{} MiB of workspace", number(outcome.bytes, kMebibyte).text);
  }
  return mark;
}

/// From slow and accurate to fast and less so: marks that no other beats in both.
std::vector<Mark> pareto_front(const std::vector<Series>& all) {
  std::vector<Mark> sorted;
  for (const Series& series : all) sorted.push_back(series.marks.front());
  std::ranges::sort(sorted, [](const Mark& a, const Mark& b) {
    return std::pair(a.x, a.y) > std::pair(b.x, b.y);
  });
  std::vector<Mark> front;
  for (const Mark& mark : sorted) {
    if (front.empty() || mark.y > front.back().y) front.push_back(mark);
  }
  std::ranges::reverse(front);
  return front;
}

using Outcomes = std::map<std::string, Outcome>;  // by row name

constexpr const char* kCaption =
    "Further right is faster, further up is better; the area of a bubble is its memory in "
    "training. "
    "The line is the Pareto front: what is below or left of it is beaten in both. Bars: one "
    "standard deviation over seeds.";

std::optional<Figure> tradeoff_figure(const std::string& title, const Outcomes& outcomes,
                                      const std::map<std::string, Look>& looks) {
  if (outcomes.size() < 2) return std::nullopt;
  Figure figure{.id = "tradeoff", .title = title, .caption = kCaption};
  double most_bytes = 0;
  for (const auto& [name, outcome] : outcomes) most_bytes = std::max(most_bytes, outcome.bytes);
  std::vector<double> xs, ys;
  for (const auto& [name, outcome] : outcomes) {
    Series series{.name = name, .look = looks.at(name), .line = false};
    series.marks = {mark_of(name, outcome, most_bytes)};
    xs.push_back(outcome.speed);
    ys.insert(ys.end(),
              {outcome.accuracy - outcome.deviation, outcome.accuracy + outcome.deviation});
    figure.series.push_back(std::move(series));
  }
  std::ranges::stable_sort(figure.series, variant_before, &Series::name);
  figure.x = axis_around("training speed in tokens per second", true, xs, kMargin);
  figure.y = axis_around("test accuracy in %", false, ys, kMargin);
  figure.front = pareto_front(figure.series);
  return figure;
}

/// Means over tasks of the variants that have all of them.
Outcomes average(const std::map<std::string, Outcomes>& by_task) {
  Outcomes all;
  for (const auto& [name, outcome] : by_task.begin()->second) {
    Outcome sum{.speed = 1, .seeds = outcome.seeds};
    const auto count = static_cast<double>(by_task.size());
    bool complete = true;
    for (const auto& [task, outcomes] : by_task) {
      const auto found = outcomes.find(name);
      complete = complete && found != outcomes.end();
      if (!complete) break;
      sum.accuracy += found->second.accuracy / count;
      sum.speed *= std::pow(found->second.speed, 1 / count);
      sum.bytes = std::max(sum.bytes, found->second.bytes);
    }
    if (complete) all[name] = sum;
  }
  return all;
}

}  // namespace

std::vector<Figure> tradeoff_figures(const RecordSet& set) {
  std::map<std::string, Outcomes> by_task;
  for (const SeedGroup& group : seed_groups(set)) {
    if (const auto outcome = outcome_of(group)) by_task[group.task][group.variant] = *outcome;
  }
  const auto looks = looks_of(set);
  std::vector<Figure> figures;
  const auto add = [&](std::optional<Figure> figure) {
    if (figure) figures.push_back(std::move(*figure));
  };
  const Outcomes means = by_task.size() > 1 ? average(by_task) : Outcomes{};
  if (means.size() >= kFewestToAverage) {
    add(tradeoff_figure(fmt::format("Accuracy, speed, memory: mean over {} tasks", by_task.size()),
                        means, looks));
  }
  for (const auto& [task, outcomes] : by_task) {
    add(tradeoff_figure("Accuracy, speed, memory: " + task, outcomes, looks));
  }
  return figures;
}

}  // namespace arena
