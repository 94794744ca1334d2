#!/usr/bin/env python3
"""Folders in the spellings of sentence-transformers 2 to 6: vectors equal those of SentenceTransformer.encode, before and after an export;
what cannot be computed is refused by name.

Usage: sentence_transformers_test.py MINBERT. Ends with 77 (skipped, for ctest) where the packages are not installed.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.simplefilter("ignore")
try:
    import numpy
    import safetensors.torch
    import sentence_transformers
    import torch
    import transformers
    from sentence_transformers import models
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
MINBERT = str(pathlib.Path(sys.argv.pop(1)).resolve())
HIDDEN = 12
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(20)] + ["Hall", "hall", "café", "cafe", "find", ":"]
TEXTS = ["w3 w9 w1 w1 w12", "w7", "", "Hall hall Café w2", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19 w1 w2 w3 w4 w5 w6"]
OLD = "sentence_transformers.models."
# Where the classes are since version 5.4.
NEW = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
}
ACTIVATIONS = ["ReLU", "GELU", "SiLU", "Sigmoid", "LogSigmoid", "LeakyReLU", "ELU", "SELU", "ReLU6", "Hardtanh", "Softplus", "Softsign", "Mish"]
FLAGS = ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


class Folder:
    """A model's folder, made file by file as the versions write them."""

    def __init__(self, path, encoder="", lowercase=True, tokenizer_json=True):
        self.path, self.encoder = path, path / encoder
        shutil.copytree(ENCODER / ("lower" if lowercase else "cased"), self.encoder, dirs_exist_ok=True)
        if not tokenizer_json:
            (self.encoder / "tokenizer.json").unlink()
        self.lines = [{"idx": 0, "name": "0", "path": encoder, "type": OLD + "Transformer"}]

    def module(self, kind, config=None, path=None, tensors=None, file="model.safetensors", **line):
        number = len(self.lines)
        path = f"{number}_{kind}" if path is None else path
        self.lines.append({"idx": number, "name": str(number), "path": path, "type": OLD + kind, **line})
        if config is not None:
            write(self.path / path / "config.json", config)
        if tensors is not None:
            (self.path / path).mkdir(parents=True, exist_ok=True)
            (safetensors.torch.save_file if file.endswith("safetensors") else torch.save)(tensors, self.path / path / file)
        write(self.path / "modules.json", self.lines)
        return self

    def pooling(self, mode="mean", **more):
        return self.module("Pooling", {"embedding_dimension": HIDDEN, "pooling_mode": mode, **more})

    def flags(self, *on, dimension="word_embedding_dimension"):
        return self.module("Pooling", {dimension: HIDDEN, **{"pooling_mode_" + flag: flag in on for flag in FLAGS}})

    def dense(self, inputs, outputs, activation="activation.Tanh", bias=True, file="model.safetensors", dtype=torch.float32, **more):
        torch.manual_seed(inputs + 100 * outputs)
        tensors = {"linear.weight": torch.randn(outputs, inputs).to(dtype)}
        if bias:
            tensors["linear.bias"] = torch.randn(outputs).to(dtype)
        if more.get("use_residual") and inputs != outputs:
            tensors["residual.weight"] = torch.randn(outputs, inputs).to(dtype)
        config = {"in_features": inputs, "out_features": outputs, "bias": bias, "activation_function": "torch.nn.modules." + activation, **more}
        return self.module("Dense", config, tensors=tensors, file=file)

    def layer_norm(self, width):
        torch.manual_seed(width)
        return self.module("LayerNorm", {"dimension": width}, tensors={"norm.weight": torch.randn(width), "norm.bias": torch.randn(width)})

    def settings(self, value, file="sentence_bert_config.json"):
        write(self.encoder / file, value)
        return self

    def config(self, **value):
        write(self.path / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "3.0.0"}, **value})
        return self

    def edit(self, file, **keys):
        path = self.encoder / file
        write(path, {**json.loads(path.read_text()), **keys})
        return self

    def new_names(self):
        for line in self.lines:
            line["type"] = NEW[line["type"].split(".")[-1]]
        write(self.path / "modules.json", self.lines)
        return self


def make_encoder(path):
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20, max_position_embeddings=24
    )
    model = transformers.BertModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    for name, lowercase in (("lower", True), ("cased", False)):
        folder = path / name
        model.save_pretrained(folder)
        write(folder / "vocab.txt", "\n".join(WORDS) + "\n")
        transformers.BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=lowercase, model_max_length=24).save_pretrained(folder)
        write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase, "model_max_length": 24})


# Each makes a folder whose vectors must be equal; the second value holds arguments of encode() and flags of embed.
VARIANTS = {
    **{f"text {mode}": lambda f, mode=mode: f.pooling(mode) for mode in ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")},
    "list of one": lambda f: f.pooling(["max"]),
    "list in its own order": lambda f: f.pooling(["mean", "cls"]),
    "list of all": lambda f: f.pooling(["lasttoken", "weightedmean", "mean_sqrt_len_tokens", "mean", "max", "cls"]),
    "one flag": lambda f: f.flags("max_tokens"),
    "two flags": lambda f: f.flags("mean_tokens", "cls_token"),
    "all flags": lambda f: f.flags(*FLAGS),
    "no flag": lambda f: f.flags(),
    "flags of version 2.0": lambda f: f.module(
        "Pooling", {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    ),
    "no mode": lambda f: f.module("Pooling", {"word_embedding_dimension": HIDDEN}),
    "mode and flags": lambda f: f.pooling("cls", pooling_mode_mean_tokens=True),
    "path of its own": lambda f: f.module("Pooling", {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": True}, path="pool/by cls"),
    "names since 5.4": lambda f: f.pooling("cls").dense(HIDDEN, 5).layer_norm(5).module("Normalize", {}).new_names(),
    "dense": lambda f: f.pooling().dense(HIDDEN, 4),
    "dense without bias": lambda f: f.pooling().dense(HIDDEN, 4, "linear.Identity", bias=False),
    "dense without an activation": lambda f: f.pooling().module(
        "Dense", {"in_features": HIDDEN, "out_features": 2}, tensors={"linear.weight": torch.full((2, HIDDEN), 0.1), "linear.bias": torch.ones(2)}
    ),
    "dense of every activation": lambda f: [f.pooling()] + [f.dense(HIDDEN, HIDDEN, "activation." + name) for name in ACTIVATIONS],
    "dense from a pickle": lambda f: f.pooling().dense(HIDDEN, 4, file="pytorch_model.bin"),
    "dense of 16 bits": lambda f: f.pooling().dense(HIDDEN, 4, dtype=torch.float16),
    "dense with its input added": lambda f: f.pooling().dense(HIDDEN, HIDDEN, use_residual=True),
    "dense with a projected input added": lambda f: f.pooling().dense(HIDDEN, 4, use_residual=True),
    "dense on two poolings, twice": lambda f: f.pooling(["cls", "mean"]).dense(2 * HIDDEN, 9, "activation.GELU").dense(9, 4),
    "dense then unit length": lambda f: f.pooling().dense(HIDDEN, 4).module("Normalize"),
    "unit length then dense": lambda f: f.pooling().module("Normalize").dense(HIDDEN, 4),
    "layer norm": lambda f: f.pooling().layer_norm(HIDDEN),
    "dropout": lambda f: f.pooling().module("Dropout", {"dropout": 0.5}),
    "max_seq_length": lambda f: f.pooling().settings({"max_seq_length": 6, "do_lower_case": False}),
    "no max_seq_length": lambda f: f.pooling().settings({"max_seq_length": None, "do_lower_case": False}),
    "model_max_length of tokenizer_config.json": lambda f: f.pooling().edit("tokenizer_config.json", model_max_length=7),
    "model_max_length of tokenizer_args": lambda f: f.pooling().settings({"max_seq_length": 9, "tokenizer_args": {"model_max_length": 5}}),
    "model_max_length of processor_kwargs": lambda f: f.pooling().settings({"processor_kwargs": {"model_max_length": 5}}),
    "max_length of processing_kwargs": lambda f: f.pooling().settings({"processing_kwargs": {"text": {"max_length": 4}}}),
    "file by an older name": lambda f: f.pooling().settings({"max_seq_length": 5}, "sentence_roberta_config.json"),
    "settings since 5.4": lambda f: f.pooling().settings(
        {
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        }
    ),
    "config_args": lambda f: f.pooling().settings({"config_args": {"hidden_act": "relu"}, "model_args": {"attn_implementation": "eager"}}),
    "no tokenizer.json": lambda f: f.pooling(),
    "cased, no tokenizer.json": lambda f: f.pooling(),
    "cased, no tokenizer.json, do_lower_case": lambda f: f.pooling().settings({"max_seq_length": 20, "do_lower_case": True}),
    "encoder in 0_Transformer": lambda f: f.pooling("cls").settings({"max_seq_length": 8}),
    "prompts, none by default": lambda f: f.pooling().config(prompts={"find": "find: "}, default_prompt_name=None),
    "default prompt": lambda f: f.pooling().config(prompts={"find": "find: ", "query": "w4"}, default_prompt_name="find"),
    "default prompt that pooling leaves out": lambda f: f.pooling(["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"], include_prompt=False)
    .settings({"max_seq_length": 9})
    .config(prompts={"find": "find: w1 "}, default_prompt_name="find"),
    "prompt by name": (lambda f: f.pooling("weightedmean", include_prompt=False).config(prompts={"find": "find: "}), {"prompt_name": "find"}, ["--prompt-name", "find"]),
    "prompt that versions since 5 have": (lambda f: f.pooling(), {"prompt_name": "query"}, ["--prompt-name", "query"]),
    "prompt": (lambda f: f.pooling().config(prompts={"a": "w1 "}, default_prompt_name="a"), {"prompt": "w2 w3 "}, ["--prompt", "w2 w3 "]),
    "empty prompt": (lambda f: f.pooling().config(prompts={"a": "w1 "}, default_prompt_name="a"), {"prompt": ""}, ["--prompt", ""]),
    "truncate_dim": lambda f: f.pooling().module("Normalize").config(truncate_dim=5),
    "truncate_dim, then unit length": (lambda f: f.pooling().module("Normalize").config(truncate_dim=5), {"normalize_embeddings": True}, ["--normalize"]),
}

# Each makes a folder that is refused; the texts must be in the message.
REFUSED = {
    "word embeddings": (lambda f: (f.lines.clear(), f.module("WordEmbeddings"), f.pooling()), ["modules.json", "WordEmbeddings"]),
    "CNN": (lambda f: f.module("CNN").pooling(), ["modules.json", "CNN"]),
    "LSTM": (lambda f: f.module("LSTM").pooling(), ["modules.json", "LSTM"]),
    "word weights": (lambda f: f.module("WordWeights").pooling(), ["WordWeights"]),
    "weighted layers": (lambda f: f.module("WeightedLayerPooling").pooling(), ["WeightedLayerPooling"]),
    "code of its own": (lambda f: f.pooling().module("Dense", type="my_module.Dense"), ["my_module.Dense"]),
    "no pooling": (lambda f: f.module("Normalize"), ["modules.json", "Pooling"]),
    "two poolings": (lambda f: f.pooling().pooling(), ["second Pooling"]),
    "dense first": (lambda f: f.dense(HIDDEN, 4).pooling(), ["Dense before Pooling"]),
    "no modules": (lambda f: write(f.path / "modules.json", []), ["modules.json", "none"]),
    "a type that is a number": (lambda f: write(f.path / "modules.json", [{"type": 1}]), ["modules.json", "type"]),
    "a path upwards": (lambda f: f.module("Pooling", path="../up"), ["modules.json", "../up"]),
    "one name twice": (lambda f: f.pooling().module("Normalize", name="1"), ["modules.json", "name"]),
    "no config of a pooling": (lambda f: f.module("Pooling"), ["1_Pooling"]),
    "unknown mode": (lambda f: f.pooling("median"), ["1_Pooling", "median"]),
    "unknown flag": (lambda f: f.pooling(pooling_mode_median_tokens=True), ["pooling_mode_median_tokens"]),
    "flag that is a text": (lambda f: f.module("Pooling", {"pooling_mode_cls_token": "yes"}), ["pooling_mode_cls_token"]),
    "dense of another width": (lambda f: f.pooling().dense(HIDDEN + 1, 4), ["2_Dense", "in_features"]),
    "dense without weights": (lambda f: f.pooling().module("Dense", {"in_features": HIDDEN, "out_features": 4}), ["2_Dense"]),
    "dense of unknown activation": (lambda f: f.pooling().dense(HIDDEN, 4, "activation.Threshold"), ["Threshold"]),
    "dense on tokens": (lambda f: f.pooling().dense(HIDDEN, 4, module_input_name="token_embeddings"), ["module_input_name", "token_embeddings"]),
    "dense with too few tensors": (
        lambda f: f.pooling().module("Dense", {"in_features": HIDDEN, "out_features": 2}, tensors={"linear.weight": torch.ones(2, HIDDEN)}),
        ["linear.bias"],
    ),
    "dense with too many tensors": (
        lambda f: f.pooling().module(
            "Dense", {"in_features": HIDDEN, "out_features": 2, "bias": False}, tensors={"linear.weight": torch.ones(2, HIDDEN), "linear.bias": torch.ones(2)}
        ),
        ["linear.bias"],
    ),
    "max_seq_length below 3": (lambda f: f.pooling().settings({"max_seq_length": 2}), ["sentence_bert_config.json", "max_seq_length"]),
    "model_max_length below 3": (lambda f: f.pooling().edit("tokenizer_config.json", model_max_length=1), ["tokenizer_config.json", "model_max_length"]),
    "unknown setting": (lambda f: f.pooling().settings({"max_seq_length": 9, "reverse": True}), ["sentence_bert_config.json", "reverse"]),
    "another tokenizer": (lambda f: f.pooling().settings({"tokenizer_name_or_path": "x"}), ["tokenizer_name_or_path"]),
    "another task": (lambda f: f.pooling().settings({"transformer_task": "fill-mask"}), ["transformer_task", "fill-mask"]),
    "sparse encoder": (lambda f: f.pooling().config(model_type="SparseEncoder"), ["config_sentence_transformers.json", "SparseEncoder"]),
    "default prompt that is none": (lambda f: f.pooling().config(prompts={"a": "b"}, default_prompt_name="c"), ["default_prompt_name", "c"]),
    "prompts in a list": (lambda f: f.pooling().config(prompts=["a"]), ["prompts"]),
    "another model": (lambda f: f.pooling().edit("config.json", model_type="roberta"), ["model_type", "roberta"]),
}

# Each makes a folder that is read, with a warning that has these texts.
WARNED = {
    "tokenizer files": (lambda f: f.pooling().edit("tokenizer_config.json", do_lower_case=False), ["do_lower_case = false", "tokenizer.json"]),
    "tokenizer_args": (lambda f: f.pooling().settings({"tokenizer_args": {"strip_accents": False}}), ["strip_accents = false", "tokenizer.json"]),
    "width of a pooling": (lambda f: f.module("Pooling", {"word_embedding_dimension": 7}), ["word_embedding_dimension", "hidden_size"]),
    "mode and flags": (lambda f: f.pooling("cls", pooling_mode_mean_tokens=True), ["pooling_mode holds"]),
}


class SentenceTransformersTest(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def run_minbert(self, *arguments):
        return subprocess.run([MINBERT, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, "MINBERT_THREADS": "1"})

    def embed(self, model, *flags, texts=TEXTS):
        write(self.folder / "texts", "".join(text + "\n" for text in texts))
        return self.run_minbert("embed", model, "-i", self.folder / "texts", "-o", self.folder / "v.npy", *flags)

    def make(self, name, builder):
        cased, plain, inside = "cased" in name, "no tokenizer.json" in name, "0_Transformer" in name
        folder = Folder(self.folder / name.replace(" ", "_"), "0_Transformer" if inside else "", not cased, not plain)
        builder(folder)
        return folder.path

    def assert_equal(self, model, expected, *flags):
        run = self.embed(model, *flags)
        self.assertEqual(run.returncode, 0, run.stderr)
        actual = numpy.load(self.folder / "v.npy")
        self.assertEqual(actual.shape, expected.shape)
        self.assertLess(numpy.abs(actual - expected).max(), 1e-5 * max(1, numpy.abs(expected).max()))

    def test_vectors_before_and_after_an_export(self):
        for name, variant in VARIANTS.items():
            with self.subTest(name):
                builder, how, flags = variant if isinstance(variant, tuple) else (variant, {}, [])
                model = self.make(name, builder)
                load = lambda path: sentence_transformers.SentenceTransformer(str(path), device="cpu", local_files_only=True).encode(TEXTS, **how)
                expected = load(model)
                self.assert_equal(model, expected, *flags)
                exported = model.with_name(model.name + " out")
                run = self.run_minbert("export", model, "-o", exported, "--as", "sentence-transformers")
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assert_equal(exported, expected, *flags)
                self.assertLess(numpy.abs(load(exported) - expected).max(), 1e-5 * max(1, numpy.abs(expected).max()))

    def test_saved_by_the_installed_version(self):
        encoder = models.Transformer(str(ENCODER / "cased"), max_seq_length=10, do_lower_case=True)
        model = sentence_transformers.SentenceTransformer(
            modules=[encoder, models.Pooling(HIDDEN, ["max", "mean"]), models.Dense(2 * HIDDEN, 6), models.LayerNorm(6), models.Normalize()],
            prompts={"ask": "find: "},
            default_prompt_name="ask",
            device="cpu",
        )
        model.save(str(self.folder / "saved"))
        self.assert_equal(self.folder / "saved", model.encode(TEXTS))

    def test_refused_by_name(self):
        for name, (builder, parts) in REFUSED.items():
            with self.subTest(name):
                model = self.make(name, builder)
                export = self.run_minbert("export", model, "-o", self.folder / "out", "--as", "sentence-transformers")
                for run in (self.embed(model), export):
                    self.assertEqual(run.returncode, 4, run.stderr)
                    for part in ["[model]", *parts]:
                        self.assertIn(part, run.stderr)
                self.assertFalse((self.folder / "v.npy").exists() or (self.folder / "out").exists())

    def test_warned_once(self):
        for name, (builder, parts) in WARNED.items():
            with self.subTest(name):
                run = self.embed(self.make(name, builder), texts=TEXTS[:1])
                self.assertEqual((run.returncode, run.stderr.count("warning:")), (0, 1), run.stderr)
                for part in parts:
                    self.assertIn(part, run.stderr)
        self.assertEqual(self.embed(self.make("quiet", VARIANTS["names since 5.4"]), texts=TEXTS[:1]).stderr, "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as encoder_folder:
        ENCODER = pathlib.Path(encoder_folder)
        make_encoder(ENCODER)
        unittest.main()
