#include "harness/model/heads.hpp"

#include <algorithm>

#include "harness/model/make.hpp"

namespace arena {
namespace {

template <class ViewType>
ViewType slice_of_head(const ViewType& wide, Index num_heads, Index head) {
  if (wide.empty()) return wide;
  const Index width = wide.cols() / num_heads;
  return wide.column_slice(head * width, width);
}

HeadInputs inputs_of_head(const HeadInputs& in, Index num_heads, Index head) {
  return {slice_of_head(in.query, num_heads, head), slice_of_head(in.key, num_heads, head),
          slice_of_head(in.value, num_heads, head)};
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

void forward_heads(const AttentionHead& head, const Call& call, Index num_heads,
                   const HeadInputs& in, std::span<const Weights> weights,
                   const HeadOutputs& outputs, std::span<Frame> frames,
                   std::span<const Extras> extras) {
  check_lengths({in.query.rows(), in.key.rows()});
  // Statistics may be shared between heads: their sums need one order.
  const bool one_by_one =
      std::ranges::any_of(extras, [](const Extras& extra) { return extra.statistics.size() > 0; });
  for_each_head(call.team, num_heads, one_by_one, [&](Index h, const Team& team) {
    const auto at = static_cast<std::size_t>(h);
    head.forward(call_of_head(call, h, team), inputs_of_head(in, num_heads, h), weights[at],
                 {slice_of_head(outputs.out, num_heads, h),
                  slice_of_head(outputs.log_sum_exp, num_heads, h)},
                 frames.empty() ? nullptr : &frames[at], extras.empty() ? Extras{} : extras[at]);
  });
}

void backward_heads(const AttentionHead& head, const Call& call, Index num_heads,
                    const HeadInputs& in, std::span<const Weights> weights,
                    const HeadOutputGrads& d_outputs, std::span<const Frame> frames,
                    const HeadGrads& d_in, std::span<const Slices> grads) {
  check_lengths({in.query.rows(), in.key.rows()});
  for_each_head(call.team, num_heads, share_a_slice(grads), [&](Index h, const Team& team) {
    const auto at = static_cast<std::size_t>(h);
    head.backward(call_of_head(call, h, team), inputs_of_head(in, num_heads, h), weights[at],
                  {.out = slice_of_head(d_outputs.out, num_heads, h),
                   .log_sum_exp = slice_of_head(d_outputs.log_sum_exp, num_heads, h),
                   .auxiliary_loss = d_outputs.auxiliary_loss,
                   .forward_out = slice_of_head(d_outputs.forward_out, num_heads, h)},
                  frames[at],
                  {slice_of_head(d_in.query, num_heads, h), slice_of_head(d_in.key, num_heads, h),
                   slice_of_head(d_in.value, num_heads, h)},
                  grads[at]);
  });
}

}  // namespace arena
