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

/// Which inputs the variant's heads have does not depend on lengths.
InputNames names_of(const AttendJob& job) {
  return input_names(*make_head(job.variant, setup_of(job, 1, 1, 1, 1), job.options));
}

/// The heads of a layer, each with its slices of the parameters and buffers.
struct HeadsOfLayer {
  std::unique_ptr<AttentionHead> head;
  InputNames names;
  std::vector<std::vector<Slice>> slices, buffer_slices;
  NamedValues parameters, buffers;

  HeadsOfLayer(Exchange& exchange, const Setup& setup)
      : head(make_head(exchange.job.variant, setup, exchange.job.options)),
        names(input_names(*head)) {
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
  const Tensor* d_out = nullptr;  // may be absent
};

/// [len, heads, head_dim]
std::vector<Index> shape_of(const HeadsCall& c, ConstView matrix) {
  return {matrix.rows(), c.heads, matrix.cols() / c.heads};
}

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
  std::array<Matrix, kNumInputSlots> d_in;
  for (std::size_t slot = 0; slot < d_in.size(); ++slot) {
    const ConstView& input = c.in[static_cast<Index>(slot)];
    d_in[slot].setZero(input.rows(), input.cols());
  }
  std::vector<float> d_weights(c.layer.parameters.values().size(), 0.0F);
  std::vector<Slices> grads;
  for (const auto& slices : c.layer.slices) grads.emplace_back(d_weights.data(), slices);
  backward_heads(
      *c.layer.head, c.call, c.heads, c.in, c.layer.weights(),
      {.out = as_matrix(*c.d_out), .forward_out = out}, frames,
      head_matrices<View>([&](Index slot) -> View { return d_in[static_cast<std::size_t>(slot)]; }),
      grads);
  for (std::size_t slot = 0; slot < d_in.size(); ++slot) {
    const std::string& name = c.layer.names[slot];
    if (!name.empty()) file.tensors["d_" + name] = as_tensor(shape_of(c, d_in[slot]), d_in[slot]);
  }
  c.layer.parameters.write("d_", d_weights, file);
}

/// Returns the plan of all heads.
Plan run_heads(const HeadsCall& c, bool with_log_sum_exp, TensorFile& file) {
  const Extents extents = extents_of(c.in);
  Matrix out(extents.query_len, c.in.value.cols());
  Matrix log_sum_exp(extents.query_len, with_log_sum_exp ? c.heads : 0);
  std::vector<Frame> frames;
  if (c.d_out != nullptr) frames = carve_frames(*c.layer.head, c.call, extents, c.heads);
  std::vector<Plan> plans(static_cast<std::size_t>(c.heads));
  std::vector<Extras> extras;
  for (Plan& plan : plans) extras.push_back({.plan = &plan});
  forward_heads(*c.layer.head, c.call, c.heads, c.in, c.layer.weights(), {out, log_sum_exp}, frames,
                extras);
  Plan plan;
  for (Index h = 0; h < c.heads; ++h) {
    add_plan_of_head(plan, h, plans[static_cast<std::size_t>(h)]);
  }
  file.tensors["out"] = as_tensor(shape_of(c, out), out);
  if (with_log_sum_exp) {
    file.tensors["log_sum_exp"] = as_tensor({extents.query_len, c.heads}, log_sum_exp);
  }
  if (c.d_out != nullptr) run_heads_backward(c, frames, out, file);
  return plan;
}

/// The tensor of each slot, absent where the variant's heads have no such input. The first gives
/// heads and head_dim to the others.
using SlotTensors = std::array<const Tensor*, kNumInputSlots>;
SlotTensors take_inputs(InputTensors& in, const InputNames& names) {
  SlotTensors tensors{};
  const Tensor* first = nullptr;
  for (std::size_t slot = 0; slot < names.size(); ++slot) {
    if (names[slot].empty()) continue;
    const bool of_keys = slot == 1 || slot == 2;
    const Tensor* const key = tensors[1];
    const Index heads = first ? first->shape[1] : kAny;
    const Index width = first ? first->shape[2] : kAny;
    const Index len = slot == 2 && key ? key->shape[0] : !of_keys && first ? first->shape[0] : kAny;
    const std::string words =
        !first ? fmt::format("[{}, heads, head_dim]", of_keys ? "key_len" : "query_len")
        : slot == 2 && key
            ? "the shape of key"
            : fmt::format("[{}, heads, head_dim] with the heads and head_dim of query",
                          of_keys ? "key_len" : "query_len");
    tensors[slot] = &in.floats(names[slot], {len, heads, width}, words);
    if (!first) first = tensors[slot];
  }
  return tensors;
}

void attend_heads(Exchange& exchange) {
  InputTensors& in = exchange.in;
  const InputNames names = names_of(exchange.job);
  const SlotTensors tensors = take_inputs(in, names);
  const HeadInputs inputs = head_matrices<ConstView>([&](Index slot) {
    const Tensor* const tensor = tensors[static_cast<std::size_t>(slot)];
    return tensor ? as_matrix(*tensor) : ConstView();
  });
  const Extents extents = extents_of(inputs);
  const Index heads = tensors[2]->shape[1], width = tensors[2]->shape[2];
  const Setup setup = setup_of(exchange.job, heads, width, heads * width, extents.key_len);
  check_extents(exchange.job.variant, setup, extents);

  const CallTensors call_tensors(in, extents);
  const HeadsOfLayer layer(exchange, setup);
  in.expect("d_out");
  const Tensor* const d_out =
      in.has("d_out")
          ? &in.floats("d_out", {extents.query_len, heads, width}, "[query_len, heads, head_dim]")
          : nullptr;
  in.check_all_taken();

  Workers workers(exchange.job.threads);
  const Call call = call_tensors.call(workers.team(), exchange.key(Purpose::kAttention));
  const Plan plan =
      run_heads({.layer = layer, .call = call, .in = inputs, .heads = heads, .d_out = d_out},
                exchange.job.variant.claims.log_sum_exp, exchange.out);
  call_tensors.write_plan(plan, exchange.out);
  layer.parameters.write("", layer.parameters.values(), exchange.out);
  layer.buffers.write("", layer.buffers.values(), exchange.out);
}

/// What run_layer() gives beside the tensors it writes.
struct LayerRun {
  Matrix d_weights;  // of the flat parameters; empty without d_out
  Plan plan;
};

/// Forward, and with d_out backward.
LayerRun run_layer(const AttentionLayer& layer, const Call& call, const LayerInputs& in,
                   const Weights& weights, std::span<const Slice> slices, Index parameter_floats,
                   const Tensor* d_out, TensorFile& file) {
  const Extents extents{in.x.rows(), in.context.empty() ? in.x.rows() : in.context.rows()};
  const Index width = in.x.cols();
  Matrix out(extents.query_len, width);
  Frame frame;
  if (d_out != nullptr) {
    frame = Frame::carve(call.team.workspace(), layer.footprint(extents, call).frame);
  }
  LayerRun result;
  layer.forward(call, in, weights, out, d_out != nullptr ? &frame : nullptr,
                {.plan = &result.plan});
  file.tensors["out"] = as_tensor({extents.query_len, width}, out);
  if (d_out == nullptr) return result;
  Matrix d_x(extents.query_len, width);
  Matrix d_context(in.context.rows(), width);
  result.d_weights = Matrix::Zero(1, parameter_floats);
  layer.backward(call, in, weights, as_matrix(*d_out), 0, frame, {d_x, d_context},
                 Slices(result.d_weights.data(), slices));
  file.tensors["d_x"] = as_tensor({extents.query_len, width}, d_x);
  if (!in.context.empty())
    file.tensors["d_context"] = as_tensor({extents.key_len, width}, d_context);
  return result;
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
  const LayerRun run =
      run_layer(*layer, call, inputs, weights, slices,
                static_cast<Index>(parameters.values().size()), d_out, exchange.out);
  if (d_out != nullptr) {
    parameters.write("d_", {run.d_weights.data(), parameters.values().size()}, exchange.out);
  }
  call_tensors.write_plan(run.plan, exchange.out);
  parameters.write("", parameters.values(), exchange.out);
  buffers.write("", buffers.values(), exchange.out);
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
