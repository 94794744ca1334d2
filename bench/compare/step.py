#!/usr/bin/env python3
"""Compares a training step with transformers + PyTorch on the same ragged batches.

    python bench/compare/step.py --model FOLDER [--dtypes f32 bf16] [--engines sdpa eager compiled] [--ids FILE] > figures.jsonl

A step is forward, backward, clipping and AdamW with dropout on, of an encoder with a dense layer and five classes on [CLS]; batches of
8, about 28 tokens each. PyTorch pads to the longest of a batch. Contestants are processes that take turns; ratio is PyTorch's time over
ours of the same round, its median over rounds and its spread. Lines go to stdout, a table to stderr. Needs torch and transformers.
minbert's AdamW skips words that no step has met yet; unless --seen says less, all have been met, which is the slowest case.
"""

import json
from pathlib import Path

import common


def main():
    flags = common.add_batch_flags(common.parser(__doc__, rounds=5, sizes=True))
    flags.add_argument("--batch", type=int, default=8)
    flags.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    flags.add_argument("--clip", type=float, default=1.0, help="norm that gradients are clipped to; 0: no clipping")
    flags.add_argument("--seen", type=int, help="words met by earlier steps (default: all)")
    flags.add_argument("--engines", nargs="+", default=["sdpa", "eager"], choices=common.TORCH)
    o = flags.parse_args()

    figures = []
    with common.scratch() as folder:
        common.make_model(o, folder)
        seen = json.loads((o.model / "config.json").read_text())["vocab_size"] if o.seen is None else o.seen
        ids = Path(folder) / "ids.txt"
        common.write_examples(ids, o, o.batch * o.steps)
        for dtype in o.dtypes:
            same = ["--ids", ids, "--batch", o.batch, "--steps", o.steps, "--dtype", dtype, "--clip", o.clip]
            contestants = {"minbert": common.ours(o, "step", *same, "--seen", seen)}
            contestants |= {f"PyTorch {engine}": common.peer(o, "step", engine, *same) for engine in o.engines}
            clip = {} if o.clip == 1 else {"clip": o.clip}  # figures that do not name it, also older ones, are clipped to 1
            figures += common.compare(o, contestants, bench="step", dtype=dtype, batch=o.batch, seen=seen, **clip)
    common.print_table(figures, ["bench", "dtype", "batch", "tokens"])


if __name__ == "__main__":
    main()
