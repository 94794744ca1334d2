#!/usr/bin/env python3
"""Every step's loss of a training run equals that of tools/reference.py, a plain PyTorch loop, on generated tasks and a tiny encoder.

Usage: parity_test.py MINBERT. Prints the largest relative differences; ends with 77 (skipped, for ctest) where packages are missing.
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

STEPS = 20
TOLERANCE = 1e-4  # relative

MODEL = """
[model]
init = "scratch"
vocabulary = { size = 120 }
config = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, intermediate_size = 48, max_position_embeddings = 40 }
"""

# Tasks in their order; settings of each; settings of the stage.
CASES = {
    "separate, linear": (
        ["mood", "same", "near"],
        'pool = "cls"\nhead = { dense = [], dropout = DROPOUT }',
        'sampler = "round_robin"',
    ),
    "separate, dense": (
        ["same", "near", "angle", "mood"],
        'pool = "mean"\nhead = { dense = ["H"], dropout = DROPOUT }\nweight = 0.7',
        'sampler = "round_robin"\noptimizer = "adamw"\nschedule = "cosine"\naccumulate = 2\nweight_decay = 0.1',
    ),
    "joint, pooler, two dense": (
        ["near", "mood", "same"],
        'encode = "joint"\npool = "pooler"\nhead = { dense = ["2H", 24], dropout = DROPOUT }',
        'sampler = "sequential"\nschedule = "linear"\nwarmup_ratio = 0.3\nclip = 1.0\nweight_decay = 0.1\ndecay_bias_and_norm = true',
    ),
}
KINDS = {
    "mood": 'type = "classify"\nlabels = 3',
    "same": 'type = "pair_classify"\nlabels = 2',
    "near": 'type = "pair_regress"',
    "angle": 'type = "pair_regress"',
}
DATA = {
    "mood": 'train = "rows.csv"\ntext = "a"\nlabel = "class"',
    "same": 'train = "rows.csv"\ntext = "a"\ntext_pair = "b"\nlabel = "binary"',
    "near": 'train = "rows.csv"\ntext = "a"\ntext_pair = "b"\nlabel = "number"',
    "angle": 'train = "rows.csv"\ntext = "a"\ntext_pair = "b"\nlabel = "number"',
}
LR = 3e-3
WORDS = "warm cold river stone green walks sings slow paper lamp under bread seven window narrow song".split()


def write_rows(folder):
    """28 rows of one file that all tasks read: labels follow from the texts' first words, lengths differ."""
    rng = random.Random(7)
    lines = ["a,b,class,binary,number"]
    for _ in range(28):
        a, b = ([rng.choice(WORDS) for _ in range(rng.randrange(1, 9))] for _ in range(2))
        first, second = WORDS.index(a[0]), WORDS.index(b[0])
        lines.append(f"{' '.join(a)},{' '.join(b)},{first % 3},{(first + second) % 2},{5 - abs(first - second) / 3:.2f}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")


def sharpen(file):
    """Scratch weights are so small that attention looks at every token alike: make it choose."""
    tensors = load_file(file).items()
    save_file({name: x * 5 if x.dim() == 2 and "embeddings" not in name else x for name, x in tensors}, file, {"format": "pt"})


def config_text(case, dropout):
    names, settings, stage = CASES[case]
    p = 0.2 if dropout else 0.0
    text = f"[run]\nseed = 5\n{MODEL}max_length = 32\nhidden_dropout = {p}\nattention_dropout = {p}\n"
    for name in names:
        own = 'head = { kind = "cosine", dropout = DROPOUT }' if name == "angle" else settings
        if name == "mood":
            own = own.replace('encode = "joint"', "")
        text += f'[[task]]\nname = "{name}"\n{KINDS[name]}\n{own}\n[task.data]\n{DATA[name]}\n'
    rates = f"lr = {LR}\nhead_lr = {2 * LR}"
    text += f"[[stage]]\nbatch = 4\n{rates}\nshuffle = false\nmax_steps = {STEPS}\nlog_every = 1\nepochs = 6\n{stage}\n"
    return text.replace("DROPOUT", str(1.5 * p))


class ParityTest(unittest.TestCase):
    minbert = None

    def train(self, config, run, *more):
        """Losses of the steps."""
        command = [self.minbert, "train", config, "-o", self.folder / run, "-q", "--threads", "1", *more]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        events = [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]
        return [event["loss"] for event in events if event["event"] == "step"]

    def check_both(self, case):
        for dropout in (False, True):
            with self.subTest(dropout=dropout), tempfile.TemporaryDirectory() as folder:
                self.folder = Path(folder)
                write_rows(self.folder)
                self.check(case, dropout)

    def check(self, case, dropout):
        config = self.folder / "config.toml"
        config.write_text(config_text(case, dropout))
        at_rest = ["--set", "stage.0.lr=0", "--set", "stage.0.head_lr=0"]
        self.train(config, "start", *at_rest, "--set", "stage.0.max_steps=1")
        start = self.folder / "start" / "best"
        sharpen(start / "model.safetensors")
        sharpen(start / "heads.safetensors")
        still, losses = (self.train(config, run, "--set", f"model.init={start}", *more) for run, more in (("still", at_rest), ("run", [])))
        self.assertEqual(len(losses), STEPS)
        moved = max(abs(a - b) / abs(a) for a, b in zip(still, losses))
        self.assertGreater(moved, 0.01, "the weights hardly move, so that this run could show nothing")
        options = {"init": start, "heads": start / "heads.safetensors", "steps": STEPS, "masks": dropout}
        with contextlib.redirect_stderr(io.StringIO()) as told:
            expected = list(reference.train(argparse.Namespace(config=self.folder / "run", **options)))
            equal = reference.compare(expected, self.folder / "run" / "metrics.jsonl", TOLERANCE)
        summary = f"{case}, dropout {'on' if dropout else 'off'}: {told.getvalue().splitlines()[-1]}"
        self.assertTrue(equal, summary)
        print(summary, flush=True)

    def test_separate_linear(self):
        self.check_both("separate, linear")

    def test_separate_dense(self):
        self.check_both("separate, dense")

    def test_joint_pooler_two_dense(self):
        self.check_both("joint, pooler, two dense")


if __name__ == "__main__":
    ParityTest.minbert = Path(sys.argv.pop(1)).resolve()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    unittest.main()
