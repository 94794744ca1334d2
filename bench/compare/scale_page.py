#!/usr/bin/env python3
"""Writes the figures of docs/scale.md, and its chart, from what scale.py printed.

    python bench/compare/scale_page.py [--docs FOLDER] [FIGURES.jsonl]

FIGURES.jsonl replaces docs/scale.jsonl, of which the tables between the marks "figures" and docs/scale.svg are made.
"""

import argparse
import json
import math
from pathlib import Path

from page import table, write_figures

BEGIN = "<!-- figures: written by bench/compare/scale_page.py -->"
NAMES = {"minilm": "MiniLM", "base": "BERT-base"}
COLOURS = {"minilm": "#2f6f9f", "base": "#b5541c"}


def measured(figures):
    """A row for each run of two ranks."""
    rows = []
    for f in figures:
        ms = [f"{1e3 * f[key]:,.0f}" for key in ("one_rank_s", "half_batch_s", "two_ranks_s", "model_s")]
        off = f"{f['model_s'] / f['two_ranks_s'] - 1:+.0%}"
        rows.append([NAMES[f["model"]], f"{f['gbit']:g}", f["wire"], *ms[:3], f"{1e3 * f['exposed_s']:,.0f}", f"{f['tokens'] / f['one_rank_s']:,.0f}",
                     f"{f['tokens'] / f['two_ranks_s']:,.0f}", f"{f['speedup']:.2f}", f"{ms[3]} ({off})"])  # fmt: skip
    return table(["model", "Gbit/s", "wire", "1 rank, ms", "half the batch, ms", "2 ranks, ms", "of which exposed", "tokens/s, 1 rank", "2 ranks",
                  "times as fast", "model says, ms"], rows)  # fmt: skip


def constants(figures):
    rows = {(f["gbit"], f["model"]): [f"{f['gbit']:g}", NAMES[f["model"]], f"{1e6 * f['alpha_s']:.0f}", f"{f['beta_bytes_s'] / 1e6:.0f}",
                                      f"{1e9 * f['busy_s_byte']:.2f}"] for f in figures}  # fmt: skip
    return table(["Gbit/s", "before the runs of", "alpha, µs", "beta, MB/s", "gamma, ns a byte"], list(rows.values()))


def predicted(figures):
    nodes = [2, 4, 8, 16, 32, 64]
    rows = [[NAMES[f["model"]], f"{f['gbit']:g}", f["wire"], *(f"{f['predicted'][str(n)]:.1f}" for n in nodes)] for f in figures]
    return table(["model", "Gbit/s", "wire", *map(str, nodes)], rows)


def chart(figures):
    """Lines of the predictions over nodes, both axes by powers of two."""
    left, top, step = 60, 46, 62
    place = lambda nodes, speed: (left + step * math.log2(nodes), top + step * (6 - math.log2(max(speed, 1))))  # noqa: E731
    width, height = left + 6 * step + 210, top + 6 * step + 46
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="12">',
           "<title>Predicted speed by nodes, times one node</title>",
           "<style>text{fill:#222}.axis{stroke:#999}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>",
           f'<text x="{left}" y="20" font-size="15">Predicted, not measured: times one node, as much work for each</text>']  # fmt: skip
    for n in (1, 2, 4, 8, 16, 32, 64):
        (x, y), (_, bottom) = place(n, n), place(1, 1)
        out.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{n}</text><text x="{left - 8}" y="{y + 4}" text-anchor="end">{n}</text>')
    (x0, y0), (x1, y1) = place(1, 1), place(64, 64)
    out.append(f'<line class="axis" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke-dasharray="3 3"/><text x="{x1 + 6}" y="{y1 + 4}">ideal</text>')
    out.append(f'<text x="{left + 3 * step}" y="{y0 + 38}" text-anchor="middle">nodes</text>')
    ends = []
    for f in sorted((f for f in figures if f["wire"] == "f32"), key=lambda f: -f["predicted"]["64"]):
        points = [place(1, 1), *(place(int(n), speed) for n, speed in f["predicted"].items())]
        dashes = "" if f["gbit"] >= 10 else ' stroke-dasharray="6 4"'
        out.append(f'<polyline fill="none" stroke="{COLOURS[f["model"]]}" stroke-width="2"{dashes} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
        ends.append(max(points[-1][1], ends[-1] + 15 if ends else y1 + 18))
        out.append(f'<text x="{x1 + 6}" y="{ends[-1] + 4:.1f}">{NAMES[f["model"]]}, {f["gbit"]:g} Gbit/s: {f["predicted"]["64"]:.0f}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[2] / "docs", help="default: %(default)s")
    flags.add_argument("figures", nargs="?", type=Path)
    o = flags.parse_args()
    if o.figures:
        (o.docs / "scale.jsonl").write_text(o.figures.read_text())
    figures = [json.loads(line) for line in (o.docs / "scale.jsonl").read_text().splitlines()]
    first = figures[0]
    parts = [f"{first['machine']}; {first['mpi']}; a batch of {first['batch']} pairs, {first['tokens']:.0f} tokens; maths in f32; medians of the steps of a run.",
             measured(figures), "In these runs the backward pass hides all sums but the last bucket, so that the other case of the model is not measured. The model leaves out "
             "the rounding to bf16, for which each rank needs its own core's time: at 10 Gbit/s f32 is the faster one.",
             "Constants of the links, measured before the runs of each model:", constants(figures),
             "**Prediction** by the model and these constants, not a measurement: times one node, where each node gets as many rows as one of the two ranks had.",
             predicted(figures), "![Predicted speed by nodes](scale.svg)"]  # fmt: skip
    write_figures(o.docs / "scale.md", BEGIN, "\n\n".join(parts) + "\n\n")
    (o.docs / "scale.svg").write_text(chart(figures))


if __name__ == "__main__":
    main()
