#!/usr/bin/env python3
"""Compares texts to sentence vectors with sentence-transformers, onnxruntime and OpenVINO on the same lines, tokenising included.

    python bench/compare/embed.py --model FOLDER --input LINES [--batch 0] [--dtypes f32 bf16 int8] [--tokens N] [--limit N] > figures.jsonl

All lines in one call, of which every contestant makes batches of like length as it likes; --batch 1 measures requests that come one by
one, --tokens 16 on lines of so many tokens alone. Models are loaded beforehand. Contestants are processes that take turns; ratio is the
peer's time over ours of the same round, its median over rounds and its spread. Lines go to stdout, a table to stderr. Needs tokenizers;
torch with sentence-transformers, and onnxruntime and OpenVINO with onnx and transformers, take part where they are installed;
sentence-transformers' own two other backends with the package optimum, which may ask for an older transformers.
"""

from pathlib import Path

import common
from peer import EXPORTERS, load_tokenizer, read_lines

ENGINES = {
    "sentence-transformers": (["torch", "sentence_transformers"], ["f32", "bf16"]),
    "sentence-transformers-onnx": (["torch", "sentence_transformers", "optimum.onnxruntime", "onnxruntime", "onnx"], ["f32", "int8"]),
    "sentence-transformers-openvino": (["torch", "sentence_transformers", "optimum.intel", "openvino"], ["f32", "bf16"]),
    "onnxruntime": (["onnxruntime", "onnx", "torch", "transformers"], ["f32", "int8"]),
    "openvino": (["openvino", "nncf", "onnx", "torch", "transformers"], ["f32", "bf16", "int8"]),
    "openvino-throughput": (["openvino", "nncf", "onnx", "torch", "transformers"], ["f32", "bf16", "int8"]),
}


def write_lines(path, o):
    """Writes the lines to be embedded."""
    lines = read_lines(o)
    if o.tokens:
        lines = [line for line, encoding in zip(lines, load_tokenizer(o).encode_batch_fast(lines)) if len(encoding) == o.tokens]
        if not lines:
            raise SystemExit(f"{o.input}: no line has {o.tokens} tokens")
    lines = lines[: o.limit or None]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main():
    flags = common.parser(__doc__, rounds=5)
    flags.add_argument("--input", type=Path, required=True, help="file of lines")
    flags.add_argument("--batch", type=int, default=0, help="lines in one call; 0 = all (default)")
    flags.add_argument("--tokens", type=int, default=0, help="only lines of so many tokens, special ones included")
    flags.add_argument("--limit", type=int, default=0, help="only so many lines")
    flags.add_argument("--dtypes", nargs="+", default=["f32", "bf16", "int8"], choices=["f32", "bf16", "int8"])
    flags.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    o = flags.parse_args()

    figures = []
    with common.scratch() as folder:
        engines = common.available(o.engines, ENGINES)
        exported = common.export(o, [engine for engine in engines if engine.removesuffix("-throughput") in EXPORTERS], folder)
        lines = Path(folder) / "lines.txt"
        write_lines(lines, o)
        for dtype in o.dtypes:
            same = ["--input", lines, "--batch", o.batch]
            contestants = common.contestants(o, "embed", dtype, same, engines, ENGINES, exported)
            figures += common.compare(o, contestants, bench="embed", dtype=dtype, batch=o.batch)
    common.print_table(figures, ["bench", "dtype", "batch", "lines"])


if __name__ == "__main__":
    main()
