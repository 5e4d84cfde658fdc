#include <algorithm>

#include "harness/bench/peer.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

BenchVariant blocked() {
  const ChosenVariant chosen = choose_variant("blocked");
  return {chosen.variant.name, chosen.options};
}

std::vector<std::string> kernel_rows(const BenchShape& shape, const std::string& library) {
  if (library == "torch") return {"sdpa", "unfused"};
  return {shape.causal ? "GroupQueryAttention" : "MultiHeadAttention"};
}

std::vector<std::string> step_rows(const BenchShape& shape, const std::string& library) {
  if (library != "torch") return {"MultiHeadAttention"};
  std::vector<std::string> rows = {"sdpa", "unfused", "compile"};
  if (!shape.task.empty()) rows.insert(rows.end(), {"sdpa-bucketed", "unfused-bucketed"});
  return rows;
}

}  // namespace

std::string PeerRow::variant() const {
  return "peer/" + library + "-" + row;
}

OptionValues PeerRow::options() const {
  OptionValues options = {{"version", version}};
  if (like.name == row) options.insert(like.options.values().begin(), like.options.values().end());
  return options;
}

std::vector<PeerRow> peer_rows(const BenchGroup& group, std::span<const PeerLibrary> libraries) {
  const bool step = group.shape.scope == "step";
  std::vector<PeerRow> rows;
  for (const PeerLibrary& library : libraries) {
    const auto names =
        step ? step_rows(group.shape, library.name) : kernel_rows(group.shape, library.name);
    for (const std::string& name : names) {
      rows.push_back({library.name, library.version, name, blocked()});
    }
    if (!step || library.name != "torch") continue;
    // The same model around another attention, where the group has ours to be compared with.
    for (const char* name : {"linformer", "linear"}) {
      const auto ours = std::ranges::find(group.variants, name, &BenchVariant::name);
      if (ours != group.variants.end()) {
        rows.push_back({library.name, library.version, name, *ours});
      }
    }
  }
  return rows;
}

}  // namespace arena
