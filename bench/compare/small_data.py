#!/usr/bin/env python3
"""Little training data: minbert's one-liner against scikit-learn's logistic regression on TF-IDF and on the encoder's sentence vectors.

    small_data.py --model models/all-MiniLM-L6-v2 --data DATA [--sizes 100,300,1000] [--seeds 1,2,3,4,5] -o small_data.jsonl
    small_data.py --model ... --data ... --per-class --sizes 8,64 --sets sst5 --systems minbert,setfit --recipe few.toml
    small_data.py --table small_data.jsonl

DATA holds the course's files and SICK (`minbert fetch --data`); the sample reviews are made by minbert. A seed draws the train rows, and all
systems get the same ones and the same number of threads. They are scored on at most --test-rows rows of the dev files, which nothing else
reads; with --validation on train rows that were not drawn, for choosing defaults. Writes a JSON line for each run, and goes on where a file
ends. --table prints means over the seeds: accuracy with its standard deviation, macro-F1, and the processor time of training and scoring.
--per-class draws so many rows of each class, as for SetFit; few.toml is made by `minbert init --preset few-shot`. Needs numpy and
scikit-learn, and for the system setfit the package of that name.
"""

import argparse
import collections
import csv
import json
import os
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SYSTEMS = ["minbert", "tfidf", "vectors"]  # and setfit


def read_table(path, delimiter="\t"):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def course_rows(path, label, text="sentence", pair=None):
    rows = []
    for cells in read_table(path):
        try:
            name = label(float(cells[list(cells)[-1]]))
        except (TypeError, ValueError):
            continue  # a broken record
        if name is not None and cells[text] and (pair is None or cells[pair]):
            rows.append((cells[text].strip(), cells[pair].strip() if pair else None, name))
    return rows


def polarity(grade):
    """Two classes of SST's five: the neutral ones are left out."""
    return None if grade == 2 else "negative" if grade < 2 else "positive"


def sick_rows(path, part):
    return [
        (cells["sentence_A"], cells["sentence_B"], cells["entailment_label"].lower())
        for cells in read_table(path)
        if cells["SemEval_set"].strip() == part
    ]


def sample_rows(minbert, folder, part):
    if not (folder / "sentiment-train.csv").exists():
        subprocess.run([minbert, "sample-data", "-o", folder, "-q"], check=True)
    return [(cells["sentence"], None, f"grade {cells['label']}") for cells in read_table(folder / f"sentiment-{part}.csv", ",")]


def datasets(o, scratch):
    """Name -> function of "train" or "dev" that reads its rows (text, second text or None, label)."""
    yes_no, mood = {0.0: "no", 1.0: "yes"}.get, {0.0: "bad", 1.0: "good"}.get
    return {
        "sst5": lambda part: course_rows(o.data / f"sst/ids-sst-{part}.csv", lambda grade: f"grade {grade:.0f}"),
        "sst2": lambda part: course_rows(o.data / f"sst/ids-sst-{part}.csv", polarity),
        "cfimdb": lambda part: course_rows(o.data / f"cfimdb/ids-cfimdb-{part}.csv", mood),
        "quora": lambda part: course_rows(o.data / f"quora/quora-{part}.csv", yes_no, "sentence1", "sentence2"),
        "sick": lambda part: sick_rows(o.data / "sick/SICK.txt", {"train": "TRAIN", "dev": "TEST"}[part]),
        "reviews": lambda part: sample_rows(o.minbert, scratch / "samples", part),
    }


def scores(gold, predicted):
    from sklearn.metrics import accuracy_score, f1_score

    return {"accuracy": accuracy_score(gold, predicted), "macro_f1": f1_score(gold, predicted, average="macro", zero_division=0)}


def regression():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=2000)


def run_tfidf(o, train, test, folder):
    import scipy.sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    def features(rows, fitted=[]):
        parts = [[row[i] for row in rows] for i in (0, 1) if rows[0][i] is not None]
        if not fitted:
            fitted.append(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit([text for part in parts for text in part]))
        vectors = [fitted[0].transform(part) for part in parts]
        return vectors[0] if len(vectors) == 1 else scipy.sparse.hstack([*vectors, abs(vectors[0] - vectors[1])])

    model = regression().fit(features(train), [row[2] for row in train])
    return scores([row[2] for row in test], model.predict(features(test)))


def run_vectors(o, train, test, folder):
    import numpy

    def features(rows):
        parts = []
        for i in (0, 1):
            if rows[0][i] is None:
                continue
            lines, out = folder / "lines.txt", folder / "vectors.npy"
            lines.write_text("".join(" ".join(row[i].split()) + "\n" for row in rows), encoding="utf-8")
            subprocess.run([o.minbert, "embed", o.model, "-i", lines, "-o", out, "--pool", "mean", "-q", "--threads", str(o.threads)], check=True)
            parts.append(numpy.load(out))
        return parts[0] if len(parts) == 1 else numpy.hstack([*parts, abs(parts[0] - parts[1]), parts[0] * parts[1]])

    model = regression().fit(features(train), [row[2] for row in train])
    return scores([row[2] for row in test], model.predict(features(test)))


def run_setfit(o, train, test, folder):
    """SetFit with its defaults, but --setfit-iterations pairs a text where that is given. The two texts of a pair are joined by [SEP]."""
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(o.threads)
    names = sorted({row[2] for row in train})

    def texts(rows):
        return [row[0] if row[1] is None else f"{row[0]} [SEP] {row[1]}" for row in rows]

    data = Dataset.from_dict({"text": texts(train), "label": [names.index(row[2]) for row in train]})
    arguments = {"output_dir": str(folder / "setfit"), "seed": o.seed, "report_to": "none", "save_strategy": "no"}
    if o.setfit_iterations:
        arguments |= {"num_iterations": o.setfit_iterations}
    model = SetFitModel.from_pretrained(str(o.model))
    Trainer(model=model, args=TrainingArguments(**arguments), train_dataset=data).train()
    return scores([row[2] for row in test], [names[int(k)] for k in model.predict(texts(test))])


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        pair = rows[0][1] is not None
        writer.writerow(["sentence1", "sentence2", "label"] if pair else ["text", "label"])
        writer.writerows([row[0], row[1], row[2]] if pair else [row[0], row[2]] for row in rows)


def run_minbert(o, train, test, folder):
    write_csv(folder / "train.csv", train)
    write_csv(folder / "test.csv", test)
    run = folder / "run"
    task = "text" if o.recipe else "train"
    if o.recipe:
        command = [o.minbert, "train", o.recipe, "--set", f"model.init={o.model}", "--set", f"task.text.data.train={folder}/train.csv"]
        command += ["--set", "task.text.data.text=text", "--set", "stage.heads.eval_train=0"]
    else:
        command = [o.minbert, "train", "--init", o.model, "--train", folder / "train.csv"]
    command += ["--set", f"task.{task}.data.test={folder}/test.csv", "--set", f"run.seed={o.seed}"]
    command += ["-o", run, "--overwrite", "-q", "--threads", str(o.threads), *o.more]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    metrics = json.loads((run / "eval/test/metrics.json").read_text())["tasks"][task]
    return {key: metrics[key] for key in ("accuracy", "macro_f1")}


RUNNERS = {"minbert": run_minbert, "tfidf": run_tfidf, "vectors": run_vectors, "setfit": run_setfit}


def cpu_seconds():
    """Processor time so far of this program and of those that it ran: unlike the clock's, it does not depend on what else runs."""
    return sum(os.times()[:4])


def draw(o, rows, size):
    """Train rows of this seed, and the rows of the train file that are left. `size` counts all rows, or with --per-class those of a class."""
    rows = list(rows)
    random.Random(o.seed).shuffle(rows)
    if not o.per_class:
        return rows[:size], rows[size:]
    taken, left, counts = [], [], collections.Counter()
    for row in rows:
        counts[row[2]] += 1
        (taken if counts[row[2]] <= size else left).append(row)
    return taken, left


def measure(o, known, out):
    if "setfit" in o.systems:
        import setfit  # noqa: F401  (not in the time of the first run)
    if {"tfidf", "vectors"} & set(o.systems):
        import sklearn.feature_extraction.text  # noqa: F401  (not in the time of the first run)
        import sklearn.linear_model  # noqa: F401
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        sets = datasets(o, scratch)
        for name in o.sets or [name for name in sets if name != "sst5"]:
            train_rows, test_rows = sets[name]("train"), sets[name]("dev")
            for o.seed in o.seeds:
                for size in o.sizes:
                    train, left = draw(o, train_rows, size)
                    # The same test rows for every size and seed.
                    test = left[-o.test_rows :] if o.validation else random.Random(0).sample(test_rows, min(o.test_rows, len(test_rows)))
                    for system in o.systems:
                        key = {"data": name, "rows": len(train), "seed": o.seed, "system": o.name if system == "minbert" else system}
                        if key in known or size > len(train_rows):
                            continue
                        begin = cpu_seconds()
                        figures = RUNNERS[system](o, train, test, scratch)
                        line = {**key, "test_rows": len(test), **figures, "cpu_seconds": round(cpu_seconds() - begin, 2)}
                        print(json.dumps(line), file=out, flush=True)


def print_table(lines):
    cells = collections.defaultdict(list)
    for line in lines:
        cells[line["data"], line["rows"], line["system"]].append(line)
    systems = list(dict.fromkeys(line["system"] for line in lines))
    print("| data | rows | " + " | ".join(systems) + " |\n|---|---|" + "---|" * len(systems))
    for data, rows in dict.fromkeys((line["data"], line["rows"]) for line in lines):
        row = []
        for system in systems:
            runs = cells[data, rows, system]
            accuracy = [run["accuracy"] for run in runs]
            f1, seconds = (statistics.fmean(run[key] for run in runs) if runs else 0 for key in ("macro_f1", "cpu_seconds"))
            spread = f" ± {statistics.stdev(accuracy):.3f}" if len(runs) > 1 else ""
            row.append(f"{statistics.fmean(accuracy):.3f}{spread}, {f1:.3f}, {seconds:.1f} s" if runs else "")
        print(f"| {data} | {rows} | " + " | ".join(row) + " |")


def numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--model", type=Path, help="Hugging Face folder of the encoder")
    flags.add_argument("--data", type=Path, help="folder of the data sets")
    flags.add_argument("--minbert", type=Path, default=HERE.parents[1] / "build/release/minbert", help="default: %(default)s")
    flags.add_argument("--sets", type=lambda text: text.split(","), help="names of data sets (default: all)")
    flags.add_argument("--systems", type=lambda text: text.split(","), default=SYSTEMS, help="default: %(default)s")
    flags.add_argument("--sizes", type=numbers, default=[100, 300, 1000], help="train rows (default %(default)s)")
    flags.add_argument("--per-class", action="store_true", help="sizes count the rows of each class")
    flags.add_argument("--recipe", type=Path, help="a config of the preset few-shot, for minbert instead of the one-liner")
    flags.add_argument("--setfit-iterations", type=int, help="pairs of each kind that SetFit makes of a text (its paper: 20; default: all)")
    flags.add_argument("--seeds", type=numbers, default=[1, 2, 3, 4, 5], help="default: %(default)s")
    flags.add_argument("--test-rows", type=int, default=400, help="default: %(default)s")
    flags.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    flags.add_argument("--validation", action="store_true", help="score on other rows of the train files")
    flags.add_argument("--name", default="minbert", help="what to call minbert's runs (default %(default)s)")
    flags.add_argument("--more", type=lambda text: text.split(), default=[], help='more flags for minbert train: --more="--epochs 3"')
    flags.add_argument("-o", "--output", type=Path, default=Path("small_data.jsonl"), help="default: %(default)s")
    flags.add_argument("--table", type=Path, metavar="FILE", help="print the table of such a file and end")
    o = flags.parse_args()
    if o.table:
        return print_table([json.loads(line) for line in o.table.read_text().splitlines()])
    if not o.model or not o.data:
        flags.error("expected --model and --data")
    lines = [json.loads(line) for line in o.output.read_text().splitlines()] if o.output.exists() else []
    known = [{key: line[key] for key in ("data", "rows", "seed", "system")} for line in lines]
    with open(o.output, "a", encoding="utf-8") as out:
        measure(o, known, out)


if __name__ == "__main__":
    main()
