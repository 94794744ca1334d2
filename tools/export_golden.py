#!/usr/bin/env python3
"""Writes tests/golden/model/tiny_bert.safetensors: results of PyTorch and transformers, in float64, with a BERT of two layers.

Each case is a task. It has a batch; the logits, the mean loss and all gradients of its first step; and the losses of ten steps with both
forms of AdamW. Dropout masks are replayed from their definition in minbert/ops/backend.h. The same PyTorch writes the same bytes.

    python3 tools/export_golden.py [folder]        needs torch, transformers, safetensors
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from export_golden_ops import BETA1, BETA2, EPS, SEED, dropout_factor
from safetensors.torch import save_file
from transformers import BertConfig, BertModel
from transformers.models.bert import modeling_bert

DTYPE = torch.float64
HIDDEN_DROPOUT, ATTENTION_DROPOUT, HEAD_DROPOUT = 0.2, 0.3, 0.4
DROPOUT_SEED, HEAD_SITE = 0x0123456789ABCDEF, 0xF001
LR, DECAY, STEPS = 2.0**-7, 2.0**-5, 10
ROWS = [3, 70000, 21]  # the examples' rows in the global batch
CONFIG = dict(
    vocab_size=17, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, max_position_embeddings=8,
    type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
)  # fmt: skip

# The sentences of a case, as lengths of their segments. For separately encoded pairs, the first three are the first sentences.
SINGLE = [[5], [2], [7]]
SEPARATE = SINGLE + [[3], [6], [1]]
JOINT = [[3, 4], [2, 1], [4, 2]]
CASES = {
    "single": dict(sentences=SINGLE, pool="pooler", features="single", dense=[], outputs=3, loss="cross_entropy", targets=[2, 0, 1]),
    "separate": dict(sentences=SEPARATE, pool="cls", features="difference", dense=[5], outputs=1, loss="mse", targets=[0.5, 4, 2.25]),
    "joint": dict(sentences=JOINT, pool="mean", features="single", dense=[6, 5], outputs=1, loss="bce", targets=[1, 0, 0.25]),
    "cosine": dict(sentences=SEPARATE, pool="mean", features="cosine", dense=[], outputs=0, loss="mse", targets=[0.5, 4, 2.25]),
    "cosine_class": dict(sentences=SEPARATE, pool="pooler", features="cosine", dense=[], outputs=1, loss="bce", targets=[1, 0, 1]),
}
RANGE = (0.0, 5.0)


class Masks:
    """Dropout masks of the current step. rows[b] is the example and pass of sentence b."""

    step = 0
    rows = []

    def factor(self, p, site, row, position, passage, head, i):
        dropout = {"p": p, "seed": DROPOUT_SEED, "step": self.step, "micro_step": 0, "site": site}
        return dropout_factor(dropout, {"row": row, "position": position, "pass": passage}, head, i)

    def hidden(self, site, shape):
        """Masks of shape (sentences, tokens, channels)."""
        return torch.tensor(
            [[[self.factor(HIDDEN_DROPOUT, site, r, t, p, 0, c) for c in range(shape[2])] for t in range(shape[1])] for r, p in self.rows], dtype=DTYPE
        )

    def attention(self, site, shape):
        """Masks of shape (sentences, heads, queries, keys)."""
        return torch.tensor(
            [[[[self.factor(ATTENTION_DROPOUT, site, r, q, p, h, k) for k in range(shape[3])] for q in range(shape[2])] for h in range(shape[1])]
             for r, p in self.rows], dtype=DTYPE,
        )  # fmt: skip

    def vectors(self, width, passage):
        """Masks of the sentence vectors that a head reads, of shape (examples, width)."""
        return torch.tensor([[self.factor(HEAD_DROPOUT, HEAD_SITE, r, 0, passage, 0, c) for c in range(width)] for r in ROWS], dtype=DTYPE)


MASKS = Masks()


class ReplayedDropout(torch.nn.Module):
    def __init__(self, site):
        super().__init__()
        self.site = site
        self.p = 0.0

    def forward(self, x):
        return x * MASKS.hidden(self.site, x.shape)


def replayed_attention(module, query, key, value, attention_mask, scaling, **_):
    scores = query @ key.transpose(2, 3) * scaling + attention_mask
    p = torch.softmax(scores, dim=-1)
    return (p * MASKS.attention(module.site, p.shape) @ value).transpose(1, 2).contiguous(), p


def make_encoder(generator):
    modeling_bert.eager_attention_forward = replayed_attention
    model = BertModel(BertConfig(**CONFIG, attn_implementation="eager")).to(DTYPE).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float32))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1).copy_(parameter.float())
    model.embeddings.dropout = ReplayedDropout(0)
    for index, layer in enumerate(model.encoder.layer):
        layer.attention.self.site = 1 + 3 * index
        layer.attention.output.dropout = ReplayedDropout(2 + 3 * index)
        layer.output.dropout = ReplayedDropout(3 + 3 * index)
    return model


def make_head(case, generator):
    if case["outputs"] == 0:
        return {}
    width = {"single": 1, "difference": 3}.get(case["features"], 0) * CONFIG["hidden_size"] or 1
    head = {}
    for index, out in enumerate(case["dense"] + [case["outputs"]]):
        name = f"heads.task.dense.{index}" if index < len(case["dense"]) else "heads.task.out"
        head[name + ".weight"] = (0.5 * torch.randn(out, width, generator=generator, dtype=torch.float32)).to(DTYPE).requires_grad_()
        head[name + ".bias"] = (0.5 * torch.randn(out, generator=generator, dtype=torch.float32)).to(DTYPE).requires_grad_()
        width = out
    return head


def make_batch(case, generator):
    """A batch as transformers takes it, padded."""
    lengths = [sum(segments) for segments in case["sentences"]]
    ids, types = (torch.zeros(len(lengths), max(lengths), dtype=torch.long) for _ in range(2))
    mask = torch.zeros_like(ids)
    for b, segments in enumerate(case["sentences"]):
        ids[b, : lengths[b]] = torch.randint(1, CONFIG["vocab_size"], (lengths[b],), generator=generator)
        types[b, segments[0] : lengths[b]] = 1
        mask[b, : lengths[b]] = 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


def forward(case, encoder, head, batch):
    """Logits (3, K)."""
    MASKS.rows = [(ROWS[b % 3], b // 3) for b in range(len(case["sentences"]))]
    out = encoder(**batch)
    mask = batch["attention_mask"].unsqueeze(2).to(DTYPE)
    hidden = out.last_hidden_state
    pooled = {"cls": hidden[:, 0], "pooler": out.pooler_output, "mean": (hidden * mask).sum(1) / mask.sum(1)}[case["pool"]]
    u = pooled[:3] * MASKS.vectors(pooled.shape[1], 0)
    v = pooled[3:] * MASKS.vectors(pooled.shape[1], 1) if len(pooled) > 3 else None
    if case["features"] == "cosine":
        x = F.cosine_similarity(u, v).unsqueeze(1)
        if case["outputs"] == 0:
            return RANGE[0] + (RANGE[1] - RANGE[0]) * x.clamp(min=0)
    else:
        x = u if case["features"] == "single" else torch.cat([u, v, (u - v).abs()], dim=1)
    for index in range(len(case["dense"])):
        x = F.gelu(F.linear(x, head[f"heads.task.dense.{index}.weight"], head[f"heads.task.dense.{index}.bias"]))
    return F.linear(x, head["heads.task.out.weight"], head["heads.task.out.bias"])


def mean_loss(case, logits):
    if case["loss"] == "cross_entropy":
        return F.cross_entropy(logits, torch.tensor(case["targets"]))
    targets = torch.tensor(case["targets"], dtype=DTYPE)
    return {"mse": F.mse_loss, "bce": F.binary_cross_entropy_with_logits}[case["loss"]](logits.squeeze(1), targets)


def has_decay(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


class AdamWPaper:
    """The update of export_golden_ops.adamw_paper for many parameters."""

    def __init__(self, parameters):
        self.t, self.rows = 0, [(name, p, torch.zeros_like(p), torch.zeros_like(p)) for name, p in parameters.items()]

    @torch.no_grad()
    def step(self):
        self.t += 1
        for name, p, m, v in self.rows:
            if p.grad is None:
                continue
            m.mul_(BETA1).add_((1 - BETA1) * p.grad)
            v.mul_(BETA2).add_((1 - BETA2) * p.grad**2)
            p.sub_(LR * math.sqrt(1 - BETA2**self.t) / (1 - BETA1**self.t) * m / (v.sqrt() + EPS))
            if has_decay(name):
                p.sub_(LR * DECAY * p)


def adamw_torch(parameters):
    groups = [{"params": [p for name, p in parameters.items() if has_decay(name) == decay], "weight_decay": DECAY * decay} for decay in (True, False)]
    return torch.optim.AdamW(groups, lr=LR, betas=(BETA1, BETA2), eps=EPS)


def run_case(name, case):
    """(the case's results, first values of the encoder, first values of the head under NAME/init/)."""
    tensors = {}
    for form, make_optimizer in (("paper", AdamWPaper), ("torch", adamw_torch)):
        encoder = make_encoder(torch.Generator().manual_seed(SEED))
        generator = torch.Generator().manual_seed(SEED + 1)
        head, batch = make_head(case, generator), make_batch(case, generator)
        parameters = {**dict(encoder.named_parameters()), **head}
        start = {key: p.detach().to(torch.float32).clone() for key, p in parameters.items()}
        optimizer, losses = make_optimizer(parameters), []
        for step in range(STEPS):
            MASKS.step = step
            for parameter in parameters.values():
                parameter.grad = None
            logits = forward(case, encoder, head, batch)
            loss = mean_loss(case, logits)
            loss.backward()
            if step == 0:
                gradients = {key: p.grad.clone() for key, p in parameters.items() if p.grad is not None}
                first_logits = logits.detach().clone()
            losses.append(loss.item())
            optimizer.step()
        tensors[f"{name}/losses_{form}"] = torch.tensor(losses, dtype=DTYPE)
    packed = batch["attention_mask"].bool()
    tensors |= {f"{name}/{key}": x for key, x in {
        "ids": batch["input_ids"][packed].int(), "type_ids": batch["token_type_ids"][packed].int(),
        "lengths": batch["attention_mask"].sum(1).int(), "logits": first_logits,
    }.items()}  # fmt: skip
    tensors |= {f"{name}/gradient/{key}": x for key, x in gradients.items()}
    return tensors, {key: x for key, x in start.items() if key not in head}, {f"{name}/init/{key}": x for key, x in start.items() if key in head}


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests/golden/model"
    folder.mkdir(parents=True, exist_ok=True)
    everything = {}
    for name, case in CASES.items():
        tensors, common, head = run_case(name, case)
        everything |= tensors | head | {f"init/{key}": x for key, x in common.items()}
    metadata = {"torch": torch.__version__, "config": json.dumps(CONFIG)}
    save_file({key: x.contiguous() for key, x in everything.items()}, folder / "tiny_bert.safetensors", metadata=metadata)


if __name__ == "__main__":
    main()
