#!/usr/bin/env python3
"""Folders written by transformers are imported bit for bit, and ours open in transformers and sentence-transformers.

Usage: transformers_test.py IMPORT_PROBE. Ends with 77 (skipped, for ctest) where the packages are not installed.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import safetensors.torch
    import sentence_transformers
    import torch
    import transformers
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

transformers.logging.set_verbosity_error()
PROBE = pathlib.Path(sys.argv.pop(1)).resolve()
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(32)]


def tiny_config(**more):
    return transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=20, **more
    )


def tiny_model(kind=transformers.BertModel, seed=0, **more):
    """Every parameter random, biases and norms too."""
    torch.manual_seed(seed)
    model = kind(tiny_config(**more)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def probe(folder, *arguments):
    """Rows of the probe: parameters by name, and the two summaries."""
    run = subprocess.run([str(PROBE), str(folder), *map(str, arguments)], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return {row["name"]: row for row in rows if "name" in row}, next(row for row in rows if "unused" in row)


def sha256(tensor):
    return hashlib.sha256(tensor.detach().float().contiguous().numpy().tobytes()).hexdigest()


class TransformersTest(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def save_bin(self, model, state, file="pytorch_model.bin", **how):
        model.config.save_pretrained(self.folder)
        torch.save(state, self.folder / file, **how)

    def save_tokenizer(self, folder):
        (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
        tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
        tokenizer.save_pretrained(folder)
        return tokenizer

    def assert_imported(self, state, *arguments, dtype="F32"):
        """Each parameter that the probe lists has the value of `state`, whose names have no prefix."""
        rows, summary = probe(self.folder, *arguments)
        self.assertGreaterEqual(len(rows), 39)
        for name, row in rows.items():
            self.assertEqual(row["sha256"], sha256(state[name]), name)
            self.assertEqual(row["dtype"], dtype)
        self.assertEqual(summary["unexpected"], [])
        return rows, summary

    # ---- in ----
    def test_plain_safetensors(self):
        model = tiny_model()
        model.save_pretrained(self.folder)
        self.assert_imported(model.state_dict())

    def test_masked_lm_has_a_prefix_and_no_pooler(self):
        model = tiny_model(transformers.BertForMaskedLM)
        model.save_pretrained(self.folder)
        rows, summary = probe(self.folder, "mlm")
        state = {name.removeprefix("bert."): tensor for name, tensor in model.state_dict().items()}
        missing = {name for name, row in rows.items() if not row["tensor"]}
        self.assertEqual(missing, {"pooler.dense.weight", "pooler.dense.bias"})
        for name in rows.keys() - missing:
            self.assertEqual(rows[name]["sha256"], sha256(state[name]), name)
        self.assertEqual(summary["unexpected"] + summary["unused"], [])

    def test_pretraining_model(self):
        model = tiny_model(transformers.BertForPreTraining)
        model.save_pretrained(self.folder)
        state = {name.removeprefix("bert."): tensor for name, tensor in model.state_dict().items()}
        _, summary = self.assert_imported(state, "mlm")
        self.assertEqual(summary["unused"], ["cls.seq_relationship.bias", "cls.seq_relationship.weight"])

    def test_sharded_safetensors(self):
        model = tiny_model()
        model.save_pretrained(self.folder, max_shard_size="20KB")
        self.assertFalse((self.folder / "model.safetensors").exists())
        rows, _ = self.assert_imported(model.state_dict())
        self.assertGreater(len({row["file"] for row in rows.values()}), 1)

    def test_sixteen_bits(self):
        for torch_dtype, dtype in ((torch.float16, "F16"), (torch.bfloat16, "BF16"), (torch.float64, "F64")):
            model = tiny_model().to(torch_dtype)
            model.save_pretrained(self.folder)
            self.assert_imported(model.state_dict(), dtype=dtype)

    def test_bin_with_tied_decoder(self):
        model = tiny_model(transformers.BertForPreTraining)
        state = model.state_dict()
        self.assertEqual(state["cls.predictions.decoder.weight"].data_ptr(), state["bert.embeddings.word_embeddings.weight"].data_ptr())
        for legacy in (False, True):
            self.save_bin(model, state, _use_new_zipfile_serialization=not legacy)
            _, summary = self.assert_imported({name.removeprefix("bert."): tensor for name, tensor in state.items()}, "mlm")
            self.assertIn("cls.predictions.decoder.weight", summary["dropped"])

    def test_bin_of_half_precision_with_module_prefix(self):
        model = tiny_model().half()
        state = torch.nn.DataParallel(model).state_dict()
        self.assertTrue(all(name.startswith("module.") for name in state))
        self.save_bin(model, {"state_dict": state, "epoch": 3})
        self.assert_imported(model.state_dict(), dtype="F16")

    def test_sharded_bin(self):
        model = tiny_model()
        names = list(model.state_dict())
        shards = {"pytorch_model-1.bin": names[:11], "pytorch_model-2.bin": names[11:]}
        for file, part in shards.items():
            self.save_bin(model, {name: model.state_dict()[name] for name in part}, file)
        index = {"metadata": {}, "weight_map": {name: file for file, part in shards.items() for name in part}}
        (self.folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        self.assert_imported(model.state_dict())

    def test_sentence_transformer_state(self):
        model = tiny_model()
        self.save_bin(model, {"0.auto_model." + name: tensor for name, tensor in model.state_dict().items()})
        self.assert_imported(model.state_dict())

    def test_gamma_and_beta(self):
        model = tiny_model()
        rename = lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        self.save_bin(model, {"bert." + rename(name): tensor for name, tensor in model.state_dict().items()})
        self.assert_imported(model.state_dict())

    def test_transposed_parameters(self):
        model = tiny_model()
        state = {name: tensor.t().contiguous().t() if tensor.dim() == 2 else tensor for name, tensor in model.state_dict().items()}
        self.save_bin(model, state)
        self.assert_imported(model.state_dict())

    # ---- what is computed ----
    def assert_vectors(self, folder, model, ids):
        """Sentence vectors of the probe, padded nowhere, are those of transformers, sentence by sentence."""
        for pool in ("cls", "pooler", "mean"):
            run = subprocess.run(
                [str(PROBE), str(folder), "vectors", pool], input="".join(" ".join(map(str, row)) + "\n" for row in ids), capture_output=True, text=True
            )
            self.assertEqual(run.returncode, 0, run.stderr)
            vectors = [torch.tensor(json.loads(line)) for line in run.stdout.splitlines()]
            self.assertEqual(len(vectors), len(ids))
            for row, actual in zip(ids, vectors):
                with torch.no_grad():
                    out = model(torch.tensor([row]))
                hidden = out.last_hidden_state[0]
                expected = {"cls": hidden[0], "pooler": out.pooler_output[0], "mean": hidden.mean(0)}[pool]
                self.assertLess((actual - expected).abs().max().item(), 1e-5 * expected.abs().max().item(), pool)

    def test_vectors(self):
        for activation in ("gelu", "gelu_new", "relu", "silu"):
            model = tiny_model(hidden_act=activation)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(0.3)
            model.save_pretrained(self.folder)
            self.assert_vectors(self.folder, model, [[2, 7, 9, 11, 3], [2, 3], [2] + list(range(5, 22)) + [3]])

    def test_vectors_of_minilm(self):
        folder = pathlib.Path(__file__).resolve().parents[3] / "shared/models/minilm-l6"
        if not folder.exists():
            self.skipTest(f"no {folder}")
        model = transformers.BertModel.from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        texts = ["The kettle sings before the water boils.", "No.", "Two clocks in one hall never agree; we set ours by the slower one, out of kindness."]
        self.assert_vectors(folder, model, tokenizer(texts)["input_ids"])

    # ---- out ----
    def test_export_opens_in_transformers(self):
        model = tiny_model(hidden_act="gelu_new", hidden_dropout_prob=0.3, layer_norm_eps=1e-6)
        model.save_pretrained(self.folder)
        for dtype, torch_dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
            out = self.folder / dtype
            probe(self.folder, "backbone", out, dtype)
            back, info = transformers.BertModel.from_pretrained(out / "mean", output_loading_info=True)
            self.assertEqual([len(info[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")], [0, 0, 0])
            for key in ("hidden_act", "hidden_dropout_prob", "layer_norm_eps", "num_attention_heads", "pad_token_id"):
                self.assertEqual(getattr(back.config, key), getattr(model.config, key))
            for name, tensor in model.state_dict().items():
                self.assertTrue(torch.equal(back.state_dict()[name].float(), tensor.to(torch_dtype).float()), name)

    def test_export_opens_in_sentence_transformers(self):
        model = tiny_model()
        model.save_pretrained(self.folder)
        out = self.folder / "out"
        probe(self.folder, "backbone", out)
        for kind in ("mean", "cls"):
            tokenizer = self.save_tokenizer(out / kind)
            sentence_model = sentence_transformers.SentenceTransformer(str(out / kind), device="cpu")
            self.assertEqual(sentence_model.max_seq_length, 16)
            text = "w3 w9 w1 w1 w30"
            with torch.no_grad():
                hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            expected = torch.nn.functional.normalize(hidden.mean(0), dim=0) if kind == "mean" else hidden[0]
            actual = sentence_model.encode(text, convert_to_tensor=True)
            self.assertLess((actual - expected).abs().max().item(), 1e-5, kind)

    def test_export_opens_as_a_classifier(self):
        model = tiny_model()
        model.save_pretrained(self.folder)
        out = self.folder / "out"
        probe(self.folder, "seqcls", out)
        ids = torch.tensor([[2, 7, 9, 11, 3]])
        with torch.no_grad():
            pooled = model(ids).pooler_output
            logits = {}
            for kind, labels in (("three", ["low", "middle", "high"]), ("two", ["no", "yes"]), ("score", ["LABEL_0"])):
                classifier, info = transformers.AutoModelForSequenceClassification.from_pretrained(out / kind, output_loading_info=True)
                self.assertEqual([len(info[part]) for part in ("missing_keys", "unexpected_keys", "mismatched_keys")], [0, 0, 0])
                self.assertIsInstance(classifier, transformers.BertForSequenceClassification)
                self.assertEqual(classifier.config.num_labels, len(labels))
                self.assertEqual([classifier.config.id2label[i] for i in range(len(labels))], labels)
                self.assertEqual(classifier.config.problem_type, "regression" if kind == "score" else "single_label_classification")
                weights = safetensors.torch.load_file(out / kind / "model.safetensors")
                logits[kind] = classifier(ids).logits
                expected = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
                self.assertLess((logits[kind] - expected).abs().max().item(), 1e-5, kind)
        self.assertEqual(logits["two"][0, 0].item(), 0)
        torch.testing.assert_close(logits["two"][0, 1], logits["score"][0, 0])


if __name__ == "__main__":
    unittest.main()
