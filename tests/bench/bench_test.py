#!/usr/bin/env python3
"""minbert-bench makes its own examples where it gets none, and names what is wrong with its flags.

Usage: bench_test.py MINBERT_BENCH
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = sys.argv.pop(1)


def bench(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True)


class ExamplesTest(unittest.TestCase):
    def figures(self, verb, *arguments):
        result = bench(verb, "--model", "bert-tiny", "--batch", 4, "--steps", 3, "--rounds", 1, "--threads", 1, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_examples_are_drawn_by_seed(self):
        tokens = {self.figures(verb)["tokens"] for verb in ("step", "infer", "infer")}
        self.assertEqual(len(tokens), 1, "the same examples each time")
        mean = tokens.pop() / 4
        self.assertTrue(20 < mean < 36, f"{mean} tokens each")

    def test_files_of_lengths(self):
        with tempfile.TemporaryDirectory() as folder:
            lengths = pathlib.Path(folder) / "lengths.txt"
            lengths.write_text("5\n7\n")
            self.assertEqual(self.figures("infer", "--lengths", lengths)["tokens"], 24)
            both = bench("infer", "--ids", lengths, "--lengths", lengths)
            self.assertNotEqual(both.returncode, 0)
            self.assertIn("--ids", both.stderr + both.stdout)

    def test_a_missing_flag_is_named_first(self):
        missing = bench("embed", "--rounds", 1)
        self.assertNotEqual(missing.returncode, 0)
        self.assertTrue((missing.stderr + missing.stdout).startswith("--model is required"), missing.stderr)


if __name__ == "__main__":
    unittest.main()
