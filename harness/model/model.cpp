#include "harness/model/model.hpp"

#include <fmt/format.h>

#include "harness/layers/layer_norm.hpp"
#include "harness/layers/product.hpp"
#include "harness/model/decoder.hpp"

namespace arena {
namespace {

/// The options' value, or what the task needs where they say 0; never less than that.
Index table_rows(const Options& options, const char* name, Index needed) {
  const Index rows = options.integer(name);
  check(rows == 0 || rows >= needed, "model: option {}={} is less than the task's {}", name, rows,
        needed);
  return rows == 0 ? needed : rows;
}

Setup setup_of(const Options& options, const ModelShape& shape) {
  const Index dim = options.integer("dim"), heads = options.integer("heads");
  check(dim % heads == 0, "model: option dim={} is not a multiple of heads={}", dim, heads);
  return {.num_heads = heads,
          .head_dim = dim / heads,
          .model_dim = dim,
          .max_len = table_rows(options, "position_rows", shape.max_len),
          .num_layers = options.integer("layers")};
}

Classifier::Settings classifier_settings(const Options& options, const ModelShape& shape) {
  if (shape.pairs && shape.answer != Answer::kSequenceLabel) {
    throw Error("this model gives pairs of documents one label only", Failure::kUnsupported);
  }
  return {.dim = options.integer("dim"),
          .hidden = options.integer("head_hidden"),
          .num_classes = shape.num_classes,
          .norm_epsilon = static_cast<float>(options.real("norm_eps")),
          .answer = shape.answer == Answer::kSequence ? Answer::kPositionLabels : shape.answer,
          .pairs = shape.pairs};
}

BlockSettings block_settings(const Options& options) {
  return {.hidden = options.integer("hidden"),
          .dropout = options.real("dropout"),
          .norm_epsilon = static_cast<float>(options.real("norm_eps"))};
}

/// A graph's nodes have no order, so they have no positions.
InputEmbedding::Settings embedding_settings(const Options& options, const ModelShape& shape) {
  const bool tokens = shape.feature_dim == 0;
  return {.dim = options.integer("dim"),
          .vocab_rows = tokens ? table_rows(options, "vocab_rows", shape.vocab_size) : 0,
          .feature_dim = shape.feature_dim,
          .position_rows = shape.answer == Answer::kNodeLabels
                               ? 0
                               : table_rows(options, "position_rows", shape.max_len),
          .deviation = static_cast<float>(options.real("embedding_std"))};
}

std::unique_ptr<GatNetwork> make_network(const Variant& variant, const Options& variant_options,
                                         const Options& options, const ModelShape& shape) {
  if (shape.answer != Answer::kNodeLabels) {
    throw Error("block=gat gives one label per node only", Failure::kUnsupported);
  }
  check(options.integer("layers") == 2, "model: block=gat has 2 layers, not layers={}",
        options.integer("layers"));
  return std::make_unique<GatNetwork>(
      variant, variant_options,
      GatNetwork::Settings{.feature_dim = shape.feature_dim,
                           .num_classes = shape.num_classes,
                           .heads = options.integer("heads"),
                           .head_dim = options.integer("dim") / options.integer("heads"),
                           .output_heads = options.integer("output_heads"),
                           .dropout = options.real("dropout")});
}

}  // namespace

std::vector<OptionSpec> model_options() {
  return {choice_option("block", "transformer", {"transformer", "gat"},
                        "of the stack; gat: the two-layer graph attention network of heads, dim, "
                        "dropout and output_heads, without any other part"),
          integer_option("output_heads", 1, 1, 64, "block=gat: heads whose mean is the answer"),
          integer_option("layers", 2, 1, 64, "encoder layers"),
          integer_option("dim", 64, 1, 4096, "width of the model"),
          integer_option("heads", 2, 1, 64, "attention heads; each has width dim / heads"),
          integer_option("hidden", 128, 1, 16384, "width inside the feed-forward part"),
          real_option("dropout", 0.1, 0, 0.9, "of embedding, attention and feed-forward results"),
          integer_option("head_hidden", 128, 1, 16384, "width inside the classifier"),
          integer_option("vocab_rows", 0, 0, 1 << 24, "rows of the token table (0: the task's)"),
          integer_option("position_rows", 0, 0, 1 << 24,
                         "rows of the position table (0: the task's longest sequence)"),
          real_option("embedding_std", 1, 0, 100,
                      "of the initial token and position tables (LRA's token table: 1)"),
          real_option("norm_eps", 1e-5, 1e-12, 1, "added to the variance in LayerNorm")};
}

ModelShape shape_of(const Task& task) {
  return {.vocab_size = task.vocab_size(),
          .num_classes = task.num_classes(),
          .max_len = task.max_len(),
          .answer = task.answer(),
          .pairs = task.pairs(),
          .feature_dim = task.feature_dim()};
}

Model::Model(const Variant& variant, const Options& variant_options, const Options& model_options,
             const ModelShape& shape)
    : setup_(setup_of(model_options, shape)),
      max_len_(shape.max_len),
      vocab_size_(shape.vocab_size),
      feature_dim_(shape.feature_dim),
      num_classes_(static_cast<std::int32_t>(shape.num_classes)),
      dropout_(model_options.real("dropout")),
      norm_epsilon_(static_cast<float>(model_options.real("norm_eps"))),
      pairs_(shape.pairs),
      nodes_(shape.answer == Answer::kNodeLabels),
      classifier_(classifier_settings(model_options, shape)) {
  if (model_options.text("block") == "gat") {
    network_ = make_network(variant, variant_options, model_options, shape);
    classifier_slices_ = parameters_.add(network_->specs(), "", "shared.");
    return;
  }
  const BlockSettings settings = block_settings(model_options);
  encoder_.layer = make_encoder(variant, setup_, variant_options, settings);
  check(encoder_.layer->num_streams() <= static_cast<Index>(kMaxStreams),
        "{} has {} streams, at most {}", variant.name, encoder_.layer->num_streams(), kMaxStreams);
  const InputEmbedding::Settings embedding = embedding_settings(model_options, shape);
  add_layers(encoder_, "", embedding);
  tabulate_lengths(encoder_, max_len_);
  if (shape.answer == Answer::kSequence) {
    add_decoder(variant, variant_options, settings, embedding.deviation);
  }
  classifier_slices_ = parameters_.add(classifier_.specs(), "", "shared.");
}

void Model::add_layers(Stack& stack, const std::string& prefix,
                       const InputEmbedding::Settings& embedding) {
  const std::string shared = prefix + "shared.";
  stack.embedding = InputEmbedding(embedding);
  stack.embedding_slices = parameters_.add(stack.embedding.specs(), prefix + "embedding.", shared);
  for (Index l = 0; l < setup_.num_layers; ++l) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, l);
    stack.parameters.push_back(parameters_.add(stack.layer->parameters(), layer, shared));
    stack.buffers.push_back(buffers_.add(stack.layer->buffers(), layer, shared));
    stack.statistics.push_back(statistics_.add(stack.layer->statistics(), layer, shared));
  }
}

/// What it reads are the tokens it has written, behind an end mark in the place of a start.
void Model::add_decoder(const Variant& variant, const Options& variant_options,
                        const BlockSettings& settings, float embedding_std) {
  decoder_.layer = make_decoder(variant, setup_, variant_options, settings);
  memory_norm_slices_ =
      parameters_.add(layer_norm_specs("memory.norm", setup_.model_dim), "", "shared.");
  add_layers(decoder_, "decoder.",
             {.dim = setup_.model_dim,
              .vocab_rows = num_classes_,
              .position_rows = setup_.max_len + 1,
              .deviation = embedding_std});
  tabulate_lengths(decoder_, max_len_ + 1);
}

/// Rows of every stream before every layer, for every length, so that a pass need not allocate.
void Model::tabulate_lengths(Stack& stack, Index max_len) const {
  const Index streams = stack.layer->num_streams();
  for (Index len = 1; len <= max_len; ++len) {
    std::vector<Index> lengths{len};
    for (Index s = 1; s < streams; ++s) {
      const auto parameter = static_cast<std::size_t>(stack.layer->initial_stream(s));
      lengths.push_back(stack.parameters[0][parameter].rows);
    }
    stack.lengths.insert(stack.lengths.end(), lengths.begin(), lengths.end());
    for (Index l = 0; l < setup_.num_layers; ++l) {
      lengths = stack.layer->output_len(lengths, l);
      stack.lengths.insert(stack.lengths.end(), lengths.begin(), lengths.end());
    }
  }
}

std::span<const Index> Model::stream_lengths(const Stack& stack, Index len, Index layer) const {
  const Index streams = stack.layer->num_streams();
  const Index row = (len - 1) * (setup_.num_layers + 1) + layer;
  return std::span(stack.lengths)
      .subspan(static_cast<std::size_t>(row * streams), static_cast<std::size_t>(streams));
}

Weights Model::layer_weights(const ModelValues& values, const Stack& stack, Index layer) const {
  const auto l = static_cast<std::size_t>(layer);
  return {ConstSlices(values.parameters.data(), stack.parameters[l]),
          ConstSlices(values.buffers.data(), stack.buffers[l]),
          ConstSlices(values.transposed.data(), stack.parameters[l])};
}

void Model::prepare(std::span<const float> parameters, std::span<float> transposed) const {
  for (const ParameterLayout::Entry& entry : parameters_.entries()) {
    if (!entry.transposed) continue;
    const auto [offset, rows, cols] = entry.slice;
    transpose(ConstView(parameters.data() + offset, rows, cols),
              View(transposed.data() + offset, cols, rows));
  }
}

void Model::check_sample(const Sample& sample) const {
  if ((sample.features != nullptr) != (feature_dim_ > 0) || sample.second.empty() == pairs_) {
    throw Error(pairs_             ? "this model takes two sequences of tokens"
                : feature_dim_ > 0 ? "this model takes one sequence of vectors"
                                   : "this model takes one sequence of tokens",
                Failure::kUnsupported);
  }
  if (sample.features) {
    check_length(sample.features->rows());
    check(sample.features->cols() == feature_dim_, "vectors of {} numbers; expected {}",
          sample.features->cols(), feature_dim_);
  } else {
    check_tokens(sample.tokens);
  }
  if (pairs_) check_tokens(sample.second);
  if (writes()) check_target(sample.labels);
  check(!nodes_ || static_cast<Index>(sample.labels.size()) == token_count(sample),
        "{} labels for {} nodes", sample.labels.size(), token_count(sample));
}

void Model::check_target(std::span<const std::int32_t> target) const {
  const auto len = static_cast<Index>(target.size());
  check(len > 0 && len <= max_len_ + 1, "a target of {} tokens; expected 1 to {}", len,
        max_len_ + 1);
  for (const std::int32_t token : target) {
    check(token >= 0 && token <= end_mark(), "target {} is not in 0..{}", token, end_mark());
  }
}

void Model::check_length(Index len) const {
  check(len > 0 && len <= max_len_, "a sequence of {} tokens; expected 1 to {}", len, max_len_);
}

void Model::check_tokens(std::span<const std::int32_t> tokens) const {
  check_length(static_cast<Index>(tokens.size()));
  for (const std::int32_t token : tokens) {
    check(token >= 0 && token < vocab_size_, "token {} is not in 0..{}", token, vocab_size_ - 1);
  }
}

void Model::update(std::span<float> buffers, std::span<const float> statistics, RandomKey key,
                   Index step) const {
  const auto update_layers = [&](const Stack& stack, RandomKey of_stack) {
    for (std::size_t l = 0; l < stack.buffers.size(); ++l) {
      stack.layer->update(Slices(buffers.data(), stack.buffers[l]),
                          ConstSlices(statistics.data(), stack.statistics[l]), of_stack.fold(l),
                          step);
    }
  };
  update_layers(encoder_, key);
  if (writes()) update_layers(decoder_, key.fold("decoder"));
}

}  // namespace arena
