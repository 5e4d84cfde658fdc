#include "results/paired.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

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

std::vector<SeedPair> pairs_of(std::span<const Record* const> first,
                               std::span<const Record* const> second, Index& examples) {
  std::vector<SeedPair> pairs;
  for (const Record* a : first) {
    const auto same = std::ranges::find_if(second, [&](const Record* b) {
      return b->seed == a->seed && b->correct.size() == a->correct.size() &&
             examples_of(*b) == examples_of(*a) && b->dataset_hash == a->dataset_hash;
    });
    if (a->correct.empty() || same == second.end()) continue;
    if (!pairs.empty() && examples_of(*a) != examples) continue;
    examples = examples_of(*a);
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

}  // namespace

ExampleResamples::ExampleResamples(Index examples, int resamples, RandomKey key) {
  const std::size_t words = (static_cast<std::size_t>(examples) + kBitsPerWord - 1) / kBitsPerWord;
  RandomStream random(key);
  std::vector<unsigned> times(static_cast<std::size_t>(examples));
  for (int r = 0; r < resamples; ++r) {
    std::ranges::fill(times, 0);
    for (Index i = 0; i < examples; ++i) ++times[static_cast<std::size_t>(random.below(examples))];
    Planes planes(static_cast<std::size_t>(std::bit_width(std::ranges::max(times))), Bits(words));
    for (std::size_t i = 0; i < times.size(); ++i) {
      const std::uint64_t bit = std::uint64_t{1} << (kBitsPerWord - 1 - i % kBitsPerWord);
      for (std::size_t k = 0; k < planes.size(); ++k) {
        if ((times[i] >> k & 1) != 0) planes[k][i / kBitsPerWord] |= bit;
      }
    }
    planes_.push_back(std::move(planes));
  }
}

Index ExampleResamples::drawn(int resample, std::span<const std::uint64_t> bits) const {
  const Planes& planes = planes_[static_cast<std::size_t>(resample)];
  Index sum = 0;
  for (std::size_t k = 0; k < planes.size(); ++k) {
    Index in_plane = 0;
    for (std::size_t w = 0; w < bits.size(); ++w) in_plane += std::popcount(bits[w] & planes[k][w]);
    sum += in_plane << k;
  }
  return sum;
}

const ExampleResamples& PairedComparison::examples(Index count) {
  return drawn_.try_emplace(count, count, resamples_, key_.fold(static_cast<std::uint64_t>(count)))
      .first->second;
}

std::optional<PairedDifference> PairedComparison::operator()(
    std::span<const Record* const> first, std::span<const Record* const> second) {
  PairedDifference result;
  const std::vector<SeedPair> pairs = pairs_of(first, second, result.examples);
  if (pairs.empty() || result.examples == 0) return std::nullopt;
  result.seeds = static_cast<Index>(pairs.size());
  const double answers = static_cast<double>(result.seeds * result.examples);
  for (const SeedPair& pair : pairs) {
    result.value += static_cast<double>(count_bits(pair.second) - count_bits(pair.first)) / answers;
  }
  const ExampleResamples& resamples = examples(result.examples);
  RandomStream random(key_.fold("seeds"));
  std::vector<double> by_examples, by_both;
  for (int r = 0; r < resamples.count(); ++r) {
    std::vector<double> of_seed;
    for (const SeedPair& pair : pairs) {
      of_seed.push_back(
          static_cast<double>(resamples.drawn(r, pair.second) - resamples.drawn(r, pair.first)) /
          static_cast<double>(result.examples));
    }
    by_examples.push_back(mean(of_seed));
    double sum = 0;
    for (Index s = 0; s < result.seeds; ++s) {
      sum += of_seed[static_cast<std::size_t>(random.below(result.seeds))];
    }
    by_both.push_back(sum / static_cast<double>(result.seeds));
  }
  double spread = variance(by_examples);
  int freedom = kManyFreedom;
  if (result.about_seeds()) {
    const double others = static_cast<double>(result.seeds - 1);
    const double of_seeds =
        std::max(0.0, variance(by_both) - spread) * static_cast<double>(result.seeds) / others;
    spread += of_seeds;
    const double satterthwaite = others * spread * spread / (of_seeds * of_seeds);
    if (of_seeds > 0) freedom = static_cast<int>(std::min(satterthwaite, 1.0 * kManyFreedom));
  }
  const double error = std::sqrt(spread);
  const double half = student_t(kConfidence, freedom) * error;
  result.interval = {.low = result.value - half, .high = result.value + half};
  result.p = error > 0           ? 1 - student_probability(std::abs(result.value) / error, freedom)
             : result.value == 0 ? 1
                                 : 0;
  return result;
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
