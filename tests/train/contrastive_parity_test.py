#!/usr/bin/env python3
"""Every step's loss and gradient norm of a contrastive stage equal those of a plain PyTorch loop.

Usage: contrastive_parity_test.py MINBERT. Prints the largest relative differences; ends with 77 (skipped, for ctest) where packages are
missing.
"""

import random
import tempfile
import tomllib
from pathlib import Path

import parity
import reference  # tools/, which parity adds to the path
import torch
from torch.nn import functional as F
from transformers import BertModel, BertTokenizerFast

TEMPERATURE = 0.3
WIDTHS = [8, 32]  # the whole width is 32
CONFIG = f"""
[run]
seed = 5
{parity.MODEL}max_length = 32
hidden_dropout = RATE
attention_dropout = HALF_RATE
[[task]]
name = "mood"
type = "classify"
labels = 3
data = {{ train = "rows.csv", text = "a", label = "class" }}
[[task]]
name = "same"
type = "pair_classify"
labels = 2
data = {{ train = "rows.csv", text = "a", text_pair = "b", label = "binary" }}
[[stage]]
kind = "contrastive"
batch = 6
accumulate = 2
shuffle = false
max_steps = {parity.STEPS}
epochs = 12
lr = 3e-3
optimizer = "adamw"
weight_decay = 0.1
clip = 0.5
[stage.contrastive]
temperature = {TEMPERATURE}
widths = [{WIDTHS[0]}]
SETTINGS
"""


def make_rows():
    """28 rows (first text, second text, class, whether they belong together); no text occurs twice."""
    rng, seen, rows = random.Random(7), set(), []
    while len(rows) < 28:
        a, b = (" ".join(rng.choice(parity.WORDS) for _ in range(rng.randrange(2, 9))) for _ in range(2))
        if a == b or {a, b} & seen:
            continue
        seen |= {a, b}
        rows.append((a, b, parity.WORDS.index(a.split()[0]) % 3, int(rng.random() < 0.6)))
    return rows


# What each case trains on: the texts that belong together by row, and the groups of rows.
CASES = {
    "pairs": ('texts = ["same.train"]', lambda rows: [((a, b), i) for i, (a, b, _, same) in enumerate(rows) if same]),
    "labels": ('texts = ["mood.train"]', lambda rows: [((a, None), label) for a, _, label, _ in rows]),
    "SimCSE": ('texts = ["same.train"]\nlabels = false', lambda rows: [((text, None), text) for row in rows for text in row[:2]]),
}


def loss_of(u, v, groups):
    """The mean loss of a batch's rows: torch's cross-entropy with the rows of the same group as equally good answers."""
    positive = torch.tensor([[float(a == b) for b in groups] for a in groups])
    scores = F.normalize(u, dim=1) @ F.normalize(v, dim=1).T / TEMPERATURE
    return F.cross_entropy(scores, positive / positive.sum(1, keepdim=True))


def train(run, start, items, dropout_on):
    raw = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
    stage = reference.section("stage", {**raw["stage"][0], "kind": "finetune", "contrastive": None}, reference.STAGE)
    hidden_rate, attention_rate = raw["model"]["hidden_dropout"], raw["model"]["attention_dropout"]
    bert, tokenizer = BertModel.from_pretrained(start, dtype=torch.float32), BertTokenizerFast.from_pretrained(start)
    w = {name: value for name, value in bert.named_parameters() if not name.startswith("pooler.")}
    optimizer = reference.AdamW(stage["optimizer"], stage["betas"], stage["eps"])

    def vectors(texts, dropout, pass_):
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        mask = tokens["attention_mask"]
        hidden = reference.encode(w, bert.config, tokens["input_ids"], tokens["token_type_ids"], mask, dropout, pass_)
        return reference.pool(w, hidden, mask, "mean")

    plan = list(reference.window_rows(stage, [{"batch": 0}], [len(items)], raw["run"]["seed"]))
    for step, (_, window) in enumerate(plan[: stage["max_steps"]], start=1):
        for value in w.values():
            value.grad = None
        loss = 0.0
        for micro_step, begin in enumerate(range(0, len(window), stage["batch"])):
            batch = [items[i] for i in window[begin : begin + stage["batch"]]]
            dropout = reference.Dropout(dropout_on, hidden_rate, attention_rate, raw["run"]["seed"], step, micro_step)
            first, second = [pair[0] for pair, _ in batch], [pair[1] for pair, _ in batch]
            u = vectors(first, dropout, 0)
            v = vectors(first, dropout, 2) if second[0] is None else vectors(second, dropout, 1)
            groups = [group for _, group in batch]
            part = sum(loss_of(u[:, :width], v[:, :width], groups) for width in WIDTHS) / len(WIDTHS) * len(batch) / len(window)
            part.backward()
            loss += part.item()
        norm = reference.clip_(w.values(), stage["clip"])
        optimizer.step_all(w, stage, 1.0, ("heads.",))
        yield {"step": step, "task": raw["stage"][0]["contrastive"]["texts"][0], "loss": loss, "lr": stage["lr"], "grad_norm": norm}


class ContrastiveParityTest(parity.ParityTest):
    verb, head_file, tolerance, rates = "train", "heads.safetensors", 1e-4, ("lr",)

    def check_case(self, case):
        settings, items_of = CASES[case]
        for dropout in (False, True):
            with self.subTest(dropout=dropout), tempfile.TemporaryDirectory() as folder:
                rows = make_rows()
                lines = ["a,b,class,binary", *(f"{a},{b},{label},{same}" for a, b, label, same in rows)]
                (Path(folder) / "rows.csv").write_text("\n".join(lines) + "\n")
                p = 0.2 if dropout else 0.0
                config = CONFIG.replace("HALF_RATE", str(p / 2)).replace("RATE", str(p)).replace("SETTINGS", settings)

                def expect(run, start, on=dropout):
                    return train(run, start, items_of(rows), on)

                steps, expected = self.check(Path(folder), config, f"{case}, {parity.dropout_text(dropout)}", expect)
                for ours, theirs in zip(steps, expected):
                    relative = abs(ours["grad_norm"] / theirs["grad_norm"] - 1)
                    self.assertLess(relative, 1e-3, f"{case}: gradient norm of step {theirs['step']}")

    def test_pairs(self):
        self.check_case("pairs")

    def test_labels(self):
        self.check_case("labels")

    def test_simcse(self):
        self.check_case("SimCSE")


if __name__ == "__main__":
    parity.main(ContrastiveParityTest)
