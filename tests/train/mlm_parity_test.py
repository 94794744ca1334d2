#!/usr/bin/env python3
"""Every step's loss and gradient norm of masked-LM pretraining equal those of tools/reference_mlm.py, a plain PyTorch loop.

Usage: mlm_parity_test.py MINBERT. Prints the largest relative differences; ends with 77 (skipped, for ctest) where packages are missing.
"""

import argparse
import random
import tempfile
from pathlib import Path

import parity
import reference_mlm  # tools/, which parity adds to the path

CONFIG = f"""
[run]
seed = 5
{parity.MODEL}max_length = 10
hidden_dropout = RATE
attention_dropout = HALF_RATE
[[stage]]
kind = "mlm"
batch = 4
shuffle = false
max_steps = {parity.STEPS}
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


def config_text(head, dropout):
    p = 0.2 if dropout else 0.0
    text = CONFIG
    for name, value in {"HEAD_RATE": 1.5 * p, "HALF_RATE": p / 2, "RATE": p, "SETTINGS": CASES[head], "HEAD": head}.items():
        text = text.replace(name, str(value))
    return text


class MlmParityTest(parity.ParityTest):
    verb, head_file, tolerance = "pretrain", "mlm.safetensors", 1e-5

    def check_head(self, head):
        for dropout in (False, True):
            with self.subTest(dropout=dropout), tempfile.TemporaryDirectory() as folder:
                rng = random.Random(7)
                lines = [" ".join(rng.choice(parity.WORDS) for _ in range(rng.randrange(1, 12))) for _ in range(28)]
                (Path(folder) / "lines.txt").write_text("\n".join([*lines, "", "  "]) + "\n")

                def expect(run, start, masks=dropout):
                    return reference_mlm.train(argparse.Namespace(config=run, init=start, steps=parity.STEPS, masks=masks))

                steps, expected = self.check(Path(folder), config_text(head, dropout), f"{head}, {parity.dropout_text(dropout)}", expect)
                for ours, theirs in zip(steps, expected):
                    relative = abs(ours["grad_norm"] / theirs["grad_norm"] - 1)
                    self.assertLess(relative, self.tolerance, f"{head}: gradient norm of step {theirs['step']}")

    def test_linear(self):
        self.check_head("linear")

    def test_tied(self):
        self.check_head("tied")


if __name__ == "__main__":
    parity.main(MlmParityTest)
