#!/usr/bin/env python3
"""Compares an epoch of the paper's MTFT-D with the same epoch in transformers + PyTorch, with reading, tokenising and dev scores.

    python bench/compare/epoch.py --model FOLDER --data FOLDER [--dtypes f32 bf16] [--engines sdpa] [--rounds 3] > figures.jsonl

Quora, SST and STS-B as recipes/paper/mtft-d.toml reads them below --data: 30,796 rows in batches of 8. minbert's time is that of its
whole command, checkpoints and report included; PyTorch's begins after its imports. Contestants are processes that take turns; ratio is
PyTorch's time over ours of the same round, its median over rounds and its spread. Lines go to stdout, a table to stderr. Needs torch
and transformers.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import common

RECIPES = common.HERE.parents[1] / "recipes/paper"


def train(program, model, data, dtype, threads):
    """Runs minbert and returns its JSON line."""
    with common.scratch() as folder:
        run = Path(folder) / "run"
        start = time.perf_counter()
        process = subprocess.Popen([program, "train", RECIPES / "base.toml", RECIPES / "mtft-d.toml", "-o", run, "--threads", threads,
                                    "--set", f"model.init={model}", "--set", f"data.root={data}", "--set", f"model.dtype={dtype}",
                                    "--set", "stage.finetune.epochs=1", "--set", "stage.finetune.eval_train=0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        errors = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status != 0:
            raise SystemExit(errors.decode())
        rows = sum(task["train"]["used"] for task in json.loads((run / "data.json").read_text()).values())
        scores = json.loads((run / "eval/dev/metrics.json").read_text())["scores"]
        return {"ms": seconds * 1e3, "lines": rows, "peak_rss_mb": used.ru_maxrss * 1024e-6, "scores": list(scores.values())}


def main():
    flags = common.parser(__doc__, rounds=3)
    flags.add_argument("--data", type=Path, required=True, help="folder with quora, sst and sts")
    flags.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    flags.add_argument("--engines", nargs="+", default=["sdpa"], choices=["sdpa", "eager"])
    o = flags.parse_args()

    figures = []
    for dtype in o.dtypes:
        contestants = {"minbert": [sys.executable, __file__, "train", str(o.bench.with_name("minbert")), str(o.model), str(o.data), dtype, str(o.threads)]}
        for engine in o.engines:
            contestants[f"PyTorch {engine}"] = common.peer(o, "epoch", engine, "--data", o.data, "--dtype", dtype)
        figures += common.compare(o, contestants, bench="epoch", dtype=dtype)
    common.print_table(figures, ["bench", "dtype", "lines"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        print(json.dumps(train(*sys.argv[2:])))
    else:
        main()
