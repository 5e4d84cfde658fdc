// Checks of what one call hands to the next.

#include <algorithm>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

/// Of max |out| and max |gradient|: the same float sums, cut at other places.
constexpr double kStreamTolerance = 1e-5;
constexpr double kStreamGradientTolerance = 5e-5;

/// The queries and keys of one call: first and number.
struct Segment {
  Index query, query_len, key, key_len;
};

struct StreamCase {
  CaseSpec spec;
  std::vector<Segment> segments;
};

/// Causal segments of these lengths, one after another.
StreamCase causal_stream(const std::vector<Index>& lengths) {
  StreamCase stream{.spec = {.extents = {}, .causal = true}, .segments = {}};
  Index& len = stream.spec.extents.query_len;
  for (const Index segment : lengths) {
    stream.segments.push_back({len, segment, len, segment});
    len += segment;
  }
  stream.spec.extents.key_len = len;
  return stream;
}

/// All queries in each call, keys in two parts.
StreamCase key_stream(Index query_len, Index first_keys, Index other_keys) {
  return {.spec = {.extents = {query_len, first_keys + other_keys}},
          .segments = {{0, query_len, 0, first_keys}, {0, query_len, first_keys, other_keys}}};
}

std::vector<StreamCase> streams_of(const Claims& claims) {
  std::vector<StreamCase> streams;
  if (claims.causal) {
    streams.push_back(causal_stream(std::vector<Index>(33, 1)));  // token by token
    streams.push_back(causal_stream({37, 1, 62}));
    streams.push_back(causal_stream({1, 163, 136}));
  }
  if (claims.cross) {
    streams.push_back(key_stream(33, 70, 30));
    streams.push_back(key_stream(100, 1, 299));
  }
  return streams;
}

/// One call of a stream: its rows of the whole case, with the same weights.
HeadCase part_of(const ChosenVariant& chosen, const HeadCase& whole, const Segment& segment) {
  CaseSpec spec = whole.spec;
  spec.extents = {segment.query_len, segment.key_len};
  HeadCase part(chosen, spec);
  const Example& from = whole.example;
  part.example.parameters = from.parameters;
  part.example.buffers = from.buffers;
  for (std::size_t i = 0; i < 3; ++i) {
    part.example.inputs[i] = i == 0 ? from.inputs[i].middleRows(segment.query, segment.query_len)
                                    : from.inputs[i].middleRows(segment.key, segment.key_len);
  }
  for (std::size_t o = 0; o < from.loss_weights.size(); ++o) {
    part.example.loss_weights[o] =
        from.loss_weights[o].middleRows(segment.query, segment.query_len);
  }
  return part;
}

/// max |part - rows of whole| over max |whole|.
double rows_error(ConstView part, ConstView whole, Index first) {
  MatrixD actual = whole.cast<double>();
  actual.middleRows(first, part.rows()) = part.cast<double>();
  return max_error(actual, MatrixD(whole.cast<double>()));
}

double check_last_gradients(const Outcome& part, const Outcome& whole, const Segment& last,
                            const CaseSpec& spec) {
  double worst = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const double error = rows_error(part.d_inputs[i].view(), whole.d_inputs[i].view(),
                                    i == 0 ? last.query : last.key);
    check(error <= kStreamGradientTolerance,
          "gradient {} of the last segment differs from that in one call by {:.2g} ({})", i, error,
          spec.text());
    worst = std::max(worst, error);
  }
  return worst;
}

/// Runs the segments, handing on the state, and compares with one call. The loss is of the last
/// segment, so that no gradient would have to cross the state.
double check_stream_case(const ChosenVariant& chosen, const StreamCase& stream, const Team& team) {
  HeadCase whole(chosen, stream.spec);
  const Segment& last = stream.segments.back();
  for (Matrix& weights : whole.example.loss_weights) weights.topRows(last.query).setZero();
  const Outcome expected = run(whole.subject, whole.example, check_call(team));
  State state;
  double worst = 0;
  for (const Segment& segment : stream.segments) {
    const HeadCase part = part_of(chosen, whole, segment);
    Call call = check_call(team);
    if (state.position > 0) call.state = &state;
    State next;
    const Outcome outcome = run(part.subject, part.example, call, {.state = &next});
    state = std::move(next);
    check(state.position == segment.key + segment.key_len,
          "hands on a state at position {} after {} keys", state.position,
          segment.key + segment.key_len);
    const bool is_last = &segment == &stream.segments.back();
    if (!stream.spec.causal && !is_last) continue;  // these queries have not seen all keys
    const double error =
        rows_error(outcome.outputs[0].view(), expected.outputs[0].view(), segment.query);
    check(error <= kStreamTolerance,
          "out of {} queries from {} on, given the state, differs from one call by {:.2g} ({})",
          segment.query_len, segment.query, error, stream.spec.text());
    worst = std::max(worst, error);
    if (is_last) {
      worst = std::max(worst, check_last_gradients(outcome, expected, last, stream.spec));
    }
  }
  return worst;
}

}  // namespace

Verdict check_stream(const ChosenVariant& chosen) {
  const Claims& claims = chosen.variant.claims;
  if (!claims.streams) return {true, "does not claim streams"};
  check(claims.causal || claims.cross, "claims streams, but neither causal nor cross attention");
  Workers workers(1);
  double worst = 0;
  for (const StreamCase& stream : streams_of(claims)) {
    worst = std::max(worst, check_stream_case(chosen, stream, workers.team()));
  }
  return {.detail = fmt::format("max error {:.1e}", worst)};
}

}  // namespace arena
