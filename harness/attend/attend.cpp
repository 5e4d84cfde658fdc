#include "harness/attend/attend.hpp"

#include <fmt/format.h>

#include "harness/attend/attend_tensors.hpp"
#include "harness/model/heads.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

constexpr Index kAny = -1;

/// Where attend()'s parts come together: inputs in, outputs out.
struct Exchange {
  const AttendJob& job;
  InputTensors in;
  TensorFile out{};

  RandomKey key(Purpose purpose) const { return RandomKey(job.seed).fold(purpose); }
};

ConstView as_matrix(const Tensor& tensor) {
  return {tensor.floats.data(), tensor.shape[0], tensor.count() / tensor.shape[0]};
}

Tensor as_tensor(std::vector<Index> shape, const Matrix& matrix) {
  return float_tensor(std::move(shape), {matrix.data(), matrix.data() + matrix.size()});
}

Setup setup_of(const AttendJob& job, Index num_heads, Index head_dim, Index model_dim,
               Index key_len) {
  return {.num_heads = num_heads,
          .head_dim = head_dim,
          .model_dim = model_dim,
          .max_len = job.max_len > 0 ? job.max_len : key_len,
          .num_layers = 1,
          .causal = job.causal};
}

/// The heads of a layer, each with its slices of the parameters and buffers.
struct HeadsOfLayer {
  std::unique_ptr<AttentionHead> head;
  std::vector<std::vector<Slice>> slices, buffer_slices;
  NamedValues parameters, buffers;

  HeadsOfLayer(Exchange& exchange, const Setup& setup)
      : head(make_head(exchange.job.variant, setup, exchange.job.options)) {
    for (Index h = 0; h < setup.num_heads; ++h) {
      slices.push_back(parameters.add(specs_of_head(head->parameters(), h)));
      buffer_slices.push_back(buffers.add(specs_of_head(head->buffers(), h)));
    }
    parameters.fill(exchange.key(Purpose::kInitialise), exchange.in);
    buffers.fill(exchange.key(Purpose::kBuffer), exchange.in);
  }

  std::vector<Weights> weights() const {
    std::vector<Weights> all;
    for (std::size_t h = 0; h < slices.size(); ++h) {
      all.push_back({ConstSlices(parameters.values().data(), slices[h]),
                     ConstSlices(buffers.values().data(), buffer_slices[h])});
    }
    return all;
  }
};

/// One forward call of all heads; with d_out a backward call behind it.
struct HeadsCall {
  const HeadsOfLayer& layer;
  Call call;
  HeadInputs in;
  Index heads = 0;
  Extents extents{};
  const Tensor* query = nullptr;  // for their shapes
  const Tensor* key = nullptr;
  const Tensor* d_out = nullptr;  // may be absent
};

/// Frames of all heads, on the team's workspace.
std::vector<Frame> carve_frames(const AttentionHead& head, const Call& call, const Extents& extents,
                                Index num_heads) {
  std::vector<Frame> frames;
  for (Index h = 0; h < num_heads; ++h) {
    Call of_head = call;
    of_head.head = h;
    frames.push_back(Frame::carve(call.team.workspace(), head.footprint(extents, of_head).frame));
  }
  return frames;
}

/// Writes the gradients of a call whose frames stand.
void run_heads_backward(const HeadsCall& c, std::span<const Frame> frames, const Matrix& out,
                        TensorFile& file) {
  Matrix d_query(c.in.query.rows(), c.in.query.cols());
  Matrix d_key(c.in.key.rows(), c.in.key.cols());
  Matrix d_value(c.in.value.rows(), c.in.value.cols());
  std::vector<float> d_weights(c.layer.parameters.values().size(), 0.0F);
  std::vector<Slices> grads;
  for (const auto& slices : c.layer.slices) grads.emplace_back(d_weights.data(), slices);
  backward_heads(*c.layer.head, c.call, c.heads, c.in, c.layer.weights(),
                 {.out = as_matrix(*c.d_out), .forward_out = out}, frames,
                 {d_query, d_key, d_value}, grads);
  file.tensors["d_query"] = as_tensor(c.query->shape, d_query);
  file.tensors["d_key"] = as_tensor(c.key->shape, d_key);
  file.tensors["d_value"] = as_tensor(c.key->shape, d_value);
  c.layer.parameters.write("d_", d_weights, file);
}

void run_heads(const HeadsCall& c, bool with_log_sum_exp, TensorFile& file) {
  Matrix out(c.in.query.rows(), c.in.query.cols());
  Matrix log_sum_exp(c.in.query.rows(), with_log_sum_exp ? c.heads : 0);
  std::vector<Frame> frames;
  if (c.d_out != nullptr) frames = carve_frames(*c.layer.head, c.call, c.extents, c.heads);
  forward_heads(*c.layer.head, c.call, c.heads, c.in, c.layer.weights(), {out, log_sum_exp},
                frames);
  file.tensors["out"] = as_tensor(c.query->shape, out);
  if (with_log_sum_exp) {
    file.tensors["log_sum_exp"] = as_tensor({c.extents.query_len, c.heads}, log_sum_exp);
  }
  if (c.d_out != nullptr) run_heads_backward(c, frames, out, file);
}

void attend_heads(Exchange& exchange) {
  InputTensors& in = exchange.in;
  const std::string kv_words = "[key_len, heads, head_dim] with the heads and head_dim of query";
  const Tensor& query = in.floats("query", {kAny, kAny, kAny}, "[query_len, heads, head_dim]");
  const Index heads = query.shape[1];
  const Index width = query.shape[2];
  const Tensor& key = in.floats("key", {kAny, heads, width}, kv_words);
  const Tensor& value = in.floats("value", {key.shape[0], heads, width}, "the shape of key");
  const Extents extents{query.shape[0], key.shape[0]};
  const Setup setup = setup_of(exchange.job, heads, width, heads * width, extents.key_len);
  check_extents(exchange.job.variant, setup, extents);

  const CallTensors call_tensors(in, extents);
  const HeadsOfLayer layer(exchange, setup);
  in.expect("d_out");
  const Tensor* const d_out =
      in.has("d_out") ? &in.floats("d_out", query.shape, "the shape of query") : nullptr;
  in.check_all_taken();

  Workers workers(exchange.job.threads);
  const Call call = call_tensors.call(workers.team(), exchange.key(Purpose::kAttention));
  run_heads({.layer = layer,
             .call = call,
             .in = {as_matrix(query), as_matrix(key), as_matrix(value)},
             .heads = heads,
             .extents = extents,
             .query = &query,
             .key = &key,
             .d_out = d_out},
            exchange.job.variant.claims.log_sum_exp, exchange.out);
  layer.parameters.write("", layer.parameters.values(), exchange.out);
  layer.buffers.write("", layer.buffers.values(), exchange.out);
  call_tensors.write(exchange.out);
}

/// Forward, and with d_out backward; returns the gradient of the flat parameters (empty without).
Matrix run_layer(const AttentionLayer& layer, const Call& call, const LayerInputs& in,
                 const Weights& weights, std::span<const Slice> slices, Index parameter_floats,
                 const Tensor* d_out, TensorFile& file) {
  const Extents extents{in.x.rows(), in.context.empty() ? in.x.rows() : in.context.rows()};
  const Index width = in.x.cols();
  Matrix out(extents.query_len, width);
  Frame frame;
  if (d_out != nullptr) {
    frame = Frame::carve(call.team.workspace(), layer.footprint(extents, call).frame);
  }
  layer.forward(call, in, weights, out, d_out != nullptr ? &frame : nullptr, {});
  file.tensors["out"] = as_tensor({extents.query_len, width}, out);
  if (d_out == nullptr) return {};
  Matrix d_x(extents.query_len, width);
  Matrix d_context(in.context.rows(), width);
  Matrix d_weights = Matrix::Zero(1, parameter_floats);
  layer.backward(call, in, weights, as_matrix(*d_out), 0, frame, {d_x, d_context},
                 Slices(d_weights.data(), slices));
  file.tensors["d_x"] = as_tensor({extents.query_len, width}, d_x);
  if (!in.context.empty())
    file.tensors["d_context"] = as_tensor({extents.key_len, width}, d_context);
  return d_weights;
}

void attend_layer(Exchange& exchange) {
  const AttendJob& job = exchange.job;
  InputTensors& in = exchange.in;
  const Tensor& x = in.floats("x", {kAny, kAny}, "[len, model_dim]");
  const Index width = x.shape[1];
  const Index heads = std::max(job.num_heads, Index{1});
  check(width % heads == 0, "model_dim={} of tensor 'x' is not a multiple of heads={}", width,
        heads);
  in.expect("context");
  const Tensor* const context =
      in.has("context")
          ? &in.floats("context", {kAny, width}, "[context_len, model_dim] with the width of x")
          : nullptr;
  const Extents extents{x.shape[0], context != nullptr ? context->shape[0] : x.shape[0]};
  const Setup setup = setup_of(job, heads, width / heads, width, extents.key_len);
  check_extents(job.variant, setup, extents);

  const CallTensors call_tensors(in, extents);
  const auto layer = make_layer(job.variant, setup, job.options);
  NamedValues parameters, buffers;
  const std::vector<Slice> slices = parameters.add(layer->parameters());
  const std::vector<Slice> buffer_slices = buffers.add(layer->buffers());
  parameters.fill(exchange.key(Purpose::kInitialise), in);
  buffers.fill(exchange.key(Purpose::kBuffer), in);
  in.expect("d_out");
  const Tensor* const d_out =
      in.has("d_out") ? &in.floats("d_out", x.shape, "the shape of x") : nullptr;
  in.check_all_taken();

  Workers workers(job.threads);
  const Call call = call_tensors.call(workers.team(), exchange.key(Purpose::kAttention));
  const LayerInputs inputs{as_matrix(x), context != nullptr ? as_matrix(*context) : ConstView()};
  const Weights weights{ConstSlices(parameters.values().data(), slices),
                        ConstSlices(buffers.values().data(), buffer_slices)};
  const Matrix d_weights =
      run_layer(*layer, call, inputs, weights, slices,
                static_cast<Index>(parameters.values().size()), d_out, exchange.out);
  if (d_out != nullptr) {
    parameters.write("d_", {d_weights.data(), parameters.values().size()}, exchange.out);
  }
  parameters.write("", parameters.values(), exchange.out);
  buffers.write("", buffers.values(), exchange.out);
  call_tensors.write(exchange.out);
}

}  // namespace

TensorFile attend(const AttendJob& job, const TensorFile& in, const std::string& source) {
  Exchange exchange{job, InputTensors(in, source)};
  if (exchange.in.has("x") || !job.variant.make_head) {
    attend_layer(exchange);
  } else {
    attend_heads(exchange);
  }
  exchange.out.metadata["variant"] = job.variant.name + job.options.difference(job.variant.options);
  exchange.out.metadata["seed"] = fmt::format("{}", job.seed);
  return std::move(exchange.out);
}

}  // namespace arena
