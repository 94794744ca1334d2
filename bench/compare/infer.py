#!/usr/bin/env python3
"""Compares sentence vectors with transformers + PyTorch and onnxruntime on the same ragged batches.

    python bench/compare/infer.py --model FOLDER [--batches 1 8 32] [--orders sorted ragged] [--dtypes f32 bf16]
                                  [--engines sdpa eager compiled onnxruntime] [--rounds 5] [--ids FILE] > figures.jsonl

Token ids to means of the last hidden states. sorted: examples of like length share a batch, as a peer that sorts its input has it;
ragged: as they come. Peers pad to the longest of a batch; bf16 is PyTorch's with bf16 weights. Contestants are processes that take
turns; ratio is the peer's time over ours of the same round, its median over rounds and its spread. Lines go to stdout, a table to
stderr. Needs torch and transformers; onnxruntime takes part in f32 where it and onnx are installed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import common


def exported(o, folder):
    """The model as an ONNX file; nothing, with a message, where that cannot be had."""
    missing = [package for package in ("onnxruntime", "onnx") if find_spec(package) is None]
    if missing:
        print(f"onnxruntime skipped: {', '.join(missing)} not installed", file=sys.stderr)
        return None
    path = Path(folder) / "model.onnx"
    common.run(common.peer(o, "export", "onnxruntime", "--onnx", path), common.environment(o))
    return path


def contestants(o, dtype, same, onnx):
    found = {"minbert": common.ours(o, "infer", *same)}
    found |= {f"PyTorch {engine}": common.peer(o, "infer", engine, *same) for engine in o.engines if engine != "onnxruntime"}
    if onnx and dtype == "f32":
        found["onnxruntime"] = common.peer(o, "infer", "onnxruntime", *same, "--onnx", onnx)
    return found


def main():
    flags = common.add_batch_flags(common.parser(__doc__, rounds=5))
    flags.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32], help="examples in a batch")
    flags.add_argument("--orders", nargs="+", default=["sorted", "ragged"], choices=["sorted", "ragged"])
    flags.add_argument("--engines", nargs="+", default=["sdpa", "compiled", "onnxruntime"], choices=["sdpa", "eager", "compiled", "onnxruntime"])
    o = flags.parse_args()

    figures = []
    with common.scratch() as folder:
        onnx = exported(o, folder) if "onnxruntime" in o.engines else None
        ids = Path(folder) / "ids.txt"
        for batch in o.batches:
            for order in o.orders if batch > 1 else o.orders[:1]:
                common.write_examples(ids, o, batch * o.steps)
                if order == "sorted":
                    common.sort_by_length(ids)
                for dtype in o.dtypes:
                    same = ["--ids", ids, "--batch", batch, "--steps", o.steps, "--dtype", dtype]
                    figures += common.compare(o, contestants(o, dtype, same, onnx), bench="infer", dtype=dtype, batch=batch, order=order)
    common.print_table(figures, ["bench", "dtype", "batch", "order", "tokens"])


if __name__ == "__main__":
    main()
