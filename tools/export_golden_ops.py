#!/usr/bin/env python3
"""Writes tests/golden/ops/*.safetensors: PyTorch's results, in float64, for ops whose definition could be misread.

Each file is one op. Inputs are float32 values stored as F64, so that every backend can represent them exactly. `dout` is the cotangent,
`d<input>` the gradient of an input. The same PyTorch writes the same bytes.

    python3 tools/export_golden_ops.py [folder]        needs torch, transformers, safetensors
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from counted_random import dropout_factors
from safetensors.torch import save_file
from transformers.activations import ACT2FN

SEED = 11711
DTYPE = torch.float64


def normal(generator, *shape, scale=1.0):
    return (torch.randn(*shape, generator=generator, dtype=torch.float32) * scale).to(DTYPE)


def integers(*values):
    return torch.tensor(values, dtype=torch.int32)


def with_gradients(inputs, out, dout):
    """The op's inputs, output and cotangent, and the gradients of all inputs that require one."""
    wanted = {name: x for name, x in inputs.items() if x.requires_grad}
    gradients = torch.autograd.grad(out, list(wanted.values()), dout)
    tensors = {**inputs, "out": out, "dout": dout, **{"d" + name: g for name, g in zip(wanted, gradients)}}
    return {name: x.detach().clone().contiguous() for name, x in tensors.items()}


def linear(g):
    x, w, bias = (normal(g, *s).requires_grad_() for s in [(3, 5), (4, 5), (4,)])
    return with_gradients({"x": x, "w": w, "bias": bias}, F.linear(x, w, bias), normal(g, 3, 4))


def activation(hf_name):
    """The Hugging Face function for a config's hidden_act, and tanh for the pooler."""

    def make(g):
        x = normal(g, 4, 9, scale=2.0).requires_grad_()
        return with_gradients({"x": x}, ACT2FN[hf_name](x), normal(g, 4, 9))

    return make


def layernorm(g):
    x = normal(g, 3, 8, scale=2.0).requires_grad_()
    gamma, beta = (normal(g, 8).requires_grad_() for _ in range(2))
    return with_gradients({"x": x, "gamma": gamma, "beta": beta}, F.layer_norm(x, (8,), gamma, beta, eps=1e-5), normal(g, 3, 8))


def embedding(g):
    word, position, type_ = (normal(g, rows, 4).requires_grad_() for rows in (7, 5, 2))
    ids, positions, types = integers(3, 6, 3, 0, 3), integers(0, 1, 2, 0, 1), integers(0, 0, 1, 0, 0)
    out = F.embedding(ids, word) + F.embedding(positions, position) + F.embedding(types, type_)
    inputs = {"word": word, "position": position, "type": type_, "ids": ids, "positions": positions, "types": types}
    return with_gradients(inputs, out, normal(g, 5, 4))


DROPOUT = {"p": 0.3, "seed": 0x0123456789ABCDEF, "step": 70000, "micro_step": 2, "site": 9}
ROWS = {"row": [0, 0, 5, 5, 5, 9999999], "position": [0, 1, 0, 1, 2, 511], "pass_": [0, 0, 1, 1, 1, 0]}


def masks(n, rows=slice(None), head=0):
    """Dropout factors (rows, n) of the rows above."""
    return torch.tensor(dropout_factors(n, **DROPOUT, **{key: values[rows] for key, values in ROWS.items()}, head=head)).to(DTYPE)


def dropout(g):
    x = normal(g, 6, 21).requires_grad_()
    return with_gradients({"x": x}, x * masks(21), normal(g, 6, 21))


def attention(with_dropout):
    """Sentences of 2, 3 and 1 tokens, 2 heads of width 3. The mask multiplies the probabilities after the softmax."""

    def make(g):
        heads, size, offsets = 2, 3, [0, 2, 5, 6]
        q, k, v = (normal(g, 6, heads * size).requires_grad_() for _ in range(3))
        parts = []
        for begin, end in zip(offsets, offsets[1:]):
            split = [x[begin:end].view(end - begin, heads, size).transpose(0, 1) for x in (q, k, v)]
            if with_dropout:
                p = torch.softmax(split[0] @ split[1].transpose(1, 2) / math.sqrt(size), dim=-1)
                y = (p * torch.stack([masks(end - begin, slice(begin, end), h) for h in range(heads)])) @ split[2]
            else:
                y = F.scaled_dot_product_attention(*(s.unsqueeze(0) for s in split)).squeeze(0)
            parts.append(y.transpose(0, 1).reshape(end - begin, heads * size))
        return with_gradients({"q": q, "k": k, "v": v, "offsets": integers(*offsets)}, torch.cat(parts), normal(g, 6, heads * size))

    return make


def mean_pool(g):
    """The mean that sentence-transformers takes over an attention mask, for rows of a packed matrix."""
    x, offsets = normal(g, 6, 4).requires_grad_(), [0, 2, 5, 6]
    out = torch.stack([x[a:b].mean(dim=0) for a, b in zip(offsets, offsets[1:])])
    return with_gradients({"x": x, "offsets": integers(*offsets)}, out, normal(g, 3, 4))


def pair_features(g):
    u, v = normal(g, 3, 4), normal(g, 3, 4)
    v[1, 2] = u[1, 2]  # |x| has no derivative at 0; PyTorch and minbert use 0
    u.requires_grad_(), v.requires_grad_()
    return with_gradients({"u": u, "v": v}, torch.cat([u, v, (u - v).abs()], dim=1), normal(g, 3, 12))


def cosine(g):
    u, v = (normal(g, 4, 5).requires_grad_() for _ in range(2))
    return with_gradients({"u": u, "v": v}, F.cosine_similarity(u, v), normal(g, 4))


def losses(make_loss):
    """`out` has a loss for each row; gradients are those of 0.125 times their sum."""

    def make(g):
        inputs, out = make_loss(g)
        return with_gradients(inputs, out, torch.full_like(out, 0.125))

    return make


def cross_entropy(g):
    logits, labels = normal(g, 4, 5, scale=4.0).requires_grad_(), integers(1, 4, 0, 1)
    return {"logits": logits, "labels": labels}, F.cross_entropy(logits, labels.long(), reduction="none")


def bce_with_logits(g):
    logits, targets = normal(g, 5, scale=4.0).requires_grad_(), torch.tensor([0, 1, 0.25, 0.75, 1], dtype=DTYPE)
    return {"logits": logits, "targets": targets}, F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def mse(g):
    predictions, targets = normal(g, 5, scale=2.0).requires_grad_(), torch.tensor([0, 5, 2.5, 1.25, 4], dtype=DTYPE)
    return {"predictions": predictions, "targets": targets}, F.mse_loss(predictions, targets, reduction="none")


# The betas and eps as AdamWOptions holds them, in float32.
BETA1, BETA2, EPS = (float(torch.tensor(x, dtype=torch.float32)) for x in (0.9, 0.999, 1e-6))
LR, DECAY, CLIP = 0.0625, 0.125, 1.5


def adamw_torch(g):
    """Five steps of torch.optim.AdamW with clipping; `squared_norms` has the squared norms before clipping."""
    parameter = normal(g, 9)
    start, gradients, norms = parameter.clone(), normal(g, 5, 9), []
    optimizer = torch.optim.AdamW([parameter.requires_grad_()], lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        norms.append(torch.nn.utils.clip_grad_norm_([parameter], CLIP) ** 2)
        optimizer.step()
    state = optimizer.state[parameter]
    return {
        "start": start, "gradients": gradients, "squared_norms": torch.stack(norms), "value": parameter.detach().clone(),
        "m": state["exp_avg"], "v": state["exp_avg_sq"],
    }  # fmt: skip


def adamw_paper(g):
    """Five steps of the efficient form of Adam (Kingma and Ba, section 2) with decay after the update and without clipping."""
    theta = normal(g, 9)
    start, gradients = theta.clone(), normal(g, 5, 9)
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    for t, gradient in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * gradient
        v = BETA2 * v + (1 - BETA2) * gradient**2
        step = LR * math.sqrt(1 - BETA2**t) / (1 - BETA1**t)
        theta = theta - step * m / (v.sqrt() + EPS)
        theta = theta - LR * DECAY * theta
    return {"start": start, "gradients": gradients, "value": theta, "m": m, "v": v}


OPS = {
    "linear": linear,
    "gelu": activation("gelu"),
    "gelu_new": activation("gelu_new"),
    "relu": activation("relu"),
    "silu": activation("silu"),
    "tanh": activation("tanh"),
    "layernorm": layernorm,
    "embedding": embedding,
    "dropout": dropout,
    "attention": attention(with_dropout=False),
    "attention_dropout": attention(with_dropout=True),
    "mean_pool": mean_pool,
    "pair_features": pair_features,
    "cosine": cosine,
    "cross_entropy": losses(cross_entropy),
    "bce_with_logits": losses(bce_with_logits),
    "mse": losses(mse),
    "adamw_torch": adamw_torch,
    "adamw_paper": adamw_paper,
}


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests/golden/ops"
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in OPS.items():
        save_file(make(torch.Generator().manual_seed(SEED)), folder / f"{name}.safetensors", metadata={"torch": torch.__version__})


if __name__ == "__main__":
    main()
