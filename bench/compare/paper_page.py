#!/usr/bin/env python3
"""Writes the tables of docs/results.md on the paper's models, and their figures, from scores by epoch.

    python bench/compare/paper_page.py [--docs FOLDER] [--add STUDY --machine NAME]

The tables between the marks "figures" of docs/results.md and docs/paper_figures.svg are made of docs/paper_scores.csv. Its lines hold the scores
of one epoch of one run, on dev or on a sample of train. --add puts those of the finished runs of a study folder there first, in place of earlier
ones; NAME is the machine that trained them. Runs of several folders and machines thus stand in one table.
"""

import argparse
import csv
import html
import json
import math
import statistics
from pathlib import Path

from page import table, write_figures

BEGIN = "<!-- figures: written by bench/compare/paper_page.py -->"
COLUMNS = ("study", "row", "seed", "machine", "epoch", "split", "para", "sst", "sts", "mean")
SCORES = ("para", "sst", "sts", "mean")
PUBLISHED = {  # Table 4 of the paper, with the true mean of the first row
    "stft": (0.392, 0.314, -0.055), "mtft": (0.646, 0.320, 0.255), "mtft-d": (0.803, 0.446, 0.616), "mtft-dd": (0.800, 0.418, 0.588),
    "fp1-mtft-d": (0.798, 0.380, 0.533), "fp2-mtft-d": (0.795, 0.398, 0.547), "mtft-d-stft": (0.803, 0.473, 0.616), "mtft-dd-stft": (0.800, 0.448, 0.605)}  # fmt: skip
SHUFFLED = ("mtft-shuffled", "mtft-d-shuffled")
HEADS_ALONE = ("stft", "fp1-stft", "stft-dropout")  # ten epochs, where other rows of ours have three
T_95 = (12.706, 4.303, 3.182, 2.776)  # two-sided 95% quantiles of Student's t for 1, 2, ... degrees of freedom


def key_of(line):
    return (line["study"], line["row"], int(line["seed"]))


def read_scores(path):
    """{(study, row, seed): lines of that run in the order of its epochs}"""
    runs = {}
    if path.exists():
        with path.open(newline="") as file:
            for line in csv.DictReader(file):
                runs.setdefault(key_of(line), []).append(line)
    return runs


def write_scores(path, runs):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for key in sorted(runs):
            writer.writerows(runs[key])


def scores_of_run(folder, study, machine):
    """The scores by epoch of a finished run's last stage; None if it has not ended."""
    status = folder / "status.json"  # a run that has just begun has none
    if not status.exists() or json.loads(status.read_text())["state"] != "done":
        return None
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    evals = [event for event in events if event["event"] == "eval" and "scores" in event]
    evals = [event for event in evals if event["stage"] == evals[-1]["stage"]]
    run = {"study": study, "row": folder.parent.name, "seed": folder.name.removeprefix("seed-"), "machine": machine}
    return [run | {"epoch": event["epoch"], "split": event["split"], "mean": f"{event['mean']:.4f}"} | {task: f"{score:.4f}" for task, score in event["scores"].items()}
            for event in evals]  # fmt: skip


def kept(key, lines):
    """What a run's model scores on dev: heads alone keep an epoch for each task, all others the epoch with the best mean."""
    dev = [[float(line[name]) for name in SCORES[:3]] for line in lines if line["split"] == "dev"]
    best = [max(column) for column in zip(*dev)] if "stft" in key[1] else max(dev, key=statistics.fmean)
    return dict(zip(SCORES, [*best, statistics.fmean(best)]))


def short(value, sign=""):
    return f"{round(value, 3) + 0.0:{sign}.3f}".replace("0.", ".", 1)


def with_spread(values):
    return short(statistics.fmean(values)) + (f" ± {short(statistics.stdev(values))}" if len(values) > 1 else "")


def by_seed(results, study, row):
    return {seed: scores for (s, r, seed), scores in results.items() if (s, r) == (study, row)}


def models(results, study="paper"):
    """Table 4: each row's mean and deviation over seeds beside the paper's figure."""
    rows = []
    present = {key[1] for key in results if key[0] == study}
    for row in [row for row in (*PUBLISHED, *SHUFFLED) if row in present]:
        seeds = by_seed(results, study, row)
        cells = [with_spread([scores[name] for scores in seeds.values()]) for name in SCORES]
        paper = PUBLISHED.get(row)
        paper = [short(x) for x in (*paper, statistics.fmean(paper))] if paper else [""] * 4
        rows.append([row.upper(), str(len(seeds)), *(cell for pair in zip(cells, paper) for cell in pair)])
    return table(["model", "seeds", *(cell for name in ("Quora", "SST", "STS", "mean") for cell in (name, "paper"))], rows)


def interval(differences):
    """The mean of differences of the same seeds, and its 95% interval by Student's t: (mean, low, high), or None of a single one."""
    if len(differences) < 2:
        return None
    mean = statistics.fmean(differences)
    half = T_95[len(differences) - 2] * statistics.stdev(differences) / math.sqrt(len(differences))
    return mean, mean - half, mean + half


def differences(results, pairs):
    """Seed-paired differences of pairs of rows, (title, (study, row) from, (study, row) to)."""
    rows = []
    for title, before, after in pairs:
        a, b = by_seed(results, *before), by_seed(results, *after)
        seeds = sorted(a.keys() & b.keys())
        if not seeds:
            continue
        cells = []
        for name in SCORES:
            each = [b[seed][name] - a[seed][name] for seed in seeds]
            found = interval(each)
            cells.append(f"{short(found[0], '+')} [{short(found[1], '+')}, {short(found[2], '+')}]" if found else short(each[0], "+"))
        rows.append([title, str(len(seeds)), *cells])
    return table(["", "seeds", "Quora", "SST", "STS", "mean"], rows) if rows else ""


def verdict(results, before, after, expect):
    """Whether the seeds tell that a difference of means is above (+1), below (-1) or not above (0) zero, as the paper finds it."""
    a, b = by_seed(results, "paper", before), by_seed(results, "paper", after)
    found = interval([b[seed]["mean"] - a[seed]["mean"] for seed in sorted(a.keys() & b.keys())])
    if not found:
        return "not enough seeds yet", ""
    _, low, high = found
    if expect == 0:
        agrees, disagrees = high <= 0, low > 0
    else:
        agrees, disagrees = (low > 0, high < 0) if expect > 0 else (high < 0, low > 0)
    return "**agrees**" if agrees else "**disagrees**" if disagrees else "cannot be told", f"{short(found[0], '+')} [{short(low, '+')}, {short(high, '+')}]"


FINDINGS = [  # of the abstract: what it says, the rows that it compares, and its sign
    ("1. multitask fine-tuning alone is better than single-task fine-tuning alone", "stft", "mtft", 1),
    ("1. the same with a dense layer", "stft", "mtft-d", 1),
    ("2. further pretraining does not improve the mean (new corpora)", "mtft-d", "fp1-mtft-d", 0),
    ("2. the same with the tasks' own texts", "mtft-d", "fp2-mtft-d", 0),
    ("3. a dense layer in each head improves it", "mtft", "mtft-d", 1),
    ("4. single-task fine-tuning afterwards improves it", "mtft-d", "mtft-d-stft", 1),
]  # fmt: skip


def findings(results):
    rows = []
    for claim, before, after, expect in FINDINGS:
        paper = statistics.fmean(PUBLISHED[after]) - statistics.fmean(PUBLISHED[before])
        says, ours = verdict(results, before, after, expect)
        rows.append([claim, short(paper, "+"), ours, says])
    return table(["the paper's abstract", "its difference", "ours, over seeds", ""], rows)


FIGURES = [("3", "mtft", "MTFT"), ("4", "mtft-d", "MTFT-D"), ("5", "mtft-d-stft", "MTFT-D-STFT")]
TASKS = [("para", "Quora, accuracy"), ("sst", "SST, accuracy"), ("sts", "STS, Pearson")]


def curves(runs):
    """Figures 3 to 5: dev and train scores by epoch, a thin line for each seed."""
    wide, high, left, top, gap_x, gap_y = 230, 130, 60, 50, 60, 70
    present = [figure for figure in FIGURES if any(key[:2] == ("paper", figure[1]) for key in runs)]
    width, height = left + 3 * (wide + gap_x), top + len(present) * (high + gap_y) + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="11">',
           "<title>Scores on dev and train by epoch, as Figures 3 to 5 of the paper show them</title>",
           "<style>text{fill:#222}.axis{stroke:#ccc}polyline{fill:none;stroke-width:1.5}.dev{stroke:#2f6f9f}.train{stroke:#b5541c;stroke-dasharray:4 3}"
           "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#555}.dev{stroke:#6fb1e0}.train{stroke:#e08f5f}}</style>",
           f'<polyline class="dev" points="{left},20 {left + 30},20"/><text x="{left + 36}" y="24">dev</text>',
           f'<polyline class="train" points="{left + 80},20 {left + 110},20"/><text x="{left + 116}" y="24">1,000 rows of train; a line is a seed</text>']  # fmt: skip
    for i, (number, row, title) in enumerate(present):
        mine = [lines for key, lines in sorted(runs.items()) if key[:2] == ("paper", row)]
        last = max(int(line["epoch"]) for lines in mine for line in lines)
        for j, (task, name) in enumerate(TASKS):
            x0, y0 = left + j * (wide + gap_x), top + i * (high + gap_y)
            out.append(f'<text x="{x0}" y="{y0 - 8}">{html.escape(f"Figure {number}, {title}: {name}")}</text>')
            for mark in (0, 0.25, 0.5, 0.75, 1):
                y = y0 + high * (1 - mark)
                out.append(f'<line class="axis" x1="{x0}" y1="{y:.1f}" x2="{x0 + wide}" y2="{y:.1f}"/><text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
            for epoch in range(0, last + 1, 2):
                out.append(f'<text x="{x0 + wide * epoch / last:.1f}" y="{y0 + high + 14}" text-anchor="middle">{epoch}</text>')
            for lines in mine:
                for split in ("train", "dev"):
                    points = [(int(line["epoch"]), max(0, float(line[task]))) for line in lines if line["split"] == split]
                    drawn = " ".join(f"{x0 + wide * epoch / last:.1f},{y0 + high * (1 - score):.1f}" for epoch, score in points)
                    out.append(f'<polyline class="{split}" points="{drawn}"/>')
    return "\n".join([*out, "</svg>"]) + "\n"


def first_epochs(runs, last):
    """The runs as if they had ended after `last` epochs, which is the same where the rate is constant."""
    return {key: [line for line in lines if int(line["epoch"]) <= last] for key, lines in runs.items()}


def page(runs):
    results = {key: kept(key, lines) for key, lines in runs.items()}
    three = {key: kept(key, lines) for key, lines in first_epochs(runs, 3).items()}
    paper = lambda row: ("paper", row)  # noqa: E731
    control = lambda row: ("control", row)  # noqa: E731
    steps = [("MTFT → MTFT-D", "mtft", "mtft-d"), ("MTFT-D → MTFT-DD", "mtft-d", "mtft-dd"), ("MTFT-D → FP1-MTFT-D", "mtft-d", "fp1-mtft-d"),
             ("MTFT-D → FP2-MTFT-D", "mtft-d", "fp2-mtft-d"), ("MTFT-D → MTFT-D-STFT", "mtft-d", "mtft-d-stft"), ("MTFT-DD → MTFT-DD-STFT", "mtft-dd", "mtft-dd-stft"),
             ("STFT → MTFT", "stft", "mtft"), ("STFT → MTFT-D", "stft", "mtft-d")]  # fmt: skip
    others = sorted({key[1] for key in runs if key[0] == "paper"} - PUBLISHED.keys() - set(SHUFFLED))
    bases = {row: "stft" if row in HEADS_ALONE else "mtft-d" for row in others}
    own = [(f"{base.upper()} → {row.upper()}", paper(base), paper(row)) for row, base in bases.items()]
    order = [(f"{row.upper()} → the same, shuffled", paper(row), paper(f"{row}-shuffled")) for row in ("mtft", "mtft-d")]
    start = [(f"{row.upper()}: normal → torch", ("heads-start", f"{row}-normal"), paper(row)) for row in ("mtft", "mtft-d", *SHUFFLED)]
    heads_alone = {key: scores for key, scores in results.items() if key[1] in HEADS_ALONE}
    longer = {("three", *key[1:]): scores for key, scores in three.items() if key[0] == "paper"}
    epochs = [(f"{row.upper()}: best of 3 → of 10 epochs", ("three", row), paper(row)) for row in ("mtft", "mtft-d", *SHUFFLED)]
    encoder = [(f"{row.upper()}: control → all-MiniLM-L6-v2", control(row), paper(row)) for row in ("stft", "mtft", "mtft-d", "mtft-d-stft")]
    on_control = [text for text in (models(results, "control"), differences(results, [(title, control(a), control(b)) for title, a, b in steps])) if text]
    machines = sorted({lines[0]["machine"] for lines in runs.values()})
    six = {key: kept(key, lines) for key, lines in first_epochs(runs, 6).items()}
    parts = [("Scores", models(results)), ("The abstract's findings", findings(results)),
             ("From one model to another", differences(results, [(title, paper(a), paper(b)) for title, a, b in steps])),
             ("Rows that answer a question of their own, after three epochs, of heads alone ten", differences(three | heads_alone, own)),
             ("What the order of batches is worth", differences(results, order)),
             ("What the start of the heads is worth, after three epochs", differences(three, start)),
             ("What ten epochs are worth beside three", differences(results | longer, epochs)),
             ("The same on an encoder that was never trained for similarity, after six epochs", "\n\n".join(on_control)),
             ("What the encoder is worth, after six epochs", differences(six, encoder))]  # fmt: skip
    shown = [f"### {title}\n\n{text}\n" for title, text in parts if text]
    return "\n".join([*shown, "### Figures 3 to 5\n", "![Scores by epoch](paper_figures.svg)\n", f"Trained on: {', '.join(machines)}; bf16, one thread a run.\n"]) + "\n"


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[2] / "docs", help="default: %(default)s")
    flags.add_argument("--add", type=Path, metavar="STUDY", help="a study folder whose finished runs are added")
    flags.add_argument("--machine", help="the processor that trained them")
    o = flags.parse_args()
    if o.add and not o.machine:
        flags.error("--add wants --machine")
    path = o.docs / "paper_scores.csv"
    runs = read_scores(path)
    if o.add:
        study = json.loads((o.add / "study.json").read_text())["name"]
        for folder in sorted(o.add.glob("rows/*/seed-*")):
            lines = scores_of_run(folder, study, o.machine)
            if lines:
                runs[key_of(lines[0])] = lines
        write_scores(path, runs)
    (o.docs / "paper_figures.svg").write_text(curves(runs))
    write_figures(o.docs / "results.md", BEGIN, page(runs))


if __name__ == "__main__":
    main()
