#pragma once
// The interface of a task: what a sample is, which kind of answer it wants, how it is scored.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/core/check.hpp"
#include "harness/core/edges.hpp"
#include "harness/core/matrix.hpp"
#include "harness/core/options.hpp"
#include "harness/core/random.hpp"
#include "harness/core/registry.hpp"

namespace arena {

enum class Answer { kSequenceLabel, kPositionLabels, kSequence, kNodeLabels };
enum class Split { kTrain, kValidation, kTest };

constexpr std::int32_t kNotScored = -1;  // a label that takes no part in loss and accuracy

/// One sequence of its true length. Token ids are 0 .. vocab_size-1; there is no padding id.
struct Sample {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> second{};        // the other document of a pair
  std::shared_ptr<const Matrix> features{};  // vectors in place of tokens [len, feature_dim]
  /// kSequenceLabel: one; one per position; kSequence: the target, then the end mark (last class).
  std::vector<std::int32_t> labels;
  std::shared_ptr<const Edges> edges{};
  std::array<Index, 2> grid{};
};

/// Tokens or vectors of a sample, of both documents of a pair.
inline Index token_count(const Sample& sample) {
  const auto tokens = static_cast<Index>(sample.tokens.size() + sample.second.size());
  return sample.features ? sample.features->rows() : tokens;
}

/// A predictor that a score must beat to mean anything: "majority", "root operator".
struct Baseline {
  std::string name;
  double accuracy = 0;  // 0 to 1, on the test split
};

/// A task with its options fixed. Thread-safe: samples are functions of (split, index).
class Task {
 public:
  virtual ~Task() = default;
  virtual Answer answer() const = 0;
  virtual Index vocab_size() const = 0;
  /// Width of the vectors that samples have in place of tokens; 0: samples have tokens.
  virtual Index feature_dim() const { return 0; }
  virtual Index num_classes() const = 0;
  virtual Index max_len() const = 0;  // no sample, document of a pair, target before its end mark
  /// Whether samples are pairs of documents with one label.
  virtual bool pairs() const { return false; }
  virtual Index size(Split split) const = 0;
  virtual Sample sample(Split split, Index index) const = 0;
  /// Hash of what the samples are (generator version and options, or file contents), 16 hex digits.
  virtual std::string dataset_hash() const = 0;
  /// Accuracy of the best constant predictor first ("majority"), then shortcuts; on the test split.
  virtual std::vector<Baseline> baselines() const = 0;
  /// Counts worth a line beside the scores ("rows longer than max_len, left out": 40).
  virtual std::map<std::string, double> counts() const { return {}; }
  /// One sample as a person would want to read it, in a few lines.
  virtual std::string describe(const Sample& sample) const = 0;
  virtual bool partial() const { return false; }
  /// The files and folders that the samples were read from; none: they are generated.
  virtual std::vector<std::string> places() const { return {}; }
  /// What is unlike the data set as a whole (its shares of labels, say), a line each.
  virtual std::vector<std::string> oddities() const { return {}; }
};

/// Where a task finds its files, and which of its endless data sets it gives.
struct TaskSetup {
  std::string data_dir;
};

/// Told now and then how far something is that takes long.
using WriteProgress = std::function<void(Index done, Index total)>;

/// A registry entry: one per file in tasks/.
struct TaskInfo {
  static constexpr const char* kKind = "task";

  std::string name;
  std::string summary;
  Answer answer = Answer::kSequenceLabel;
  std::string source;
  std::vector<OptionSpec> options{};
  /// Throws Error (Failure::kNoData where files are missing, naming where it looked).
  std::function<std::unique_ptr<Task>(const TaskSetup&, const Options&)> make{};
  /// The option whose value belongs to the name in tables ("max_len": "text-4096"); "": none.
  std::string label_option{};
  /// Writes all samples below a folder, in the format in which such data is given away. Null: there
  /// is none.
  std::function<void(const Task&, const Options&, const std::string& folder, const WriteProgress&)>
      write{};
};

/// The split to which a generated sample's content belongs: train 8/10, validation 1/10, test 1/10
/// of all hashes. A generator redraws with a counter until the content hash falls into the split
/// that was asked for: splits are disjoint by construction and their sizes exact.
constexpr Split split_of_hash(std::uint64_t content_hash) {
  const std::uint64_t tenth = (content_hash >> 32) * 10 >> 32;
  return tenth < 8 ? Split::kTrain : tenth == 8 ? Split::kValidation : Split::kTest;
}

}  // namespace arena
