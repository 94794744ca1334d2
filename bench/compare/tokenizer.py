#!/usr/bin/env python3
"""Compares lines to token ids with tokenizers (Rust) on the same lines, one thread each.

    python bench/compare/tokenizer.py --model FOLDER --input LINES [--threads 1] [--rounds 5] > figures.jsonl

tokenizers runs as encode, encode_batch and encode_batch_fast (which leaves out offsets, as minbert does unless asked); its best is
the one to look at. Both must find the same number of tokens. Contestants are processes that take turns; ratio is the peer's time over
ours of the same round, its median over rounds and its spread. Lines go to stdout, a table to stderr. Needs tokenizers.
"""

from pathlib import Path

import common


def main():
    flags = common.parser(__doc__, rounds=5)
    flags.set_defaults(threads=1)
    flags.add_argument("--input", type=Path, required=True, help="file of lines")
    o = flags.parse_args()
    contestants = {"minbert": common.ours(o, "tokenize", "--input", o.input)}
    for engine in ("encode", "encode_batch", "encode_batch_fast"):
        contestants[f"tokenizers {engine}"] = common.peer(o, "tokenize", engine, "--input", o.input)
    common.print_table(common.compare(o, contestants, bench="tokenize"), ["bench", "lines", "tokens"])


if __name__ == "__main__":
    main()
