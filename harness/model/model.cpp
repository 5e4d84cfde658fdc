#include "harness/model/model.hpp"

#include <fmt/format.h>

#include "harness/layers/dropout.hpp"
#include "harness/layers/embedding.hpp"
#include "harness/layers/product.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

/// The options' value, or what the task needs where they say 0; never less than that.
Index table_rows(const Options& options, const char* name, Index needed) {
  const Index rows = options.integer(name);
  check(rows == 0 || rows >= needed, "model: option {}={} is less than the task's {}", name, rows,
        needed);
  return rows == 0 ? needed : rows;
}

Classifier::Settings classifier_settings(const Options& options, const ModelShape& shape) {
  if (shape.answer != Answer::kSequenceLabel && shape.answer != Answer::kPositionLabels) {
    throw Error("this model gives one label per sequence or per position only",
                Failure::kUnsupported);
  }
  return {.dim = options.integer("dim"),
          .hidden = options.integer("head_hidden"),
          .num_classes = shape.num_classes,
          .norm_epsilon = static_cast<float>(options.real("norm_eps")),
          .answer = shape.answer};
}

}  // namespace

std::vector<OptionSpec> model_options() {
  return {integer_option("layers", 2, 1, 64, "encoder layers"),
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

Model::Model(const Variant& variant, const Options& variant_options, const Options& model_options,
             const ModelShape& shape)
    : dim_(model_options.integer("dim")),
      num_layers_(model_options.integer("layers")),
      max_len_(shape.max_len),
      position_rows_(table_rows(model_options, "position_rows", shape.max_len)),
      vocab_size_(shape.vocab_size),
      dropout_(model_options.real("dropout")),
      classifier_(classifier_settings(model_options, shape)) {
  const Index heads = model_options.integer("heads");
  check(dim_ % heads == 0, "model: option dim={} is not a multiple of heads={}", dim_, heads);
  const Setup setup{.num_heads = heads,
                    .head_dim = dim_ / heads,
                    .model_dim = dim_,
                    .max_len = position_rows_,
                    .num_layers = num_layers_};
  encoder_ = make_encoder(variant, setup, variant_options,
                          {.hidden = model_options.integer("hidden"),
                           .dropout = dropout_,
                           .norm_epsilon = static_cast<float>(model_options.real("norm_eps"))});
  check(encoder_->num_streams() <= static_cast<Index>(kMaxStreams), "{} has {} streams, at most {}",
        variant.name, encoder_->num_streams(), kMaxStreams);
  const auto embedding_std = static_cast<float>(model_options.real("embedding_std"));
  const std::vector<ParameterSpec> embedding{
      {.name = "token",
       .rows = table_rows(model_options, "vocab_rows", shape.vocab_size),
       .cols = dim_,
       .init = Init::normal(embedding_std)},
      {.name = "position",
       .rows = position_rows_,
       .cols = dim_,
       .init = Init::normal(embedding_std)}};
  const std::string shared = "shared.";
  embedding_slices_ = parameters_.add(embedding, "embedding.", shared);
  for (Index l = 0; l < num_layers_; ++l) {
    const std::string prefix = fmt::format("layers.{}.", l);
    layer_parameters_.push_back(parameters_.add(encoder_->parameters(), prefix, shared));
    layer_buffers_.push_back(buffers_.add(encoder_->buffers(), prefix, shared));
    layer_statistics_.push_back(statistics_.add(encoder_->statistics(), prefix, shared));
  }
  classifier_slices_ = parameters_.add(classifier_.specs(), "", shared);
  tabulate_lengths();
}

/// Rows of every stream before every layer, for every length, so that a pass need not allocate.
void Model::tabulate_lengths() {
  const Index streams = encoder_->num_streams();
  for (Index len = 1; len <= max_len_; ++len) {
    std::vector<Index> lengths{len};
    for (Index s = 1; s < streams; ++s) {
      const auto parameter = static_cast<std::size_t>(encoder_->initial_stream(s));
      lengths.push_back(layer_parameters_[0][parameter].rows);
    }
    lengths_.insert(lengths_.end(), lengths.begin(), lengths.end());
    for (Index l = 0; l < num_layers_; ++l) {
      lengths = encoder_->output_len(lengths, l);
      lengths_.insert(lengths_.end(), lengths.begin(), lengths.end());
    }
  }
}

std::span<const Index> Model::stream_lengths(Index len, Index layer) const {
  const Index streams = encoder_->num_streams();
  const Index row = (len - 1) * (num_layers_ + 1) + layer;
  return std::span(lengths_).subspan(static_cast<std::size_t>(row * streams),
                                     static_cast<std::size_t>(streams));
}

/// The matrices of all streams at one depth.
struct Model::Streams {
  std::array<View, kMaxStreams> views{};

  static Streams take(Workspace& workspace, std::span<const Index> lengths, Index dim) {
    return [&]<std::size_t... s>(std::index_sequence<s...>) {
      return Streams{{(s < lengths.size() ? workspace.matrix(lengths[s], dim) : View())...}};
    }
    (std::make_index_sequence<kMaxStreams>());
  }
  std::array<ConstView, kMaxStreams> read_only() const {
    return [&]<std::size_t... s>(std::index_sequence<s...>) {
      return std::array<ConstView, kMaxStreams>{ConstView(views[s])...};
    }
    (std::make_index_sequence<kMaxStreams>());
  }
};

/// One sample on its way through the model; without grads, evaluation.
struct Model::Pass {
  const Call& call;
  const Sample& sample;
  const ModelValues& values;
  LossScale scale{};
  const ModelGrads* grads = nullptr;
  std::span<std::uint8_t> right{};
  SampleScore score{};

  Slices grad_slices(std::span<const Slice> slices) const {
    return grads ? Slices(grads->parameters.data(), slices) : Slices();
  }
};

Weights Model::layer_weights(const ModelValues& values, Index layer) const {
  const auto l = static_cast<std::size_t>(layer);
  return {ConstSlices(values.parameters.data(), layer_parameters_[l]),
          ConstSlices(values.buffers.data(), layer_buffers_[l]),
          ConstSlices(values.transposed.data(), layer_parameters_[l])};
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
  const auto len = static_cast<Index>(sample.tokens.size());
  if (sample.features.size() > 0 || !sample.second.empty()) {
    throw Error("this model takes one sequence of tokens", Failure::kUnsupported);
  }
  check(len > 0 && len <= max_len_, "a sequence of {} tokens; expected 1 to {}", len, max_len_);
  for (const std::int32_t token : sample.tokens) {
    check(token >= 0 && token < vocab_size_, "token {} is not in 0..{}", token, vocab_size_ - 1);
  }
}

SampleScore Model::forward(const Call& call, const Sample& sample, const ModelValues& values,
                           std::span<std::uint8_t> right) const {
  Pass pass{.call = call, .sample = sample, .values = values, .right = right};
  return run(pass);
}

SampleScore Model::forward_backward(const Call& call, const Sample& sample,
                                    const ModelValues& values, const LossScale& scale,
                                    const ModelGrads& grads) const {
  Pass pass{.call = call, .sample = sample, .values = values, .scale = scale, .grads = &grads};
  return run(pass);
}

SampleScore Model::run(Pass& pass) const {
  check_sample(pass.sample);
  Workspace& workspace = pass.call.team.workspace();
  const WorkspaceScope scope(workspace);
  const auto len = static_cast<Index>(pass.sample.tokens.size());
  const std::span<const Index> lengths = stream_lengths(len, 0);
  const ConstSlices embedding(pass.values.parameters.data(), embedding_slices_);
  const Dropout dropout(pass.call.key.fold("embedding"), pass.grads ? dropout_ : 0, dim_);

  const Streams in = Streams::take(workspace, lengths, dim_);
  embed(pass.sample.tokens, embedding[0], embedding[1], in.views[0]);
  dropout.apply(0, in.views[0]);
  const Weights first_layer = layer_weights(pass.values, 0);
  for (Index s = 1; s < encoder_->num_streams(); ++s) {
    copy_rows(first_layer.parameters[encoder_->initial_stream(s)],
              in.views[static_cast<std::size_t>(s)]);
  }
  if (!pass.grads) {
    run_layers(pass, 0, in, Streams{});
    return pass.score;
  }
  const Streams d_in = Streams::take(workspace, lengths, dim_);
  run_layers(pass, 0, in, d_in);
  const Slices d_embedding = pass.grad_slices(embedding_slices_);
  dropout.apply(0, d_in.views[0]);
  embed_backward(pass.sample.tokens, d_in.views[0], d_embedding[0], d_embedding[1]);
  const Slices d_first_layer = pass.grad_slices(layer_parameters_[0]);
  for (Index s = 1; s < encoder_->num_streams(); ++s) {
    d_first_layer[encoder_->initial_stream(s)] += d_in.views[static_cast<std::size_t>(s)];
  }
  return pass.score;
}

/// Layers from `layer` on, then the loss; on the way back the gradients. Recursion gives memory
/// the order of a stack: what backward of a layer needs lies below that of the later layers.
void Model::run_layers(Pass& pass, Index layer, const Streams& in, const Streams& d_in) const {
  if (layer == num_layers_) {
    const LossSum sum = classifier_.run(
        pass.call.team, in.views[0], pass.sample.labels,
        {ConstSlices(pass.values.parameters.data(), classifier_slices_),
         {},
         ConstSlices(pass.values.transposed.data(), classifier_slices_)},
        pass.scale.score, pass.right, d_in.views[0], pass.grad_slices(classifier_slices_));
    for (std::size_t s = 1; s < kMaxStreams; ++s) zero_rows(d_in.views[s]);
    pass.score.loss = sum.loss;
    pass.score.correct = sum.correct;
    return;
  }
  const auto l = static_cast<std::size_t>(layer);
  Workspace& workspace = pass.call.team.workspace();
  const WorkspaceScope scope(workspace);
  const auto len = static_cast<Index>(pass.sample.tokens.size());
  const auto streams = static_cast<std::size_t>(encoder_->num_streams());
  const std::span<const Index> lengths = stream_lengths(len, layer);
  const std::span<const Index> out_lengths = stream_lengths(len, layer + 1);

  Call call = pass.call;
  call.training = pass.grads != nullptr;
  call.layer = layer;
  call.key = pass.call.key.fold(static_cast<std::uint64_t>(layer));
  call.edges = pass.sample.edges.get();
  call.grid = pass.sample.grid;
  Streams out = Streams::take(workspace, out_lengths, dim_);
  const auto inputs = in.read_only();
  const Weights weights = layer_weights(pass.values, layer);
  float auxiliary_loss = 0;
  Extras extras{.auxiliary_loss = &auxiliary_loss};
  if (!pass.grads) {
    encoder_->forward(call, std::span(inputs).first(streams), ConstView(), weights,
                      std::span(out.views).first(streams), nullptr, extras);
    pass.score.auxiliary_loss += auxiliary_loss;
    run_layers(pass, layer + 1, out, Streams{});
    return;
  }
  extras.statistics = Slices(pass.grads->statistics.data(), layer_statistics_[l]);
  Frame frame = Frame::carve(workspace, encoder_->footprint(lengths, 0, call).frame);
  encoder_->forward(call, std::span(inputs).first(streams), ConstView(), weights,
                    std::span(out.views).first(streams), &frame, extras);
  pass.score.auxiliary_loss += auxiliary_loss;
  const Streams d_out = Streams::take(workspace, out_lengths, dim_);
  run_layers(pass, layer + 1, out, d_out);
  const auto d_outputs = d_out.read_only();
  std::array<View, kMaxStreams> d_inputs = d_in.views;
  encoder_->backward(call, std::span(inputs).first(streams), ConstView(), weights,
                     std::span(d_outputs).first(streams), pass.scale.auxiliary, frame,
                     std::span(d_inputs).first(streams), View(),
                     pass.grad_slices(layer_parameters_[l]));
}

void Model::update(std::span<float> buffers, std::span<const float> statistics, RandomKey key,
                   Index step) const {
  for (std::size_t l = 0; l < layer_buffers_.size(); ++l) {
    encoder_->update(Slices(buffers.data(), layer_buffers_[l]),
                     ConstSlices(statistics.data(), layer_statistics_[l]), key.fold(l), step);
  }
}

}  // namespace arena
