#!/usr/bin/env python3
"""Graphs of `minbert export --as onnx` in onnxruntime give the numbers of `minbert predict` and `minbert embed`, for every kind of task and
every pooling, whatever stands in the padding.

Usage: onnx_test.py MINBERT. Ends with 77 (skipped, for ctest) where the packages are not installed.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
    import onnxruntime
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

MINBERT = str(pathlib.Path(sys.argv.pop(1)).resolve())
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/onnx.md"
TOLERANCE = 1e-5
CONFIG = """
[run]
name = "all"
[model]
init = "scratch"
max_length = 40
[model.config]
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 4
intermediate_size = 40
max_position_embeddings = 64
[model.vocabulary]
size = 300
[data]
root = "samples"
[[stage]]
epochs = 1
batch = 8
lr = 1e-2
"""
# Keys of each task, and which sample it is trained on.
TASKS = {
    "five": ("sentiment", 'type = "classify"\nlabels = 5\npool = "mean"\nhead = { dense = ["2H", 7] }'),
    "model": ("paraphrase", 'type = "pair_classify"\nlabels = 2'),
    "joint": ("paraphrase", 'type = "pair_classify"\nlabels = 2\nencode = "joint"\nloss = "cross_entropy"\npool = "pooler"'),
    "near": ("paraphrase", 'type = "pair_classify"\nlabels = 2\nhead = { kind = "cosine" }\npool = "mean"'),
    "compared": ("paraphrase", 'type = "pair_classify"\nlabels = 2\nhead = { features = "comparison" }\npool = "mean"'),
    "number": ("similarity", 'type = "pair_regress"\npool = "mean"'),
    "between": ("similarity", 'type = "pair_regress"\nloss = "bce"\nencode = "joint"'),
    "angle": ("similarity", 'type = "pair_regress"\nhead = { kind = "cosine" }\npool = "pooler"'),
    "grade": ("sentiment", 'type = "regress"\nhead = { dense = [] }'),
    "sets": ("sentiment", 'type = "multi_label"\ncalibrate = true'),
    "tempered": ("sentiment", 'type = "classify"\nlabels = 5\ncalibrate = true'),
    "tempered_pair": ("paraphrase", 'type = "pair_classify"\nlabels = 2\nencode = "joint"\ncalibrate = true'),
}
TEXTS = ["a fine film", "so so", "", "the film was so very long that nobody in the room was still awake when it came to its end, not even the dog"]
PAIRS = list(zip(TEXTS, TEXTS[1:] + TEXTS[:1])) + [("a fine film", "a fine film")]
POOLINGS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def task_table(name, sample, keys):
    data = {"sentiment": 'text = "sentence"', "paraphrase": 'text = "sentence1"\ntext_pair = "sentence2"'}
    data["similarity"] = data["paraphrase"] + "\nlabel_range = [0, 5]"
    more = "\nlabel_range = [0, 4]" if name == "grade" else ""
    return f'[[task]]\nname = "{name}"\n{keys}\n[task.data]\ntrain = "{sample}-train.csv"\ndev = "{sample}-dev.csv"\n{data[sample]}{more}\n'


class OnnxTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.minbert("sample-data", "-o", "samples", "--train-rows", "16", "--dev-rows", "12", "--test-rows", "4")

    def minbert(self, *arguments, text="", code=0):
        run = subprocess.run([MINBERT, *map(str, arguments)], input=text, capture_output=True, text=True, cwd=self.folder,
                             env={**os.environ, "MINBERT_THREADS": "1"})
        self.assertEqual(run.returncode, code, run.stderr)
        return run.stdout if code == 0 else run.stderr

    def train(self, tasks, activation="gelu"):
        tables = "".join(task_table(name, *TASKS[name]) for name in tasks)
        (self.folder / "all.toml").write_text(CONFIG + tables)
        self.minbert("train", "all.toml", "-o", "run")
        best = self.folder / "run/best"
        config = json.loads((best / "config.json").read_text())
        (best / "config.json").write_text(json.dumps({**config, "hidden_act": activation}))
        spread(best / "model.safetensors")

    def session(self, file):
        return onnxruntime.InferenceSession(str(self.folder / file), providers=["CPUExecutionProvider"])

    def feed(self, inputs, pad=0):
        """What minbert tokenize makes of texts or pairs, padded by `pad` more than need be, with ids that count for nothing."""
        pairs = ["--pairs"] if inputs and isinstance(inputs[0], tuple) else []
        text = "".join(("\t".join(line) if pairs else line) + "\n" for line in inputs)
        rows = [json.loads(line) for line in self.minbert("tokenize", "run", "--json", "--max-length", 40, *pairs, text=text).splitlines()]
        length = max(len(row["ids"]) for row in rows) + pad
        padded = lambda key, value: numpy.array([row[key] + [value] * (length - len(row[key])) for row in rows], numpy.int64)
        mask = numpy.array([[1] * len(row["ids"]) + [0] * (length - len(row["ids"])) for row in rows], numpy.int64)
        return {"input_ids": padded("ids", 7), "attention_mask": mask, "token_type_ids": padded("type_ids", 1)}

    def predict(self, task, inputs, flags=()):
        text = "".join(("\t".join(line) if isinstance(line, tuple) else line) + "\n" for line in inputs)
        rows = [json.loads(line) for line in self.minbert("predict", "run", "--task", task, "--in-format", "lines", *flags, text=text).splitlines()]
        return numpy.array([row["probs"] or row["pred"] for row in rows])

    def assert_near(self, actual, expected):
        self.assertEqual(actual.shape, expected.shape)
        self.assertLess(numpy.abs(actual - expected).max(), TOLERANCE * max(1, numpy.abs(expected).max()))

    def test_tasks(self):
        self.train(TASKS)
        self.minbert("export", "run", "-o", "out", "--as", "onnx")
        model = self.session("out/onnx/model.onnx")
        about = json.loads(model.get_modelmeta().custom_metadata_map["minbert.tasks"])
        self.assertEqual([task["name"] for task in about], list(TASKS))
        for task in about:
            self.assertEqual(task.get("temperature", 1) != 1, "calibrate" in TASKS[task["name"]][1], task["name"])
        for name, (sample, keys) in TASKS.items():
            with self.subTest(name):
                inputs = TEXTS if sample == "sentiment" else PAIRS
                kind = "value" if "regress" in keys else "probs"
                if sample == "sentiment" or "joint" in keys:
                    for pad in (0, 3):
                        self.assert_near(model.run([f"{name}.{kind}"], self.feed(inputs, pad))[0], self.predict(name, inputs))
                    continue
                head = self.session(f"out/onnx/{name}_head.onnx")
                vectors = [model.run([name + ".vector"], self.feed(list(texts)))[0] for texts in zip(*PAIRS)]
                self.assert_near(head.run([f"{name}.{kind}"], dict(zip("uv", vectors)))[0], self.predict(name, inputs))

    def test_activations(self):
        for activation in ("gelu_new", "relu", "silu", "tanh"):
            with self.subTest(activation):
                self.train(["five"], activation)
                self.minbert("export", "run", "-o", activation, "--as", "onnx")
                got = self.session(f"{activation}/onnx/model.onnx").run(["five.probs"], self.feed(TEXTS))[0]
                self.assert_near(got, self.predict("five", TEXTS))
                shutil.rmtree(self.folder / "run")

    def make_sentence_folder(self, name, pooling, *modules):
        """A folder of sentence-transformers with these modules after the encoder: (kind, config, tensors)."""
        self.minbert("export", "run", "-o", name, "--as", "sentence-transformers")
        lines = json.loads((self.folder / name / "modules.json").read_text())[:1]
        for kind, config, tensors in [("Pooling", {"word_embedding_dimension": 16, "pooling_mode": pooling}, None), *modules]:
            path = f"{len(lines)}_{kind}"
            lines.append({"idx": len(lines), "name": str(len(lines)), "path": path, "type": "sentence_transformers.models." + kind})
            (self.folder / name / path).mkdir(exist_ok=True)
            (self.folder / name / path / "config.json").write_text(json.dumps(config))
            if tensors:
                write_safetensors(self.folder / name / path / "model.safetensors", tensors)
        (self.folder / name / "modules.json").write_text(json.dumps(lines))

    def assert_same_vectors(self, name, pads=(2,)):
        self.minbert("export", name, "-o", name + "-onnx", "--as", "onnx")
        self.minbert("embed", name, "-o", "v.npy", text="".join(text + "\n" for text in TEXTS))
        expected = numpy.load(self.folder / "v.npy")
        session = self.session(name + "-onnx/onnx/model.onnx")
        for pad in pads:
            got = session.run(["last_hidden_state", "sentence_embedding"], self.feed(TEXTS, pad))
            self.assertEqual(got[0].shape[2], 16)
            self.assert_near(got[1], expected)

    def test_poolings_and_modules(self):
        self.train(["five"])
        for pooling in [*POOLINGS, POOLINGS]:
            with self.subTest(pooling):
                name = "pool-" + "-".join(pooling)[:40]
                self.make_sentence_folder(name, pooling)
                self.assert_same_vectors(name)
        rng = numpy.random.default_rng(5)
        names = ["ReLU", "GELU", "SiLU", "Sigmoid", "LogSigmoid", "LeakyReLU", "ELU", "SELU", "ReLU6", "Hardtanh", "Softplus", "Softsign", "Mish", "Tanh"]
        normal = lambda *shape: rng.standard_normal(shape).astype(numpy.float32)
        dense = lambda name: ("Dense", {"in_features": 16, "out_features": 16, "bias": True, "activation_function": "torch.nn.modules.activation." + name},
                              {"linear.weight": normal(16, 16), "linear.bias": normal(16)})
        added = {"in_features": 16, "out_features": 6, "bias": False, "activation_function": "torch.nn.modules.linear.Identity", "use_residual": True}
        for pair in zip(names[::2], names[1::2]):  # not all at once: a chain of random layers would make rounding visible
            with self.subTest(pair):
                self.make_sentence_folder("-".join(pair), "mean", *map(dense, pair))
                self.assert_same_vectors("-".join(pair))
        norm = ("LayerNorm", {"dimension": 16}, {"norm.weight": normal(16), "norm.bias": normal(16)})
        residual = ("Dense", added, {"linear.weight": normal(6, 16), "residual.weight": normal(6, 16)})
        self.make_sentence_folder("modules", "mean", norm, residual, ("Normalize", {}, None))
        (self.folder / "modules/config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": 5}))
        self.assert_same_vectors("modules", (0, 2))

    def test_documented_example(self):
        try:
            import tokenizers
        except ImportError:
            self.skipTest("no tokenizers here")
        self.train(["five"])
        self.minbert("export", "run", "-o", "mine-onnx", "--as", "onnx")
        example = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1].replace('"mine-onnx', f'"{self.folder}/mine-onnx')
        names = {}
        exec(example, names)
        self.assert_near(names["probs"], self.predict("five", ["A fine film.", "Dull."]))

    def test_refusals(self):
        self.train(["five"])
        self.assertIn("--dtype", self.minbert("export", "run", "-o", "out", "--as", "onnx", "--dtype", "bf16", code=2))
        self.make_sentence_folder("prompt", "mean")
        config = self.folder / "prompt/1_Pooling/config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "include_prompt": False}))
        self.assertIn("prompt", self.minbert("export", "prompt", "-o", "out", "--as", "onnx", code=2))
        self.assertFalse((self.folder / "out").exists())


def spread(path):
    """Makes all products ten times as large, so that no part of the encoder counts for little."""
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    for name, tensor in json.loads(data[8:8 + size]).items():
        if len(tensor.get("shape", [])) == 2:
            begin, end = (8 + size + at for at in tensor["data_offsets"])
            data[begin:end] = (numpy.frombuffer(data[begin:end], "<f4") * 10).tobytes()
    path.write_bytes(data)


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensor.tobytes() for tensor in tensors.values()))


if __name__ == "__main__":
    unittest.main()
