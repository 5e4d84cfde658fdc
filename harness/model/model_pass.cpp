// One sample's way through the model, forward and in training back.

#include "harness/layers/dropout.hpp"
#include "harness/layers/layer_norm.hpp"
#include "harness/layers/rows.hpp"
#include "harness/model/model.hpp"

namespace arena {

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

/// What is read at once: by the encoder the sequence, or one document of a pair; by the decoder
/// what is written so far.
struct Model::Document {
  const Stack& stack;
  ModelInput input;
  RandomKey key;
  float share = 1;                               // of the sample's auxiliary loss
  const Classifier::Pooled* previous = nullptr;  // of the first document, behind the second
  ConstView context{};                           // of the decoder: the encoder's rows, normed
  View d_context{};                              // in training, added to
};

/// One sample on its way through the model; without grads, evaluation.
struct Model::Pass {
  const Call& call;
  const Sample& sample;
  const ModelValues& values;
  LossScale scale{};
  const ModelGrads* grads = nullptr;
  std::span<std::uint8_t> right{};
  std::span<std::int32_t> written{};  // if not empty: decode
  Index written_count = 0;
  SampleScore score{};

  Slices grad_slices(std::span<const Slice> slices) const {
    return grads ? Slices(grads->parameters.data(), slices) : Slices();
  }
};

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

Index Model::write(const Call& call, const Sample& sample, const ModelValues& values,
                   std::span<std::int32_t> written) const {
  check(writes(), "this model writes no sequences");
  check(static_cast<Index>(written.size()) <= max_len_ + 1, "{} tokens to write; at most {}",
        written.size(), max_len_ + 1);
  Pass pass{.call = call, .sample = sample, .values = values, .written = written};
  run(pass);
  return pass.written_count;
}

SampleScore Model::run(Pass& pass) const {
  check_sample(pass.sample);
  if (network_) return run_network(pass);
  run_document(pass, {.stack = encoder_,
                      .input = input_of(pass.sample),
                      .key = pass.call.key,
                      .share = pairs_ ? 0.5F : 1.0F});
  return pass.score;
}

SampleScore Model::run_network(Pass& pass) const {
  Call call = pass.call;
  call.training = pass.grads != nullptr;
  const Weights weights{ConstSlices(pass.values.parameters.data(), classifier_slices_),
                        {},
                        ConstSlices(pass.values.transposed.data(), classifier_slices_)};
  const LossSum sum = network_->run({.call = call,
                                     .sample = pass.sample,
                                     .weights = weights,
                                     .loss_scale = pass.scale.score,
                                     .right = pass.right,
                                     .grads = pass.grad_slices(classifier_slices_)});
  return {.loss = sum.loss, .correct = sum.correct};
}

void Model::run_document(Pass& pass, const Document& document) const {
  const Stack& stack = document.stack;
  Workspace& workspace = pass.call.team.workspace();
  const WorkspaceScope scope(workspace);
  const std::span<const Index> lengths = stream_lengths(stack, document.input.len(), 0);
  const ConstSlices embedding(pass.values.parameters.data(), stack.embedding_slices);
  const Dropout dropout(document.key.fold("embedding"), pass.grads ? dropout_ : 0,
                        setup_.model_dim);

  const Streams in = Streams::take(workspace, lengths, setup_.model_dim);
  stack.embedding.forward(pass.call.team, document.input, embedding, in.views[0]);
  dropout.apply(0, in.views[0]);
  const Weights first_layer = layer_weights(pass.values, stack, 0);
  for (Index s = 1; s < stack.layer->num_streams(); ++s) {
    copy_rows(first_layer.parameters[stack.layer->initial_stream(s)],
              in.views[static_cast<std::size_t>(s)]);
  }
  if (!pass.grads) {
    run_layers(pass, document, 0, in, Streams{});
    return;
  }
  const Streams d_in = Streams::take(workspace, lengths, setup_.model_dim);
  run_layers(pass, document, 0, in, d_in);
  dropout.apply(0, d_in.views[0]);
  stack.embedding.backward(pass.call.team, document.input, d_in.views[0],
                           pass.grad_slices(stack.embedding_slices));
  const Slices d_first_layer = pass.grad_slices(stack.parameters[0]);
  for (Index s = 1; s < stack.layer->num_streams(); ++s) {
    d_first_layer[stack.layer->initial_stream(s)] += d_in.views[static_cast<std::size_t>(s)];
  }
}

/// Layers from `layer` on, then the loss; on the way back the gradients. Recursion gives memory
/// the order of a stack: what backward of a layer needs lies below that of the later layers.
void Model::run_layers(Pass& pass, const Document& document, Index layer, const Streams& in,
                       const Streams& d_in) const {
  if (layer == setup_.num_layers) {
    run_classifier(pass, document, in.views[0], d_in.views[0]);
    for (std::size_t s = 1; s < kMaxStreams; ++s) zero_rows(d_in.views[s]);
    return;
  }
  const auto l = static_cast<std::size_t>(layer);
  const Stack& stack = document.stack;
  Workspace& workspace = pass.call.team.workspace();
  const WorkspaceScope scope(workspace);
  const Index len = document.input.len();
  const auto streams = static_cast<std::size_t>(stack.layer->num_streams());
  const std::span<const Index> lengths = stream_lengths(stack, len, layer);
  const std::span<const Index> out_lengths = stream_lengths(stack, len, layer + 1);

  Call call = pass.call;
  call.training = pass.grads != nullptr;
  call.layer = layer;
  call.key = document.key.fold(static_cast<std::uint64_t>(layer));
  if (&stack == &encoder_) {
    call.edges = pass.sample.edges.get();
    call.grid = pass.sample.grid;
  }
  Streams out = Streams::take(workspace, out_lengths, setup_.model_dim);
  const auto inputs = in.read_only();
  const Weights weights = layer_weights(pass.values, stack, layer);
  float auxiliary_loss = 0;
  Extras extras{.auxiliary_loss = &auxiliary_loss};
  if (!pass.grads) {
    stack.layer->forward(call, std::span(inputs).first(streams), document.context, weights,
                         std::span(out.views).first(streams), nullptr, extras);
    pass.score.auxiliary_loss += document.share * auxiliary_loss;
    run_layers(pass, document, layer + 1, out, Streams{});
    return;
  }
  extras.statistics = Slices(pass.grads->statistics.data(), stack.statistics[l]);
  Frame frame =
      Frame::carve(workspace, stack.layer->footprint(lengths, document.context.rows(), call).frame);
  stack.layer->forward(call, std::span(inputs).first(streams), document.context, weights,
                       std::span(out.views).first(streams), &frame, extras);
  pass.score.auxiliary_loss += document.share * auxiliary_loss;
  const Streams d_out = Streams::take(workspace, out_lengths, setup_.model_dim);
  run_layers(pass, document, layer + 1, out, d_out);
  const auto d_outputs = d_out.read_only();
  std::array<View, kMaxStreams> d_inputs = d_in.views;
  const View d_context = workspace.matrix(document.d_context.rows(), setup_.model_dim);
  stack.layer->backward(call, std::span(inputs).first(streams), document.context, weights,
                        std::span(d_outputs).first(streams), document.share * pass.scale.auxiliary,
                        frame, std::span(d_inputs).first(streams), d_context,
                        pass.grad_slices(stack.parameters[l]));
  add_rows(d_context, document.d_context);
}

/// Behind the last layer: the loss, or the next token to write. A pair's first document waits here,
/// with all that it saved, for the second one to go through the layers.
void Model::run_classifier(Pass& pass, const Document& document, ConstView x, View d_x) const {
  if (writes() && &document.stack == &encoder_) return run_decoder(pass, document, x, d_x);
  const Weights weights{ConstSlices(pass.values.parameters.data(), classifier_slices_),
                        {},
                        ConstSlices(pass.values.transposed.data(), classifier_slices_)};
  const Slices grads = pass.grad_slices(classifier_slices_);
  const Classifier::Request request{.team = pass.call.team,
                                    .labels = pass.sample.labels,
                                    .weights = weights,
                                    .loss_scale = pass.scale.score,
                                    .right = pass.right,
                                    .training = pass.grads != nullptr,
                                    .grads = grads};
  const auto note = [&](const LossSum& sum) {
    pass.score.loss = sum.loss;
    pass.score.correct = sum.correct;
  };
  if (!pass.written.empty()) {
    const auto last = static_cast<std::size_t>(x.rows() - 1);
    pass.written[last] = classifier_.likeliest(request, x.row_slice(x.rows() - 1, 1));
    return;
  }
  if (!pairs_) {
    note(classifier_.run(request, x, d_x));
    return;
  }
  const WorkspaceScope scope(pass.call.team.workspace());
  const Classifier::Pooled pooled = classifier_.pool(request, x);
  if (document.previous) {
    note(classifier_.run_pair(request, *document.previous, pooled));
  } else {
    run_document(pass, {.stack = encoder_,
                        .input = {.tokens = pass.sample.second},
                        .key = document.key.fold("second"),
                        .share = document.share,
                        .previous = &pooled});
  }
  if (pass.grads) classifier_.pool_backward(request, x, pooled, d_x);
}

/// Teacher forcing: at each position the decoder reads the right tokens before it.
void Model::run_decoder(Pass& pass, const Document& document, ConstView x, View d_x) const {
  Workspace& workspace = pass.call.team.workspace();
  const WorkspaceScope scope(workspace);
  const ConstSlices norm(pass.values.parameters.data(), memory_norm_slices_);
  const View memory = workspace.matrix(x.rows(), setup_.model_dim);
  const View statistics = workspace.matrix(x.rows(), 2);
  layer_norm(x, norm[0], norm[1], norm_epsilon_, memory, statistics);
  if (!pass.written.empty()) return decode(pass, document, memory);

  const std::vector<std::int32_t>& target = pass.sample.labels;
  const std::span<std::int32_t> before =
      workspace.take<std::int32_t>(static_cast<Index>(target.size()));
  before[0] = end_mark();
  std::copy(target.begin(), target.end() - 1, before.begin() + 1);
  const View d_memory = workspace.matrix(pass.grads ? x.rows() : 0, setup_.model_dim);
  zero_rows(d_memory);
  run_document(pass, {.stack = decoder_,
                      .input = {.tokens = before},
                      .key = document.key.fold("decoder"),
                      .context = memory,
                      .d_context = d_memory});
  if (!pass.grads) return;
  const Slices d_norm = pass.grad_slices(memory_norm_slices_);
  layer_norm_backward(x, statistics, norm[0], d_memory, {}, d_x, d_norm[0], d_norm[1]);
}

/// Token by token; each reads all before it again, which is right for every causal mechanism.
void Model::decode(Pass& pass, const Document& document, ConstView memory) const {
  Workspace& workspace = pass.call.team.workspace();
  const WorkspaceScope scope(workspace);
  const auto most = static_cast<Index>(pass.written.size());
  const std::span<std::int32_t> before = workspace.take<std::int32_t>(most + 1);
  before[0] = end_mark();
  Index& count = pass.written_count;
  do {
    run_document(pass, {.stack = decoder_,
                        .input = {.tokens = before.first(static_cast<std::size_t>(count + 1))},
                        .key = document.key.fold("decoder"),
                        .context = memory});
    before[static_cast<std::size_t>(count + 1)] = pass.written[static_cast<std::size_t>(count)];
    ++count;
  } while (count < most && before[static_cast<std::size_t>(count)] != end_mark());
}

}  // namespace arena
