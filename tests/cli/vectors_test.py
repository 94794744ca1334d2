#!/usr/bin/env python3
"""`minbert embed --precision --dimensions` gives the bytes of sentence_transformers' quantize_embeddings.

Usage: vectors_test.py MINBERT. Ends with 77 (skipped, for ctest) where the packages are not installed.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import numpy
    from safetensors.numpy import load_file
    from sentence_transformers.util.quantization import quantize_embeddings
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

MINBERT = str(pathlib.Path(sys.argv.pop(1)).resolve())
CONFIG = """
[run]
name = "v"
[model]
init = "scratch"
max_length = 40
[model.config]
hidden_size = 20
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 24
max_position_embeddings = 48
[model.vocabulary]
size = 300
[data]
root = "samples"
[[task]]
name = "t"
type = "classify"
labels = 5
pool = "mean"
[task.data]
train = "sentiment-train.csv"
dev = "sentiment-dev.csv"
text = "sentence"
[[stage]]
epochs = 1
"""


class VectorsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        run = lambda *arguments: subprocess.run([MINBERT, *arguments], cwd=cls.folder, check=True, capture_output=True)
        run("sample-data", "-o", "samples", "--train-rows", "140", "--dev-rows", "12", "--test-rows", "4")
        (cls.folder / "v.toml").write_text(CONFIG)
        run("train", "v.toml", "-o", "run")
        (cls.folder / "few.txt").write_text("a fine film\nso so\nthe soup was cold\n")

    def embed(self, output, *flags, texts="samples/sentiment-train.csv", code=0):
        column = ["--text", "sentence"] if texts.endswith("csv") else []
        run = subprocess.run([MINBERT, "embed", "run", "-i", texts, *column, "-o", output, *flags], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(run.returncode, code, run.stderr)
        if code:
            return run.stderr
        if output.endswith("npy"):
            return numpy.load(self.folder / output)
        if output.endswith("safetensors"):
            return load_file(self.folder / output)["embeddings"]
        return numpy.array([json.loads(line) for line in (self.folder / output).read_text().splitlines()])

    def test_precisions(self):
        vectors = self.embed("all.npy")
        for precision in ("float32", "int8", "uint8", "binary", "ubinary"):
            expected = quantize_embeddings(vectors, precision)
            for output in ("v.npy", "v.safetensors", "v.jsonl"):
                with self.subTest(precision=precision, output=output):
                    got = self.embed(output, "--precision", precision)
                    if not output.endswith("jsonl"):
                        self.assertEqual(got.dtype, expected.dtype)
                    numpy.testing.assert_array_equal(got.astype(expected.dtype), expected)

    def test_ranges_of_other_texts(self):
        vectors = self.embed("all.npy")
        self.embed("v.npy", "--precision", "int8", "--save-ranges", "ranges.json")
        ranges = numpy.array(json.loads((self.folder / "ranges.json").read_text()), numpy.float32)
        numpy.testing.assert_array_equal(ranges, [vectors.min(axis=0), vectors.max(axis=0)])
        for precision in ("int8", "uint8"):
            few = self.embed("few.npy", texts="few.txt")
            got = self.embed("v.npy", "--precision", precision, "--ranges", "ranges.json", texts="few.txt")
            numpy.testing.assert_array_equal(got, quantize_embeddings(few, precision, ranges=ranges))

    def test_dimensions(self):
        vectors = self.embed("all.npy")
        numpy.testing.assert_array_equal(self.embed("v.npy", "--dimensions", "7"), vectors[:, :7])
        unit = vectors[:, :7] / numpy.linalg.norm(vectors[:, :7], axis=1, keepdims=True)
        got = self.embed("v.npy", "--dimensions", "7", "--normalize")
        numpy.testing.assert_allclose(got, unit, atol=1e-6)
        numpy.testing.assert_array_equal(self.embed("v.npy", "--dimensions", "7", "--precision", "ubinary"), quantize_embeddings(vectors[:, :7], "ubinary"))

    def test_mistakes(self):
        self.assertIn("--dimensions: expected at most 20", self.embed("x.npy", "--dimensions", "21", code=2))
        self.assertIn("--precision", self.embed("x.npy", "--precision", "int4", code=2))
        self.assertIn("expected int8 or uint8 with ranges", self.embed("x.npy", "--precision", "binary", "--save-ranges", "r.json", code=2))
        (self.folder / "bad.json").write_text("[[1, 2], [3, 4]]")
        self.assertIn("expected 20 numbers, got 2", self.embed("x.npy", "--precision", "int8", "--ranges", "bad.json", code=3))
        (self.folder / "one.txt").write_text("a fine film\n")
        self.assertIn("at least two vectors", self.embed("x.npy", "--precision", "int8", texts="one.txt", code=3))
        self.assertFalse((self.folder / "x.npy").exists() or (self.folder / "r.json").exists())


if __name__ == "__main__":
    unittest.main()
