#include "harness/model/heads.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/model/make.hpp"

namespace arena {
namespace {

template <class AnyView>
HeadMatrices<AnyView> parts_of_head(const HeadMatrices<AnyView>& all, const Heads& heads,
                                    Index head) {
  return head_matrices<AnyView>([&](Index slot) { return heads.part(all[slot], head); });
}

std::string prefix_of_head(Index head) {
  return fmt::format("heads.{}.", head);
}

/// Whether two heads would add to the same floats.
bool share_a_slice(std::span<const Slices> heads) {
  for (std::size_t a = 0; a < heads.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      for (Index i = 0; i < std::min(heads[a].size(), heads[b].size()); ++i) {
        if (heads[a][i].data() == heads[b][i].data()) return true;
      }
    }
  }
  return false;
}

template <class Body>
void for_each_head(const Team& team, Index num_heads, bool one_by_one, const Body& body) {
  if (!one_by_one) {
    team.for_each(num_heads, body);
    return;
  }
  for (Index head = 0; head < num_heads; ++head) body(head, team);
}

}  // namespace

InputNames input_names(const AttentionHead& head) {
  InputNames names;
  std::size_t extra = 3;
  for (const std::string_view name : head.inputs()) {
    const std::size_t slot = name == "query"   ? 0
                             : name == "key"   ? 1
                             : name == "value" ? 2
                                               : extra++;
    check(slot < names.size(), "a head has at most {} inputs beside query, key and value",
          kMaxExtraInputs);
    names[slot] = name;
  }
  check(!names[2].empty(), "a head without the input 'value'");
  return names;
}

Call call_of_head(const Call& call, Index head, const Team& team, const Plan* plan) {
  Call result = call;
  result.team = team;
  result.head = head;
  result.key = call.key.fold(static_cast<std::uint64_t>(head));
  result.plan = plan;
  return result;
}

Plan plan_of_head(const Plan& of_layer, Index head) {
  const std::string prefix = prefix_of_head(head);
  Plan result;
  for (const auto& [name, values] : of_layer) {
    if (name.starts_with(prefix)) result[name.substr(prefix.size())] = values;
  }
  return result;
}

void add_plan_of_head(Plan& of_layer, Index head, const Plan& of_head) {
  for (const auto& [name, values] : of_head) of_layer[prefix_of_head(head) + name] = values;
}

void forward_heads(const AttentionHead& head, const Call& call, const Heads& heads,
                   const HeadInputs& in, std::span<const Weights> weights,
                   const HeadOutputs& outputs, std::span<Frame> frames,
                   std::span<const Extras> extras) {
  check_lengths(extents_of(in));
  // Statistics may be shared between heads: their sums need one order.
  const bool one_by_one =
      std::ranges::any_of(extras, [](const Extras& extra) { return extra.statistics.size() > 0; });
  for_each_head(call.team, heads.count, one_by_one, [&](Index h, const Team& team) {
    const auto at = static_cast<std::size_t>(h);
    const Plan plan = call.plan ? plan_of_head(*call.plan, h) : Plan();
    head.forward(call_of_head(call, h, team, plan.empty() ? nullptr : &plan),
                 parts_of_head(in, heads, h), weights[at],
                 {heads.part(outputs.out, h), heads.part(outputs.log_sum_exp, h)},
                 frames.empty() ? nullptr : &frames[at], extras.empty() ? Extras{} : extras[at]);
  });
}

void backward_heads(const AttentionHead& head, const Call& call, const Heads& heads,
                    const HeadInputs& in, std::span<const Weights> weights,
                    const HeadOutputGrads& d_outputs, std::span<const Frame> frames,
                    const HeadGrads& d_in, std::span<const Slices> grads) {
  check_lengths(extents_of(in));
  for_each_head(call.team, heads.count, share_a_slice(grads), [&](Index h, const Team& team) {
    const auto at = static_cast<std::size_t>(h);
    head.backward(call_of_head(call, h, team, nullptr), parts_of_head(in, heads, h), weights[at],
                  {.out = heads.part(d_outputs.out, h),
                   .log_sum_exp = heads.part(d_outputs.log_sum_exp, h),
                   .auxiliary_loss = d_outputs.auxiliary_loss,
                   .forward_out = heads.part(d_outputs.forward_out, h)},
                  frames[at], parts_of_head(d_in, heads, h), grads[at]);
  });
}

}  // namespace arena
