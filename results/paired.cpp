#include "results/paired.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "harness/core/check.hpp"
#include "results/statistics.hpp"

namespace arena {
namespace {

constexpr double kConfidence = 0.95;
constexpr std::size_t kBitsPerDigit = 4, kBitsPerWord = 64;
constexpr int kManyFreedom = 1000;  // Student's t is nearly the normal distribution

using Bits = std::vector<std::uint64_t>;

/// The same seed, the same examples, in both sets.
struct SeedPair {
  Bits first, second;
};

/// Number of scored labels; of a record that does not say it, all that its digits have room for.
Index examples_of(const Record& record) {
  const auto found = record.metrics.find("test_labels");
  const auto room = static_cast<Index>(kBitsPerDigit * record.correct.size());
  return found == record.metrics.end() ? room : static_cast<Index>(found->second);
}

/// How many of the examples each sequence has.
std::vector<Index> labels_of_sequences(const Record& record) {
  const auto examples = static_cast<std::size_t>(examples_of(record));
  if (record.sequence_starts.empty()) return std::vector<Index>(examples, 1);
  const Bits starts = right_examples(record.sequence_starts, record.id);
  check(record.sequence_starts.size() == record.correct.size() &&
            examples <= record.correct.size() * kBitsPerDigit,
        "{}: field 'sequence_starts' has {} digits for {} examples", record.id,
        record.sequence_starts.size(), examples);
  std::vector<Index> labels;
  for (std::size_t i = 0; i < examples; ++i) {
    const bool start = (starts[i / kBitsPerWord] >> (kBitsPerWord - 1 - i % kBitsPerWord) & 1) != 0;
    if (start || labels.empty()) labels.push_back(0);
    ++labels.back();
  }
  return labels;
}

/// Sets `labels` to those of each sequence, as far as any record says.
std::vector<SeedPair> pairs_of(std::span<const Record* const> first,
                               std::span<const Record* const> second, std::vector<Index>& labels) {
  std::vector<SeedPair> pairs;
  Index examples = 0;
  for (const Record* a : first) {
    const auto same = std::ranges::find_if(second, [&](const Record* b) {
      return b->seed == a->seed && b->correct.size() == a->correct.size() &&
             examples_of(*b) == examples_of(*a) && b->dataset_hash == a->dataset_hash;
    });
    if (a->correct.empty() || same == second.end()) continue;
    if (!pairs.empty() && examples_of(*a) != examples) continue;
    examples = examples_of(*a);
    std::vector<Index> of_pair = labels_of_sequences(a->sequence_starts.empty() ? **same : *a);
    if (pairs.empty() || of_pair.size() < labels.size()) labels = std::move(of_pair);
    pairs.push_back(
        {right_examples(a->correct, a->id), right_examples((*same)->correct, (*same)->id)});
  }
  return pairs;
}

Index count_bits(const Bits& bits) {
  Index count = 0;
  for (const std::uint64_t word : bits) count += std::popcount(word);
  return count;
}

double variance(std::span<const double> values) {
  const double deviation = sample_deviation(values);
  return deviation * deviation;
}

/// Variances of the mean difference over resamples.
struct Spread {
  double sequences = 0;  // where sequences are drawn again
  double both = 0;       // and seeds as well
};

Spread spread_of(const std::vector<SeedPair>& pairs, const SequenceResamples& resamples,
                 RandomKey key) {
  RandomStream random(key);
  std::vector<double> by_sequences, by_both;
  const auto seeds = static_cast<Index>(pairs.size());
  for (int r = 0; r < resamples.count(); ++r) {
    std::vector<double> of_seed;
    of_seed.reserve(pairs.size());
    for (const SeedPair& pair : pairs) {
      of_seed.push_back(
          static_cast<double>(resamples.drawn(r, pair.second) - resamples.drawn(r, pair.first)) /
          static_cast<double>(resamples.labels(r)));
    }
    by_sequences.push_back(mean(of_seed));
    double sum = 0;
    for (Index s = 0; s < seeds; ++s) {
      sum += of_seed[static_cast<std::size_t>(random.below(seeds))];
    }
    by_both.push_back(sum / static_cast<double>(seeds));
  }
  return {.sequences = variance(by_sequences), .both = variance(by_both)};
}

}  // namespace

SequenceResamples::SequenceResamples(std::span<const Index> labels, int resamples, RandomKey key) {
  const Index all = std::accumulate(labels.begin(), labels.end(), Index{0});
  const std::size_t words = (static_cast<std::size_t>(all) + kBitsPerWord - 1) / kBitsPerWord;
  const auto sequences = static_cast<Index>(labels.size());
  RandomStream random(key);
  std::vector<unsigned> times(labels.size());
  for (int r = 0; r < resamples; ++r) {
    std::ranges::fill(times, 0);
    for (Index i = 0; i < sequences; ++i)
      ++times[static_cast<std::size_t>(random.below(sequences))];
    Planes planes(static_cast<std::size_t>(std::bit_width(std::ranges::max(times))), Bits(words));
    std::size_t i = 0;
    Index drawn = 0;
    for (std::size_t s = 0; s < times.size(); ++s) {
      drawn += static_cast<Index>(times[s]) * labels[s];
      for (const std::size_t end = i + static_cast<std::size_t>(labels[s]); i < end; ++i) {
        const std::uint64_t bit = std::uint64_t{1} << (kBitsPerWord - 1 - i % kBitsPerWord);
        for (std::size_t k = 0; k < planes.size(); ++k) {
          if ((times[s] >> k & 1) != 0) planes[k][i / kBitsPerWord] |= bit;
        }
      }
    }
    planes_.push_back(std::move(planes));
    labels_.push_back(drawn);
  }
}

Index SequenceResamples::drawn(int resample, std::span<const std::uint64_t> bits) const {
  const Planes& planes = planes_[static_cast<std::size_t>(resample)];
  Index sum = 0;
  for (std::size_t k = 0; k < planes.size(); ++k) {
    Index in_plane = 0;
    for (std::size_t w = 0; w < bits.size(); ++w) in_plane += std::popcount(bits[w] & planes[k][w]);
    sum += in_plane << k;
  }
  return sum;
}

const SequenceResamples& PairedComparison::resamples(const std::vector<Index>& labels) {
  const RandomKey key = key_.fold(static_cast<std::uint64_t>(labels.size()));
  return drawn_.try_emplace(labels, labels, resamples_, key).first->second;
}

std::optional<PairedDifference> PairedComparison::operator()(
    std::span<const Record* const> first, std::span<const Record* const> second) {
  PairedDifference result;
  std::vector<Index> labels;
  const std::vector<SeedPair> pairs = pairs_of(first, second, labels);
  result.sequences = static_cast<Index>(labels.size());
  if (pairs.empty() || result.sequences < 2) return std::nullopt;
  result.seeds = static_cast<Index>(pairs.size());
  result.examples = std::accumulate(labels.begin(), labels.end(), Index{0});
  const auto answers = static_cast<double>(result.seeds * result.examples);
  for (const SeedPair& pair : pairs) {
    result.value += static_cast<double>(count_bits(pair.second) - count_bits(pair.first)) / answers;
  }
  const Spread spread = spread_of(pairs, resamples(labels), key_.fold("seeds"));
  const auto other_sequences = static_cast<double>(result.sequences - 1);
  const auto other_seeds = static_cast<double>(result.seeds - 1);
  const double of_sequences = spread.sequences * (other_sequences + 1) / other_sequences;
  const double of_seeds = result.about_seeds() ? std::max(0.0, spread.both - spread.sequences) *
                                                     (other_seeds + 1) / other_seeds
                                               : 0;
  const double all = of_sequences + of_seeds, error = std::sqrt(all);
  const double doubt = of_sequences * of_sequences / other_sequences +
                       (of_seeds > 0 ? of_seeds * of_seeds / other_seeds : 0);
  const int freedom = doubt > 0
                          ? static_cast<int>(std::clamp(all * all / doubt, 1.0, 1.0 * kManyFreedom))
                          : kManyFreedom;
  const double half = student_t(kConfidence, freedom) * error;
  result.interval = {.low = result.value - half, .high = result.value + half};
  result.p = error > 0           ? 1 - student_probability(std::abs(result.value) / error, freedom)
             : result.value == 0 ? 1
                                 : 0;
  return result;
}

std::string note_on_sequences(std::span<const Record> records) {
  const auto silent = std::ranges::count_if(records, [](const Record& record) {
    return !record.correct.empty() && !record.metrics.contains("test_sequences");
  });
  if (silent == 0) return "";
  return fmt::format(
      "{} records do not say which labels are of one sequence: these are taken as independent, and "
      "intervals may be too narrow.",
      silent);
}

std::vector<std::uint64_t> right_examples(const std::string& digits, const std::string& source) {
  Bits bits((digits.size() * kBitsPerDigit + kBitsPerWord - 1) / kBitsPerWord);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(digits[i]);
    check(digit != std::string_view::npos,
          "{}: field 'correct' should be hexadecimal digits, has '{}' at {}", source, digits[i], i);
    const std::size_t shift = kBitsPerWord - kBitsPerDigit - i * kBitsPerDigit % kBitsPerWord;
    bits[i * kBitsPerDigit / kBitsPerWord] |= static_cast<std::uint64_t>(digit) << shift;
  }
  return bits;
}

}  // namespace arena
