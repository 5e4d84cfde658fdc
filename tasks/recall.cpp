// recall: multi-query associative recall. Key-value pairs, a gap of filler, then queries; at each
// query the value that stood behind the same key is asked for. It tells mechanisms apart in a
// minute: one whose reach (layers x window) is shorter than the gap stays at chance. Source: Arora
// et al., "Zoology", 2023, section 3 (MQAR), with the queries behind all pairs.

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/hash.hpp"
#include "tasks/drawn_sample.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

class Recall final : public Task {
 public:
  explicit Recall(const Options& options)
      : pairs_(options.integer("pairs")),
        min_pairs_(options.integer("min_pairs") > 0 ? options.integer("min_pairs") : pairs_),
        keys_(options.integer("keys")),
        values_(options.integer("values")),
        gap_(options.integer("gap")),
        queries_(options.integer("queries") > 0 ? options.integer("queries") : pairs_),
        data_seed_(options.integer("data_seed")) {
    check_fit(pairs_ <= keys_, "recall: pairs={} is more than keys={}; keys of a sequence differ",
              pairs_, keys_);
    check_fit(min_pairs_ <= pairs_, "recall: min_pairs={} is more than pairs={}", min_pairs_,
              pairs_);
    check_fit(queries_ <= pairs_,
              "recall: queries={} is more than pairs={}; each pair is asked once", queries_,
              pairs_);
    check_fit(enough_sequences(),
              "recall: fewer than {} different sequences, too few for three splits",
              kFewestSequences);
  }

  Answer answer() const override { return Answer::kPositionLabels; }
  Index vocab_size() const override { return keys_ + values_ + 1; }
  Index num_classes() const override { return values_; }
  Index max_len() const override { return 2 * pairs_ + gap_ + queries_; }
  Index size(Split split) const override { return drawn_size(split); }

  Sample sample(Split split, Index index) const override {
    return drawn_sample(data_seed_, split, index,
                        [this](RandomStream stream) { return draw(stream); });
  }

  std::string dataset_hash() const override {
    const std::string text = fmt::format("recall-1 {} {} {} {} {} {} {}", pairs_, min_pairs_, keys_,
                                         values_, gap_, queries_, data_seed_);
    return fmt::format("{:016x}", fnv1a(text));
  }

  std::vector<Baseline> baselines() const override;
  std::string describe(const Sample& sample) const override;

 private:
  /// Orders of keys and of queries, and values, multiplied until there are enough.
  bool enough_sequences() const {
    double sequences = 1;
    for (Index p = 0; p < pairs_ && sequences < kFewestSequences; ++p) {
      sequences *= static_cast<double>((keys_ - p) * values_);
      if (p < queries_) sequences *= static_cast<double>(pairs_ - p);
    }
    return sequences >= kFewestSequences;
  }

  Sample draw(RandomStream stream) const {
    const std::vector<Index> keys = stream.permutation(keys_);
    Sample sample;
    std::vector<std::int32_t> values;
    const Index pairs =
        min_pairs_ < pairs_ ? min_pairs_ + stream.below(pairs_ - min_pairs_ + 1) : pairs_;
    for (Index p = 0; p < pairs; ++p) {
      values.push_back(static_cast<std::int32_t>(stream.below(values_)));
      sample.tokens.push_back(static_cast<std::int32_t>(keys[static_cast<std::size_t>(p)]));
      sample.tokens.push_back(values.back() + static_cast<std::int32_t>(keys_));
    }
    sample.tokens.insert(sample.tokens.end(), static_cast<std::size_t>(gap_),
                         static_cast<std::int32_t>(keys_ + values_));
    sample.labels.assign(sample.tokens.size(), kNotScored);
    const std::vector<Index> order = stream.permutation(pairs);
    for (Index q = 0; q < std::min(queries_, pairs); ++q) {
      const auto p = static_cast<std::size_t>(order[static_cast<std::size_t>(q)]);
      sample.tokens.push_back(static_cast<std::int32_t>(keys[p]));
      sample.labels.push_back(values[p]);
    }
    return sample;
  }

  std::int32_t commonest_value(const Sample& sample) const;

  Index pairs_, min_pairs_, keys_, values_, gap_, queries_, data_seed_;
};

/// The best constant, and the value that stands most often among the sequence's own pairs: what
/// can be had without looking at a key.
std::vector<Baseline> Recall::baselines() const {
  std::vector<Index> answers(static_cast<std::size_t>(values_), 0);
  Index scored = 0;
  Index commonest_right = 0;
  for (Index i = 0; i < size(Split::kTest); ++i) {
    const Sample example = sample(Split::kTest, i);
    const std::int32_t guess = commonest_value(example);
    for (const std::int32_t label : example.labels) {
      if (label == kNotScored) continue;
      ++answers[static_cast<std::size_t>(label)];
      ++scored;
      commonest_right += label == guess ? 1 : 0;
    }
  }
  const Index most = *std::ranges::max_element(answers);
  return {{"majority", static_cast<double>(most) / static_cast<double>(scored)},
          {"commonest value", static_cast<double>(commonest_right) / static_cast<double>(scored)}};
}

std::int32_t Recall::commonest_value(const Sample& sample) const {
  std::vector<Index> counts(static_cast<std::size_t>(values_), 0);
  for (std::size_t at = 1; at < sample.tokens.size() && sample.tokens[at] >= keys_ &&
                           sample.tokens[at] < keys_ + values_;
       at += 2) {
    ++counts[static_cast<std::size_t>(sample.tokens[at] - keys_)];
  }
  return static_cast<std::int32_t>(std::ranges::max_element(counts) - counts.begin());
}

std::string Recall::describe(const Sample& sample) const {
  std::string text;
  for (std::size_t i = 0; i < sample.tokens.size(); ++i) {
    const Index token = sample.tokens[i];
    if (token < keys_) {
      text += fmt::format("k{}", token);
    } else {
      text += token < keys_ + values_ ? fmt::format("v{}", token - keys_) : ".";
    }
    if (sample.labels[i] != kNotScored) text += fmt::format("->v{}", sample.labels[i]);
    text += ' ';
  }
  return text;
}

const Register<TaskInfo> kRecall{{
    .name = "recall",
    .summary = "multi-query associative recall: which value stood behind this key?",
    .answer = Answer::kPositionLabels,
    .source = "Arora et al., Zoology, 2023, section 3",
    .options = {integer_option("pairs", 8, 1, 4096, "key-value pairs in front, at most"),
                integer_option("min_pairs", 0, 0, 4096,
                               "at least; few pairs are learnt first and make the rest learnable "
                               "(0: always `pairs`)"),
                integer_option("keys", 16, 1, 100000, "different keys"),
                integer_option("values", 16, 2, 100000, "different values"),
                integer_option("gap", 20, 0, 100000, "filler tokens between pairs and queries"),
                integer_option("queries", 0, 0, 4096,
                               "scored positions at the end, at most; 0: all pairs"),
                integer_option("data_seed", 0, 0, 1 << 30, "which data set")},
    .make = [](const TaskSetup&,
               const Options& options) { return std::make_unique<Recall>(options); },
}};

}  // namespace
}  // namespace arena
