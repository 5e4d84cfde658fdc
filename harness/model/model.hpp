#pragma once
// A whole model: token and position embedding, a stack of encoder layers, a classifier. Both
// documents of a pair go through the same encoder.

#include "harness/model/classifier.hpp"
#include "harness/model/make.hpp"

namespace arena {

/// Options written "model.NAME".
std::vector<OptionSpec> model_options();

/// What a task asks of a model.
struct ModelShape {
  Index vocab_size = 0;
  Index num_classes = 0;
  Index max_len = 0;
  Answer answer = Answer::kSequenceLabel;
  bool pairs = false;  // of documents, with one label
};
ModelShape shape_of(const Task& task);

/// Flat buffers of the layouts parameters(), buffers() and statistics().
struct ModelValues {
  std::span<const float> parameters, buffers;
  std::span<const float> transposed{};  // by prepare(); empty: each pass makes its own
};
struct ModelGrads {
  std::span<float> parameters, statistics;  // added to
};
/// Factors of the two parts of the loss: sum of cross-entropies, auxiliary loss of the sequence.
struct LossScale {
  float score = 1;
  float auxiliary = 1;
};

struct SampleScore {
  double loss = 0;            // sum of cross-entropies over scored labels, unscaled
  double auxiliary_loss = 0;  // mean over the documents of a pair
  Index correct = 0;
};

class Model {
 public:
  /// Throws Error: dim not divisible by heads, tables smaller than the task needs, an answer or
  /// a variant that does not fit (Failure::kUnsupported).
  Model(const Variant& variant, const Options& variant_options, const Options& model_options,
        const ModelShape& shape);

  /// That of every layer's attention.
  const Setup& setup() const { return setup_; }
  const ParameterLayout& parameters() const { return parameters_; }
  const ParameterLayout& buffers() const { return buffers_; }
  const ParameterLayout& statistics() const { return statistics_; }

  /// Writes what all sequences share while the parameters stay as they are: `transposed`, of
  /// parameters().size() floats, gets the transposes that backward passes multiply with.
  void prepare(std::span<const float> parameters, std::span<float> transposed) const;

  /// Scores one sample. Of `call`, team and key (folded by purpose, step and sequence) count.
  /// `right`, if not empty, gets 1 or 0 for each scored label. Throws Error on a sample that does
  /// not fit the model.
  SampleScore forward(const Call& call, const Sample& sample, const ModelValues& values,
                      std::span<std::uint8_t> right) const;

  /// Scores one sample in training and adds its gradients and statistics to `grads`.
  SampleScore forward_backward(const Call& call, const Sample& sample, const ModelValues& values,
                               const LossScale& scale, const ModelGrads& grads) const;

  /// Once per step, with the statistics of the whole batch.
  void update(std::span<float> buffers, std::span<const float> statistics, RandomKey key,
              Index step) const;

 private:
  static constexpr std::size_t kMaxStreams = 8;
  struct Pass;
  struct Document;
  struct Streams;

  void check_sample(const Sample& sample) const;
  void check_tokens(std::span<const std::int32_t> tokens) const;
  SampleScore run(Pass& pass) const;
  void run_document(Pass& pass, const Document& document) const;
  void run_layers(Pass& pass, const Document& document, Index layer, const Streams& in,
                  const Streams& d_in) const;
  void run_classifier(Pass& pass, const Document& document, ConstView x, View d_x) const;
  Weights layer_weights(const ModelValues& values, Index layer) const;
  std::span<const Index> stream_lengths(Index len, Index layer) const;
  void tabulate_lengths();

  Setup setup_;
  Index max_len_, vocab_size_;
  double dropout_;
  bool pairs_;
  std::unique_ptr<Encoder> encoder_;
  Classifier classifier_;
  ParameterLayout parameters_, buffers_, statistics_;
  std::vector<Slice> embedding_slices_, classifier_slices_;
  std::vector<std::vector<Slice>> layer_parameters_, layer_buffers_, layer_statistics_;
  std::vector<Index> lengths_;  // [max_len, num_layers + 1, num_streams]
};

}  // namespace arena
