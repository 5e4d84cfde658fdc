#include "results/labels.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace arena {
namespace {

std::string bracketed(const std::vector<std::string>& parts) {
  return parts.empty() ? "" : fmt::format("[{}]", fmt::join(parts, ","));
}

std::string task_name(const Record& record) {
  const std::string& name = record.task_label.empty() ? record.task : record.task_label;
  return record.partial ? name + " PARTIAL" : name;
}

template <class Values>
std::vector<std::string> differing(const OptionValues& options, const Values& known) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : options) {
    const auto found = known.find(name);
    if (found != known.end() && found->second.size() > 1) {
      parts.push_back(name + "=" + option_text(value));
    }
  }
  return parts;
}

template <class Values>
void collect(const OptionValues& options, Values& known) {
  for (const auto& [name, value] : options) known[name].insert(value);
}

template <class Values>
std::string in_full(const std::string& name, const Values& known) {
  std::vector<std::string> parts;
  for (const auto& [option, values] : known) {
    std::vector<std::string> texts;
    for (const OptionValue& value : values) texts.push_back(option_text(value));
    parts.push_back(fmt::format("{}={}", option, fmt::join(texts, "|")));
  }
  return name + bracketed(parts);
}

}  // namespace

Labels::Labels(std::span<const Record> records) {
  for (const Record& record : records) {
    collect(record.options, variant_options_[record.variant]);
    if (!record.task.empty()) collect(record.task_options, task_options_[task_name(record)]);
    if (!record.machine.cpu.empty()) machines_.insert(record.machine.cpu);
  }
  for (const Record& record : records) {
    if (!record.task.empty()) collect(record.settings, settings_[task(record)]);
  }
}

std::string Labels::variant(const Record& record) const {
  const auto known = variant_options_.find(record.variant);
  std::string label = record.variant;
  if (known != variant_options_.end()) {
    label += bracketed(differing(record.options, known->second));
  }
  const auto settings = record.task.empty() ? settings_.end() : settings_.find(task(record));
  if (settings != settings_.end()) {
    for (const std::string& part : differing(record.settings, settings->second)) {
      label += " " + part.substr(part.find('.') + 1);
    }
  }
  return label;
}

std::string Labels::task(const Record& record) const {
  const std::string name = task_name(record);
  const auto known = task_options_.find(name);
  if (known == task_options_.end()) return name;
  return name + bracketed(differing(record.task_options, known->second));
}

std::string Labels::shape(const Record& record) const {
  std::string text = fmt::format("{} {}, {} heads of {}", record.scope, record.pass, record.heads,
                                 record.head_dim);
  if (!record.task.empty()) text += ", " + task(record);
  if (record.batch > 1) text += fmt::format(", batch {}", record.batch);
  if (record.causal) text += ", causal";
  text += fmt::format(", {} thread{}", record.threads, record.threads == 1 ? "" : "s");
  if (machines_.size() > 1) text += ", on " + record.machine.cpu;
  return text;
}

std::vector<std::string> Labels::options_in_full() const {
  std::vector<std::string> lines;
  for (const auto* entries : {&variant_options_, &task_options_}) {
    for (const auto& [name, values] : *entries) {
      if (!values.empty()) lines.push_back(in_full(name, values));
    }
  }
  return lines;
}

bool variant_before(const std::string& a, const std::string& b) {
  const auto rank = [](const std::string& name) {
    return name.starts_with("dense") ? 0 : name.starts_with("blocked") ? 1 : 2;
  };
  return std::pair(rank(a), a) < std::pair(rank(b), b);
}

}  // namespace arena
