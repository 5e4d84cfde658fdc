// listops: the value of a nested expression over digits, [MAX 3 5 [MIN 2 4 ] ] -> 5.
//
//   tree(d):  u uniform in [0, 1), taken as 1 where d = 10;  u > 1/4: a digit 0..9
//             otherwise  n uniform in 2..10,  n times tree(d + 1),  operator of MIN MAX MED SM
//   length = tokens with closing brackets; tree(1) is redrawn until min_len < length < max_len
//
// This is Long Range Arena's generator (Tay et al. 2020; Nangia and Bowman 2018), whose data has
// min_len 500, max_len 2000 and 96,000 / 2,000 / 2,000 examples. What differs: the split of an
// expression follows from its content, and at short lengths one may stand twice within a split.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include "harness/core/hash.hpp"
#include "tasks/format/listops_expression.hpp"
#include "tasks/format/listops_tsv.hpp"
#include "tasks/format/sample_batches.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

constexpr Index kTrainSize = 96000;
constexpr Index kEvaluationSize = 2000;
constexpr Index kShortest = 4;  // tokens of an operator with two digits
constexpr Index kNumDigits = 10;
constexpr Index kMaxTrees = 100'000'000;     // drawn for one sample: minutes, then an Error
constexpr Index kShortcutExamples = 20'000;  // training samples that a shortcut learns from

using Tokens = std::vector<std::int32_t>;

std::uint64_t content_hash(const Tokens& tokens) {
  return fnv1a(std::span<const std::int32_t>(tokens));
}

/// What a reader of the first token knows.
std::size_t first_token(const Tokens& tokens) {
  return static_cast<std::size_t>(tokens.front());
}

/// What a reader of the first token and of the digits that are its direct arguments knows: the
/// operator and its value over those digits, if there are any.
std::size_t direct_digits(const Tokens& tokens) {
  if (!is_listops_operator(tokens.front())) return first_token(tokens);
  DigitCounts digits{};
  Index level = 0;
  for (const std::int32_t token : tokens) {
    if (is_listops_digit(token)) {
      if (level == 1) ++digits[static_cast<std::size_t>(token - kListopsDigit)];
    } else {
      level += token == kListopsClose ? -1 : 1;
    }
  }
  const Index value = digits == DigitCounts{} ? kNumDigits : listops_value(tokens.front(), digits);
  return static_cast<std::size_t>(kListopsVocabulary + tokens.front() * (kNumDigits + 1) + value);
}

/// The most frequent label of each key among the examples shown; a lone digit is its own label.
class Shortcut {
 public:
  using Key = std::size_t (*)(const Tokens&);
  explicit Shortcut(Key key) : key_(key) {
    for (std::size_t digit = 0; digit < kNumDigits; ++digit)
      counts_[kListopsDigit + digit][digit] = 1;
  }
  void learn(const Sample& sample) {
    ++counts_[key_(sample.tokens)][static_cast<std::size_t>(sample.labels.front())];
  }
  std::int32_t predict(const Tokens& tokens) const {
    const DigitCounts& counts = counts_[key_(tokens)];
    return static_cast<std::int32_t>(std::ranges::max_element(counts) - counts.begin());
  }

 private:
  static constexpr std::size_t kKeys = kListopsVocabulary + 4 * (kNumDigits + 1);
  Key key_;
  std::array<DigitCounts, kKeys> counts_{};
};

class Listops final : public Task {
 public:
  explicit Listops(const Options& options)
      : max_len_(options.integer("max_len")),
        min_len_(options.integer("min_len") > 0 ? options.integer("min_len") : max_len_ / 4),
        data_seed_(options.integer("data_seed")) {
    check_fit(std::max(min_len_ + 1, kShortest) < max_len_,
              "listops: no length lies strictly between min_len={} and max_len={} (the shortest "
              "expression has {} tokens)",
              min_len_, max_len_, kShortest);
    path_ = options.text("test_file");
    if (path_.empty()) return;
    file_ = read_listops_tsv(path_, max_len_);
    check(!file_.rows.empty(), "listops: all {} rows of '{}' are longer than max_len={}",
          file_.too_long, path_, max_len_);
    for (const ListopsRow& row : file_.rows) file_hashes_.push_back(content_hash(row.tokens));
    std::ranges::sort(file_hashes_);
  }

  Answer answer() const override { return Answer::kSequenceLabel; }
  Index vocab_size() const override { return kListopsVocabulary; }
  Index num_classes() const override { return kNumDigits; }
  Index max_len() const override { return max_len_; }
  Index size(Split split) const override {
    if (split == Split::kTrain) return kTrainSize;
    const bool outside = split == Split::kTest && has_file();
    return outside ? static_cast<Index>(file_.rows.size()) : kEvaluationSize;
  }
  Sample sample(Split split, Index index) const override;
  std::string dataset_hash() const override {
    const std::string text = fmt::format("listops-1 {} {} {} {:016x}", min_len_, max_len_,
                                         data_seed_, file_.content_hash);
    return fmt::format("{:016x}", fnv1a(text));
  }
  std::vector<Baseline> baselines() const override;
  std::map<std::string, double> counts() const override {
    if (!has_file()) return {};
    const auto kept = static_cast<double>(file_.rows.size());
    const auto too_long = static_cast<double>(file_.too_long);
    return {{"test_file rows", kept + too_long},
            {"test_file rows longer than max_len, left out", too_long}};
  }
  std::string describe(const Sample& sample) const override;
  std::vector<std::string> places() const override {
    return has_file() ? std::vector<std::string>{path_} : std::vector<std::string>{};
  }
  std::vector<std::string> oddities() const override;

 private:
  bool has_file() const { return !file_.rows.empty(); }
  bool belongs(const Tokens& tokens, Split split) const;

  Index max_len_, min_len_, data_seed_;
  std::string path_{};  // of the test file
  ListopsFile file_{};
  std::vector<std::uint64_t> file_hashes_{};  // ascending
};

Sample Listops::sample(Split split, Index index) const {
  if (split == Split::kTest && has_file()) {
    const ListopsRow& row = file_.rows[static_cast<std::size_t>(index)];
    return {.tokens = row.tokens, .labels = {row.label}};
  }
  RandomStream stream(RandomKey(static_cast<std::uint64_t>(data_seed_))
                          .fold(Purpose::kData)
                          .fold(static_cast<std::uint64_t>(split))
                          .fold(static_cast<std::uint64_t>(index)));
  Sample sample;
  sample.tokens.reserve(static_cast<std::size_t>(max_len_));
  for (Index tree = 0; tree < kMaxTrees; ++tree) {
    if (draw_listops(stream, max_len_, sample.tokens) && belongs(sample.tokens, split)) {
      sample.labels = {evaluate_listops(sample.tokens).value};
      return sample;
    }
  }
  fail("listops: {} random expressions, none with a length strictly between {} and {}", kMaxTrees,
       min_len_, max_len_);
}

/// Long enough, in its split by content, and not one of the outside test rows.
bool Listops::belongs(const Tokens& tokens, Split split) const {
  if (static_cast<Index>(tokens.size()) <= min_len_) return false;
  const std::uint64_t hash = content_hash(tokens);
  return split_of_hash(hash) == split && !std::ranges::binary_search(file_hashes_, hash);
}

std::vector<Baseline> Listops::baselines() const {
  Shortcut operator_only(first_token);
  Shortcut with_digits(direct_digits);
  for (Index i = 0; i < kShortcutExamples; ++i) {
    const Sample example = sample(Split::kTrain, i);
    operator_only.learn(example);
    with_digits.learn(example);
  }
  DigitCounts labels{};
  Index operator_right = 0;
  Index digits_right = 0;
  for (Index i = 0; i < size(Split::kTest); ++i) {
    const Sample example = sample(Split::kTest, i);
    const std::int32_t label = example.labels.front();
    ++labels[static_cast<std::size_t>(label)];
    operator_right += operator_only.predict(example.tokens) == label ? 1 : 0;
    digits_right += with_digits.predict(example.tokens) == label ? 1 : 0;
  }
  const auto share = [&](Index right) {
    return static_cast<double>(right) / static_cast<double>(size(Split::kTest));
  };
  return {{"majority", share(*std::ranges::max_element(labels))},
          {"root operator", share(operator_right)},
          {"root operator and its digits", share(digits_right)}};
}

/// A whole data set has no row shorter or longer than its kind.
std::vector<std::string> Listops::oddities() const {
  const auto odd = std::ranges::count_if(file_.rows, [&](const ListopsRow& row) {
    const auto length = static_cast<Index>(row.tokens.size());
    return length <= min_len_ || length >= max_len_;
  });
  if (odd + file_.too_long == 0) return {};
  return {fmt::format("{} rows have a length that is not strictly between {} and {}",
                      odd + file_.too_long, min_len_, max_len_)};
}

/// In full where that fits into a few lines, otherwise with its deepest operators as their values.
std::string Listops::describe(const Sample& sample) const {
  constexpr std::size_t kFewLines = 400;
  std::string text = listops_text(sample.tokens, max_len_);
  for (Index depth = kListopsMaxDepth - 1; depth > 0 && text.size() > kFewLines; --depth) {
    text = listops_text(sample.tokens, depth);
  }
  return fmt::format("{} = {}", text, sample.labels.front());
}

/// The three files of Long Range Arena's release.
void write(const Task& task, const Options&, const std::string& folder,
           const WriteProgress& progress) {
  std::filesystem::create_directories(folder);
  std::array<std::ofstream, 3> files;
  const auto path = [&](std::size_t split) {
    constexpr std::array kNames = {"train", "val", "test"};
    return fmt::format("{}/basic_{}.tsv", folder, kNames[split]);
  };
  for (std::size_t s = 0; s < files.size(); ++s) {
    files[s].open(path(s), std::ios::binary);
    files[s] << kListopsHeader;
  }
  for_each_batch(task, progress, [&](Split split, Index, std::span<const Sample> samples) {
    const auto s = static_cast<std::size_t>(split);
    for (const Sample& sample : samples) {
      files[s] << listops_tsv_row({sample.tokens, sample.labels.front()});
    }
    check(static_cast<bool>(files[s].flush()), "cannot write '{}'", path(s));
  });
}

const Register<TaskInfo> kListops{{
    .name = "listops",
    .summary = "value of a nested expression of MIN, MAX, MED, SM over digits",
    .answer = Answer::kSequenceLabel,
    .source = "Tay et al., Long Range Arena, 2020; Nangia and Bowman, ListOps, 2018",
    .options = {integer_option("min_len", 0, 0, 4000, "longer than this; 0: a quarter of max_len"),
                integer_option("max_len", 2000, 5, 8000, "shorter than this, in tokens"),
                text_option("test_file", "",
                            "TSV whose rows are the test split (at most max_len tokens)"),
                integer_option("data_seed", 0, 0, 1 << 30, "which data set")},
    .make = [](const TaskSetup&,
               const Options& options) { return std::make_unique<Listops>(options); },
    .write = write,
}};

}  // namespace
}  // namespace arena
