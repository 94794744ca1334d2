#!/usr/bin/env python3
"""Random valid tables read as Python's csv module reads them: three delimiters, quotes and line breaks inside fields.

Usage: csv_test.py TABLE_PROBE [COUNT]
"""
import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile

SEED = 20240229
# name -> delimiter, ending of the file's name
DIALECTS = {"comma": (",", ".csv"), "tab": ("\t", ".tsv"), "semicolon": (";", ".csv")}
PARTS = ["word", "five inches", 'a "quoted" word', '6"', '"', '""', ", ", ",", ";", "\t", "\n", "\r\n", "\n\n", "x,y,z", "1;2", "3.5", "'", " ", "é", "中", "{", "\\", "|"]


def field(rng):
    """Mostly short; often with what a careless reader takes for the end of a field or a record."""
    if rng.random() < 0.1:
        return ""
    return "".join(rng.choice(PARTS) for _ in range(rng.choice([1, 1, 2, 3, 6])))


def lookalike(rng, delimiter, columns):
    """A field of several lines, each of which would be a record by itself."""
    return "\n".join(delimiter.join(rng.choice(["one", "two", "3"]) for _ in range(columns)) for _ in range(rng.randint(1, 4)))


def table(rng, delimiter):
    columns = rng.randint(2, 6)
    rows = [[f"c{i}" for i in range(columns)]]
    for _ in range(rng.choice([1, 2, 5, 20, 200])):
        row = [lookalike(rng, delimiter, columns) if rng.random() < 0.1 else field(rng) for _ in range(columns)]
        rows.append(row)
    return rows


def write(path, rows, rng, delimiter):
    with open(path, "w", encoding=rng.choice(["utf-8", "utf-8-sig"]), newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=rng.choice(["\n", "\r\n"]),
                   quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])).writerows(rows)


def main(probe, count):
    rng = random.Random(SEED)
    print(f"seed {SEED}, {count} tables")
    with tempfile.TemporaryDirectory() as folder:
        paths, delimiters = [], []
        for i in range(count):
            delimiter, ending = list(DIALECTS.values())[i % len(DIALECTS)]
            paths.append(str(pathlib.Path(folder) / f"{i}{ending}"))
            delimiters.append(delimiter)
            write(paths[-1], table(rng, delimiter), rng, delimiter)
        lines = subprocess.run([probe] + paths, check=True, capture_output=True, text=True).stdout.split("\n")
        assert len(lines) == count + 1, f"{len(lines)} lines for {count} tables"
        different = 0
        for path, delimiter, line in zip(paths, delimiters, lines):
            with open(path, encoding="utf-8-sig", newline="") as file:
                header, *rows = csv.reader(file, delimiter=delimiter, strict=True)
            got = json.loads(line)
            if got != {"columns": header, "rows": rows, "repaired": []}:
                different += 1
                if different <= 3:
                    print(f"{path}: {pathlib.Path(path).read_bytes()[:2000]!r}\n  csv: {str(rows)[:1000]}\n  got: {line[:1000]}")
    print(f"{different} of {count} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000))
