"""Times other libraries on the inputs of `arena bench --against`; started by it, not by hand.

One process serves one row of a table. Requests are lines of JSON on standard input, answers lines of
JSON on standard output, one for one:

  {"do": "hello", "library": L}       -> {"version": V} or {"missing": PACKAGE}
  {"do": "make", "row": R, "threads", "pass", "causal", "heads", "inputs", "outputs", ...}
                                      -> {"cold_ns", "rss_peak_bytes"}, the outputs written; of a
                                         model {"losses"} in their place; or {"unsupported": WHY}
  {"do": "run", "calls": N}           -> {"ns": of all calls together}

Tensors come and go in safetensors files. Whatever goes wrong is answered as {"error": ONE LINE}.
"""

import json
import os
import struct
import sys
import time

# Threads that wait give the cores back at once where the library asks; see "settle" in bench.
os.environ.setdefault("KMP_BLOCKTIME", "1")

FLOAT, INTEGER = "F32", "I64"


class Unsupported(Exception):
    pass


def read_tensors(path):
    """Name -> (dtype, shape, bytearray)."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], entry["shape"], bytearray(data[begin:end]))
    return tensors


def write_floats(path, arrays):
    """Writes float32 numpy arrays."""
    header, offset = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": FLOAT, "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_bytes():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


# ---- kernels: query, key, value [batch, heads, length, head_dim] to out ------------------------


class TorchKernel:
    """Softmax attention by PyTorch, fused or as the three products that a textbook writes."""

    def __init__(self, request):
        import torch
        self.torch = torch
        torch.set_num_threads(request["threads"])
        self.pass_, self.causal = request["pass"], request["causal"]
        self.fused = request["row"] == "sdpa"
        inputs = {name: torch.frombuffer(data, dtype=torch.float32).reshape(shape)
                  for name, (_, shape, data) in read_tensors(request["inputs"]).items()}
        self.tensors = [inputs[name] for name in ("query", "key", "value")]
        self.d_out = inputs.get("d_out")
        self.mask = None
        if self.causal and not self.fused:
            length = self.tensors[0].shape[2]
            self.mask = torch.ones(length, length, dtype=torch.bool).triu(1)
        if self.pass_ != "forward":
            for tensor in self.tensors:
                tensor.requires_grad_(True)
        self.out, self.grads = None, ()

    def attend(self):
        torch = self.torch
        query, key, value = self.tensors
        if self.fused:
            return torch.nn.functional.scaled_dot_product_attention(
                query, key, value, is_causal=self.causal)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if self.mask is not None:
            scores = scores.masked_fill(self.mask, float("-inf"))
        return torch.softmax(scores, -1) @ value

    def in_context(self, body):
        if not self.fused:
            return body()
        from torch.nn.attention import SDPBackend, sdpa_kernel
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return body()

    def prepare(self):
        if self.pass_ == "backward":
            self.out = self.in_context(self.attend)

    def call(self):
        if self.pass_ == "forward":
            with self.torch.no_grad():
                self.out = self.in_context(self.attend)
            return
        if self.pass_ == "train":
            self.out = self.in_context(self.attend)
        self.grads = self.torch.autograd.grad(self.out, self.tensors, self.d_out,
                                              retain_graph=self.pass_ == "backward")

    def results(self):
        results = dict(zip(("out", "d_query", "d_key", "d_value"), (self.out, *self.grads)))
        return {name: x.detach().contiguous().numpy() for name, x in results.items()}


class OnnxKernel:
    """One operator of ONNX Runtime's own set, as its transformer models use it."""

    def __init__(self, request):
        import numpy
        import onnx
        import onnxruntime
        if request["pass"] != "forward":
            raise Unsupported("onnxruntime runs forward only")
        floats = {name: numpy.frombuffer(data, numpy.float32).reshape(shape)
                  for name, (_, shape, data) in read_tensors(request["inputs"]).items()}
        operator = request["row"]
        batch, heads, length, head_dim = self.shape = floats["query"].shape
        # These operators take heads side by side: [batch, length, heads * head_dim].
        self.feed = {
            name: floats[name].transpose(0, 2, 1, 3).reshape(batch, length, heads * head_dim)
            for name in ("query", "key", "value")}
        names, attributes, outputs = list(self.feed), {"num_heads": heads}, ["out"]
        if operator == "GroupQueryAttention":
            attributes["kv_num_heads"] = heads
            for past in ("past_key", "past_value"):
                self.feed[past] = numpy.zeros((batch, heads, 0, head_dim), numpy.float32)
            self.feed["seqlens_k"] = numpy.full((batch,), length - 1, numpy.int32)
            self.feed["total_sequence_length"] = numpy.array([length], numpy.int32)
            names, outputs = list(self.feed), ["out", "present_key", "present_value"]

        def described(name):
            array = self.feed.get(name)
            kind = onnx.TensorProto.FLOAT
            if array is not None and array.dtype == numpy.int32:
                kind = onnx.TensorProto.INT32
            return onnx.helper.make_tensor_value_info(
                name, kind, None if array is None else array.shape)

        node = onnx.helper.make_node(operator, names, outputs, domain="com.microsoft", **attributes)
        graph = onnx.helper.make_graph([node], "attention", [described(n) for n in names],
                                       [described(n) for n in outputs])
        model = onnx.helper.make_model(
            graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17),
                                                onnx.helper.make_opsetid("com.microsoft", 1)])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request["threads"]
        options.inter_op_num_threads = 1
        # Its threads spin while it runs, and stop when it has: others are timed next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                    providers=["CPUExecutionProvider"])
        self.out = None

    def prepare(self):
        pass

    def call(self):
        self.out = self.session.run(["out"], self.feed)[0]

    def results(self):
        batch, heads, length, head_dim = self.shape
        out = self.out.reshape(batch, length, heads, head_dim).transpose(0, 2, 1, 3)
        return {"out": out.copy()}


# ---- a training step of the 2-layer model ------------------------------------------------------


def make_attention(torch, row, load, heads):
    """(query, key, value [batch, heads, length, head_dim], mask) -> out, of one layer.

    The mask [batch, 1, 1, length] is true where there is a token, None where every position has
    one. `load(name)` makes a parameter of the layer from the other side's weights.
    """
    functional = torch.nn.functional

    def unfused(query, key, value, mask):
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return torch.softmax(scores, -1) @ value

    def sdpa(query, key, value, mask):
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    def zero_padding(mask, *tensors):
        return tensors if mask is None else [x * mask.transpose(-1, -2) for x in tensors]

    def linear(query, key, value, mask):
        query, key = functional.elu(query) + 1, functional.elu(key) + 1
        key, value = zero_padding(mask, key, value)
        normaliser = query @ key.sum(2).unsqueeze(-1)
        return query @ (key.transpose(-1, -2) @ value) / normaliser

    if row == "linear":
        return linear
    if row == "linformer":
        e, f = load("E"), load("F")

        def linformer(query, key, value, mask):
            key, value = zero_padding(mask, key, value)
            length = key.shape[2]
            return sdpa(query, e[:, :length] @ key, f[:, :length] @ value, None)

        return linformer
    return unfused if row.startswith("unfused") else sdpa


class TorchStep:
    """Embeddings, pre-LayerNorm blocks with exact GELU, classifier on the mean over positions."""

    BUCKETS = 4

    def __init__(self, request):
        import torch
        self.torch, self.request = torch, request
        torch.set_num_threads(request["threads"])
        tensors = read_tensors(request["inputs"])
        self.weights = {
            name[len("weights/"):]: torch.frombuffer(data, dtype=torch.float32).reshape(shape)
            for name, (_, shape, data) in tensors.items() if name.startswith("weights/")}
        self.parameters = {}
        self.batches = self.make_batches(tensors)
        self.forward = self.make_model()
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=request["learning_rate"], betas=tuple(request["betas"]),
            eps=request["epsilon"], weight_decay=request["weight_decay"], fused=True)
        if request["row"] == "compile":
            self.forward = torch.compile(self.forward, dynamic=False)
        self.loss = 0.0

    def make_batches(self, tensors):
        """Padded to the maximum as LRA's code does, or cut by length, each part to its longest."""
        torch = self.torch
        numbers = {name: torch.frombuffer(tensors[name][2], dtype=torch.int64)
                   for name in ("tokens", "lengths", "labels")}
        sequences = torch.split(numbers["tokens"], numbers["lengths"].tolist())
        order, parts = list(range(len(sequences))), 1
        if self.request["row"].endswith("bucketed"):
            order.sort(key=lambda i: len(sequences[i]))
            parts = min(self.BUCKETS, len(order))
        size = -(-len(order) // parts)
        batches = []
        for first in range(0, len(order), size):
            chosen = order[first:first + size]
            longest = max(len(sequences[i]) for i in chosen)
            width = longest if parts > 1 else self.request["length"]
            tokens = torch.zeros(len(chosen), width, dtype=torch.int64)
            for row, i in enumerate(chosen):
                tokens[row, :len(sequences[i])] = sequences[i]
            lengths = numbers["lengths"][chosen]
            mask = None
            if int(lengths.min()) < width:
                mask = torch.arange(width)[None, :] < lengths[:, None]
            batches.append((tokens, mask, numbers["labels"][chosen], len(chosen) / len(order)))
        return batches

    def load(self, name, transposed=False):
        if name not in self.parameters:
            value = self.weights[name]
            vector = name.endswith((".bias", ".scale", ".shift"))
            value = value.t().contiguous() if transposed else value[0] if vector else value
            self.parameters[name] = self.torch.nn.Parameter(value.clone())
        return self.parameters[name]

    def load_linear(self, *names):
        """Several maps of the same input are one product, as usual code has it."""
        joined = "+".join(names)
        if joined not in self.parameters:
            for part, axis in (("weight", 1), ("bias", 1)):
                self.weights[f"{joined}.{part}"] = self.torch.cat(
                    [self.weights[f"{name}.{part}"] for name in names], axis)
        return self.load(f"{joined}.weight", True), self.load(f"{joined}.bias")

    def make_layer(self, index):
        functional, heads = self.torch.nn.functional, self.request["heads"]
        epsilon, width = self.request["norm_epsilon"], self.weights["embedding.token"].shape[1]
        prefix = f"layers.{index}."
        norms = [[self.load(f"{prefix}{part}.norm.{what}") for what in ("scale", "shift")]
                 for part in ("attention", "feed_forward")]
        attention = prefix + "attention."
        qkv = self.load_linear(attention + "query", attention + "key", attention + "value")
        out = self.load_linear(attention + "out")
        inner = self.load_linear(prefix + "feed_forward.in")
        outer = self.load_linear(prefix + "feed_forward.out")
        attend = make_attention(self.torch, self.request["row"],
                                lambda name: self.load(attention + name), heads)

        def layer(x, mask):
            batch, length, _ = x.shape
            normed = functional.layer_norm(x, (width,), *norms[0], epsilon)
            parts = functional.linear(normed, *qkv).view(batch, length, 3, heads, width // heads)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            mixed = attend(query, key, value, mask).transpose(1, 2).reshape(batch, length, width)
            x = x + functional.linear(mixed, *out)
            normed = functional.layer_norm(x, (width,), *norms[1], epsilon)
            return x + functional.linear(functional.gelu(functional.linear(normed, *inner)), *outer)

        return layer

    def make_model(self):
        functional = self.torch.nn.functional
        epsilon = self.request["norm_epsilon"]
        token, position = self.load("embedding.token"), self.load("embedding.position")
        layers = [self.make_layer(i) for i in range(self.request["layers"])]
        norm = [self.load("norm.scale"), self.load("norm.shift")]
        hidden, out = self.load_linear("classifier.hidden"), self.load_linear("classifier.out")

        def forward(tokens, mask, labels):
            x = functional.embedding(tokens, token) + position[:tokens.shape[1]]
            key_mask = None if mask is None else mask[:, None, None, :]
            for layer in layers:
                x = layer(x, key_mask)
            x = functional.layer_norm(x, (x.shape[-1],), *norm, epsilon)
            if mask is None:
                pooled = x.mean(1)
            else:
                pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            logits = functional.linear(functional.relu(functional.linear(pooled, *hidden)), *out)
            return functional.cross_entropy(logits, labels)

        return forward

    def prepare(self):
        pass

    def call(self):
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for tokens, mask, labels, share in self.batches:
            loss = self.forward(tokens, mask, labels)
            (loss * share).backward()
            total += loss.item() * share
        self.optimizer.step()
        self.loss = total


# ---- the protocol ------------------------------------------------------------------------------


def hello(request):
    library = request["library"]
    packages = {"torch": ["numpy", "torch"], "onnxruntime": ["numpy", "onnx", "onnxruntime"]}
    version = ""
    for package in packages[library]:
        try:
            version = __import__(package).__version__
        except ImportError:
            return {"missing": package}
    return {"version": version.split("+")[0]}


def make(request):
    step = request["scope"] == "step"
    kinds = {"torch": TorchStep if step else TorchKernel, "onnxruntime": OnnxKernel}
    if step and request["library"] == "onnxruntime":
        raise Unsupported("onnxruntime trains nothing")
    reset_peak()
    try:
        subject = kinds[request["library"]](request)
        subject.prepare()
        losses, begin = [], time.perf_counter_ns()
        subject.call()
    except Exception as error:
        if request["row"] == "compile":
            raise Unsupported("torch.compile: " + one_line(error)) from error
        raise
    answer = {"cold_ns": time.perf_counter_ns() - begin}
    if step:
        losses.append(subject.loss)
        while len(losses) < request["steps"]:
            subject.call()
            losses.append(subject.loss)
        answer["losses"] = losses
    else:
        write_floats(request["outputs"], subject.results())
    answer["rss_peak_bytes"] = peak_bytes()
    return subject, answer


def run(subject, calls):
    subject.prepare()
    begin = time.perf_counter_ns()
    for _ in range(calls):
        subject.call()
    return {"ns": time.perf_counter_ns() - begin}


def one_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]


def main():
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    subject = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["do"] == "hello":
                answer = hello(request)
            elif request["do"] == "make":
                subject, answer = make(request)
            else:
                answer = run(subject, request["calls"])
        except Unsupported as error:
            answer = {"unsupported": str(error)}
        except Exception as error:  # whatever it is becomes a row of the table
            answer = {"error": one_line(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
