// transduce: write a sequence again, as it is, backwards or sorted: [3 1 2] -> 3 1 2 | 2 1 3 |
// 1 2 3. The model decides when the answer ends. Lengths are uniform in min_len .. max_len, symbols
// uniform too. The three kinds ask different things of cross attention: to go along, to go back
// from an end that lies elsewhere in each sequence, to look by content. Source: copy and reversal
// as in Graves et al., "Neural Turing Machines", 2014, section 4.1, and Sutskever et al. 2014;
// sorting as in Vinyals et al., "Order Matters", 2015.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/core/hash.hpp"
#include "tasks/drawn_sample.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

class Transduce final : public Task {
 public:
  explicit Transduce(const Options& options)
      : max_len_(options.integer("max_len")),
        min_len_(options.integer("min_len")),
        symbols_(options.integer("symbols")),
        data_seed_(options.integer("data_seed")),
        kind_(options.text("kind")) {
    check_fit(min_len_ <= max_len_, "transduce: min_len={} is more than max_len={}", min_len_,
              max_len_);
    double sequences = 1;
    for (Index i = 0; i < max_len_ && sequences < kFewestSequences; ++i) {
      sequences *= static_cast<double>(symbols_);
    }
    check_fit(sequences >= kFewestSequences,
              "transduce: fewer than {} different sequences, too few for three splits",
              kFewestSequences);
  }

  Answer answer() const override { return Answer::kSequence; }
  Index vocab_size() const override { return symbols_; }
  Index num_classes() const override { return symbols_ + 1; }
  Index max_len() const override { return max_len_; }
  Index size(Split split) const override { return drawn_size(split); }

  Sample sample(Split split, Index index) const override {
    return drawn_sample(data_seed_, split, index,
                        [this](RandomStream stream) { return draw(stream); });
  }

  std::string dataset_hash() const override {
    const std::string text =
        fmt::format("transduce-1 {} {} {} {} {}", kind_, max_len_, min_len_, symbols_, data_seed_);
    return fmt::format("{:016x}", fnv1a(text));
  }

  std::vector<Baseline> baselines() const override;
  std::string describe(const Sample& sample) const override;

 private:
  std::int32_t end_mark() const { return static_cast<std::int32_t>(symbols_); }

  Sample draw(RandomStream stream) const {
    Sample sample;
    const Index len = min_len_ + stream.below(max_len_ - min_len_ + 1);
    for (Index i = 0; i < len; ++i) {
      sample.tokens.push_back(static_cast<std::int32_t>(stream.below(symbols_)));
    }
    sample.labels = sample.tokens;
    if (kind_ == "reverse") std::ranges::reverse(sample.labels);
    if (kind_ == "sort") std::ranges::sort(sample.labels);
    sample.labels.push_back(end_mark());
    return sample;
  }

  Index max_len_, min_len_, symbols_, data_seed_;
  std::string kind_;
};

/// The best constant, and one that sees the right answer so far: the symbol before once more, which
/// is often right where the answer is sorted.
std::vector<Baseline> Transduce::baselines() const {
  std::vector<Index> answers(static_cast<std::size_t>(num_classes()), 0);
  Index scored = 0, repeated = 0;
  for (Index i = 0; i < size(Split::kTest); ++i) {
    const std::vector<std::int32_t> labels = sample(Split::kTest, i).labels;
    scored += static_cast<Index>(labels.size());
    for (std::size_t t = 0; t < labels.size(); ++t) {
      ++answers[static_cast<std::size_t>(labels[t])];
      repeated += t > 0 && labels[t] == labels[t - 1] ? 1 : 0;
    }
  }
  const Index most = *std::ranges::max_element(answers);
  return {{"majority", static_cast<double>(most) / static_cast<double>(scored)},
          {"symbol before", static_cast<double>(repeated) / static_cast<double>(scored)}};
}

std::string Transduce::describe(const Sample& sample) const {
  const std::span<const std::int32_t> written(sample.labels.data(), sample.labels.size() - 1);
  return fmt::format("{} -> {} end", fmt::join(sample.tokens, " "), fmt::join(written, " "));
}

const Register<TaskInfo> kTransduce{{
    .name = "transduce",
    .summary = "write a sequence again: as it is, backwards or sorted",
    .answer = Answer::kSequence,
    .source = "Graves et al., Neural Turing Machines, 2014, section 4.1 (copy)",
    .options = {integer_option("max_len", 32, 1, 4096, "longest sequence, without the end mark"),
                integer_option("min_len", 1, 1, 4096, "shortest"),
                choice_option("kind", "copy", {"copy", "reverse", "sort"}, "what is written"),
                integer_option("symbols", 16, 2, 100000, "different symbols"),
                integer_option("data_seed", 0, 0, 1 << 30, "which data set")},
    .make = [](const TaskSetup&,
               const Options& options) { return std::make_unique<Transduce>(options); },
    .label_option = "max_len",
}};

}  // namespace
}  // namespace arena
