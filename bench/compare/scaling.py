#!/usr/bin/env python3
"""How minbert's speed depends on batch, length, threads and model size: tokens/s and the ratio to the floor (docs/performance.md).

    python bench/compare/scaling.py [--models bert-tiny minilm bert-base bert-large] [--lengths 8 32 128 512] [--batches 1 8 64 256]
                                    [--threads 1 2] [--dtypes f32 bf16 int8] [--verbs infer step] [--most 16384] > scaling.jsonl

One process of minbert-bench for each cell, started anew where others disturbed it; all sequences of a cell have the same length. Cells of
more than --most tokens a batch are left out.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import common


def cells(o):
    """The measurements to make: the whole grid of batch and length on all threads, and its middle on each number of threads."""
    for verb, dtype, model in itertools.product(o.verbs, o.dtypes, o.models):
        if verb == "step" and dtype == "int8":
            continue
        for batch, length in itertools.product(o.batches, o.lengths):
            if batch * length <= o.most:
                yield verb, dtype, model, batch, length, o.threads[-1]
        for threads in o.threads[:-1]:
            yield verb, dtype, model, 8, 32, threads


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--bench", type=Path, default=common.HERE.parents[1] / "build/release/minbert-bench", help="default: %(default)s")
    flags.add_argument("--models", nargs="+", default=list(common.SIZES), choices=list(common.SIZES))
    flags.add_argument("--lengths", nargs="+", type=int, default=[8, 32, 128, 512])
    flags.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64, 256])
    flags.add_argument("--threads", nargs="+", type=int, default=list(range(1, common.CORES + 1)))
    flags.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16", "int8"])
    flags.add_argument("--verbs", nargs="+", default=["infer", "step"], choices=["infer", "step"])
    flags.add_argument("--most", type=int, default=16384, help="tokens in a batch (default %(default)s)")
    flags.add_argument("--repeats", type=int, default=5, help="times a batch is timed (default %(default)s)")
    common.add_busy_flag(flags)
    o = flags.parse_args()
    with common.scratch() as folder:
        lengths = Path(folder) / "lengths.txt"
        for verb, dtype, model, batch, length, threads in cells(o):
            lengths.write_text(f"{length}\n")
            command = [str(o.bench), verb, "--model", model, "--lengths", str(lengths), "--batch", str(batch), "--steps", "1", "--rounds",
                       str(o.repeats), "--dtype", dtype, "--threads", str(threads)]  # fmt: skip
            turns = argparse.Namespace(rounds=1, busy=o.busy, threads=threads)
            record = common.take_turns(turns, {"minbert": command})[0]["minbert"][0]
            record |= {"bench": "scaling", "verb": verb, "length": length, "machine": common.machine(), "revision": common.revision()}
            print(json.dumps(record), flush=True)
            print(f"{verb} {dtype} {model} {batch} x {length}, {threads} threads: {record['ms']} ms, {record['of_floor']:.0%} of floor", file=sys.stderr)


if __name__ == "__main__":
    main()
