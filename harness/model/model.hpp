#pragma once
// A whole model: embedding of tokens or vectors, of positions unless the sample is a graph, a stack
// of encoder layers, a classifier. Both documents of a pair go through the same encoder. Where the
// answer is a sequence, a decoder with an embedding of its own stands between: causal layers that
// also attend to the encoder's rows. Or, for graphs, all is the network of gat_network.hpp.

#include "harness/model/classifier.hpp"
#include "harness/model/gat_network.hpp"
#include "harness/model/input_embedding.hpp"
#include "harness/model/make.hpp"

namespace arena {

/// Options written "model.NAME".
std::vector<OptionSpec> model_options();

/// What a task asks of a model.
struct ModelShape {
  Index vocab_size = 0;
  Index num_classes = 0;
  Index max_len = 0;  // of a sequence read; one written has one more, the end mark num_classes - 1
  Answer answer = Answer::kSequenceLabel;
  bool pairs = false;     // of documents, with one label
  Index feature_dim = 0;  // of vectors in place of tokens
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

  /// Where the answer is a sequence: writes it after what was read, each time the likeliest token
  /// behind those before, until the end mark (included) or until `written` is full. Returns the
  /// number of tokens.
  Index write(const Call& call, const Sample& sample, const ModelValues& values,
              std::span<std::int32_t> written) const;

  /// Scores one sample in training (a sequence by teacher forcing, as forward does) and adds its
  /// gradients and statistics to `grads`.
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

  /// Embedding and layers: the encoder or the decoder.
  struct Stack {
    std::unique_ptr<Encoder> layer;
    InputEmbedding embedding{InputEmbedding::Settings{}};
    std::vector<Slice> embedding_slices{};
    std::vector<std::vector<Slice>> parameters{}, buffers{}, statistics{};  // of each layer
    std::vector<Index> lengths{};  // [max_len, num_layers + 1, num_streams]
  };

  void add_layers(Stack& stack, const std::string& prefix,
                  const InputEmbedding::Settings& embedding);
  void add_decoder(const Variant& variant, const Options& variant_options,
                   const BlockSettings& settings, float embedding_std);

  void check_sample(const Sample& sample) const;
  void check_target(std::span<const std::int32_t> target) const;
  void check_length(Index len) const;
  void check_tokens(std::span<const std::int32_t> tokens) const;
  SampleScore run(Pass& pass) const;
  SampleScore run_network(Pass& pass) const;
  void run_document(Pass& pass, const Document& document) const;
  void run_layers(Pass& pass, const Document& document, Index layer, const Streams& in,
                  const Streams& d_in) const;
  void run_classifier(Pass& pass, const Document& document, ConstView x, View d_x) const;
  void run_decoder(Pass& pass, const Document& document, ConstView x, View d_x) const;
  void decode(Pass& pass, const Document& document, ConstView memory) const;
  Weights layer_weights(const ModelValues& values, const Stack& stack, Index layer) const;
  std::span<const Index> stream_lengths(const Stack& stack, Index len, Index layer) const;
  void tabulate_lengths(Stack& stack, Index max_len) const;
  bool writes() const { return decoder_.layer != nullptr; }
  std::int32_t end_mark() const { return num_classes_ - 1; }

  Setup setup_;
  Index max_len_, vocab_size_, feature_dim_;
  std::int32_t num_classes_;
  double dropout_;
  float norm_epsilon_;
  bool pairs_, nodes_;
  std::unique_ptr<GatNetwork> network_;  // block=gat: all there is
  Stack encoder_, decoder_;              // no decoder where the answer is no sequence
  Classifier classifier_;
  ParameterLayout parameters_, buffers_, statistics_;
  std::vector<Slice> memory_norm_slices_, classifier_slices_;
};

}  // namespace arena
