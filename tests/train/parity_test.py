#!/usr/bin/env python3
"""Every step's loss of a training run equals that of tools/reference.py, a plain PyTorch loop, on generated tasks and a tiny encoder.

Usage: parity_test.py MINBERT. Prints the largest relative differences; ends with 77 (skipped, for ctest) where packages are missing.
"""

import argparse
import random
import re
import tempfile
from pathlib import Path

import parity
import reference  # tools/, which parity adds to the path

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
    "separate, comparison": (
        ["same", "near", "mood"],
        'pool = "mean"\nhead = { dense = [], features = "comparison", dropout = DROPOUT }',
        'sampler = "round_robin"\noptimizer = "adamw"',
    ),
    "joint, pooler, two dense": (
        ["near", "mood", "same"],
        'encode = "joint"\npool = "pooler"\nhead = { dense = ["2H", 24], dropout = DROPOUT }',
        'sampler = "sequential"\nschedule = "linear"\nwarmup_ratio = 0.3\nclip = 1.0\nweight_decay = 0.1\ndecay_bias_and_norm = true',
    ),
    "class weights": (
        ["mood", "rare", "same", "topics"],
        'pool = "mean"\nhead = { dense = [], dropout = DROPOUT }\nclass_weights = WEIGHTS',
        'sampler = "round_robin"\naccumulate = 2',
    ),
    "class weights, label smoothing, R-Drop": (
        ["mood", "rare", "same", "topics"],
        'pool = "mean"\nhead = { dense = [], dropout = DROPOUT }\nclass_weights = WEIGHTS\nlabel_smoothing = 0.2\nr_drop = 0.4',
        'sampler = "round_robin"\naccumulate = 2',
    ),
    "R-Drop and layer decay": (
        ["mood", "same", "near", "angle", "topics"],
        'pool = "mean"\nhead = { dense = ["H"], dropout = DROPOUT }\nr_drop = 0.7\nweight = 0.5',
        'sampler = "round_robin"\naccumulate = 2\nlayer_decay = 0.6\nweight_decay = 0.1',
    ),
    "joint R-Drop": (
        ["same", "near", "mood"],
        'encode = "joint"\npool = "pooler"\nhead = { dense = [], dropout = DROPOUT }\nr_drop = 2.0',
        'sampler = "round_robin"',
    ),
    "ordinal, CoSENT, frozen layer": (
        ["mood", "angle"],
        'pool = "mean"\nhead = { dense = [], dropout = DROPOUT }\nORDER',
        'sampler = "round_robin"\nfreeze_layers = 1',
    ),
    "Pearson loss with R-Drop": (
        ["angle", "same"],
        'pool = "mean"\nhead = { dense = [], dropout = DROPOUT }\nr_drop = 0.3\nPEARSON',
        'sampler = "round_robin"\naccumulate = 2',
    ),
    "ordinal labels with class weights": (
        ["mood", "rare"],
        'pool = "mean"\nhead = { dense = [], dropout = DROPOUT }\nclass_weights = WEIGHTS\nordinal = 1.5',
        'sampler = "round_robin"\naccumulate = 2',
    ),
    "shuffled rows and batches": (
        ["mood", "same", "near"],
        'pool = "cls"\nhead = { dense = [], dropout = DROPOUT }',
        'sampler = "shuffled"\nshuffle = true',
    ),
    "label smoothing and multi_label": (
        ["mood", "same", "topics"],
        'pool = "mean"\nhead = { dense = ["H"], dropout = DROPOUT }\nlabel_smoothing = 0.1',
        'sampler = "round_robin"',
    ),
}
KINDS = {
    "mood": 'type = "classify"\nlabels = 3',
    "same": 'type = "pair_classify"\nlabels = 2',
    "near": 'type = "pair_regress"',
    "angle": 'type = "pair_regress"',
    "rare": 'type = "classify"\nlabels = 3',
    "topics": 'type = "multi_label"\nlabels = ["stone", "warm", "narrow"]',
}
WEIGHTS = {"mood": "{ 0 = 0.5, 2 = 3.0 }", "same": "{ 1 = 2.5 }"}  # all others: balanced
DATA = {
    "mood": 'train = "rows.csv"\ntext = "a"\nlabel = "class"',
    "same": 'train = "rows.csv"\ntext = "a"\ntext_pair = "b"\nlabel = "binary"',
    "near": 'train = "rows.csv"\ntext = "a"\ntext_pair = "b"\nlabel = "number"',
    "angle": 'train = "rows.csv"\ntext = "a"\ntext_pair = "b"\nlabel = "number"',
    "rare": 'train = "rows.csv"\ntext = "a"\nlabel = "class"',
    "topics": 'train = "rows.csv"\ntext = "a"\nlabel = "topics"',
}
LR = 3e-3


def write_rows(folder):
    """28 rows of one file that all tasks read: labels follow from the texts' first words, lengths differ."""
    rng = random.Random(7)
    lines = ["a,b,class,binary,number,topics"]
    for _ in range(28):
        a, b = ([rng.choice(parity.WORDS) for _ in range(rng.randrange(1, 9))] for _ in range(2))
        first, second = parity.WORDS.index(a[0]), parity.WORDS.index(b[0])
        topics = "; ".join(name for i, name in enumerate(("warm", "stone", "narrow")) if first >> i & 1)
        lines.append(f"{' '.join(a)},{' '.join(b)},{first % 3},{(first + second) % 2},{5 - abs(first - second) / 3:.2f},{topics}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")


def config_text(case, dropout):
    names, settings, stage = CASES[case]
    p = 0.2 if dropout else 0.0
    text = f"[run]\nseed = 5\n{parity.MODEL}max_length = 32\nhidden_dropout = {p}\nattention_dropout = {p / 2}\n"
    for name in names:
        own = re.sub("head = .*", 'head = { kind = "cosine", dropout = DROPOUT }', settings) if name == "angle" else settings
        if name == "mood":
            own = own.replace('encode = "joint"', "")
        own = own.replace("ORDER", 'loss = "cosent"' if name == "angle" else "ordinal = 1.5")
        own = own.replace("PEARSON", 'loss = "pearson"' if name == "angle" else "")
        own = own.replace("WEIGHTS", WEIGHTS.get(name, '"balanced"'))
        text += f'[[task]]\nname = "{name}"\n{KINDS[name]}\n{own}\n[task.data]\n{DATA[name]}\n'
    rates = f"lr = {LR}\nhead_lr = {2 * LR}"
    text += f"[[stage]]\nbatch = 4\n{rates}\nmax_steps = {parity.STEPS}\nlog_every = 1\nepochs = 6\n{stage}\n"
    text += "" if "shuffle =" in stage else "shuffle = false\n"
    return text.replace("DROPOUT", str(1.5 * p))


class TaskParityTest(parity.ParityTest):
    verb, head_file, tolerance = "train", "heads.safetensors", 1e-4

    def sharpen(self, name, x):
        return x if "embeddings" in name else super().sharpen(name, x)

    def check_both(self, case):
        for dropout in (False, True):
            with self.subTest(dropout=dropout), tempfile.TemporaryDirectory() as folder:
                write_rows(Path(folder))

                def expect(run, start, masks=dropout):
                    options = {"init": start, "heads": start / self.head_file, "steps": parity.STEPS, "masks": masks, "score": False}
                    return reference.train(argparse.Namespace(config=run, **options))

                self.check(Path(folder), config_text(case, dropout), f"{case}, {parity.dropout_text(dropout)}", expect)

    def test_ordinal_with_class_weights(self):
        self.check_both("ordinal labels with class weights")

    def test_shuffled(self):
        self.check_both("shuffled rows and batches")

    def test_separate_linear(self):
        self.check_both("separate, linear")

    def test_separate_dense(self):
        self.check_both("separate, dense")

    def test_separate_comparison(self):
        self.check_both("separate, comparison")

    def test_joint_pooler_two_dense(self):
        self.check_both("joint, pooler, two dense")

    def test_class_weights(self):
        self.tolerance = 1e-5
        self.check_both("class weights")

    def test_class_weights_and_label_smoothing(self):
        self.tolerance = 1e-5
        self.check_both("class weights, label smoothing, R-Drop")

    def test_r_drop_and_layer_decay(self):
        self.check_both("R-Drop and layer decay")

    def test_joint_r_drop(self):
        self.check_both("joint R-Drop")

    def test_ordinal_and_cosent(self):
        self.check_both("ordinal, CoSENT, frozen layer")

    def test_pearson(self):
        self.check_both("Pearson loss with R-Drop")

    def test_label_smoothing_and_multi_label(self):
        self.tolerance = 1e-5
        self.check_both("label smoothing and multi_label")


if __name__ == "__main__":
    parity.main(TaskParityTest)
