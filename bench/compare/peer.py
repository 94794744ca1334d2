#!/usr/bin/env python3
"""One process of a peer: does the work of a verb of minbert-bench with another library, and prints one JSON line of the same form.

    peer.py step|infer --engine sdpa|eager|compiled|onnxruntime|openvino|openvino-throughput|ctranslate2 --model FOLDER --ids FILE [--exported FOLDER] ...
    peer.py make --shape LAYERS WIDTH BETWEEN HEADS --model FOLDER
    peer.py export --engine onnxruntime|openvino|ctranslate2|sentence-transformers-onnx|sentence-transformers-openvino --model FOLDER --exported FOLDER
    peer.py tokenize --engine encode|encode_batch|encode_batch_fast --model FOLDER --input FILE
    peer.py epoch --engine sdpa|eager --model FOLDER --data FOLDER [--dtype f32|bf16]
    peer.py embed --engine sentence-transformers[-onnx|-openvino]|onnxruntime|openvino|openvino-throughput --model FOLDER --input FILE
                  [--batch LINES] [--exported FOLDER] ...

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


def timed(batches, work, rounds, at_once=1):
    """Means over batches of each one's median and best, as in minbert-bench. The first round is not timed. `at_once`: batches that `work`
    gets together."""
    seconds = [[] for _ in batches]
    for turn in range(rounds + 1):
        for times, batch in zip(seconds, batches):
            start = time.perf_counter()
            work(batch)
            if turn > 0:
                times.append(time.perf_counter() - start)
    return {
        "ms": statistics.mean(map(statistics.median, seconds)) * 1e3 / at_once,
        "best_ms": statistics.mean(map(min, seconds)) * 1e3 / at_once,
    }


def read_batches(o):
    """The batches of minbert-bench: consecutive examples of the file, which start over at its end."""
    longest = json.loads((o.model / "config.json").read_text())["max_position_embeddings"]
    examples = [[int(word) for word in line.split()][:longest] for line in o.ids.read_text().splitlines()]
    return [[examples[i % len(examples)] for i in range(b * o.batch, (b + 1) * o.batch)] for b in range(o.steps)]


def padded(batch):
    """Ids and mask as lists of equal rows."""
    longest = max(map(len, batch))
    return [ids + [0] * (longest - len(ids)) for ids in batch], [[1] * len(ids) + [0] * (longest - len(ids)) for ids in batch]


def torch_inputs(batch):
    """Ids and mask as tensors; the mask is None where nothing is padded."""
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
        if o.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), o.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return [torch_inputs(batch) for batch in o.examples], work


def epoch(o):
    """recipes/paper/mtft-d.toml for one epoch: Para, SST and STS one after the other in shuffled batches of 8, then the dev scores.

    Texts are tokenised first, which is timed too. Dev batches hold 32 texts of similar length."""
    import csv

    import torch
    from torch import nn
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(o.model)
    encoder = load_encoder(o).train()
    width = encoder.config.hidden_size

    class Head(nn.Module):
        def __init__(self, vectors, outputs):
            super().__init__()
            self.dropout, self.difference = nn.Dropout(0.3), vectors == 3
            self.layers = nn.Sequential(nn.Linear(vectors * width, width), nn.GELU(), nn.Linear(width, outputs))

        def forward(self, *vectors):
            dropped = [self.dropout(vector) for vector in vectors]
            return self.layers(torch.cat(dropped + ([(dropped[0] - dropped[1]).abs()] if self.difference else []), dim=-1)).squeeze(-1)

    class Task:
        def __init__(self, files, texts, label, head, loss):
            self.texts, self.label, self.head, self.loss = texts, label, head, loss
            self.train, self.dev = (self.read(o.data / file) for file in files)

        def read(self, path):
            """Ids of each text, and the label, of the rows that have all fields."""
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file, delimiter="\t") if all(row.get(key) for key in (*self.texts, self.label))]
            ids = [tokenizer([row[key] for row in rows], truncation=True, max_length=128)["input_ids"] for key in self.texts]
            return list(zip(zip(*ids), (float(row[self.label]) for row in rows)))

        def logits(self, rows):
            vectors = []
            for ids in zip(*(texts for texts, _ in rows)):
                ids, mask = torch_inputs(ids)
                vectors.append(encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
            return self.head(*vectors).float()

        def loss_of(self, rows):
            labels = torch.tensor([label for _, label in rows])
            return self.loss(self.logits(rows), labels.long() if self.loss is nn.functional.cross_entropy else labels)

    functional = nn.functional
    pair = ("sentence1", "sentence2")
    tasks = [
        Task(("quora/quora-train.csv", "quora/quora-dev.csv"), pair, "is_duplicate", Head(2, 1), functional.binary_cross_entropy_with_logits),
        Task(("sst/ids-sst-train.csv", "sst/ids-sst-dev.csv"), ("sentence",), "sentiment", Head(1, 5), functional.cross_entropy),
        Task(("sts/sts-train.csv", "sts/sts-dev.csv"), pair, "similarity", Head(3, 1), functional.mse_loss),
    ]
    parameters = [*encoder.parameters(), *(p for task in tasks for p in task.head.parameters())]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.0, fused=True)
    for task in tasks:
        order = torch.randperm(len(task.train)).tolist()
        for begin in range(0, len(order), 8):
            with torch.autocast("cpu", torch.bfloat16, enabled=o.dtype == "bf16"):
                loss = task.loss_of([task.train[i] for i in order[begin : begin + 8]])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    scores = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=o.dtype == "bf16"):
        encoder.eval()
        for task in tasks:
            task.head.eval()
            rows = sorted(task.dev, key=lambda row: len(row[0][0]))
            found = torch.cat([task.logits(rows[begin : begin + 32]) for begin in range(0, len(rows), 32)])
            gold = torch.tensor([label for _, label in rows])
            if task.loss is functional.mse_loss:
                scores.append(torch.corrcoef(torch.stack([found, gold]))[0, 1].item())
            else:
                scores.append(((found.argmax(-1) if found.ndim > 1 else found > 0) == gold).float().mean().item())
    return {"lines": sum(len(task.train) for task in tasks), "scores": [round(score, 4) for score in scores]}


def mean_encoder(o):
    """A module that maps ids and mask to the means of the last hidden states."""
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
    """The pass of minbert-bench infer: from ids to means of the last hidden states, so every row of every layer is computed."""
    if o.engine == "ctranslate2":
        return infer_ctranslate2(o)
    if o.engine in GRAPH_RUNNERS:
        run = GRAPH_RUNNERS[o.engine](o)
        feeds = [graph_inputs(batch) for batch in o.examples]
        return (feeds, lambda feed: run([feed])) if not o.engine.endswith("-throughput") else ([feeds], run)
    import torch

    model = mean_encoder(o)
    if o.dtype == "bf16":
        model.to(torch.bfloat16)
    model = compiled(model, o)

    def work(inputs):
        with torch.inference_mode():
            model(*inputs)

    return [torch_inputs(batch) for batch in o.examples], work


def graph_inputs(batch):
    import numpy as np

    return dict(zip(("ids", "mask"), (np.array(rows, dtype=np.int64) for rows in padded(batch))))


def onnxruntime_runner(o):
    """A function of inputs of several batches, which gives the vectors of each."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = o.threads
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(o.exported / f"{o.dtype}.onnx"), settings, providers=["CPUExecutionProvider"])
    return lambda feeds: [session.run(None, feed)[0] for feed in feeds]


def openvino_runner(o):
    """The same. With the hint for latency batches come one after the other, with that for throughput OpenVINO has them all at once."""
    import openvino

    throughput = o.engine.endswith("-throughput")
    settings = {"PERFORMANCE_HINT": "THROUGHPUT" if throughput else "LATENCY", "INFERENCE_NUM_THREADS": o.threads,
                "INFERENCE_PRECISION_HINT": "f32" if o.dtype == "f32" else "bf16"}  # fmt: skip; what int8 leaves is bf16, as ours
    model = openvino.Core().compile_model(o.exported / f"{'int8' if o.dtype == 'int8' else 'f32'}.xml", "CPU", settings)
    if not throughput:
        return lambda feeds: [model(feed)[0] for feed in feeds]
    queue = openvino.AsyncInferQueue(model)

    def run(feeds):
        vectors = [None] * len(feeds)
        queue.set_callback(lambda request, i: vectors.__setitem__(i, request.get_output_tensor(0).data.copy()))
        for i, feed in enumerate(feeds):
            queue.start_async(feed, i)
        queue.wait_all()
        return vectors

    return run


GRAPH_RUNNERS = {"onnxruntime": onnxruntime_runner, "openvino": openvino_runner, "openvino-throughput": openvino_runner}


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


def make(o):
    """Writes a BERT of this shape with random weights."""
    import torch
    import transformers

    layers, width, between, heads = o.shape
    torch.manual_seed(1)
    config = transformers.BertConfig(num_hidden_layers=layers, hidden_size=width, intermediate_size=between, num_attention_heads=heads,
                                     position_embedding_type="absolute")  # fmt: skip; CTranslate2 asks for it
    transformers.BertModel(config).save_pretrained(o.model)


def export_sentence_transformers(o):
    """Writes the folder that sentence-transformers loads with this backend. For onnxruntime it holds the plain graph, one with its operators
    fused (its O3, which approximates GELU), and the plain one quantised."""
    import sentence_transformers

    backend = o.engine.rpartition("-")[2]
    model = sentence_transformers.SentenceTransformer(str(o.model), device="cpu", backend=backend, model_kwargs={"export": True})
    model.save_pretrained(str(o.exported))
    if backend == "onnx":
        sentence_transformers.export_optimized_onnx_model(model, "O3", str(o.exported))
        sentence_transformers.export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(o.exported))


def export_ctranslate2(o):
    import ctranslate2

    converter = ctranslate2.converters.TransformersConverter(str(o.model))
    converter.convert(str(o.exported))


def write_graph(o, path, vectors_of):
    """Writes the graph of ids and mask to vectors. `vectors_of` gives the vectors of the caller's engine, which are compared with PyTorch's."""
    import numpy as np
    import torch

    o.engine, o.threads = "eager", 1
    model = mean_encoder(o)
    ids, mask = map(torch.tensor, padded([[5, 6, 7, 8, 9], [5, 6, 7]]))
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(model, (ids, mask), path, input_names=["ids", "mask"], output_names=["vectors"], dynamo=False,
                      dynamic_axes={"ids": axes, "mask": axes, "vectors": {0: "batch"}}, opset_version=17)  # fmt: skip
    with torch.inference_mode():
        difference = np.abs(vectors_of(model.encoder.config, {"ids": ids.numpy(), "mask": mask.numpy()}) - model(ids, mask).numpy()).max()
    if not difference < 1e-4:
        raise SystemExit(f"peer: the exported graph differs from the model by {difference}")


def export_onnx(o):
    """Writes the graphs that onnxruntime runs, f32.onnx, its attention, GELU and LayerNorm fused, and int8.onnx, the same with weights
    quantised by channel."""
    import onnx
    import onnxruntime
    from onnxruntime import quantization
    from onnxruntime.transformers import optimizer

    o.exported.mkdir()
    f32 = str(o.exported / "f32.onnx")

    def fuse(config, feed):
        optimizer.optimize_model(f32, "bert", config.num_attention_heads, config.hidden_size).save_model_to_file(f32)
        return onnxruntime.InferenceSession(f32).run(None, feed)[0]

    write_graph(o, f32, fuse)
    quantization.quantize_dynamic(f32, str(o.exported / "int8.onnx"), per_channel=True, weight_type=quantization.QuantType.QInt8,
                                  extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})  # fmt: skip


def export_openvino(o):
    """Writes the graphs that OpenVINO runs, f32.xml, and int8.xml, the same quantised by nncf. Its calibration on random ids leaves the speed as
    it would be with texts."""
    import nncf
    import numpy as np
    import openvino

    o.exported.mkdir()
    f32, plain = o.exported / "f32.xml", str(o.exported / "plain.onnx")

    def convert(config, feed):
        openvino.save_model(openvino.convert_model(plain), f32, compress_to_fp16=False)
        return openvino.Core().compile_model(f32, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(feed)[0]

    write_graph(o, plain, convert)
    rng = np.random.default_rng(1)
    config = json.loads((o.model / "config.json").read_text())
    lengths = rng.integers(8, min(64, config["max_position_embeddings"]), 200)
    feeds = [graph_inputs([rng.integers(1, config["vocab_size"], length).tolist()]) for length in lengths]
    graph = nncf.quantize(openvino.Core().read_model(f32), nncf.Dataset(feeds), model_type=nncf.ModelType.TRANSFORMER,
                          preset=nncf.QuantizationPreset.MIXED, subset_size=len(feeds))  # fmt: skip
    openvino.save_model(graph, o.exported / "int8.xml", compress_to_fp16=False)


EXPORTERS = {"onnxruntime": export_onnx, "openvino": export_openvino, "ctranslate2": export_ctranslate2,
             "sentence-transformers-onnx": export_sentence_transformers, "sentence-transformers-openvino": export_sentence_transformers}  # fmt: skip


def export(o):
    EXPORTERS[o.engine](o)


def read_lines(o):
    return o.input.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")


def load_tokenizer(o):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(o.model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def embed_sentence_transformers(o):
    import sentence_transformers
    import torch

    torch.set_num_threads(o.threads)
    backend = o.engine.removeprefix("sentence-transformers").removeprefix("-") or "torch"
    if backend == "torch":
        settings = {"dtype": {"f32": torch.float32, "bf16": torch.bfloat16}[o.dtype]}
    elif backend == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = o.threads
        file = {"f32": "onnx/model_O3.onnx", "int8": "onnx/model_qint8_avx512_vnni.onnx"}[o.dtype]
        settings = {"provider": "CPUExecutionProvider", "session_options": options, "file_name": file}
    else:
        precision = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(o.threads), "INFERENCE_PRECISION_HINT": o.dtype}
        settings = {"ov_config": precision}
    folder = o.model if backend == "torch" else o.exported
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu", backend=backend, model_kwargs=settings)

    def encode(lines):
        vectors = model.encode(lines, batch_size=32, convert_to_tensor=o.dtype == "bf16", show_progress_bar=False)
        return vectors.float().numpy() if o.dtype == "bf16" else vectors

    return encode, model.max_seq_length


def embed_graph(o):
    """As a user of such an engine would write it: tokenizers, batches of 32 lines of similar length, and vectors back in the lines' order."""
    import numpy as np

    run, tokenizer = GRAPH_RUNNERS[o.engine](o), load_tokenizer(o)
    longest = json.loads((o.model / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer.enable_truncation(longest)

    def encode(lines):
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(lines)]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        batches = [order[begin : begin + 32] for begin in range(0, len(order), 32)]
        found = run([graph_inputs([ids[i] for i in which]) for which in batches])
        vectors = np.empty((len(ids), found[0].shape[1]), dtype=np.float32)
        for which, rows in zip(batches, found):
            vectors[which] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors

    return encode, longest


def embed(o):
    """Lines to unit vectors, as in minbert-bench embed: all lines at once, or --batch lines in each call."""
    encode, longest = (embed_graph if o.engine in GRAPH_RUNNERS else embed_sentence_transformers)(o)
    lines = read_lines(o)
    batch = o.batch or len(lines)
    times = timed([lines[begin : begin + batch] for begin in range(0, len(lines), batch)], encode, o.rounds)
    lengths = map(len, load_tokenizer(o).encode_batch_fast(lines))
    return times | {"lines": len(lines), "tokens": sum(min(length, longest) for length in lengths)}


def tokenize(o):
    """Lines to Encodings, which are kept until the round ends."""
    tokenizer, lines = load_tokenizer(o), read_lines(o)
    call = getattr(tokenizer, o.engine)
    kept = []

    def work(batch):
        kept[:] = [call(line) for line in batch] if o.engine == "encode" else call(batch)

    times = timed([lines], work, o.rounds)
    return times | {"lines": len(lines), "tokens": sum(map(len, kept))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["step", "infer", "make", "export", "tokenize", "embed", "epoch"])
    parser.add_argument("--engine", default="sdpa")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--ids", type=Path)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--exported", type=Path)
    parser.add_argument("--shape", type=int, nargs=4)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--dtype", choices=["f32", "bf16", "int8"], default="f32")
    for flag, default in (("--batch", 8), ("--steps", 10), ("--rounds", 5), ("--threads", 1)):
        parser.add_argument(flag, type=int, default=default)
    o = parser.parse_args()
    if o.verb in ("make", "export"):
        return (make if o.verb == "make" else export)(o)
    others = {"onnxruntime": ["onnxruntime"], "openvino": ["openvino"], "openvino-throughput": ["openvino"], "ctranslate2": ["ctranslate2"],
              "sentence-transformers": ["torch", "sentence_transformers"],
              "sentence-transformers-onnx": ["torch", "sentence_transformers", "transformers", "optimum", "onnxruntime"],
              "sentence-transformers-openvino": ["torch", "sentence_transformers", "transformers", "optimum", "openvino"]}  # fmt: skip
    packages = others.get(o.engine, ["torch", "transformers"]) if o.verb != "tokenize" else []
    if o.verb in ("tokenize", "embed"):
        packages = [*packages, "tokenizers"]
    for package in packages:
        import_module(package)
    record = {"base_rss_mb": peak_rss_mb()}
    if o.verb in ("tokenize", "embed"):
        record |= (tokenize if o.verb == "tokenize" else embed)(o)
    elif o.verb == "epoch":
        start = time.perf_counter()
        record |= epoch(o)
        record["ms"] = (time.perf_counter() - start) * 1e3
    else:
        o.examples = read_batches(o)
        batches, work = (step if o.verb == "step" else infer)(o)
        record |= timed(batches, work, o.rounds, o.steps // len(batches)) | {"tokens": round(sum(len(ids) for batch in o.examples for ids in batch) / o.steps, 3)}
    record["peak_rss_mb"] = peak_rss_mb()
    print(json.dumps(record | {"versions": {package: version(package) for package in packages}}))


if __name__ == "__main__":
    main()
