#!/usr/bin/env python3
"""Compares sentence vectors with transformers + PyTorch, onnxruntime, OpenVINO and CTranslate2 on the same ragged batches.

    python bench/compare/infer.py --model FOLDER [--batches 1 8 32] [--orders sorted ragged] [--dtypes f32 bf16 int8]
                                  [--engines sdpa compiled onnxruntime openvino ctranslate2 ...] [--rounds 5] [--ids FILE] > figures.jsonl

Token ids to means of the last hidden states. sorted: examples of like length share a batch, as a peer that sorts its input has it;
ragged: as they come. Peers pad to the longest of a batch; bf16 is PyTorch's with bf16 weights, int8 onnxruntime's dynamic quantisation
(weights by channel), nncf's static quantisation for OpenVINO, and CTranslate2's int8. openvino gets one batch after the other, with its
hint for latency; openvino-throughput gets all batches at once, with the hint for throughput, and then so does minbert. Contestants are
processes that take turns; ratio is the peer's time over ours of the same round, its median over rounds and its spread. Lines go to stdout, a table to
stderr. Needs torch and transformers; the others take part where they (and onnx) are installed.
"""

from pathlib import Path

import common


# The packages that an engine needs beside torch and transformers, and its precisions on a CPU.
ENGINES = {
    "sdpa": ([], ["f32", "bf16"]),
    "eager": ([], ["f32", "bf16"]),
    "compiled": ([], ["f32", "bf16"]),
    "onnxruntime": (["onnxruntime", "onnx"], ["f32", "int8"]),
    "openvino": (["openvino", "nncf", "onnx"], ["f32", "bf16", "int8"]),
    "openvino-throughput": (["openvino", "nncf", "onnx"], ["f32", "bf16", "int8"]),
    "ctranslate2": (["ctranslate2"], ["f32", "int8"]),
}


def main():
    flags = common.add_batch_flags(common.parser(__doc__, rounds=5, sizes=True))
    flags.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32], help="examples in a batch")
    flags.add_argument("--dtypes", nargs="+", default=["f32", "bf16", "int8"], choices=["f32", "bf16", "int8"])
    flags.add_argument("--orders", nargs="+", default=["sorted", "ragged"], choices=["sorted", "ragged"])
    flags.add_argument("--engines", nargs="+", default=[engine for engine in ENGINES if engine != "eager"], choices=list(ENGINES))
    o = flags.parse_args()

    figures = []
    with common.scratch() as folder:
        common.make_model(o, folder)
        engines = common.available(o.engines, ENGINES)
        exported = common.export(o, [engine for engine in engines if ENGINES[engine][0]], folder)
        ids = Path(folder) / "ids.txt"
        for batch in o.batches:
            for order in o.orders if batch > 1 else o.orders[:1]:
                common.write_examples(ids, o, batch * o.steps)
                if order == "sorted":
                    common.sort_by_length(ids)
                for dtype in o.dtypes:
                    same = ["--ids", ids, "--batch", batch, "--steps", o.steps]
                    for own in [], ["--together"]:  # the latter beside engines that get all batches at once
                        alike = [engine for engine in engines if engine.endswith("-throughput") == bool(own) and dtype in ENGINES[engine][1]]
                        contestants = common.contestants(o, "infer", dtype, same, alike, ENGINES, exported, own)
                        if alike:
                            figures += common.compare(o, contestants, bench="infer", dtype=dtype, batch=batch, order=order)
    common.print_table(figures, ["bench", "dtype", "batch", "order", "tokens"])


if __name__ == "__main__":
    main()
