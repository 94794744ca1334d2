#!/usr/bin/env python3
"""Ids, type ids and offsets equal those of Hugging Face's fast BERT tokenizer, on texts that seek a difference.

Usage: tokenizers_test.py TOKENIZE_PROBE [--texts N] [--seed N] [--files MODEL FILE ...]. Ends with 77 (skipped, for ctest) where the
packages are not installed. --files compares the lines of files instead, with a model's folder.
"""
import argparse
import contextlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
try:
    import numpy
    import tokenizers
    import transformers
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
from tokenizer_texts import SENTENCES, as_reference, fuzz_texts, vocabulary_of

transformers.logging.set_verbosity_error()
CHUNK = 5000  # texts that are compared at a time


class Probe:
    def __init__(self, path):
        self.path = str(pathlib.Path(path).resolve())

    def run(self, texts, *arguments):
        stream = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        run = subprocess.run([self.path, *map(str, arguments)], input=stream, capture_output=True)
        if run.returncode != 0:
            raise RuntimeError(run.stderr.decode())
        return run.stdout

    def encode(self, folder, texts, pairs=False, max_length=0):
        """(ids, type ids, offsets) of each text, or of each pair of neighbours."""
        out = numpy.frombuffer(self.run(texts, folder, "pair" if pairs else "single", max_length), "<i4")
        at = 0
        while at < len(out):
            n = int(out[at])
            ids, types, offsets = numpy.split(out[at + 1 : at + 1 + 4 * n], [n, 2 * n])
            yield ids.tolist(), types.tolist(), list(map(tuple, offsets.reshape(n, 2).tolist()))
            at += 1 + 4 * n


def reference_encode(reference, texts, pairs=False, max_length=0):
    reference.no_padding()
    reference.enable_truncation(max_length) if max_length else reference.no_truncation()
    rows = list(map(as_reference, texts))
    if pairs:
        rows = list(zip(rows[::2], rows[1::2]))
    for encoding in reference.encode_batch(rows):
        yield encoding.ids, encoding.type_ids, encoding.offsets


def differences(probe, folder, reference, texts, **how):
    """Lines that describe each text whose encoding differs."""
    found = []
    step = 2 if how.get("pairs") else 1
    for begin in range(0, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        ours, theirs = list(probe.encode(folder, chunk, **how)), list(reference_encode(reference, chunk, **how))
        assert len(ours) == len(theirs) == len(chunk) // step
        for i, (a, b) in enumerate(zip(ours, theirs)):
            if a != b:
                what, x, y = next(row for row in zip(("ids", "type ids", "offsets"), a, b) if row[1] != row[2])
                found.append(f"{what} of {chunk[step * i : step * (i + 1)]}:\n  minbert   {x}\n  reference {y}")
    return found


def write_vocabulary(folder, vocabulary, **config):
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in vocabulary), encoding="utf-8", newline="\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", **config}))
    return folder


class TokenizersTest(unittest.TestCase):
    probe = seed = count = None  # set by main

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        cls.texts = [sentence.encode() for sentence in SENTENCES] + fuzz_texts(cls.seed, cls.count)
        print(f"seed {cls.seed}, {len(cls.texts)} texts")
        cls.characters = vocabulary_of(cls.texts)
        cls.trained = cls.folder / "trained"
        cls.probe.run([text for text in cls.texts if text.decode("utf-8", "ignore").encode() == text], cls.trained, "train", 12000)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def assert_same(self, folder, reference, texts=None, **how):
        found = differences(self.probe, folder, reference, texts or self.texts, **how)
        if found:
            self.fail(f"{len(found)} differences; the first:\n{found[0]}")

    def test_trained_vocabulary(self):
        """A folder of ours, read by transformers."""
        reference = transformers.AutoTokenizer.from_pretrained(self.trained)
        self.assertEqual((reference.model_max_length, reference.mask_token, reference.is_fast), (512, "[MASK]", True))
        self.assert_same(self.trained, reference.backend_tokenizer)

    def test_pairs(self):
        reference = transformers.AutoTokenizer.from_pretrained(self.trained).backend_tokenizer
        for max_length in (0, 3, 4, 5, 16, 17, 64):
            self.assert_same(self.trained, reference, self.texts[: len(self.texts) // 2 * 2], pairs=True, max_length=max_length)
        for max_length in (2, 3, 24):
            self.assert_same(self.trained, reference, max_length=max_length)

    def test_settings(self):
        """Our folder of vocab.txt and tokenizer_config.json; then our copy of it, read by transformers; then theirs, read by us."""
        for name, config in {
            "uncased": {},
            "cased": {"do_lower_case": False},
            "accents": {"strip_accents": False},
            "cased_stripped": {"do_lower_case": False, "strip_accents": True},
            "joined": {"tokenize_chinese_chars": False, "model_max_length": 77},
        }.items():
            with self.subTest(name):
                folder = write_vocabulary(self.folder / name, self.characters, **config)
                reference = transformers.BertTokenizer.from_pretrained(folder)
                self.assert_same(folder, reference.backend_tokenizer)
                ours = self.folder / f"{name}_ours"
                self.probe.run([], folder, "save", ours)
                copy = transformers.AutoTokenizer.from_pretrained(ours)
                self.assertEqual(copy.model_max_length, config.get("model_max_length", 512))
                self.assertEqual(copy.get_vocab(), reference.get_vocab())
                self.assert_same(folder, copy.backend_tokenizer)
                (ours / "tokenizer.json").unlink()
                copy = transformers.BertTokenizer.from_pretrained(ours)
                self.assert_same(folder, copy.backend_tokenizer)
                theirs = self.folder / f"{name}_theirs"
                reference.save_pretrained(theirs)
                self.assertTrue((theirs / "tokenizer.json").exists())
                self.assert_same(theirs, reference.backend_tokenizer)

    def test_text_that_is_not_cleaned(self):
        folder = write_vocabulary(self.folder / "raw", self.characters)
        self.probe.run([], folder, "save", folder)
        file = json.loads((folder / "tokenizer.json").read_text())
        raw = {**file["normalizer"], "clean_text": False}
        for normalizer in (raw, {**raw, "strip_accents": False}, {**raw, "lowercase": False}, None):
            (folder / "tokenizer.json").write_text(json.dumps({**file, "normalizer": normalizer}))
            self.assert_same(folder, tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")))

    def test_added_tokens(self):
        folder = write_vocabulary(self.folder / "added", self.characters)
        reference = transformers.BertTokenizer.from_pretrained(folder)
        reference.add_tokens([tokenizers.AddedToken(text, normalized=True) for text in ("the", "É", "##", "ing")])
        reference.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in ("water", "e\u0301")])
        reference.add_special_tokens({"additional_special_tokens": ["<x>", "[mask]"]})
        reference.save_pretrained(folder / "theirs")
        self.assert_same(folder / "theirs", reference.backend_tokenizer)
        self.probe.run([], folder / "theirs", "save", folder / "ours")
        copy = transformers.AutoTokenizer.from_pretrained(folder / "ours")
        self.assertEqual(copy.get_vocab(), reference.get_vocab())
        self.assert_same(folder / "theirs", copy.backend_tokenizer)

    def test_folders_with_little_faults(self):
        """transformers opens them without an error."""
        plain = list(self.characters)
        twice = [*plain, plain[40], "", ""]
        without = [token for token in plain if token not in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")]
        added = {"<x>": len(plain), "<y>": 9 * len(plain)}
        for name, vocabulary, files in (
            ("twice", twice, {}),
            ("without", without, {}),
            ("added", plain, {"added_tokens.json": added, "special_tokens_map.json": {"additional_special_tokens": ["<x>"]}}),
            ("listed", plain, {"special_tokens_map.json": {"mask_token": "<mask>", "additional_special_tokens": ["[mask]", "ing", "ing"]}}),
        ):
            with self.subTest(name):
                folder = write_vocabulary(self.folder / f"fault_{name}", vocabulary)
                for file, content in files.items():
                    (folder / file).write_text(json.dumps(content))
                texts = [*self.texts, b"a <x>b <y> [mask] <mask> going"]
                self.assert_same(folder, transformers.BertTokenizer.from_pretrained(folder).backend_tokenizer, texts)

    def test_tokenizer_json_with_little_faults(self):
        folder = write_vocabulary(self.folder / "loose", self.characters)
        self.probe.run([], folder, "save", folder)
        plain = json.loads((folder / "tokenizer.json").read_text())
        texts = [*self.texts, b"a  <x>  b <y>going"]
        token = {"content": "<x>", "id": 9999, "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": False}

        def changed(**model):
            return {**plain, "model": {**plain["model"], **model}}

        vocabulary = plain["model"]["vocab"]
        hole = {text: id for text, id in vocabulary.items() if id != 30}
        for name, file in {
            "hole": changed(vocab=hole),
            "far": changed(vocab={**vocabulary, "<y>": 5 * len(vocabulary)}),
            "id": {**plain, "added_tokens": [*plain["added_tokens"], token]},
        }.items():
            with self.subTest(name):
                (folder / "tokenizer.json").write_text(json.dumps(file))
                self.assert_same(folder, tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), texts)
        stripping = {**plain, "added_tokens": [*plain["added_tokens"], {**token, "lstrip": True, "rstrip": True}]}
        (folder / "tokenizer.json").write_text(json.dumps(stripping))
        ours, theirs = self.probe.encode(folder, texts), reference_encode(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), texts)
        self.assertEqual([ids for ids, _, _ in ours], [ids for ids, _, _ in theirs])

    def test_real_vocabulary(self):
        folder = ROOT.parent / "shared/models/minilm-l6"
        if not folder.exists():
            self.skipTest(f"no {folder}")
        reference = transformers.AutoTokenizer.from_pretrained(folder)
        self.assert_same(folder, reference.backend_tokenizer)
        self.assert_same(folder, reference.backend_tokenizer, max_length=12)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("probe", type=Probe)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=11711)
    parser.add_argument("--files", nargs="+", metavar=("MODEL", "FILE"))
    options, rest = parser.parse_known_args()
    if options.files:
        model, *files = options.files
        reference = transformers.AutoTokenizer.from_pretrained(model).backend_tokenizer
        total = 0
        for file in files:
            texts = pathlib.Path(file).read_bytes().split(b"\n")
            found = differences(options.probe, model, reference, texts)
            total += len(found)
            print(f"{file}: {len(texts)} lines, {len(found)} differences", *found[:3], sep="\n")
        return total > 0
    TokenizersTest.probe, TokenizersTest.seed, TokenizersTest.count = options.probe, options.seed, options.texts
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    sys.exit(main())
