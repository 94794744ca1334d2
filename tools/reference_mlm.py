#!/usr/bin/env python3
"""Masked-LM pretraining as a plain PyTorch loop made of reference.py's parts.

    reference_mlm.py RUN [--init MODEL] [--steps 20] [--masks] [--compare METRICS.jsonl [--tolerance 1e-4]]
    reference_mlm.py --self-test

Runs the first stage of RUN/config.toml on one file of plain lines, in file order and without held-out texts. The head's first values come
from MODEL/mlm.safetensors. --masks replays minbert's dropout. The choice of hidden tokens is always replayed, by the rule in pipeline/mlm.h.
"""

import math
import sys
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from counted_random import Stream
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast
from transformers.activations import ACT2FN
from transformers.utils import logging

import reference
from reference import AdamW, Dropout, clip_, encode, fail, schedule_factor

MLM = {"texts": [], "probes": [], "pairs": "single", "mask": 0.15, "head": "linear", "dropout": None, "held_out": 0.02}
MLM_SITE = 0xE000


def seen_token(stream, place, token, share, tokenizer):
    """(what replaces a token, whether it must be predicted). Blocks 2 * place and the next hold choice, kind and random token."""
    if token in tokenizer.all_special_ids:
        return token, False
    first, second = stream.block(2 * place), stream.block(2 * place + 1)
    chosen, kind = (((low | high << 32) >> 11) * 2.0**-53 for low, high in (first[:2], first[2:]))
    if not chosen < share:
        return token, False
    if kind < 0.8:
        return tokenizer.mask_token_id, True
    return ((second[0] | second[1] << 32) % len(tokenizer) if kind < 0.9 else token), True


def head_logits(w, config, kind, x):
    """Scores (M, V) of hidden states (M, C)."""
    if kind == "linear":
        return F.linear(x, w["mlm.weight"])
    at = "cls.predictions.transform"
    x = ACT2FN[config.hidden_act](F.linear(x, w[f"{at}.dense.weight"], w[f"{at}.dense.bias"]))
    x = F.layer_norm(x, (config.hidden_size,), w[f"{at}.LayerNorm.weight"], w[f"{at}.LayerNorm.bias"], config.layer_norm_eps)
    return F.linear(x, w["embeddings.word_embeddings.weight"], w["cls.predictions.bias"])


def padded(sequences, pad):
    length = max(map(len, sequences))
    ids = torch.tensor([s + [pad] * (length - len(s)) for s in sequences])
    return ids, torch.tensor([[1] * len(s) + [0] * (length - len(s)) for s in sequences])


def read_stage(run_folder):
    raw = tomllib.loads((run_folder / "config.toml").read_text(encoding="utf-8"))
    stage = raw["stage"][0]
    mlm = reference.section("mlm", stage.pop("mlm"), MLM)
    if stage["kind"] != "mlm" or stage["shuffle"] or stage["freeze_layers"] or mlm["held_out"] != 0 or len(mlm["texts"]) != 1:
        fail("stage", "expected kind mlm, shuffle = false, freeze_layers = 0, held_out = 0 and one file of texts")
    mlm["kind"] = "linear" if mlm["head"] == "linear" else "tied"
    if mlm["dropout"] is None:
        mlm["dropout"] = 0.3 if mlm["kind"] == "linear" else 0.0
    stage = reference.section("stage", {**stage, "kind": "finetune"}, reference.STAGE)
    return raw["run"]["seed"], reference.section("model", raw["model"], reference.MODEL), stage, mlm


def train(arguments):
    seed, model_section, stage, mlm = read_stage(arguments.config)
    init = arguments.init or Path(model_section["init"])
    bert = BertModel.from_pretrained(init, dtype=torch.float32)
    config, tokenizer, w = bert.config, BertTokenizerFast.from_pretrained(init), dict(bert.named_parameters())
    w |= {name: value.requires_grad_() for name, value in load_file(init / "mlm.safetensors").items()}
    hidden, attention = reference.dropout_rates(model_section, config)

    lines = Path(mlm["texts"][0]).read_text(encoding="utf-8").split("\n")
    sequences = [tokenizer(line, truncation=True, max_length=model_section["max_length"])["input_ids"] for line in lines]
    sequences = [ids for ids in sequences if any(token not in tokenizer.all_special_ids for token in ids)]
    places = np.concatenate([[0], np.cumsum([len(ids) for ids in sequences])])

    plan = list(reference.window_rows(stage, [{"batch": 0}], [len(sequences)], seed))
    per_epoch, total = len(plan) // stage["epochs"], min(len(plan), stage["max_steps"] or len(plan))
    warmup = math.floor(stage["warmup_ratio"] * total) if stage["warmup_steps"] is None else stage["warmup_steps"]
    optimizer = AdamW(stage["optimizer"], stage["betas"], stage["eps"])
    for step, (_, window) in enumerate(plan[: min(total, arguments.steps)], start=1):
        stream = Stream(seed, f"mask/train/{stage['name']}/{(step - 1) // per_epoch + 1}")
        seen = {row: [seen_token(stream, int(places[row]) + i, token, mlm["mask"], tokenizer) for i, token in enumerate(sequences[row])]
                for row in window}  # fmt: skip
        count = sum(chosen for tokens in seen.values() for _, chosen in tokens)
        for value in w.values():
            value.grad = None
        loss = 0.0
        for micro_step, begin in enumerate(range(0, len(window), stage["batch"])):
            rows = window[begin : begin + stage["batch"]]
            dropout = Dropout(arguments.masks, hidden, attention, seed, step, micro_step)
            ids, mask = padded([[token for token, _ in seen[row]] for row in rows], tokenizer.pad_token_id)
            chosen, _ = padded([[int(choice) for _, choice in seen[row]] for row in rows], 0)
            labels, _ = padded([sequences[row] for row in rows], 0)
            x = encode(w, config, ids, torch.zeros_like(ids), mask, dropout)
            b, t = np.ogrid[: x.shape[0], : x.shape[1]]
            x = dropout._times(x, mlm["dropout"], MLM_SITE, row=b, position=t)
            part = F.cross_entropy(head_logits(w, config, mlm["kind"], x[chosen == 1]), labels[chosen == 1], reduction="sum") / count
            part.backward()
            loss += part.item()
        norm = clip_(w.values(), stage["clip"])
        factor = schedule_factor(stage["schedule"], step - 1, warmup, total)
        optimizer.step_all(w, stage, factor, ("mlm.", "cls."))
        yield {"step": step, "task": "mlm", "loss": loss, "lr": factor * stage["lr"], "grad_norm": norm}


def self_test():
    """Compares the tied head and its gradients with BertForMaskedLM."""
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=16)
    theirs = BertForMaskedLM(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    w = {name.removeprefix("bert."): value.detach().clone().requires_grad_() for name, value in theirs.named_parameters()}
    ids, mask = padded([[2, *range(7, 14), 3], [2, 9, 3], [2, 30, 31, 32, 3]], 0)
    chosen = torch.zeros_like(ids)
    chosen[0, 2] = chosen[0, 5] = chosen[2, 1] = 1
    labels = torch.where(chosen == 1, ids + 3, -100)
    output = theirs(input_ids=ids, attention_mask=mask, labels=labels)
    output.loss.backward()
    hidden = encode(w, config, ids, torch.zeros_like(ids), mask, Dropout(False, 0.0, 0.0, 0, 1, 0))
    logits = head_logits(w, config, "tied", hidden[chosen == 1])
    loss = F.cross_entropy(logits, labels[chosen == 1])
    loss.backward()
    assert torch.allclose(logits, output.logits[chosen == 1], atol=1e-4), "logits against BertForMaskedLM"
    assert math.isclose(loss.item(), output.loss.item(), rel_tol=1e-5), "loss against BertForMaskedLM"
    for name, value in theirs.named_parameters():
        ours = w[name.removeprefix("bert.")].grad
        expected = torch.zeros_like(ours) if value.grad is None else value.grad.clone()
        if name.endswith("word_embeddings.weight"):  # PyTorch gives the padding row no gradient as an input; only as an output
            ours, expected = ours[1:], expected[1:]
        assert torch.allclose(ours, expected, atol=1e-4), f"gradient of {name} against BertForMaskedLM"
    print("self-test passed", file=sys.stderr)


if __name__ == "__main__":
    reference.main(__doc__, train, self_test)
