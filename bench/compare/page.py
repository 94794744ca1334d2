#!/usr/bin/env python3
"""Writes the figures of docs/performance.md, and its chart, from what the comparisons printed.

    python bench/compare/page.py [--docs FOLDER] [FIGURES.jsonl ...]

Between the marks "figures" of docs/performance.md stand tables for each machine that are made of docs/performance.jsonl, the lines of step.py,
infer.py, embed.py, tokenizer.py, epoch.py and scaling.py; docs/performance.svg shows the ratios to the best peer on the first machine,
performance-2.svg those on the second, and so on. Lines of FIGURES.jsonl replace those of the same work on the same machine first.
"""

import argparse
import html
import json
from pathlib import Path

BEGIN, END = "<!-- figures: written by bench/compare/page.py -->", "<!-- end of figures -->"
WORK = ("bench", "model", "dtype", "batch", "order", "tokens", "lines", "peer", "verb", "length", "threads", "seen", "clip", "beside", "machine")


def work_of(figure):
    return tuple(str(figure.get(key)) for key in WORK)


def load(paths):
    figures = {}
    for path in paths:
        for line in path.read_text().splitlines():
            figure = json.loads(line)
            figures[work_of(figure)] = figure
    return list(figures.values())


def short(figure):
    """43.4 (42.9-44.4)"""
    median, least, most = (f"{figure[key]:,.0f}" if figure[key] >= 1000 else f"{figure[key]:.3g}" for key in ("median", "min", "max"))
    return f"{median} ({least}-{most})"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def of_floor(figure):
    floor = figure["ours"].get("floor_ms")
    return f"{floor / figure['ours_ms']['median']:.0%}" if floor else ""


def batch_of(figure):
    if figure["bench"] == "embed":
        return f"{figure['lines']} lines, " + ("together" if figure["batch"] == 0 else "one by one" if figure["batch"] == 1 else f"{figure['batch']} a call")
    if figure["bench"] in ("tokenize", "epoch"):
        return f"{figure['lines']} " + ("lines" if figure["bench"] == "tokenize" else "rows")
    order = f", {figure['order']}" if figure.get("order") and figure["batch"] > 1 else ""
    beside = f", beside {figure['beside']} busy process{'es' if figure['beside'] > 1 else ''}" if "beside" in figure else ""
    clip = ", no clipping" if figure.get("clip") == 0 else ""
    return f"{figure['batch']} of {figure['tokens'] / figure['batch']:.0f} tokens{order}{beside}{clip}"


TITLES = {"step": "Training step", "infer": "Sentence vectors from token ids", "embed": "Texts to sentence vectors, tokenising included",
          "epoch": "An epoch of MTFT-D, dev scores included", "tokenize": "Tokenising"}  # fmt: skip


def place(figure):
    """Sorts figures by kind of work, model, batch, order and precision."""
    dtypes = ["f32", "bf16", "int8"]
    return (list(TITLES).index(figure["bench"]), figure["model"], figure.get("batch", 0), figure.get("order", ""), figure.get("beside", 0), dtypes.index(figure.get("dtype", "f32")))


def comparison(bench, figures):
    rows = []
    for figure in sorted(figures, key=place):
        floor = [of_floor(figure)] if bench in ("step", "infer") else []
        memory = f"{figure['ours_peak_mb']['median']:.0f} / {figure['theirs_peak_mb']['median']:.0f}"
        rows.append([figure["model"], batch_of(figure), figure.get("dtype", ""), short(figure["ours_ms"]), *floor, figure["peer"],
                     short(figure["theirs_ms"]), f"**{figure['ratio']['median']:.2f}** ({figure['ratio']['min']:.2f}-{figure['ratio']['max']:.2f})", str(figure["rounds"]), memory])  # fmt: skip
    floor = ["of floor"] if bench in ("step", "infer") else []
    header = ["model", "batch", "", "minbert ms", *floor, "peer", "its ms", "ratio", "rounds", "peak MB, minbert / peer"]
    return f"#### {TITLES[bench]}\n\n{table(header, rows)}\n"


def scaling(figures):
    parts = []
    for verb, dtype in sorted({(f["verb"], f["dtype"]) for f in figures}):
        cells = [f for f in figures if (f["verb"], f["dtype"]) == (verb, dtype)]
        most = max(f["threads"] for f in cells)
        lengths = sorted({f["length"] for f in cells})
        rows = []
        for model in dict.fromkeys(f["model"] for f in cells):
            for threads in sorted({f["threads"] for f in cells}, reverse=True):
                for batch in sorted({f["batch"] for f in cells}):
                    found = {f["length"]: f for f in cells if (f["model"], f["threads"], f["batch"]) == (model, threads, batch)}
                    if found:
                        shown = [f"{found[x]['tokens_per_s'] / 1e3:.3g} k ({found[x]['of_floor']:.0%})" if x in found else "" for x in lengths]
                        rows.append([model, str(batch), str(threads), *shown])
        title = {"infer": "Forward", "step": "Training step"}[verb]
        header = ["model", "batch", "threads", *(f"{x} tokens" for x in lengths)]
        parts.append(f"#### {title}, {dtype}: tokens/s and share of the floor by batch, length and size, {most} threads and fewer\n\n{table(header, rows)}\n")
    return parts


def conditions(figures):
    """A line on the programs and the speeds behind one machine's figures."""
    versions, peaks = {}, {}
    for figure in figures:
        for package, version in figure.get("theirs", {}).items():
            versions.setdefault(package, set()).add(version)
        ours = figure.get("ours", figure)
        if ours.get("peak_gflops"):
            peaks.setdefault((figure["dtype"], figure["threads"]), []).append(ours["peak_gflops"])
        if ours.get("bandwidth_gbs"):
            peaks.setdefault(("GB/s", figure["threads"]), []).append(ours["bandwidth_gbs"])
    peers = ", ".join(f"{package} {' and '.join(sorted(found))}" for package, found in sorted(versions.items()))
    spans = "; ".join(f"{name}{' GFLOP/s' if name != 'GB/s' else ''}, {threads} threads: {min(v):.0f}-{max(v):.0f}" for (name, threads), v in sorted(peaks.items()))
    backend = next((f["ours"]["backend"] for f in figures if f.get("ours", {}).get("backend")), "")
    return f"{backend}. Peers: {peers}. Peaks in these runs: {spans}.\n"


def chart(figures):
    """An SVG with bars of the ratio to the best peer, grouped by kind of work, longest first in each group."""
    best = {}
    for figure in figures:
        if figure["bench"] == "scaling":
            continue
        key = tuple(part for part, name in zip(work_of(figure), WORK) if name != "peer")
        if key not in best or figure["ratio"]["median"] < best[key]["ratio"]["median"]:
            best[key] = figure
    rows = sorted(best.values(), key=place)
    left, width, line, top = 430, 420, 22, 46
    largest = max((f["ratio"]["median"] for f in rows if f["bench"] != "tokenize"), default=1)
    scale = width / max(2.0, largest)
    height = top + line * len(rows) + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 250} {height}" role="img" font-family="sans-serif" font-size="13">',
           "<title>minbert beside the best peer: times as fast</title>",
           "<style>text{fill:#222}.bar{fill:#2f6f9f}.axis{stroke:#888}@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#6fb1e0}}</style>",
           f'<text x="{left}" y="20" font-size="15">Times as fast as the best peer (1 = equal; same run, same batches, same threads)</text>']  # fmt: skip
    for i, figure in enumerate(rows):
        y = top + i * line
        ratio = figure["ratio"]["median"]
        length = min(ratio * scale, width)
        label = f"{TITLES[figure['bench']].split(',')[0]}, {figure['model']}, {batch_of(figure)}, {figure.get('dtype', '')}".rstrip(", ")
        out.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end" font-size="11">{html.escape(label)}</text>')
        out.append(f'<rect class="bar" x="{left}" y="{y + 3}" width="{length:.1f}" height="{line - 7}"/>')
        out.append(f'<text x="{left + length + 6:.1f}" y="{y + 15}">{ratio:.2f} · {html.escape(figure["peer"])}</text>')
    out.append(f'<line class="axis" x1="{left + scale:.1f}" y1="{top - 4}" x2="{left + scale:.1f}" y2="{height - 24}" stroke-dasharray="3 3"/>')
    out.append(f'<text x="{left + scale:.1f}" y="{height - 8}" text-anchor="middle" font-size="11">1</text></svg>')
    return "\n".join(out) + "\n"


def write_figures(page, begin, text):
    """Puts the text between the marks of a page, of which `begin` is the first."""
    old = page.read_text()
    page.write_text(old[: old.index(begin) + len(begin)] + "\n\n" + text + old[old.index(END) :])


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[2] / "docs", help="default: %(default)s")
    flags.add_argument("figures", nargs="*", type=Path)
    o = flags.parse_args()
    kept = o.docs / "performance.jsonl"
    figures = load([*([kept] if kept.exists() else []), *o.figures])
    kept.write_text("".join(json.dumps(figure) + "\n" for figure in figures))
    parts = []
    for i, machine in enumerate(dict.fromkeys(figure["machine"] for figure in figures)):
        mine = [figure for figure in figures if figure["machine"] == machine]
        picture = f"performance{f'-{i + 1}' if i else ''}.svg"
        (o.docs / picture).write_text(chart(mine))
        parts += [f"### {machine}\n", conditions(mine), f"![Times as fast as the best peer]({picture})\n"]
        parts += [comparison(bench, [f for f in mine if f["bench"] == bench]) for bench in TITLES if any(f["bench"] == bench for f in mine)]
        parts += scaling([f for f in mine if f["bench"] == "scaling"])
    write_figures(o.docs / "performance.md", BEGIN, "\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
