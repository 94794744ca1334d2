"""What the parity tests share: a tiny encoder, runs of minbert from it, and the comparison of their steps with a plain PyTorch loop.

Importing this ends the test with 77 (skipped, for ctest) where packages are missing.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
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
WORDS = "warm cold river stone green walks sings slow paper lamp under bread seven window narrow song".split()
MODEL = """
[model]
init = "scratch"
vocabulary = { size = 120 }
config = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, intermediate_size = 48, max_position_embeddings = 40 }
"""


def dropout_text(dropout):
    return f"dropout {'on' if dropout else 'off'}"


class ParityTest(unittest.TestCase):
    """Subclasses set verb, head_file and tolerance (relative)."""

    minbert = None
    rates = ("lr", "head_lr")

    def sharpen(self, name, x):
        """A first weight that lets attention choose: from scratch it is so small that every token gets the same attention."""
        return x * 5 if x.dim() == 2 else x

    def train(self, folder, run, *more):
        """The step events of a run of folder/config.toml."""
        command = [self.minbert, self.verb, folder / "config.toml", "-o", folder / run, "-q", "--threads", "1", *more]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        events = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
        return [event for event in events if event["event"] == "step"]

    def check(self, folder, config, what, expect):
        """Trains `config` and compares its losses with those of expect(run folder, start model). Returns the steps of both."""
        (folder / "config.toml").write_text(config)
        at_rest = [word for rate in self.rates for word in ("--set", f"stage.0.{rate}=0")]
        self.train(folder, "start", *at_rest, "--set", "stage.0.max_steps=1")
        start = folder / "start" / "best"
        for file in (start / "model.safetensors", start / self.head_file):
            save_file({name: self.sharpen(name, x) for name, x in load_file(file).items()}, file, {"format": "pt"})
        still, steps = (self.train(folder, run, "--set", f"model.init={start}", *more) for run, more in (("still", at_rest), ("run", [])))
        self.assertEqual(len(steps), STEPS)
        moved = max(abs(a["loss"] - b["loss"]) / abs(a["loss"]) for a, b in zip(still, steps))
        self.assertGreater(moved, 0.01, "the weights hardly move, so that this run could show nothing")
        with contextlib.redirect_stderr(io.StringIO()) as report:
            expected = list(expect(folder / "run", start))
            equal = reference.compare(expected, folder / "run" / "metrics.jsonl", self.tolerance)
        summary = f"{what}: {report.getvalue().splitlines()[-1]}"
        self.assertTrue(equal, summary)
        print(summary, flush=True)
        return steps, expected


def main(test):
    """Runs the tests of a script that is called with the path of minbert."""
    test.minbert = Path(sys.argv.pop(1)).resolve()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    unittest.main()
