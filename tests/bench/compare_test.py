#!/usr/bin/env python3
"""The scripts of bench/compare run on a tiny model and print figures of the same work; no time is judged.

Usage: compare_test.py MINBERT_BENCH. Needs tokenizers, torch and transformers; onnxruntime is tried where it is installed.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tokenizers
import torch
import transformers

BENCH = pathlib.Path(sys.argv.pop(1)).resolve()
SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "bench/compare"
sys.path.insert(0, str(SCRIPTS))

from common import installed  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "quiet", "river", "##s", "run", "through", "it", "."]
LINES = "A quiet river runs through it.\nRivers run .\n\nquiet\n"


def make_model(folder):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=32
    )
    transformers.BertModel(config).save_pretrained(folder)
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=True).save(str(folder / "tokenizer.json"))


class CompareTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.model = cls.folder / "model"
        make_model(cls.model)
        (cls.folder / "ids.txt").write_text("2 5 6 3\n2 7 3\n2 9 10 11 12 3\n")
        (cls.folder / "lines.txt").write_text(LINES)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def process(self, script, *arguments, bench=BENCH):
        return subprocess.run([sys.executable, SCRIPTS / script, "--model", self.model, "--bench", bench, "--rounds", "1", "--repeats", "1",
                               "--threads", "1", "--busy", "1", *map(str, arguments)], capture_output=True, text=True)  # fmt: skip

    def figures(self, script, *arguments):
        result = self.process(script, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        for figure in found:
            self.assertGreater(figure["ratio"]["min"], 0)
            self.assertEqual(figure["ratio"]["min"], figure["ratio"]["max"])  # of one round
            self.assertGreater(figure["theirs_peak_mb"]["median"], 0)
            self.assertIn(f"| {figure['peer']} |", result.stderr)
        return found

    def test_step(self):
        settings = ["--batch", 2, "--steps", 3, "--dtypes", "f32", "--engines", "sdpa"]
        found = self.figures("step.py", "--ids", self.folder / "ids.txt", *settings)
        self.assertEqual([(f["dtype"], f["peer"]) for f in found], [("f32", "PyTorch sdpa")])
        self.assertEqual((found[0]["tokens"], found[0]["seen"]), (round(26 / 3, 3), len(WORDS)))  # every line twice in three batches

    def test_infer(self):
        found = self.figures("infer.py", "--batches", 3, "--steps", 2, "--dtypes", "f32", "--engines", "sdpa", "onnxruntime")
        onnx = all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime"))
        peers = ["PyTorch sdpa"] + ["onnxruntime"] * onnx
        self.assertEqual([(f["order"], f["peer"]) for f in found], [(order, peer) for order in ("sorted", "ragged") for peer in peers])
        self.assertEqual(len({f["tokens"] for f in found}), 1)

    def test_tokenizer(self):
        found = self.figures("tokenizer.py", "--input", self.folder / "lines.txt")
        self.assertEqual([f["peer"] for f in found], ["tokenizers encode", "tokenizers encode_batch", "tokenizers encode_batch_fast"])
        self.assertEqual({(f["lines"], f["tokens"]) for f in found}, {(4, 21)})

    def test_embed(self):
        transformers.BertTokenizerFast(tokenizer_file=str(self.model / "tokenizer.json")).save_pretrained(self.model)
        (self.model / "sentence_bert_config.json").write_text('{"max_seq_length": 6, "do_lower_case": false}')
        modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        for path, kind in modules:
            (self.model / path).mkdir(exist_ok=True)
        (self.model / "modules.json").write_text(
            json.dumps([{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (path, kind) in enumerate(modules)])
        )
        (self.model / "1_Pooling/config.json").write_text('{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}')
        found = self.figures("embed.py", "--input", self.folder / "lines.txt", "--dtypes", "f32", "--batch", 3)
        openvino = ["onnx", "openvino", "nncf"]
        packages = {"sentence-transformers": ["sentence_transformers"],
                    "sentence-transformers-onnx": ["sentence_transformers", "optimum.onnxruntime", "onnx", "onnxruntime"],
                    "sentence-transformers-openvino": ["sentence_transformers", "optimum.intel", "openvino"], "onnxruntime": ["onnx", "onnxruntime"], "openvino": openvino,
                    "openvino-throughput": openvino}  # fmt: skip
        peers = [peer for peer, needed in packages.items() if all(map(installed, needed))]
        self.assertEqual([f["peer"] for f in found], peers)
        self.assertLessEqual({(f["lines"], f["tokens"]) for f in found}, {(4, 17)})

    def test_scaling_and_the_page(self):
        settings = ["--batch", 2, "--steps", 1, "--dtypes", "f32", "--engines", "sdpa"]
        step, busy = self.process("step.py", *settings), self.process("step.py", *settings, "--beside", 1)
        self.assertEqual(busy.returncode, 0, busy.stderr)
        scaling = subprocess.run([sys.executable, SCRIPTS / "scaling.py", "--bench", BENCH, "--models", "bert-tiny", "--lengths", "4", "8", "--batches", "2",
                                  "--threads", "1", "--dtypes", "f32", "--repeats", "1", "--busy", "1"], capture_output=True, text=True)  # fmt: skip
        self.assertEqual(scaling.returncode, 0, scaling.stderr)
        docs = self.folder / "docs"
        docs.mkdir()
        page = docs / "performance.md"
        page.write_text("above\n<!-- figures: written by bench/compare/page.py -->\nold\n<!-- end of figures -->\nbelow\n")
        figures = self.folder / "figures.jsonl"
        elsewhere = [json.dumps(json.loads(line) | {"machine": "another machine"}) for line in step.stdout.splitlines()]
        figures.write_text(step.stdout + busy.stdout + scaling.stdout + "".join(line + "\n" for line in elsewhere))
        for _ in range(2):  # the second time the same lines replace themselves
            subprocess.run([sys.executable, SCRIPTS / "page.py", "--docs", docs, figures], check=True)
            text = page.read_text()
            self.assertTrue(text.startswith("above\n") and text.endswith("below\n") and "old" not in text)
            self.assertEqual(text.count("| PyTorch sdpa |"), 3)
            self.assertEqual(text.split("\n### another machine\n")[1].count("| PyTorch sdpa |"), 1)
            self.assertEqual(text.count("tokens, beside 1 busy process |"), 1)
            self.assertEqual(text.count("| bert-tiny | 2 | 1 |"), 2)  # forward and step
            self.assertEqual(len((docs / "performance.jsonl").read_text().splitlines()), 7)
        for chart in ("performance.svg", "performance-2.svg"):
            self.assertIn("PyTorch sdpa</text>", (docs / chart).read_text())

    def test_unequal_work_is_refused(self):
        other = self.folder / "other-bench"
        other.write_text('#!/bin/sh\necho \'{"tokens": 1, "ms": 1, "peak_rss_mb": 1}\'\n')
        other.chmod(0o755)
        result = self.process("step.py", "--steps", 1, "--dtypes", "f32", bench=other)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("same work", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_broken_ids_are_named(self):
        bad = self.folder / "bad.txt"
        bad.write_text(f"2 3\n2 {len(WORDS)} 3\n")
        result = self.process("step.py", "--ids", bad, "--steps", 1, "--batch", 2, "--dtypes", "f32")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f'ids.txt:2: expected a whole number in 0..{len(WORDS) - 1}, got "{len(WORDS)}"', result.stderr)


if __name__ == "__main__":
    unittest.main()
