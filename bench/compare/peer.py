#!/usr/bin/env python3
"""One process of a peer: does what a verb of minbert-bench does with another library, and prints one JSON line of the same shape.

    peer.py step|infer --engine sdpa|eager|compiled|onnxruntime|ctranslate2 --model FOLDER --ids FILE [--exported FOLDER] [--dtype f32|bf16|int8] ...
    peer.py export --engine onnxruntime|ctranslate2 --model FOLDER --exported FOLDER
    peer.py tokenize --engine encode|encode_batch|encode_batch_fast --model FOLDER --input FILE

Each peer gets its best settings for a CPU: batches padded to their longest and made beforehand, no mask where nothing is padded,
fused AdamW, autocast for training in bf16, bf16 weights for inference. The scripts beside this file run it.
"""

import argparse
import json
import resource
import statistics
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


def peak_rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6


def timed(batches, work, rounds):
    """Mean over batches of each one's median and best, as minbert-bench has them. The first round is not timed."""
    seconds = [[] for _ in batches]
    for turn in range(rounds + 1):
        for times, batch in zip(seconds, batches):
            start = time.perf_counter()
            work(batch)
            if turn > 0:
                times.append(time.perf_counter() - start)
    return {
        "ms": statistics.mean(map(statistics.median, seconds)) * 1e3,
        "best_ms": statistics.mean(map(min, seconds)) * 1e3,
    }


def read_batches(o):
    """The batches of minbert-bench: consecutive examples, going round where the file is short."""
    longest = json.loads((o.model / "config.json").read_text())["max_position_embeddings"]
    examples = [[int(word) for word in line.split()][:longest] for line in o.ids.read_text().splitlines()]
    return [[examples[i % len(examples)] for i in range(b * o.batch, (b + 1) * o.batch)] for b in range(o.steps)]


def padded(batch):
    """Ids and mask as lists of equal rows."""
    longest = max(map(len, batch))
    return [ids + [0] * (longest - len(ids)) for ids in batch], [[1] * len(ids) + [0] * (longest - len(ids)) for ids in batch]


def torch_inputs(batch):
    """Ids and mask as tensors; no mask where nothing is padded."""
    import torch

    ids, mask = map(torch.tensor, padded(batch))
    return ids, (None if mask.all() else mask)


def load_encoder(o):
    import torch
    import transformers

    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    attention = "eager" if o.engine == "eager" else "sdpa"
    return transformers.BertModel.from_pretrained(o.model, add_pooling_layer=False, attn_implementation=attention, dtype=torch.float32)


def compiled(module, o):
    if o.engine != "compiled":
        return module
    import torch
    from torch._inductor import config

    config.freezing = not module.training  # packs the weights of inference
    return torch.compile(module, dynamic=True)


def step(o):
    """The task of minbert-bench step: five classes from [CLS] through one dense layer, dropout on, clipping, AdamW."""
    import torch
    from torch import nn

    encoder = load_encoder(o).train()
    width = encoder.config.hidden_size

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder
            self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 5))

        def forward(self, ids, mask, labels):
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            return nn.functional.cross_entropy(self.head(hidden[:, 0]).float(), labels)

    model = Classifier()
    loss_of = compiled(model, o)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)
    labels = torch.arange(o.batch) % 5

    def work(inputs):
        with torch.autocast("cpu", torch.bfloat16, enabled=o.dtype == "bf16"):
            loss = loss_of(*inputs, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return [torch_inputs(batch) for batch in o.examples], work


def mean_encoder(o):
    """A module from ids and mask to the means of the last hidden states."""
    import torch

    class MeanEncoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = load_encoder(o)

        def forward(self, ids, mask=None):
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            if mask is None:
                return hidden.mean(1)
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * weights).sum(1) / weights.sum(1)

    return MeanEncoder().eval()


def infer(o):
    """The pass of minbert-bench infer: ids to means of the last hidden states, every row of every layer computed."""
    if o.engine in ("onnxruntime", "ctranslate2"):
        return {"onnxruntime": infer_onnxruntime, "ctranslate2": infer_ctranslate2}[o.engine](o)
    import torch

    model = mean_encoder(o)
    if o.dtype == "bf16":
        model.to(torch.bfloat16)
    model = compiled(model, o)

    def work(inputs):
        with torch.inference_mode():
            model(*inputs)

    return [torch_inputs(batch) for batch in o.examples], work


def infer_onnxruntime(o):
    import numpy as np
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = o.threads
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(o.exported / f"{o.dtype}.onnx"), settings, providers=["CPUExecutionProvider"])

    def inputs(batch):
        return dict(zip(("ids", "mask"), (np.array(rows, dtype=np.int64) for rows in padded(batch))))

    return [inputs(batch) for batch in o.examples], lambda feed: session.run(None, feed)


def infer_ctranslate2(o):
    import ctranslate2
    import numpy as np

    compute = {"f32": "float32", "int8": "int8_float32"}[o.dtype]
    encoder = ctranslate2.Encoder(str(o.exported), device="cpu", compute_type=compute, intra_threads=o.threads)

    def inputs(batch):
        ids, mask = padded(batch)
        lengths = np.array([sum(row) for row in mask], dtype=np.int32)
        weights = np.array(mask, dtype=np.float32)[:, :, None] / lengths[:, None, None]
        return np.array(ids, dtype=np.int32), lengths, weights

    def work(feed):
        ids, lengths, weights = feed
        output = encoder.forward_batch(ctranslate2.StorageView.from_array(ids), ctranslate2.StorageView.from_array(lengths))
        (np.asarray(output.last_hidden_state) * weights).sum(1)

    return [inputs(batch) for batch in o.examples], work


def export(o):
    {"onnxruntime": export_onnx, "ctranslate2": export_ctranslate2}[o.engine](o)


def export_ctranslate2(o):
    import ctranslate2

    converter = ctranslate2.converters.TransformersConverter(str(o.model))
    converter.convert(str(o.exported))


def export_onnx(o):
    """Writes the graphs that onnxruntime runs, f32.onnx, its attention, GELU and LayerNorm fused, after comparing it with PyTorch's
    vectors, and int8.onnx, the same with weights quantised by channel."""
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    from onnxruntime import quantization
    from onnxruntime.transformers import optimizer

    o.engine, o.threads = "eager", 1
    o.exported.mkdir()
    f32 = str(o.exported / "f32.onnx")
    model = mean_encoder(o)
    ids, mask = map(torch.tensor, padded([[5, 6, 7, 8, 9], [5, 6, 7]]))
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(model, (ids, mask), f32, input_names=["ids", "mask"], output_names=["vectors"], dynamo=False,
                      dynamic_axes={"ids": axes, "mask": axes, "vectors": {0: "batch"}}, opset_version=17)  # fmt: skip
    config = model.encoder.config
    optimizer.optimize_model(f32, "bert", config.num_attention_heads, config.hidden_size).save_model_to_file(f32)
    vectors = onnxruntime.InferenceSession(f32).run(None, {"ids": ids.numpy(), "mask": mask.numpy()})[0]
    with torch.inference_mode():
        difference = np.abs(vectors - model(ids, mask).numpy()).max()
    if not difference < 1e-4:
        raise SystemExit(f"peer: the exported graph differs from the model by {difference}")
    quantization.quantize_dynamic(f32, str(o.exported / "int8.onnx"), per_channel=True, weight_type=quantization.QuantType.QInt8,
                                  extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})  # fmt: skip


def tokenize(o):
    """Lines to Encodings, kept to the end of the round."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(o.model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lines = o.input.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    call = getattr(tokenizer, o.engine)
    kept = []

    def work(batch):
        kept[:] = [call(line) for line in batch] if o.engine == "encode" else call(batch)

    times = timed([lines], work, o.rounds)
    return times | {"lines": len(lines), "tokens": sum(map(len, kept))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["step", "infer", "export", "tokenize"])
    parser.add_argument("--engine", default="sdpa")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--ids", type=Path)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--exported", type=Path)
    parser.add_argument("--dtype", choices=["f32", "bf16", "int8"], default="f32")
    for flag, default in (("--batch", 8), ("--steps", 10), ("--rounds", 5), ("--threads", 1)):
        parser.add_argument(flag, type=int, default=default)
    o = parser.parse_args()
    if o.verb == "export":
        return export(o)
    packages = {"tokenize": ["tokenizers"]}.get(o.verb, [o.engine] if o.engine in ("onnxruntime", "ctranslate2") else ["torch", "transformers"])
    for package in packages:
        import_module(package)
    record = {"base_rss_mb": peak_rss_mb()}
    if o.verb == "tokenize":
        record |= tokenize(o)
    else:
        o.examples = read_batches(o)
        batches, work = (step if o.verb == "step" else infer)(o)
        record |= timed(batches, work, o.rounds) | {"tokens": round(sum(len(ids) for batch in o.examples for ids in batch) / o.steps, 3)}
    record["peak_rss_mb"] = peak_rss_mb()
    print(json.dumps(record | {"versions": {package: version(package) for package in packages}}))


if __name__ == "__main__":
    main()
