#include "harness/model/heads.hpp"

#include <algorithm>

#include "harness/model/make.hpp"

namespace arena {
namespace {

HeadInputs inputs_of_head(const HeadInputs& in, const Heads& heads, Index head) {
  return {heads.part(in.query, head), heads.part(in.key, head), heads.part(in.value, head)};
}

Call call_of_head(Call call, Index head, const Team& team) {
  call.team = team;
  call.head = head;
  call.key = call.key.fold(static_cast<std::uint64_t>(head));
  return call;
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

void forward_heads(const AttentionHead& head, const Call& call, const Heads& heads,
                   const HeadInputs& in, std::span<const Weights> weights,
                   const HeadOutputs& outputs, std::span<Frame> frames,
                   std::span<const Extras> extras) {
  check_lengths({in.query.rows(), in.key.rows()});
  // Statistics may be shared between heads: their sums need one order.
  const bool one_by_one =
      std::ranges::any_of(extras, [](const Extras& extra) { return extra.statistics.size() > 0; });
  for_each_head(call.team, heads.count, one_by_one, [&](Index h, const Team& team) {
    const auto at = static_cast<std::size_t>(h);
    head.forward(call_of_head(call, h, team), inputs_of_head(in, heads, h), weights[at],
                 {heads.part(outputs.out, h), heads.part(outputs.log_sum_exp, h)},
                 frames.empty() ? nullptr : &frames[at], extras.empty() ? Extras{} : extras[at]);
  });
}

void backward_heads(const AttentionHead& head, const Call& call, const Heads& heads,
                    const HeadInputs& in, std::span<const Weights> weights,
                    const HeadOutputGrads& d_outputs, std::span<const Frame> frames,
                    const HeadGrads& d_in, std::span<const Slices> grads) {
  check_lengths({in.query.rows(), in.key.rows()});
  for_each_head(call.team, heads.count, share_a_slice(grads), [&](Index h, const Team& team) {
    const auto at = static_cast<std::size_t>(h);
    head.backward(call_of_head(call, h, team), inputs_of_head(in, heads, h), weights[at],
                  {.out = heads.part(d_outputs.out, h),
                   .log_sum_exp = heads.part(d_outputs.log_sum_exp, h),
                   .auxiliary_loss = d_outputs.auxiliary_loss,
                   .forward_out = heads.part(d_outputs.forward_out, h)},
                  frames[at],
                  {heads.part(d_in.query, h), heads.part(d_in.key, h), heads.part(d_in.value, h)},
                  grads[at]);
  });
}

}  // namespace arena
