#!/usr/bin/env python3
"""Tasks with one linear layer on the pooler, exported by seqcls:TASK: transformers' AutoModelForSequenceClassification gives the
probabilities that minbert predict gives, those that a fitted temperature has changed too.

Usage: classifier_test.py MINBERT. Ends with 77 (skipped, for ctest) where the packages are not installed.
"""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import torch
    import transformers
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
MINBERT = str(pathlib.Path(sys.argv.pop(1)).resolve())
SUBJECTS = ["invoice", "parcel", "refund", "password", "app", "shop"]
STATES = ["late", "wrong", "missing", "great", "here"]
KINDS = {
    "three": ('type = "classify"', "a", "kind"),
    "two": ('type = "classify"', "a", "mood"),
    "sets": ('type = "multi_label"', "a", "topics"),
    "same": ('type = "pair_classify"\nencode = "joint"', "a", "same"),
    "number": ('type = "regress"', "a", "size"),
}
CONFIG = """
[model]
init = "scratch"
max_length = 12
vocabulary = { size = 120 }
config = { hidden_size = 16, num_hidden_layers = 2, num_attention_heads = 2, intermediate_size = 24, max_position_embeddings = 24 }
"""
STAGE = '[[stage]]\nepochs = 3\nlr = 5e-3\noptimizer = "adamw"\nselect = "last"\nsampler = "round_robin"\n'


def rows():
    out = []
    for i, subject in enumerate(SUBJECTS):
        for j, state in enumerate(STATES):
            a, b = f"the {subject} is {state}", f"my {SUBJECTS[(i + j) % len(SUBJECTS)]} was {state} again and again and again"
            topics = ";".join(name for name, has in (("money", i in (0, 2)), ("time", j in (0, 2)), ("thing", i in (1, 4))) if has)
            out.append({"a": a, "b": b, "kind": ["low", "middle", "high"][i % 3], "mood": ["bad", "good"][j > 2], "topics": topics,
                        "same": ["no", "yes"][j % len(SUBJECTS) == 0], "size": (i + j) / 2})  # fmt: skip
    return out


def minbert(folder, *arguments, text=None):
    done = subprocess.run([MINBERT, *arguments], cwd=folder, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"minbert {arguments}: {done.stderr}")
    return done.stdout


class ClassifierTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def test_probabilities_are_those_of_predict(self):
        dev = rows()
        for row, other in zip(dev[::4], rows()[1::4]):  # a temperature is fitted where some answers are wrong
            row |= {key: other[key] for key in ("kind", "mood", "topics", "same")}
        for name, lines in (("rows.csv", rows()), ("dev.csv", dev)):
            with open(self.folder / name, "w", newline="") as file:
                writer = csv.DictWriter(file, lines[0])
                writer.writeheader()
                writer.writerows(lines)
        text = CONFIG
        for name, (kind, column, label) in KINDS.items():
            text += f'[[task]]\nname = "{name}"\n{kind}\npool = "pooler"\nhead = {{ dense = [], dropout = 0.1 }}\n'
            text += "" if name == "number" else "calibrate = true\n"
            text += f'[task.data]\ntrain = "rows.csv"\ndev = "dev.csv"\ntext = "{column}"\nlabel = "{label}"\nid = "a"\n'
            text += 'text_pair = "b"\n' if name == "same" else ""
        (self.folder / "config.toml").write_text(text + STAGE)
        minbert(self.folder, "train", "config.toml", "-o", "run", "-q", "--threads", "1")
        for task in json.loads((self.folder / "run/best/minbert.json").read_text())["tasks"]:
            with self.subTest(task["name"]):
                self.check(task)

    def check(self, task):
        name, pair = task["name"], task["type"].startswith("pair")
        if name != "number":
            self.assertNotEqual(task.get("temperature", 1), 1)
        minbert(self.folder, "export", "run", "-o", name, "--as", f"seqcls:{name}")
        model = transformers.AutoModelForSequenceClassification.from_pretrained(self.folder / name).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder / name)
        columns = ["--text", "a"] + (["--text-pair", "b"] if pair else [])
        answers = [json.loads(line) for line in
                   minbert(self.folder, "predict", "run", "--task", name, "-i", "rows.csv", *columns, "--probs").splitlines()]  # fmt: skip
        self.assertEqual(len(answers), len(rows()))
        problem = {"multi_label": "multi_label_classification", "regress": "regression"}.get(task["type"], "single_label_classification")
        self.assertEqual(model.config.problem_type, problem)
        for row, answer in zip(rows(), answers):
            texts = [row["a"], row["b"]] if pair else [row["a"]]
            with torch.no_grad():
                logits = model(**tokenizer(*texts, truncation=True, max_length=12, return_tensors="pt")).logits[0]
            if problem == "regression":
                self.assertAlmostEqual(logits.item(), answer["pred"], delta=1e-4)
                continue
            probs = logits.sigmoid() if problem.startswith("multi") else logits.softmax(0)
            expected = torch.tensor([answer["probs"][model.config.id2label[k]] for k in range(len(probs))])
            self.assertLess((probs - expected).abs().max().item(), 1e-5, name)


if __name__ == "__main__":
    unittest.main()
