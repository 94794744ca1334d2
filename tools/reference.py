#!/usr/bin/env python3
"""minbert's training contract as a plain PyTorch loop, written from the contract's text and not from minbert's code.

    reference.py CONFIG.toml|RUN --heads HEADS.safetensors [--init MODEL] [--steps 20] [--masks] [--score] [--threads N]
                 [--compare METRICS.jsonl [--tolerance 1e-4]]
    reference.py --self-test

Runs the first stage of a resolved config on the batches that minbert takes, in its order, and prints a JSON line for each step. Heads come
from the best/ of a minbert run with lr = 0, because only minbert draws them. --masks replays minbert's dropout masks; without it, dropout is
off. --score adds a line with the dev scores after each epoch. --compare checks the losses against a run's metrics.jsonl and ends with 1 if
they differ by more than the tolerance. Unlike minbert, this pads batches. Unsupported config keys are errors. Needs torch, transformers,
numpy, safetensors.
"""

import argparse
import csv
import json
import math
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from counted_random import Stream, dropout_factors, philox
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizerFast
from transformers.activations import ACT2FN
from transformers.utils import logging


def fail(place, message):
    raise SystemExit(f"reference: error: {place}: {message}")


# ---- config: supported keys with their defaults; a default of None marks keys that may have any value ----

RUN = {"name": None, "seed": 11711, "keep": None, "best": None}
MODEL = {
    "init": None, "max_length": 128, "dtype": "f32", "hidden_dropout": None, "attention_dropout": None, "config": None, "vocabulary": None,
    "reinit_layers": 0,
}  # fmt: skip
TASK = {
    "name": None, "type": None, "labels": "auto", "encode": "separate", "pool": "cls", "loss": "default", "metric": None, "weight": 1.0,
    "batch": 0, "head": {}, "data": {}, "class_weights": "none", "label_smoothing": 0.0, "calibrate": None,
    "windows": None, "symmetric": None, "r_drop": 0.0, "ordinal": 0.0,
}  # fmt: skip
PAIR_FEATURES = {
    "concat": lambda u, v: [u, v],
    "difference": lambda u, v: [u, v, (u - v).abs()],
    "comparison": lambda u, v: [(u - v).abs(), u * v],
}
HEAD = {"dense": ["H"], "dropout": 0.3, "kind": "dense", "features": "auto", "init": "torch"}
DATA = {
    "train": None, "dev": None, "test": None, "text": "", "text_pair": "", "label": "", "id": None, "format": "auto",
    "delimiter": "auto", "quote": "auto", "header": "auto", "encoding": "utf-8", "preprocess": "none", "label_map": {},
    "label_range": [0, 5], "label_from": [0, 0], "on_bad_row": "error", "exclude": [], "exclude_pairs": None, "label_separator": ";",
    "label_columns": [],
}  # fmt: skip
SOURCE = {"path": None, "label": "", "where": {}, "limit": 0, "first": False, "text": "", "text_pair": "", "encoding": ""}
STAGE = {
    "name": None, "kind": "finetune", "cache_features": True, "from": None, "tasks": [], "sampler": "sequential", "epochs": 10,
    "max_steps": 0, "max_minutes": None, "batch": 8, "accumulate": 1, "lr": 1e-5, "head_lr": None, "layer_decay": 1.0, "optimizer": "adamw_paper", "schedule": "constant",
    "warmup_ratio": 0.0, "warmup_steps": None, "weight_decay": 0.0, "decay_bias_and_norm": False, "betas": [0.9, 0.999], "eps": 1e-6,
    "clip": 0.0, "shuffle": True,
    "select": None, "ties": None, "early_stop_patience": None, "log_every": None, "checkpoint_every": None, "eval_train": None, "mlm": None, "distill": None, "freeze_layers": 0, "contrastive": None, "lora": None,
}  # fmt: skip
ALLOWED = {
    "model.dtype": ["f32"], "task.type": ["classify", "pair_classify", "pair_regress", "regress", "multi_label"], "task.encode": ["separate", "joint"],
    "task.pool": ["cls", "pooler", "mean"], "task.loss": ["default", "cross_entropy", "bce", "mse", "pearson", "cosent"], "model.reinit_layers": [0], "head.kind": ["dense", "cosine"], "head.init": ["torch", "normal"],
    "data.format": ["auto", "csv", "tsv"], "data.delimiter": ["auto", "tab", ",", "\t"], "data.quote": ["auto", '"'],
    "data.header": ["auto", "yes"], "data.encoding": ["utf-8", "latin-1"], "data.preprocess": ["none", "cs224n"], "data.exclude": [[]],
    "data.label_columns": [[]],
    "data.on_bad_row": ["error", "skip"], "stage.kind": ["finetune", "multitask", "single-task", "heads"],
    "stage.sampler": ["sequential", "shuffled", "round_robin"], "stage.optimizer": ["adamw_paper", "adamw"],
    "stage.schedule": ["constant", "linear", "cosine"], "stage.lora": [None],
}  # fmt: skip


def section(name, given, defaults):
    for key in given:
        if key not in defaults:
            fail(f"{name}.{key}", "not supported")
    values = {**defaults, **given}
    for key, value in values.items():
        allowed = ALLOWED.get(f"{name}.{key}")
        if allowed is not None and value not in allowed:
            fail(f"{name}.{key}", f"expected one of {allowed}, got {value!r}")
    return values


def complete_task(task):
    """Adds the keys that follow from type, labels, encode and loss; refuses combinations without a meaning."""
    place, regress, cosine = f"task {task['name']}", task["regress"], task["head"]["kind"] == "cosine"
    task["separate"] = task["pair"] and task["encode"] == "separate"
    task["classes"] = 0 if regress else len(task["labels"]) if isinstance(task["labels"], list) else task["labels"]
    if cosine and not task["separate"]:
        fail(place, "a cosine head needs separately encoded pairs")
    sets = task["type"] == "multi_label"
    possible = ["mse", "pearson", "cosent"] if regress and cosine else ["mse", "bce"] if regress else ["bce"] if sets else ["cross_entropy"]
    if task["classes"] == 2 and not sets:
        possible.insert(0, "bce")
    if task["loss"] == "default":
        task["loss"] = possible[0]
    if task["loss"] not in possible:
        fail(place, f"loss {task['loss']} does not fit")
    task["outputs"] = task["classes"] if task["loss"] == "cross_entropy" or sets else 1


def read_config(path):
    path = path / "config.toml" if path.is_dir() else path
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    for key in set(raw) - {"format", "run", "model", "data", "task", "stage"}:
        fail(key, "not supported")
    root = path.parent / raw.get("data", {}).get("root", ".")
    tasks = []
    for task in raw["task"]:
        task = section("task", task, TASK)
        task["head"] = section("head", task["head"], HEAD)
        task["data"] = section("data", task["data"], DATA)
        task["site"], task["pair"], task["regress"] = 0xF000 + len(tasks), task["type"].startswith("pair"), task["type"].endswith("regress")
        tasks.append(task)
    model = section("model", raw["model"], MODEL)
    model["init"] = path.parent / model["init"]
    return section("run", raw.get("run", {}), RUN), model, tasks, section("stage", raw["stage"][0], STAGE), root


# ---- data ----


def course_text(text, pair):
    """The text after the preprocessing of the course's starter code."""
    text = text.lower()
    if not pair:
        return text.strip()
    for mark in ".?,'":
        text = text.replace(mark, " " + mark)
    return " ".join(text.split())


def to_label(task, cell):
    """A class index or a number. Raises ValueError for a cell without a label."""
    data = task["data"]
    cell = data["label_map"].get(cell.strip(), cell.strip())
    if task["regress"]:
        (low, high), source = data["label_range"], data["label_from"]
        source = [low, high] if source[0] == source[1] else source
        if not source[0] <= float(cell) <= source[1]:
            raise ValueError(f"label {cell!r}")
        return float(cell) if source == [low, high] else low + (float(cell) - source[0]) * (high - low) / (source[1] - source[0])
    if task["type"] == "multi_label":
        found = {part.strip() for part in cell.split(data["label_separator"])} - {""}
        if not found <= set(task["labels"]):
            raise ValueError(f"label {cell!r}")
        return [float(label in found) for label in task["labels"]]
    if isinstance(task["labels"], list):
        return task["labels"].index(cell)
    if float(cell) not in range(task["classes"]):
        raise ValueError(f"label {cell!r}")
    return int(float(cell))


def auto_labels(task, cells):
    """The classes for `labels = "auto"`: their count if train's labels are 0..K-1, else their names."""
    found = {task["data"]["label_map"].get(cell.strip(), cell.strip()) for cell in cells if cell.strip()}
    try:
        numbers = sorted({float(cell) for cell in found})
    except ValueError:
        return sorted(found)
    if numbers != list(range(len(numbers))):
        fail(f"task {task['name']}", f"labels = \"auto\" over the numbers {numbers} is not supported")
    return len(numbers)


def read_cells(task, source, root):
    """Yields (place, texts, label cell) for each record of a file; texts is None for a broken record."""
    data, path = task["data"], root / source["path"]
    with open(path, newline="", encoding=source["encoding"] or data["encoding"]) as file:
        first = file.readline()
        file.seek(0)
        delimiter = {"tab": "\t", "auto": "\t" if "\t" in first else ","}.get(data["delimiter"], data["delimiter"])
        reader = csv.reader(file, delimiter=delimiter)
        header = [name.strip() for name in next(reader)]

        def column(name):
            if name not in header and not (name.isdigit() and int(name) < len(header)):
                fail(path, f"no column {name!r} among {header}")
            return header.index(name) if name in header else int(name)

        texts = [column(source["text"] or data["text"] or "text")] + ([column(data["text_pair"])] if task["pair"] else [])
        label = None if source["label"] else column(data["label"] or "label")
        where = {column(name): value for name, value in source["where"].items()}
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if any("\n" in cell for cell in cells):
                fail(place, "a record over several lines is not supported")
            if len(cells) != len(header) or not all(cells[c].strip() for c in texts):
                yield place, None, ""
            elif all(cells[c] == value for c, value in where.items()):
                yield place, [cells[c] for c in texts], source["label"] or cells[label]


def read_rows(task, root, split="train"):
    """[(text, text_pair or None, label)] of a split, in file order; those of train complete the task."""
    data, rows = task["data"], []
    if isinstance(data["dev"], float):
        fail(f"task {task['name']}", "dev as a fraction of train is not supported")
    sources = data[split] if isinstance(data[split], list) else [data[split]]
    sources = [section(split, source if isinstance(source, dict) else {"path": source}, SOURCE) for source in sources]
    records = [list(read_cells(task, source, root)) for source in sources]
    if task["type"] == "multi_label" and not isinstance(task["labels"], list):
        fail(f"task {task['name']}", "multi_label needs a list of labels")
    if task["labels"] == "auto" and not task["regress"]:
        task["labels"] = auto_labels(task, [cell for part in records for _, _, cell in part])
    if split == "train":
        complete_task(task)
    for source, part in zip(sources, records):
        kept = []
        for place, texts, cell in part:
            try:
                if texts is None:
                    raise ValueError("a text or a column is missing")
                texts = [course_text(text, task["pair"]) for text in texts] if data["preprocess"] == "cs224n" else texts
                kept.append((texts[0], texts[1] if task["pair"] else None, to_label(task, cell)))
            except ValueError as error:
                if data["on_bad_row"] == "error":
                    fail(place, f"bad row: {error}")
        if source["limit"] and not source["first"]:
            fail(source["path"], "a drawn limit is not supported")
        rows += kept[: source["limit"] or None]
    if split == "train":
        task["factors"] = class_factors(task, [label for _, _, label in rows])
    return rows


def class_factors(task, labels):
    """class_weights as a tensor by class; None for "none". "balanced" is scikit-learn's, and for multi_label negatives / positives."""
    weights = task["class_weights"]
    if weights == "none":
        return None
    if isinstance(weights, dict):
        names = task["labels"] if isinstance(task["labels"], list) else [str(k) for k in range(task["classes"])]
        return torch.tensor([float(weights.get(name, 1.0)) for name in names])
    if task["type"] == "multi_label":
        counts = torch.tensor(labels).sum(0)
        return (len(labels) - counts) / counts
    counts = torch.bincount(torch.tensor(labels), minlength=task["classes"]).float()
    return len(labels) / (task["classes"] * counts)


def window_rows(stage, tasks, counts, seed):
    """Yields (task index, rows) for each optimizer step of all epochs, as minbert/data/sampler.h says."""
    sizes = [(task["batch"] or stage["batch"]) * stage["accumulate"] for task in tasks]
    batches = [math.ceil(n / size) for n, size in zip(counts, sizes)]
    taken, walks = [0] * len(tasks), [[] for _ in tasks]
    for epoch in range(1, stage["epochs"] + 1):
        if stage["sampler"] == "round_robin":
            order = [step % len(tasks) for step in range(sum(batches))]
        else:
            order = [i for i, n in enumerate(batches) for _ in range(n)]
        if stage["sampler"] == "shuffled":
            order = [order[i] for i in Stream(seed, f"sampler/{stage['name']}/{epoch}").permutation(len(order))]
        for i in order:
            round_, batch = divmod(taken[i], batches[i])
            taken[i] += 1
            if batch == 0:
                stream = f"rows/{stage['name']}/{tasks[i].get('name')}/{round_}"
                walks[i] = Stream(seed, stream).permutation(counts[i]) if stage["shuffle"] else range(counts[i])
            yield i, walks[i][batch * sizes[i] : (batch + 1) * sizes[i]]


# ---- model ----


@dataclass
class Dropout:
    """minbert's dropout masks in one micro-step. Padding gets factors too, but nothing reads them."""

    on: bool
    hidden: float
    attention: float
    seed: int
    step: int
    micro_step: int

    def _times(self, x, p, site, **address):
        if not self.on or p == 0:
            return x
        factors = dropout_factors(x.shape[-1], p=p, seed=self.seed, step=self.step, micro_step=self.micro_step, site=site, **address)
        return x * torch.from_numpy(np.ascontiguousarray(factors))

    def tokens(self, x, site, pass_):
        """x (B, T, C)."""
        b, t = np.ogrid[: x.shape[0], : x.shape[1]]
        return self._times(x, self.hidden, site, row=b, position=t, pass_=pass_)

    def probabilities(self, x, site, pass_):
        """x (B, heads, queries, keys)."""
        b, h, t = np.ogrid[: x.shape[0], : x.shape[1], : x.shape[2]]
        return self._times(x, self.attention, site, row=b, position=t, head=h, pass_=pass_)

    def vectors(self, x, p, site, pass_):
        """x (B, C): one vector for each sentence."""
        return self._times(x, p, site, row=np.arange(x.shape[0]), position=0, pass_=pass_)


def dropout_rates(model, config):
    """(hidden, attention): what [model] gives, or else the encoder's config."""
    return tuple(default if given is None else given for given, default in (
        (model["hidden_dropout"], config.hidden_dropout_prob), (model["attention_dropout"], config.attention_probs_dropout_prob)))  # fmt: skip


def encode(w, config, ids, types, mask, dropout, pass_=0):
    """Last hidden states (B, T, C) by the formulas of transformers' modeling_bert; w has its parameters by name."""
    batch, length = ids.shape
    heads, layers, activation = config.num_attention_heads, config.num_hidden_layers, ACT2FN[config.hidden_act]

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, (config.hidden_size,), w[f"{name}.weight"], w[f"{name}.bias"], config.layer_norm_eps)

    x = F.embedding(ids, w["embeddings.word_embeddings.weight"]) + w["embeddings.position_embeddings.weight"][:length]
    x = x + F.embedding(types, w["embeddings.token_type_embeddings.weight"])
    x = dropout.tokens(norm(x, "embeddings.LayerNorm"), 0, pass_)
    ignored = torch.where(mask == 1, 0.0, float("-inf"))[:, None, None, :]
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        q, k, v = (linear(x, f"{at}.attention.self.{n}").view(batch, length, heads, -1).transpose(1, 2) for n in ("query", "key", "value"))
        p = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + ignored, dim=-1)
        context = (dropout.probabilities(p, 1 + 3 * layer, pass_) @ v).transpose(1, 2).reshape(x.shape)
        y = dropout.tokens(linear(context, f"{at}.attention.output.dense"), 2 + 3 * layer, pass_)
        x = norm(y + x, f"{at}.attention.output.LayerNorm")
        y = linear(activation(linear(x, f"{at}.intermediate.dense")), f"{at}.output.dense")
        x = norm(dropout.tokens(y, 3 + 3 * layer, pass_) + x, f"{at}.output.LayerNorm")
    return x


def pool(w, hidden, mask, kind):
    if kind == "mean":
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    if kind == "cls":
        return hidden[:, 0]
    return torch.tanh(F.linear(hidden[:, 0], w["pooler.dense.weight"], w["pooler.dense.bias"]))


class Model:
    def __init__(self, folder, heads_file, model, tasks):
        folder = folder / "best" if (folder / "best").is_dir() else folder
        bert = BertModel.from_pretrained(folder, dtype=torch.float32)
        self.config, self.w = bert.config, dict(bert.named_parameters())
        self.tokenizer = BertTokenizerFast.from_pretrained(folder)
        self.max_length = min(model["max_length"], self.config.max_position_embeddings)
        self.encoder_names = [name for name in self.w if not name.startswith("pooler.")]
        heads = load_file(heads_file) if heads_file else {}
        for task in tasks:
            for name, shape in self.head_shapes(task).items():
                tensor = heads.get(name)
                if tensor is None or list(tensor.shape) != shape:
                    fail(heads_file or "--heads", f"{name}: expected shape {shape}, got {None if tensor is None else list(tensor.shape)}")
                self.w[name] = tensor.float().requires_grad_()

    def head_shapes(self, task):
        hidden, prefix, shapes, cosine = self.config.hidden_size, f"heads.{task['name']}", {}, task["head"]["kind"] == "cosine"
        if cosine and task["regress"]:
            return {}
        width = 1 if cosine else hidden * ({"difference": 3}.get(self.pair_features(task), 2) if task["separate"] else 1)
        for i, out in enumerate([] if cosine else task["head"]["dense"]):
            out = int(out[:-1] or 1) * hidden if isinstance(out, str) else out
            shapes |= {f"{prefix}.dense.{i}.weight": [out, width], f"{prefix}.dense.{i}.bias": [out]}
            width = out
        return shapes | {f"{prefix}.out.weight": [task["outputs"], width], f"{prefix}.out.bias": [task["outputs"]]}

    @staticmethod
    def pair_features(task):
        named = task["head"]["features"]
        return named if named != "auto" else "difference" if task["regress"] else "concat"

    def sentence_vectors(self, task, texts, pairs, dropout, pass_):
        tokens = self.tokenizer(texts, pairs, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")
        mask = tokens["attention_mask"]
        hidden = encode(self.w, self.config, tokens["input_ids"], tokens["token_type_ids"], mask, dropout, pass_)
        return dropout.vectors(pool(self.w, hidden, mask, task["pool"]), task["head"]["dropout"], task["site"], pass_)

    def logits(self, task, rows, dropout, pass_=0):
        """Logits (B, outputs); a cosine head that regresses gives its prediction instead."""
        first, second = [row[0] for row in rows], [row[1] for row in rows]
        if task["separate"]:
            u, v = (self.sentence_vectors(task, texts, None, dropout, pass_ + i) for i, texts in enumerate((first, second)))
            x = torch.cat(PAIR_FEATURES[self.pair_features(task)](u, v), dim=1)
        else:
            x = self.sentence_vectors(task, first, second if task["pair"] else None, dropout, pass_)
        prefix = f"heads.{task['name']}"
        if task["head"]["kind"] == "cosine":
            x = F.cosine_similarity(u, v, eps=1e-8)[:, None]
            if task["regress"]:
                low, high = task["data"]["label_range"]
                return low + (high - low) * x.clamp(min=0)
        else:
            for i in range(len(task["head"]["dense"])):
                x = F.gelu(F.linear(x, self.w[f"{prefix}.dense.{i}.weight"], self.w[f"{prefix}.dense.{i}.bias"]))
        return F.linear(x, self.w[f"{prefix}.out.weight"], self.w[f"{prefix}.out.bias"])

    def loss_sum(self, task, rows, dropout, r_drop):
        """The sum of the rows' losses, and `r_drop` times that of R-Drop's terms."""
        logits, labels = self.logits(task, rows, dropout), torch.tensor([row[2] for row in rows])
        loss = task_loss(task, logits, labels, "sum")
        if not task["r_drop"]:
            return loss
        again = self.logits(task, rows, dropout, pass_=2)
        return (loss + task_loss(task, again, labels, "sum")) / 2 + r_drop * disagreement(task, logits, again)


def disagreement(task, a, b):
    """R-Drop's term (arXiv:2106.14448, equation 2), summed over rows; the squared distance of numbers that are not trained by BCE."""
    if task["regress"] and task["loss"] != "bce":
        return (a - b).pow(2).sum()
    if task["loss"] == "cross_entropy":
        p, q = torch.distributions.Categorical(logits=a), torch.distributions.Categorical(logits=b)
        return (torch.distributions.kl_divergence(p, q) + torch.distributions.kl_divergence(q, p)).sum() / 2

    def divergence(x, y):  # torch's own of two Bernoulli distributions is infinite where a probability rounds to 0 or 1
        crossed, own = (F.binary_cross_entropy_with_logits(z, torch.sigmoid(x), reduction="sum") for z in (y, x))
        return crossed - own

    return (divergence(a, b) + divergence(b, a)) / 2


def task_loss(task, logits, labels, reduction):
    """torch's own loss of the task. Two classes of one logit x are smoothed as the classes of a softmax over (0, x)."""
    factors, smoothing = task["factors"], task["label_smoothing"]
    if task["loss"] == "cross_entropy" and task.get("ordinal"):
        distances = (torch.arange(logits.shape[1])[None, :] - labels[:, None]).abs()
        each = F.cross_entropy(logits, torch.softmax(-task["ordinal"] * distances.float(), dim=1), reduction="none")
        weights = torch.ones(len(labels)) if factors is None else factors[labels]  # a row keeps the factor of its label
        return (each * weights).sum() / (1 if reduction == "sum" else weights.sum())
    if task["loss"] == "cross_entropy":
        return F.cross_entropy(logits, labels, weight=factors, label_smoothing=smoothing, reduction=reduction)
    if task["type"] == "multi_label":
        targets = labels * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=factors, reduction=reduction)
    if not task["regress"] and smoothing:
        both = torch.cat([torch.zeros_like(logits), logits], dim=1)
        each = F.cross_entropy(both, labels, weight=factors, label_smoothing=smoothing, reduction="none")
        return each.sum() if reduction == "sum" else each.mean()
    if not task["regress"]:
        weight = None if factors is None else factors[labels]
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.float(), weight=weight, reduction=reduction)
    return regression_loss(task, logits, labels, reduction)


def loss_terms(task, rows):
    """What the sum of the losses of rows is divided by for torch's mean."""
    if task["type"] == "multi_label":
        return len(rows) * task["classes"]
    if task["loss"] != "cross_entropy" or task["factors"] is None:
        return len(rows)
    return task["factors"][[row[2] for row in rows]].sum().item()


def regression_loss(task, logits, labels, reduction):
    if task["loss"] in ("pearson", "cosent"):  # the loss of a whole batch, which each of its rows has
        batch = pearson_loss(logits[:, 0], labels) if task["loss"] == "pearson" else cosent(logits[:, 0], labels, task["data"]["label_range"])
        return batch * (len(labels) if reduction == "sum" else 1)
    if task["loss"] == "mse":
        return F.mse_loss(logits[:, 0], labels.float(), reduction=reduction)
    low, high = task["data"]["label_range"]
    return F.binary_cross_entropy_with_logits(logits[:, 0], ((labels - low) / (high - low)).float(), reduction=reduction)


def pearson_loss(x, y):
    x, y = x - x.mean(), (y - y.mean()).float()
    return 1 - (x @ y) / (x.norm() * y.norm())


def cosent(x, y, label_range):
    """sentence-transformers' CoSENTLoss, of cosines that span the label range."""
    scores = 20 * x / (label_range[1] - label_range[0])
    differences = scores[None, :] - scores[:, None]  # of row j and row i
    return torch.logsumexp(torch.cat([torch.zeros(1), differences[y[:, None] > y[None, :]]]), dim=0)


# ---- optimizer ----


def schedule_factor(kind, step, warmup, total):
    """transformers' get_{constant,linear,cosine}_schedule_with_warmup, step counted from 0."""
    if step < warmup:
        return step / max(1, warmup)
    if kind == "linear":
        return max(0.0, (total - step) / max(1, total - warmup))
    if kind == "cosine":
        return max(0.0, 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup))))
    return 1.0


class AdamW:
    """AdamW in both forms. A parameter without a gradient in a step does not change: no moments, no decay, no count of steps."""

    def __init__(self, form, betas, eps):
        self.form, self.betas, self.eps, self.state = form, betas, eps, {}

    @torch.no_grad()
    def step(self, name, value, lr, decay):
        g, (b1, b2) = value.grad, self.betas
        t, m, v = self.state.get(name, (0, torch.zeros_like(value), torch.zeros_like(value)))
        t, m, v = t + 1, m.mul_(b1).add_(g, alpha=1 - b1), v.mul_(b2).addcmul_(g, g, value=1 - b2)
        self.state[name] = (t, m, v)
        if self.form == "adamw_paper":
            value.addcdiv_(m, v.sqrt().add_(self.eps), value=-lr * math.sqrt(1 - b2**t) / (1 - b1**t))
            value.mul_(1 - lr * decay)
        else:
            value.mul_(1 - lr * decay)
            value.addcdiv_(m, (v / (1 - b2**t)).sqrt_().add_(self.eps), value=-lr / (1 - b1**t))

    def step_all(self, w, stage, factor, heads):
        """Steps every parameter of w that has a gradient; names that start as one of `heads` take the stage's head_lr."""
        head_lr = stage["lr"] if stage["head_lr"] is None else stage["head_lr"]
        layers = 1 + max(layer_of(name) for name in w)
        for name, value in w.items():
            if value.grad is not None:
                decay = stage["weight_decay"] if decays(name) or stage["decay_bias_and_norm"] else 0.0
                above = 0 if name.startswith((*heads, "pooler.")) else layers - 1 - layer_of(name)
                rate = (head_lr if name.startswith(heads) else stage["lr"]) * stage.get("layer_decay", 1.0) ** above
                self.step(name, value, factor * rate, decay)


def layer_of(name):
    """The encoder layer of a parameter, from 0; -1 for the embeddings, which lie below, and outside the encoder."""
    return int(name.split(".")[2]) if name.startswith("encoder.layer.") else -1


def decays(name):
    return not (name.endswith(".bias") or "LayerNorm" in name)


def clip_(parameters, limit):
    """Scales all gradients so that their norm is at most `limit` (0: no limit). Returns the norm before."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = math.hypot(*(torch.linalg.vector_norm(g, dtype=torch.float64).item() for g in gradients))
    if limit > 0:
        for g in gradients:
            g.mul_(min(1.0, limit / (norm + 1e-6)))
    return norm


def train(arguments):
    run, model_section, all_tasks, stage, root = read_config(arguments.config)
    by_name = {task["name"]: task for task in all_tasks}
    tasks = [by_name[name] for name in stage["tasks"] or by_name]
    rows = [read_rows(task, root) for task in tasks]
    dev = {task["name"]: read_rows(task, root, "dev") for task in tasks} if arguments.score else {}
    model = Model(arguments.init or model_section["init"], arguments.heads, model_section, tasks)
    frozen = stage["kind"] == "heads"
    for name in model.encoder_names + [name for name in model.w if name.startswith("pooler.")]:
        stays = stage["freeze_layers"] > 0 and not name.startswith("pooler.") and layer_of(name) < stage["freeze_layers"]
        model.w[name].requires_grad_(not frozen and not stays)

    hidden, attention = dropout_rates(model_section, model.config)
    if frozen and stage["cache_features"]:
        hidden = attention = 0.0
    if not arguments.masks and max(hidden, attention, *(task["head"]["dropout"] for task in tasks)) > 0:
        print("reference: note: dropout is off without --masks", file=sys.stderr)

    plan = list(window_rows(stage, tasks, [len(r) for r in rows], run["seed"]))
    total = min(len(plan), stage["max_steps"] or len(plan))
    warmup = math.floor(stage["warmup_ratio"] * total) if stage["warmup_steps"] is None else stage["warmup_steps"]
    optimizer = AdamW(stage["optimizer"], stage["betas"], stage["eps"])
    for step, (index, window) in enumerate(plan[: min(total, arguments.steps)], start=1):
        task, batch = tasks[index], tasks[index]["batch"] or stage["batch"]
        for value in model.w.values():
            value.grad = None
        loss, terms = 0.0, loss_terms(task, [rows[index][i] for i in window])
        r_drop = task["r_drop"] * terms / (len(window) * (task["classes"] if task["type"] == "multi_label" else 1))
        for micro_step, begin in enumerate(range(0, len(window), batch)):
            dropout = Dropout(arguments.masks, hidden, attention, run["seed"], step, micro_step)
            part = model.loss_sum(task, [rows[index][i] for i in window[begin : begin + batch]], dropout, r_drop) / terms
            (part * task["weight"]).backward()
            loss += part.item()
        norm = clip_(model.w.values(), stage["clip"])
        factor = schedule_factor(stage["schedule"], step - 1, warmup, total)
        optimizer.step_all(model.w, stage, factor, ("heads.",))
        yield {"step": step, "task": task["name"], "loss": loss, "lr": factor * stage["lr"], "grad_norm": norm}
        if arguments.score and step % (len(plan) // stage["epochs"]) == 0:
            yield {"step": step, "scores": {task["name"]: score(model, task, dev[task["name"]]) for task in tasks}}


@torch.no_grad()
def score(model, task, rows, batch=32):
    """Accuracy, or Pearson's r of a task of numbers."""
    if task["type"] == "multi_label":
        fail(f"task {task['name']}", "--score of multi_label is not supported")
    off = Dropout(False, 0.0, 0.0, 0, 0, 0)
    logits = torch.cat([model.logits(task, rows[begin : begin + batch], off) for begin in range(0, len(rows), batch)])
    labels = torch.tensor([row[2] for row in rows])
    if task["regress"]:
        answers = torch.sigmoid(logits[:, 0]) if task["loss"] == "bce" else logits[:, 0]
        return torch.corrcoef(torch.stack([answers.double(), labels.double()]))[0, 1].item()
    answers = logits.argmax(1) if task["outputs"] > 1 else logits[:, 0] > 0
    return (answers == labels).double().mean().item()


# ---- checks ----


def compare(ours, metrics_file, tolerance):
    """Prints the largest relative differences to a run's metrics.jsonl. True if the losses agree within the tolerance; NaN does not."""
    events = [json.loads(line) for line in Path(metrics_file).read_text(encoding="utf-8").splitlines()]
    theirs = {event["step"]: event for event in events if event.get("event") == "step"}
    both = [(a, theirs[a["step"]]) for a in ours if a["step"] in theirs]
    if not both:
        fail(metrics_file, "no step to compare")
    for a, b in both:
        if a["task"] != b["task"]:
            fail(metrics_file, f"step {a['step']}: expected task {a['task']}, got {b['task']}")

    def worst(key):
        difference = [(abs(a[key] - b[key]) / max(abs(a[key]), 1e-8) if b[key] is not None else math.nan, a["step"]) for a, b in both]
        return max(difference, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0])

    (loss, step), (norm, _), (lr, _) = worst("loss"), worst("grad_norm"), worst("lr")
    print(f"{len(both)} steps: largest relative difference of loss {loss:.2e} (step {step}), grad_norm {norm:.2e}, lr {lr:.2e}",
          file=sys.stderr)  # fmt: skip
    return loss <= tolerance


def self_test():
    """Compares each hand-written part with the library that defines it."""
    from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

    torch.manual_seed(0)
    words = [int(word) for word in philox(0x299F31D0A4093822, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344))]
    assert words == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1], "philox: known answer"
    kept = dropout_factors(1000, p=0.25, seed=1, step=1, micro_step=0, site=3, row=np.arange(50), position=0)
    assert kept.shape == (50, 1000) and abs((kept == 0).mean() - 0.25) < 0.01 and kept.max() == np.float32(4 / 3), "dropout_factors"

    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40}
    config = BertConfig(vocab_size=50, max_position_embeddings=16, **sizes)
    bert = BertModel(config).eval()
    for parameter in bert.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    w, ids = dict(bert.named_parameters()), torch.randint(1, 50, (3, 9))
    types, mask = torch.randint(0, 2, (3, 9)), torch.tensor([[1] * n + [0] * (9 - n) for n in (9, 4, 1)])
    off = Dropout(False, 0.1, 0.1, 0, 1, 0)
    hidden = encode(w, config, ids, types, mask, off)
    theirs = bert(input_ids=ids, token_type_ids=types, attention_mask=mask)
    assert torch.allclose(hidden[mask == 1], theirs.last_hidden_state[mask == 1], atol=1e-5), "encode against BertModel"
    assert torch.allclose(pool(w, hidden, mask, "pooler"), theirs.pooler_output, atol=1e-5), "pooler against BertModel"
    masked = encode(w, config, ids, types, mask, Dropout(True, 0.1, 0.1, 0, 1, 0))
    assert not torch.allclose(hidden[mask == 1], masked[mask == 1], atol=1e-2), "masks change nothing"

    factors, logits = torch.tensor([0.5, 2.0, 1.0]), torch.randn(6, 3)
    for loss, kind, labels in (
        ("cross_entropy", "classify", torch.tensor([0, 1, 2, 1, 0, 2])),
        ("bce", "multi_label", (torch.rand(6, 3) > 0.5).float()),
    ):
        task = {"loss": loss, "type": kind, "regress": False, "classes": 3, "factors": factors, "label_smoothing": 0.1}
        rows = [(None, None, label.tolist()) for label in labels]
        mean, total = (task_loss(task, logits, labels, reduction) for reduction in ("mean", "sum"))
        assert torch.allclose(mean, total / loss_terms(task, rows)), f"{kind}: sum / loss_terms against torch's mean"

    ours, other = (torch.randn(4, 5, generator=torch.Generator().manual_seed(1), requires_grad=True) for _ in range(2))
    adamw, torchs = AdamW("adamw", (0.8, 0.95), 1e-3), torch.optim.AdamW([other], lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2)
    for _ in range(5):
        for value in (ours, other):
            value.grad = None
            value.pow(3).sum().backward()
        norm = clip_([ours], 2.0)
        assert math.isclose(norm, torch.nn.utils.clip_grad_norm_([other], 2.0).item(), rel_tol=1e-5), "clip_ against PyTorch"
        adamw.step("x", ours, 0.1, 0.2)
        torchs.step()
        assert torch.allclose(ours, other, atol=1e-6), "AdamW against PyTorch"
    for kind, make in (("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)):
        schedule = make(torch.optim.SGD([other], lr=1.0), 4, 13)
        assert all(math.isclose(schedule.lr_lambdas[0](s), schedule_factor(kind, s, 4, 13)) for s in range(15)), f"{kind} schedule"
    print("self-test passed", file=sys.stderr)


def main(about, train, self_test):
    """The command line of this tool and of reference_mlm.py."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path)
    parser.add_argument("--init", type=Path, help="model folder, instead of model.init")
    parser.add_argument("--heads", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.self_test:
        return self_test()
    if arguments.config is None:
        parser.error("expected a config or a run folder")
    steps = []
    for step in train(arguments):
        print(json.dumps(step), flush=True)
        if "loss" in step:
            steps.append(step)
    if arguments.compare and not compare(steps, arguments.compare, arguments.tolerance):
        raise SystemExit(1)


if __name__ == "__main__":
    main(__doc__, train, self_test)
