#!/usr/bin/env python3
"""Every step's loss and gradient norm of masked-LM pretraining equal those of tools/reference_mlm.py, a plain PyTorch loop.

Usage: mlm_parity_test.py MINBERT. Prints the largest relative differences; ends with 77 (skipped, for ctest) where packages are missing.
"""

import argparse
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import reference  # noqa: E402
import reference_mlm  # noqa: E402

STEPS = 20
TOLERANCE = 1e-5  # relative
WORDS = "warm cold river stone green walks sings slow paper lamp under bread seven window narrow song".split()

CONFIG = """
[run]
seed = 5
[model]
init = "scratch"
max_length = 10
vocabulary = { size = 120 }
config = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, intermediate_size = 48, max_position_embeddings = 40 }
hidden_dropout = RATE
attention_dropout = RATE
[[stage]]
kind = "mlm"
batch = 4
shuffle = false
max_steps = STEPS
epochs = 6
lr = 3e-3
head_lr = 6e-3
SETTINGS
[stage.mlm]
texts = ["lines.txt"]
held_out = 0.0
mask = 0.3
head = "HEAD"
dropout = HEAD_RATE
"""
CASES = {
    "linear": "",
    "tied": 'optimizer = "adamw"\nschedule = "linear"\nwarmup_ratio = 0.3\nclip = 1.0\nweight_decay = 0.1\naccumulate = 2',
}


class MlmParityTest(unittest.TestCase):
    minbert = None

    def train(self, folder, run, *more):
        """The steps of metrics.jsonl."""
        command = [self.minbert, "pretrain", folder / "config.toml", "-o", folder / run, "-q", "--threads", "1", *more]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        events = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
        return [event for event in events if event["event"] == "step"]

    def check(self, folder, head, dropout):
        p = 0.2 if dropout else 0.0
        values = {"HEAD_RATE": 1.5 * p, "RATE": p, "STEPS": STEPS, "SETTINGS": CASES[head], "HEAD": head}
        text = CONFIG
        for name, value in values.items():
            text = text.replace(name, str(value))
        (folder / "config.toml").write_text(text)
        at_rest = ["--set", "stage.0.lr=0", "--set", "stage.0.head_lr=0"]
        self.train(folder, "start", *at_rest, "--set", "stage.0.max_steps=1")
        start = folder / "start" / "best"
        for file in ("model.safetensors", "mlm.safetensors"):  # scratch weights are so small that attention looks at every token alike
            tensors = load_file(start / file).items()
            save_file({name: x * 5 if x.dim() == 2 else x for name, x in tensors}, start / file, {"format": "pt"})
        still, steps = (self.train(folder, run, "--set", f"model.init={start}", *more) for run, more in (("still", at_rest), ("run", [])))
        self.assertEqual(len(steps), STEPS)
        moved = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(still, steps))
        self.assertGreater(moved, 0.01, "the weights hardly move: this run could show nothing")
        options = argparse.Namespace(run=folder / "run", init=start, steps=STEPS, masks=dropout)
        with contextlib.redirect_stderr(io.StringIO()) as told:
            expected = list(reference_mlm.train(options))
            equal = reference.compare(expected, folder / "run" / "metrics.jsonl", TOLERANCE)
        summary = f"{head}, dropout {'on' if dropout else 'off'}: {told.getvalue().splitlines()[-1]}"
        self.assertTrue(equal, summary)
        for ours, theirs in zip(steps, expected):
            self.assertLess(abs(ours["grad_norm"] / theirs["grad_norm"] - 1), TOLERANCE, f"{head}: gradient norm of step {theirs['step']}")
        print(summary, flush=True)

    def check_head(self, head):
        for dropout in (False, True):
            with self.subTest(dropout=dropout), tempfile.TemporaryDirectory() as folder:
                rng = random.Random(7)
                lines = [" ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 12))) for _ in range(28)]
                (Path(folder) / "lines.txt").write_text("\n".join([*lines, "", "  "]) + "\n")
                self.check(Path(folder), head, dropout)

    def test_linear(self):
        self.check_head("linear")

    def test_tied(self):
        self.check_head("tied")


if __name__ == "__main__":
    MlmParityTest.minbert = Path(sys.argv.pop(1)).resolve()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    unittest.main()
