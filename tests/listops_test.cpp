// The ListOps generator against the reference statistics of Long Range Arena's own, and the task.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "data_file.hpp"
#include "expect_error.hpp"
#include "harness/core/hash.hpp"
#include "tasks/format/listops_expression.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

constexpr double kStandardErrors = 4;
constexpr double kReferenceCount = 100000;  // examples behind the reference statistics

using Tokens = std::vector<std::int32_t>;

std::unique_ptr<Task> make_listops(const OptionTexts& options) {
  const TaskInfo& info = Registry<TaskInfo>::find("listops");
  return info.make({}, Options("listops", info.options, options));
}

/// Parses "[MAX 3 5 ]" without the project's readers.
Tokens tokens_of(const std::string& text) {
  const std::vector<std::string> words = {"[MIN", "[MAX", "[MED", "[SM", "]", "0", "1", "2",
                                          "3",    "4",    "5",    "6",   "7", "8", "9"};
  Tokens tokens;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    tokens.push_back(static_cast<std::int32_t>(std::ranges::find(words, word) - words.begin()));
  }
  return tokens;
}

/// What one walk over an expression finds, by plain recursion: shares no code with the project.
struct Walk {
  int value = 0;
  int operators = 0;
  int depth = 0;  // of the deepest node
  int root_arguments = 0;
};

Walk walk(const Tokens& tokens, std::size_t& at, int depth) {
  const int token = tokens[at++];
  if (token > 4) return {token - 5, 0, depth, 0};
  Walk result{0, 1, depth, 0};
  std::vector<int> values;
  while (tokens[at] != 4) {
    const Walk child = walk(tokens, at, depth + 1);
    values.push_back(child.value);
    result.operators += child.operators;
    result.depth = std::max(result.depth, child.depth);
  }
  ++at;
  result.root_arguments = static_cast<int>(values.size());
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  const double middle = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0;
  if (token == 0) result.value = values.front();
  if (token == 1) result.value = values.back();
  if (token == 2) result.value = static_cast<int>(middle);
  if (token == 3) result.value = std::accumulate(values.begin(), values.end(), 0) % 10;
  return result;
}

Walk walk(const Tokens& tokens) {
  std::size_t at = 0;
  const Walk result = walk(tokens, at, 1);
  EXPECT_EQ(at, tokens.size());
  return result;
}

/// `successes` of `count` against a share measured on kReferenceCount examples.
void expect_share(double successes, double count, double share, double rounding = 0) {
  const double error = std::sqrt(share * (1 - share) * (1 / count + 1 / kReferenceCount));
  EXPECT_NEAR(successes / count, share, kStandardErrors * error + rounding);
}

void expect_mean(const std::vector<double>& values, double mean, double rounding) {
  const auto n = static_cast<double>(values.size());
  const double own = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - own) * (value - own);
  const double error = std::sqrt(squares / (n - 1) * (1 / n + 1 / kReferenceCount));
  EXPECT_NEAR(own, mean, kStandardErrors * error + rounding);
}

/// 4,000 training examples of LRA's lengths, drawn once.
const std::vector<Sample>& examples() {
  static const std::vector<Sample> drawn = [] {
    const auto task = make_listops({});
    std::vector<Sample> samples;
    for (Index i = 0; i < 4000; ++i) samples.push_back(task->sample(Split::kTrain, i));
    return samples;
  }();
  return drawn;
}

TEST(ListopsStatistics, Lengths) {
  std::vector<double> lengths;
  for (const Sample& sample : examples()) {
    lengths.push_back(static_cast<double>(sample.tokens.size()));
  }
  EXPECT_GE(*std::ranges::min_element(lengths), 501);
  EXPECT_LE(*std::ranges::max_element(lengths), 1999);
  expect_mean(lengths, 1034.5, 0.05);
  const std::vector<std::pair<double, double>> percentiles = {
      {508, .01}, {538, .05}, {702, .25}, {953, .5}, {1310, .75}, {1799, .95}, {1955, .99}};
  constexpr double kOneLength = 0.0015;  // share of examples that have exactly such a length
  for (const auto& [length, share] : percentiles) {
    SCOPED_TRACE(length);
    const auto below =
        std::ranges::count_if(lengths, std::bind_front(std::greater_equal{}, length));
    expect_share(static_cast<double>(below), static_cast<double>(lengths.size()), share,
                 kOneLength);
  }
}

TEST(ListopsStatistics, Trees) {
  std::vector<double> operators;
  std::vector<double> arguments;
  for (const Sample& sample : examples()) {
    const Walk found = walk(sample.tokens);
    operators.push_back(found.operators);
    arguments.push_back(found.root_arguments);
    ASSERT_EQ(found.depth, 10);
    ASSERT_EQ(found.value, sample.labels.front());
  }
  expect_mean(operators, 147.2, 0.05);
  expect_mean(arguments, 6.88, 0.005);
}

TEST(ListopsStatistics, LabelsAndRootOperators) {
  constexpr std::array kLabelShare = {.1679, .0901, .0777, .0827, .0896,
                                      .0871, .0762, .0727, .0877, .1682};
  std::array<double, 10> labels{};
  std::array<std::array<double, 10>, 4> given{};
  for (const Sample& sample : examples()) {
    const auto label = static_cast<std::size_t>(sample.labels.front());
    ++labels[label];
    ++given[static_cast<std::size_t>(sample.tokens.front())][label];
  }
  const auto count = static_cast<double>(examples().size());
  for (std::size_t label = 0; label < 10; ++label) {
    SCOPED_TRACE(label);
    expect_share(labels[label], count, kLabelShare[label]);
  }
  std::array<double, 4> roots{};
  for (std::size_t op = 0; op < 4; ++op) {
    roots[op] = std::accumulate(given[op].begin(), given[op].end(), 0.0);
    expect_share(roots[op], count, .25);
  }
  expect_share(given[kListopsMin][0], roots[kListopsMin], .566);
  expect_share(given[kListopsMax][9], roots[kListopsMax], .566);
  expect_share(given[kListopsMed][4], roots[kListopsMed], .216);
  for (const double sum : given[kListopsSm]) expect_share(sum, roots[kListopsSm], .10, .005);
}

TEST(ListopsStatistics, AcceptancePerTree) {
  constexpr Index kTrees = 40000;
  RandomStream stream(RandomKey(1).fold(Purpose::kTest));
  Tokens tokens;
  std::array<double, 4> outcomes{};  // accepted, one digit, too short, too long
  for (Index i = 0; i < kTrees; ++i) {
    const bool whole = draw_listops(stream, 2000, tokens);
    const std::size_t outcome = !whole ? 3 : tokens.size() == 1 ? 1 : tokens.size() <= 500 ? 2 : 0;
    ++outcomes[outcome];
  }
  expect_share(outcomes[0], kTrees, .0826);
  expect_share(outcomes[1], kTrees, .750);
  expect_share(outcomes[2], kTrees, .156);
  expect_share(outcomes[3], kTrees, .011, .0005);
}

TEST(ListopsStatistics, ShortcutsOnTheTestSplit) {
  const std::vector<Baseline> baselines = make_listops({})->baselines();
  constexpr double kTestSize = 2000;
  ASSERT_EQ(baselines.size(), 3U);
  expect_share(kTestSize * baselines[0].accuracy, kTestSize, .168);
  expect_share(kTestSize * baselines[1].accuracy, kTestSize, .361);
  expect_share(kTestSize * baselines[2].accuracy, kTestSize, .484);
  EXPECT_EQ(baselines[1].name, "root operator");
  EXPECT_EQ(baselines[2].name, "root operator and its digits");
}

// Computed by an independent program from the comments of random.hpp and listops.cpp.
TEST(Listops, GoldenExamples) {
  const auto of = [](const std::string& seed, Split split, Index index) {
    return make_listops({{"min_len", "8"}, {"max_len", "32"}, {"data_seed", seed}})
        ->sample(split, index);
  };
  const Sample train = of("0", Split::kTrain, 0);
  EXPECT_EQ(train.tokens, tokens_of("[MAX 6 9 0 9 5 [SM 3 1 6 ] 7 1 ]"));
  EXPECT_EQ(train.labels, Tokens{9});
  const Sample validation = of("0", Split::kValidation, 5);
  EXPECT_EQ(validation.tokens, tokens_of("[MED 3 3 0 2 7 7 3 7 ]"));
  EXPECT_EQ(validation.labels, Tokens{3});
  const Sample test = of("3", Split::kTest, 1999);
  EXPECT_EQ(test.tokens, tokens_of("[SM 0 5 9 9 7 3 2 5 1 0 ]"));
  EXPECT_EQ(test.labels, Tokens{1});
  const auto hash = [](const Sample& sample) {
    return fnv1a(std::span<const std::int32_t>(sample.tokens));
  };
  EXPECT_EQ(hash(make_listops({})->sample(Split::kTrain, 0)), 0x4F055A1CDB342945);
  EXPECT_EQ(hash(make_listops({{"data_seed", "7"}})->sample(Split::kTest, 11)), 0xF4840A3A0C28C95F);
}

TEST(Listops, ValuesOfOperators) {
  const std::vector<std::pair<std::string, int>> cases = {{"[MAX 3 5 9 ]", 9},
                                                          {"[MIN 3 5 9 ]", 3},
                                                          {"[MED 1 2 ]", 1},
                                                          {"[MED 3 4 ]", 3},
                                                          {"[MED 1 9 ]", 5},
                                                          {"[MED 7 0 8 ]", 7},
                                                          {"[SM 9 9 9 ]", 7},
                                                          {"[SM 5 5 ]", 0},
                                                          {"[MED 0 0 9 9 ]", 4},
                                                          {"[MIN [MAX 1 8 ] 9 ]", 8},
                                                          {"4", 4}};
  for (const auto& [text, value] : cases) {
    const ListopsEvaluation evaluation = evaluate_listops(tokens_of(text));
    EXPECT_EQ(evaluation.fault, "") << text;
    EXPECT_EQ(evaluation.value, value) << text;
    EXPECT_EQ(walk(tokens_of(text)).value, value) << text;
  }
}

TEST(Listops, LabelsAreTheValueAtAnyLength) {
  for (const char* const max_len : {"5", "12", "64", "4000"}) {
    const auto task = make_listops({{"max_len", max_len}});
    for (Index i = 0; i < 200; ++i) {
      const Sample sample = task->sample(Split::kTrain, i);
      const auto length = static_cast<Index>(sample.tokens.size());
      ASSERT_GT(length, task->max_len() / 4);
      ASSERT_LT(length, task->max_len());
      ASSERT_EQ(sample.labels, Tokens{walk(sample.tokens).value});
    }
  }
}

TEST(Listops, SplitsOfFewExpressionsAreDisjoint) {
  const auto task = make_listops({{"max_len", "5"}});  // 400 expressions, drawn again and again
  std::map<Tokens, Split> seen;
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    for (Index i = 0; i < 2000; ++i) {
      const Sample sample = task->sample(split, i);
      ASSERT_EQ(seen.emplace(sample.tokens, split).first->second, split);
    }
  }
  EXPECT_GT(seen.size(), 350U);
}

TEST(Listops, SizesAreThoseOfTheArena) {
  const auto task = make_listops({});
  EXPECT_EQ(task->size(Split::kTrain), 96000);
  EXPECT_EQ(task->size(Split::kValidation), 2000);
  EXPECT_EQ(task->size(Split::kTest), 2000);
  EXPECT_EQ(task->vocab_size(), 15);
  EXPECT_EQ(task->num_classes(), 10);
  EXPECT_EQ(task->max_len(), 2000);
}

TEST(Listops, BadLengthsAreErrors) {
  EXPECT_ERROR(make_listops({{"min_len", "128"}, {"max_len", "129"}}),
               "no length lies strictly between min_len=128 and max_len=129");
  EXPECT_ERROR(make_listops({{"max_len", "4"}}), "listops: option max_len='4' is not in 5..8000");
}

TEST(Listops, EveryChoiceIsInTheHash) {
  const std::vector<OptionTexts> choices = {
      {}, {{"max_len", "1999"}}, {{"min_len", "499"}}, {{"data_seed", "1"}}};
  std::set<std::string> hashes;
  for (const OptionTexts& options : choices) hashes.insert(make_listops(options)->dataset_hash());
  const DataFile file("4\t[MIN 4 5 ]\n");
  hashes.insert(make_listops({{"test_file", file.path()}})->dataset_hash());
  EXPECT_EQ(hashes.size(), choices.size() + 1);
  EXPECT_EQ(make_listops({{"min_len", "500"}})->dataset_hash(), make_listops({})->dataset_hash());
}

TEST(Listops, DescribesAnExpression) {
  const auto task = make_listops({});
  const Tokens nested = tokens_of("[MAX 3 5 [MIN 2 [SM 4 9 ] ] ]");
  EXPECT_EQ(task->describe({.tokens = nested, .labels = {5}}), "[MAX 3 5 [MIN 2 [SM 4 9]]] = 5");
  EXPECT_EQ(listops_text(nested, 2), "[MAX 3 5 [MIN 2 (SM of 4 tokens: 3)]]");
  EXPECT_EQ(listops_text(nested, 1), "[MAX 3 5 (MIN of 7 tokens: 2)]");
  EXPECT_EQ(task->describe({.tokens = tokens_of("7"), .labels = {7}}), "7 = 7");
  const std::string text = task->describe(examples().front());
  EXPECT_LT(text.size(), 1000U);
  EXPECT_NE(text.find(" tokens: "), std::string::npos);
}

TEST(ListopsTestFile, ItsRowsAreTheTestSplit) {
  const DataFile file("Source\tTarget\n[MAX 3 9 ]\t9\n[SM 1 2 3 4 5 6 7 8 9 ]\t5\n6\t6\n");
  const auto task = make_listops({{"min_len", "2"}, {"max_len", "10"}, {"test_file", file.path()}});
  EXPECT_EQ(task->size(Split::kTest), 2);
  EXPECT_EQ(task->sample(Split::kTest, 0).tokens, tokens_of("[MAX 3 9 ]"));
  EXPECT_EQ(task->sample(Split::kTest, 0).labels, Tokens{9});
  EXPECT_EQ(task->sample(Split::kTest, 1).labels, Tokens{6});
  EXPECT_EQ(task->size(Split::kValidation), 2000);
  const std::map<std::string, double> counts = task->counts();
  EXPECT_EQ(counts.at("test_file rows"), 3);
  EXPECT_EQ(counts.at("test_file rows longer than max_len, left out"), 1);
  EXPECT_TRUE(make_listops({})->counts().empty());
}

TEST(ListopsTestFile, ItsRowsNeverOccurInTraining) {
  // Half of all expressions with three operands at most: many would be drawn.
  std::string content;
  for (int a = 0; a < 10; ++a) {
    for (int b = 0; b < 10; ++b) {
      content += std::to_string(std::max(a, b)) + "\t[MAX " + std::to_string(a) + " " +
                 std::to_string(b) + " ]\n";
    }
  }
  const DataFile file(content);
  const auto task = make_listops({{"min_len", "2"}, {"max_len", "5"}, {"test_file", file.path()}});
  for (Index i = 0; i < 500; ++i) {
    ASSERT_NE(task->sample(Split::kTrain, i).tokens.front(), kListopsMax);
    ASSERT_NE(task->sample(Split::kValidation, i).tokens.front(), kListopsMax);
  }
}

TEST(ListopsTestFile, ShortcutsAreScoredOnItsRows) {
  // MIN -> 0 and MAX -> 9 are the best answers by the operator; a lone digit answers itself.
  const DataFile file(
      "0\t[MIN 0 4 ]\n0\t[MIN 0 [MAX 3 8 ] 4 ]\n9\t[MAX 9 [MIN 9 9 ] ]\n"
      "2\t[MAX 2 1 ]\n3\t3\n");
  const auto baselines =
      make_listops({{"min_len", "2"}, {"max_len", "40"}, {"test_file", file.path()}})->baselines();
  EXPECT_DOUBLE_EQ(baselines[0].accuracy, 0.4);
  EXPECT_DOUBLE_EQ(baselines[1].accuracy, 0.8);
  EXPECT_DOUBLE_EQ(baselines[2].accuracy, 1.0);
}

TEST(ListopsTestFile, ErrorsReachTheUser) {
  const auto missing = error_of([] { make_listops({{"test_file", "/no/such/file.tsv"}}); });
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->failure(), Failure::kNoData);
  const DataFile file("5\t[SM 1 2 3 4 5 6 7 8 9 ]\n");
  EXPECT_ERROR(make_listops({{"max_len", "9"}, {"test_file", file.path()}}),
               "listops: all 1 rows of '" + file.path() + "' are longer than max_len=9");
}

}  // namespace
}  // namespace arena
