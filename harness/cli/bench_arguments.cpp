#include "harness/cli/bench_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/bench/step.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

constexpr Index kMostThreads = 4096;

std::vector<BenchVariant> choose_variants(const std::string& text) {
  std::vector<BenchVariant> chosen;
  const auto names = text.empty() ? Registry<Variant>::names() : split_list(text);
  for (const std::string& name : names) {
    const ChosenVariant one = choose_variant(name);
    chosen.push_back({one.variant.name, one.options});
    const auto same = [&](const BenchVariant& other) {
      return other.name == one.variant.name && other.options == one.options;
    };
    check(std::ranges::count_if(chosen, same) == 1, "--variants names '{}' twice", one.label());
  }
  check(!chosen.empty(), "--variants is empty");
  return chosen;
}

/// Libraries named by --against that can be had; a line for each of the others.
std::vector<PeerLibrary> chosen_peers(const BenchArguments& arguments) {
  const auto names =
      arguments.against.empty() ? std::vector<std::string>{} : split_list(arguments.against);
  for (const std::string& name : names) {
    if (std::ranges::count(peer_library_names(), name) == 0) {
      throw Error(unknown_name("library", name, peer_library_names()));
    }
    check(std::ranges::count(names, name) == 1, "--against names '{}' twice", name);
  }
  check(names.empty() || arguments.scope != "layer", "--against needs --scope kernel or step");
  check(arguments.peers.timeout_s > 0, "--peer-timeout={} is not positive",
        arguments.peers.timeout_s);
  return find_peers(arguments.peers, names,
                    [](const std::string& line) { fmt::print(stderr, "{}\n", line); });
}

std::vector<Index> parse_threads(const std::string& text) {
  std::vector<Index> threads;
  const OptionSpec spec = integer_option("threads", 1, 1, kMostThreads, "");
  for (const std::string& item : split_list(text)) {
    threads.push_back(std::get<Index>(parse_option("bench", spec, item)));
  }
  check(!threads.empty(), "--threads is empty");
  return threads;
}

void check_scope(const BenchArguments& arguments) {
  const std::vector<std::string> scopes = {"kernel", "layer", "step"};
  if (std::ranges::count(scopes, arguments.scope) == 0) {
    throw Error(unknown_name("scope", arguments.scope, scopes));
  }
  const bool step = arguments.scope == "step";
  check(step || arguments.task.empty(), "--task needs --scope step");
  check(!step || arguments.pass == "train", "--scope step has no pass but train");
  check(!step || !arguments.causal, "--scope step trains a classifier, which is not causal");
}

/// Of a task the longest that its sequences may be.
std::vector<Index> lengths_of(const BenchArguments& arguments) {
  if (arguments.task.empty()) return parse_lengths(arguments.lengths);
  const ChosenTask task = choose_task(arguments.task);
  check(task.info.answer == Answer::kSequenceLabel, "--task {}: a task with one label per sequence",
        arguments.task);
  return {task.info.make({}, task.options)->max_len()};
}

}  // namespace

void set_step_defaults(const CLI::App& command, BenchArguments& arguments) {
  if (arguments.scope != "step") return;
  const auto given = [&](const char* name) { return command.count(name) > 0; };
  if (!given("--pass")) arguments.pass = "train";
  if (!given("--heads")) arguments.heads = 2;
  if (!given("--head-dim")) arguments.head_dim = 32;
  if (!given("--batch")) arguments.batch = 32;
  if (arguments.task.empty()) return;
  check(!given("--lengths"), "--task brings lengths of its own: --lengths does not go with it");
  arguments.task = choose_task(arguments.task).label();
}

std::vector<BenchGroup> groups_of(const BenchArguments& arguments) {
  check_scope(arguments);
  for (const auto& [name, value] : {std::pair{"heads", arguments.heads},
                                    {"head-dim", arguments.head_dim},
                                    {"batch", arguments.batch},
                                    {"repetitions", arguments.repetitions}}) {
    check(value >= 1, "--{}={} is not a positive whole number", name, value);
  }
  std::vector<BenchGroup> groups;
  for (const Index threads : parse_threads(arguments.threads)) {
    for (const Index length : lengths_of(arguments)) {
      BenchGroup group;
      group.shape = {.scope = arguments.scope,
                     .pass = parse_pass(arguments.pass),
                     .length = length,
                     .heads = arguments.heads,
                     .head_dim = arguments.head_dim,
                     .batch = arguments.batch,
                     .causal = arguments.causal,
                     .threads = threads,
                     .task = arguments.task};
      group.variants = choose_variants(arguments.variants);
      group.repetitions = arguments.repetitions;
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

void add_peers(const BenchArguments& arguments, std::vector<BenchGroup>& groups) {
  const std::vector<PeerLibrary> peers = chosen_peers(arguments);
  for (BenchGroup& group : groups) {
    group.peers = peer_rows(group, peers);
    group.peer_settings = arguments.peers;
  }
}

}  // namespace arena
