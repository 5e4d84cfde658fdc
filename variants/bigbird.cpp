// bigbird: blocks see a band of blocks, the first and last one and random ones; those two see all.
//
//   out_i = sum over seen j of softmax_j(scale <query_i, key_j>) value_j, by blocks of `block`
//   positions: block b sees {0, b - 1, b, b + 1, last} and `random` others, drawn without
//   replacement, all others where they are fewer
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, about N block (7 + random); saves
// 8 N bytes a head and the lists of blocks. The blocks of a head are a function of its buffer
// "seed", drawn with the weights, and of the number of blocks, so they stay the same in training;
// they are the plan (engine/random_blocks.hpp). Source: Zaheer et al., "Big Bird: Transformers for
// Longer Sequences", 2020, section 2 and appendix D. Its code draws from the first 1024 positions
// only and may count a block twice. Self attention only.

#include <bit>
#include <cmath>

#include "variants/engine/head_costs.hpp"
#include "variants/engine/random_blocks.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {
namespace {

RandomBlocks blocks_of(Index length, const Options& options) {
  return {length, options.integer("block"), options.integer("random")};
}

/// What one head takes.
struct Sizes {
  RandomBlocks blocks;
  Index head_dim;

  Index frame() const { return softmax_statistics_bytes(blocks.length) + blocks.list_bytes(); }
  SoftmaxScratch forward(Index workers, bool saves) const {
    return added(saves ? 0 : blocks.list_bytes(),
                 softmax_forward_scratch(blocks.extents(), head_dim, workers));
  }
  SoftmaxScratch backward(Index workers) const {
    return softmax_backward_scratch(blocks.extents(), head_dim, blocks.length, workers);
  }
};

class BigBird final : public AttentionHead {
 public:
  BigBird(const Setup& setup, const Options& options)
      : options_(options),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  std::span<const ParameterSpec> buffers() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(Sizes{blocks_of(extents.key_len, options_), head_dim_}, call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    const RandomBlocks blocks = blocks_of(in.key.rows(), options_);
    const WorkspaceScope scope(call.team.workspace());
    const View statistics = frame ? frame->matrix(2, blocks.length) : View();
    const auto take = [&](Index count) {
      return frame ? frame->take<std::int32_t>(count)
                   : call.team.workspace().take<std::int32_t>(count);
    };
    const auto begin = take(blocks.count + 1), block = take(blocks.total());
    const auto begin_of_key = take(blocks.count + 1), block_of_key = take(blocks.total());
    const RandomKey key(std::bit_cast<std::uint32_t>(weights.buffers[0](0, 0)));
    if (call.plan) {
      blocks.read(*call.plan, begin, block);
    } else {
      blocks.draw(key, begin, block);
    }
    const BlockLists keys{begin, block};
    if (extras.plan) {
      (*extras.plan)["begin"].assign(begin.begin(), begin.end());
      (*extras.plan)["block"].assign(block.begin(), block.end());
    }
    const BlockMask mask(blocks.size, keys, transpose(keys, begin_of_key, block_of_key));
    softmax_forward(call.team, in, scale_, mask, outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const RandomBlocks blocks = blocks_of(in.key.rows(), options_);
    FrameReader saved(frame);
    const ConstView statistics = saved.matrix(2, blocks.length);
    const auto lists = [&] {
      const auto begin = saved.take<std::int32_t>(blocks.count + 1);
      return BlockLists{begin, saved.take<std::int32_t>(blocks.total())};
    };
    const BlockLists keys = lists(), queries = lists();
    softmax_backward(call.team, in, scale_, BlockMask(blocks.size, keys, queries), d_outputs,
                     statistics, d_in);
  }

 private:
  Options options_;
  Index head_dim_;
  float scale_;
  std::array<ParameterSpec, 1> specs_{
      {{.name = "seed", .rows = 1, .init = Init::uniform(1), .sharing = Sharing::kHead}}};
};

double flops(const Problem& p) {
  return softmax_flops(p, blocks_of(p.extents.key_len, p.options).pairs());
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, Sizes{blocks_of(p.extents.key_len, p.options), p.setup.head_dim});
}

/// Those of the plan.
Edges edges(const Problem& p, const Call& call) {
  check(call.plan, "the pattern of bigbird is in the plan of a call");
  const std::vector<std::int64_t>&begin = call.plan->at("begin"), &block = call.plan->at("block");
  const Index size = p.options.integer("block");
  return edges_where(p.extents.query_len, p.extents.key_len, [&](Index i, Index j) {
    const auto row = static_cast<std::size_t>(i / size);
    return std::find(block.begin() + begin[row], block.begin() + begin[row + 1], j / size) !=
           block.begin() + begin[row + 1];
  });
}

const Register<Variant> kBigBird{{
    .name = "bigbird",
    .summary = "blocks see their neighbours, the first, the last and `random` others",
    .family = "fixed pattern + memory",
    .year = 2020,
    .cost = "4 P d flops forward, 10 P d backward, P = N block (7 + random); saves 8 N bytes a "
            "head and the lists of blocks",
    .source = "Zaheer et al., Big Bird, 2020, section 2 and appendix D",
    .published_row = "BigBird",
    .options = {integer_option("block", 64, 1, Index{1} << 30, "positions of a block"),
                integer_option("random", 3, 0, 64, "blocks drawn for each block")},
    .claims = {.log_sum_exp = true,
               .convex = true,
               .pattern = edges,
               .exact = {{.name = "at most 4 blocks", .options = {{"block", "75"}}},
                         {.name = "random >= blocks - 4",
                          .options = {{"block", "8"}, {"random", "34"}}}}},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<BigBird>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
