#include "variants/engine/pattern.hpp"

#include <array>
#include <cmath>
#include <optional>

#include "variants/engine/head_costs.hpp"

namespace arena {
namespace {

const TileMask& mask_of(const PatternPart& part) {
  return std::visit([](const auto& mask) -> const TileMask& { return mask; }, part.mask);
}

/// Some parts of a stage, one after another.
class PartSeries {
 public:
  PartSeries(const Pattern& pattern, Index stage, Index length, Range parts)
      : pattern_(pattern), stage_(stage), length_(length), waiting_(parts) {}

  /// As a Series.
  const SoftmaxPart* operator()() {
    if (waiting_.empty()) return nullptr;
    const Index p = waiting_.begin++;
    auto& [part, view] = held_[static_cast<std::size_t>(p % 2)];
    part.emplace(pattern_.part(stage_, p, length_));
    view = {part->rows, &mask_of(*part)};
    return &view;
  }

 private:
  struct Held {
    std::optional<PatternPart> part;
    SoftmaxPart view;
  };

  const Pattern& pattern_;
  Index stage_, length_;
  Range waiting_;
  std::array<Held, 2> held_;
};

struct PatternScratch {
  SoftmaxScratch forward, backward;
};

/// Of one head, without statistics.
PatternScratch scratch_of(const Pattern& pattern, Index length, Index head_dim, Index workers,
                          const PartExtras& extras) {
  PatternScratch most;
  for (Index stage = 0; stage < pattern.stages(); ++stage) {
    const Index parts = pattern.parts(stage, length);
    if (parts == 0) continue;
    const PatternPart part = pattern.part(stage, 0, length);
    const Index reach = softmax_chunk_reach(mask_of(part), part.rows.extents());
    const auto forward = [&](Index inner) {
      return softmax_part_forward_scratch(part.rows, head_dim, inner, extras);
    };
    const auto backward = [&](Index inner) {
      return softmax_part_backward_scratch(part.rows, head_dim, reach, inner,
                                           {.log_sum_exp = extras.log_sum_exp});
    };
    most.forward = larger(most.forward, scratch_of_each(parts, workers, forward));
    most.backward = larger(most.backward, scratch_of_each(parts, workers, backward));
  }
  return most;
}

/// Several parts of a query meet in its statistics, saved or not.
Index unsaved_statistics(const Pattern& pattern, Index length) {
  return pattern.stages() > 1 ? softmax_statistics_bytes(length) : 0;
}

class PatternHead final : public AttentionHead {
 public:
  PatternHead(std::string name, const Setup& setup, std::unique_ptr<const Pattern> pattern)
      : name_(std::move(name)),
        pattern_(std::move(pattern)),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Index length = extents.key_len;
    const auto [forward, backward] =
        scratch_of(*pattern_, length, head_dim_, call.team.size(), {.log_sum_exp = true});
    return {.frame = softmax_statistics_bytes(length),
            .scratch =
                std::max(unsaved_statistics(*pattern_, length) + forward.caller, backward.caller)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Index length = length_of(in);
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const View statistics = frame                    ? frame->matrix(2, length)
                            : pattern_->stages() > 1 ? workspace.matrix(2, length)
                                                     : View();
    for (Index stage = 0; stage < pattern_->stages(); ++stage) {
      for_batches(call.team, stage, length, [&](const Team& worker, PartSeries& parts) {
        softmax_parts_forward(worker, in, scale_, std::ref(parts), outputs, statistics,
                              output_of(stage));
      });
    }
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Index length = length_of(in);
    const ConstView statistics = FrameReader(frame).matrix(2, length);
    for (Index stage = 0; stage < pattern_->stages(); ++stage) {
      for_batches(call.team, stage, length, [&](const Team& worker, PartSeries& parts) {
        softmax_parts_backward(worker, in, scale_, std::ref(parts), d_outputs, statistics, d_in,
                               output_of(stage));
      });
    }
  }

 private:
  /// body(worker, its parts) for all parts of a stage, in parallel: each worker's one after
  /// another.
  template <class Body>
  void for_batches(const Team& team, Index stage, Index length, const Body& body) const {
    const Index count = pattern_->parts(stage, length), batches = std::min(count, team.size());
    team.for_each(batches, [&](Index batch, const Team& worker) {
      const Range some{batch * count / batches, (batch + 1) * count / batches};
      PartSeries parts(*pattern_, stage, length, some);
      body(worker, parts);
    });
  }

  /// Whether its parts start or add to what is there.
  static Output output_of(Index stage) { return stage == 0 ? Output::kOverwrite : Output::kAdd; }

  Index length_of(const HeadInputs& in) const {
    if (in.query.rows() != in.key.rows()) {
      throw Error(fmt::format("{} needs as many keys as queries, not {} keys and {} queries", name_,
                              in.key.rows(), in.query.rows()),
                  Failure::kUnsupported);
    }
    return in.key.rows();
  }

  std::string name_;
  std::unique_ptr<const Pattern> pattern_;
  Index head_dim_;
  float scale_;
};

/// Classes with fewer rows than this, a tile of queries, are taken together: copies of so many
/// rows, which stay in the first cache.
constexpr Index kShortClass = 32;
constexpr Index kGroupRows = 128;

}  // namespace

ResidueGroups::ResidueGroups(Index length, Index classes, Index least)
    : classes_(classes), at_once_(1) {
  const Index longest = (length + classes - 1) / classes;
  if (longest < kShortClass) at_once_ = kGroupRows / longest;
  const Index each = length / classes, longer = length % classes;
  kinds_ = {{{0, longer, each + 1}, {longer, classes - longer, each}}};
  for (Kind& kind : kinds_) {
    if (kind.each < least) kind.number = 0;
  }
  const auto first_rows = [&](const Kind& kind) {
    return std::min(kind.number, at_once_) * kind.each;
  };
  if (first_rows(kinds_[0]) <= first_rows(kinds_[1])) std::swap(kinds_[0], kinds_[1]);
}

ResidueGroups::Group ResidueGroups::operator[](Index g) const {
  const bool second = g >= groups(kinds_[0]);
  const Kind& kind = kinds_[second ? 1 : 0];
  const Index done = (second ? g - groups(kinds_[0]) : g) * at_once_;
  const Index number = std::min(at_once_, kind.number - done);
  return {RowSet::residues(kind.first + done, number, classes_, kind.each), number, kind.each};
}

Index count_pairs(const Pattern& pattern, Index length) {
  Index count = 0;
  for (Index stage = 0; stage < pattern.stages(); ++stage) {
    for (Index p = 0; p < pattern.parts(stage, length); ++p) {
      count += std::visit([](const auto& mask) { return mask.covered(); },
                          pattern.part(stage, p, length).mask);
    }
  }
  return count;
}

std::unique_ptr<AttentionHead> make_pattern_head(std::string name, const Setup& setup,
                                                 std::unique_ptr<const Pattern> pattern) {
  return std::make_unique<PatternHead>(std::move(name), setup, std::move(pattern));
}

double pattern_flops(const Problem& problem, const Pattern& pattern) {
  return softmax_flops(problem, count_pairs(pattern, problem.extents.key_len));
}

double pattern_bytes(const Problem& problem, const Pattern& pattern) {
  const Index length = problem.extents.key_len, heads = problem.setup.num_heads;
  const bool saves = problem.pass != Pass::kForward;
  const auto scratch = [&](Index workers) {
    const auto [forward, backward] = scratch_of(pattern, length, problem.setup.head_dim, workers,
                                                {.statistics = saves || pattern.stages() > 1});
    if (saves) return larger(forward, backward);
    const Index unsaved = unsaved_statistics(pattern, length);
    return SoftmaxScratch{forward.caller + unsaved, forward.total + unsaved};
  };
  const Index frames = saves ? softmax_statistics_bytes(length) : 0;
  return static_cast<double>(heads * frames +
                             scratch_of_each(heads, problem.workers, scratch).total);
}

}  // namespace arena
