// bigbird: blocks of queries see a band of blocks, the first and the last block, and some at
// random; the first and the last block see all.
//
//   out_i = sum over seen j of softmax_j(scale <query_i, key_j>) value_j, by blocks of `block`
//   positions: block b sees {0, b - 1, b, b + 1, last} and `random` others, drawn without
//   replacement, all others where they are fewer
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, about N block (7 + random); saves
// 8 N bytes a head and the lists of blocks. The blocks of a head are a function of its buffer
// "seed", drawn with the weights, and of the number of blocks, so they stay the same in training;
// they are the plan: blocks of row b at block[begin[b]] .. block[begin[b + 1] - 1]. Source: Zaheer
// et al., "Big Bird: Transformers for Longer Sequences", 2020, section 2 and appendix D. Its code
// draws from the first 1024 positions only and may count a block twice. Self attention only.

#include <bit>
#include <cmath>

#include "variants/engine/block_mask.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

/// How many blocks there are and how many each of them sees.
struct Shape {
  Shape(Index len, const Options& options)
      : length(len),
        block(options.integer("block")),
        random(options.integer("random")),
        count((len + block - 1) / block) {}

  bool sees_all(Index b) const { return b == 0 || b == count - 1; }
  Index row(Index b) const {
    const Index band = 5 - Index{b == 1} - Index{b == count - 2};
    return sees_all(b) ? count : std::min(count, band + random);
  }
  Index total() const {
    Index sum = 0;
    for (Index b = 0; b < count; ++b) sum += row(b);
    return sum;
  }
  Index list_bytes() const {
    return 2 * stored_bytes<std::int32_t>(count + 1) + 2 * stored_bytes<std::int32_t>(total());
  }

  Index length, block, random, count;
};

/// The blocks that block b sees, ascending, into a row of the right length.
void draw_row(const Shape& shape, Index b, RandomStream random, std::span<std::int32_t> row) {
  std::size_t size = 0;
  const auto insert = [&](Index block) {
    const auto end = row.begin() + static_cast<std::ptrdiff_t>(size);
    const auto place = std::lower_bound(row.begin(), end, block);
    if (place != end && *place == block) return;
    std::copy_backward(place, end, end + 1);
    *place = static_cast<std::int32_t>(block);
    ++size;
  };
  if (static_cast<Index>(row.size()) == shape.count) {
    for (Index block = 0; block < shape.count; ++block) insert(block);
    return;
  }
  for (const Index block : {Index{0}, b - 1, b, b + 1, shape.count - 1}) insert(block);
  while (size < row.size()) insert(random.below(shape.count));
}

class BigBird final : public AttentionHead {
 public:
  BigBird(const Setup& setup, const Options& options)
      : options_(options),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  std::span<const ParameterSpec> buffers() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Index workers = call.team.size(), lists = Shape(extents.key_len, options_).list_bytes();
    const Index forward = softmax_forward_scratch(extents, head_dim_, workers).caller;
    const Index backward =
        softmax_backward_scratch(extents, head_dim_, extents.query_len, workers).caller;
    return {.frame = softmax_statistics_bytes(extents.query_len) + lists,
            .scratch = std::max(lists + forward, backward)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    const Shape shape(in.key.rows(), options_);
    const WorkspaceScope scope(call.team.workspace());
    const View statistics = frame ? frame->matrix(2, shape.length) : View();
    const auto take = [&](Index count) {
      return frame ? frame->take<std::int32_t>(count)
                   : call.team.workspace().take<std::int32_t>(count);
    };
    const auto begin = take(shape.count + 1), block = take(shape.total());
    const auto begin_of_key = take(shape.count + 1), block_of_key = take(shape.total());
    make_lists(shape, call, weights.buffers[0](0, 0), begin, block);
    const BlockLists keys{begin, block};
    if (extras.plan) {
      (*extras.plan)["begin"].assign(begin.begin(), begin.end());
      (*extras.plan)["block"].assign(block.begin(), block.end());
    }
    const BlockMask mask(shape.block, keys, transpose(keys, begin_of_key, block_of_key));
    softmax_forward(call.team, in, scale_, mask, outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Shape shape(in.key.rows(), options_);
    FrameReader saved(frame);
    const ConstView statistics = saved.matrix(2, shape.length);
    const auto lists = [&] {
      const auto begin = saved.take<std::int32_t>(shape.count + 1);
      return BlockLists{begin, saved.take<std::int32_t>(shape.total())};
    };
    const BlockLists keys = lists(), queries = lists();
    softmax_backward(call.team, in, scale_, BlockMask(shape.block, keys, queries), d_outputs,
                     statistics, d_in);
  }

 private:
  /// From the frozen plan, if there is one.
  static void make_lists(const Shape& shape, const Call& call, float seed,
                         std::span<std::int32_t> begin, std::span<std::int32_t> block) {
    begin[0] = 0;
    if (call.plan) return copy_lists(shape, *call.plan, begin, block);
    const RandomKey key(std::bit_cast<std::uint32_t>(seed));
    for (Index b = 0; b < shape.count; ++b) {
      const auto at = static_cast<std::size_t>(b);
      begin[at + 1] = begin[at] + static_cast<std::int32_t>(shape.row(b));
      draw_row(shape, b, RandomStream(key.fold(static_cast<std::uint64_t>(b))),
               block.subspan(static_cast<std::size_t>(begin[at]),
                             static_cast<std::size_t>(shape.row(b))));
    }
  }

  static void copy_lists(const Shape& shape, const Plan& plan, std::span<std::int32_t> begin,
                         std::span<std::int32_t> block) {
    const std::vector<std::int64_t>&begins = plan.at("begin"), &blocks = plan.at("block");
    check(begins.size() == begin.size() && blocks.size() == block.size(),
          "bigbird: a plan for {} blocks has {} numbers 'begin' and {} 'block'", shape.count,
          begin.size(), block.size());
    for (Index b = 0; b < shape.count; ++b) {
      const auto at = static_cast<std::size_t>(b);
      begin[at + 1] = begin[at] + static_cast<std::int32_t>(shape.row(b));
      check(begins[at] == begin[at], "bigbird: the plan's row {} begins at {}, not {}", b,
            begins[at], begin[at]);
      for (std::int32_t e = begin[at]; e < begin[at + 1]; ++e) {
        const std::int64_t seen = blocks[static_cast<std::size_t>(e)];
        const std::int64_t before = e > begin[at] ? blocks[static_cast<std::size_t>(e) - 1] : -1;
        check(before < seen && seen < shape.count,
              "bigbird: the plan's block {} of row {} is out of range or order", seen, b);
        block[static_cast<std::size_t>(e)] = static_cast<std::int32_t>(seen);
      }
    }
  }

  Options options_;
  Index head_dim_;
  float scale_;
  std::array<ParameterSpec, 1> specs_{
      {{.name = "seed", .rows = 1, .init = Init::uniform(1), .sharing = Sharing::kHead}}};
};

/// Every block sees the last one, which alone may be short.
double flops(const Problem& p) {
  const Shape shape(p.extents.key_len, p.options);
  const Index last = shape.length - (shape.count - 1) * shape.block;
  Index pairs = 0;
  for (Index b = 0; b < shape.count; ++b) {
    pairs += (b < shape.count - 1 ? shape.block : last) * ((shape.row(b) - 1) * shape.block + last);
  }
  return softmax_flops(p, pairs);
}

double analytic_bytes(const Problem& p) {
  const Index lists = Shape(p.extents.key_len, p.options).list_bytes(), heads = p.setup.num_heads;
  const double softmax = softmax_scratch_bytes(p, p.extents, p.extents.query_len);
  const Index busy = heads >= p.workers ? p.workers : 1;
  if (p.pass == Pass::kForward) return softmax + static_cast<double>(busy * lists);
  return softmax +
         static_cast<double>(heads * (lists + softmax_statistics_bytes(p.extents.query_len)));
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
