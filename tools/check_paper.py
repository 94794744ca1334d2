#!/usr/bin/env python3
"""Checks docs/paper.md: every element of the paper has one row, and everything named in rows marked done or part exists.

Usage: check_paper.py [ROOT]. A cell lists files, each with names that must occur in it: `path`: `name`, `Suite.Test`; `path2`.
Prints one line for each mistake, and ends with 1 if there is any.
"""
import pathlib
import re
import sys

ELEMENTS = (
    ["Abstract"] + [f"Section {s}" for s in "1 2 3.1 3.2 3.3 3.4 3.5 4.1 4.2 5 5.1 5.2 5.3 6.1 6.2 6.3 6.4 7 7.1 7.2 7.3 8".split()]
    + [f"Equation {n}" for n in range(1, 10)] + [f"Table {n}" for n in range(1, 7)] + [f"Figure {n}" for n in range(1, 6)]
    + ["Algorithm 1", "Footnote 1"] + [f"Future work {n}" for n in range(1, 5)])
STATUSES = ("done", "part", "planned", "none")


def mistakes_of_links(root, cell):
    """(a mistake for each name in the cell that does not exist, the number of files that it names)."""
    mistakes, path, files = [], None, 0
    for token in re.findall(r"`([^`]+)`", cell):
        if "/" in token:
            path = root / token
            files += 1
            if not path.is_file():
                mistakes.append(f"no file {token}")
        elif path is None:
            mistakes.append(f"{token} stands before any file")
        elif path.is_file():
            text = path.read_text(encoding="utf-8")
            test = re.fullmatch(r"(\w+)\.(\w+)", token)
            pattern = rf"\bTEST(_F|_P)?\({test[1]},\s*{test[2]}\)" if test else rf"(?<!\w){re.escape(token)}\b"
            if not re.search(pattern, text):
                mistakes.append(f"no {token} in {path.relative_to(root)}")
    return mistakes, files


def check(root):
    """The mistakes in root/docs/paper.md."""
    mistakes, seen = [], []
    for number, line in enumerate((root / "docs" / "paper.md").read_text(encoding="utf-8").splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| ") or cells[0] == "element":
            continue
        say = lambda message: mistakes.append(f"docs/paper.md:{number}: {message}")
        if len(cells) != 6:
            say(f"expected 6 cells, got {len(cells)}")
            continue
        element, code, test, recipe, status, _ = cells
        seen.append(element.split(",")[0])
        if seen[-1] not in ELEMENTS:
            say(f"the paper has no {seen[-1]}")
        if status not in STATUSES:
            say(f"expected a status of {', '.join(STATUSES)}, got \"{status}\"")
        if status in ("done", "part"):
            for name, cell in [("code", code), ("test", test)] + ([("recipe", recipe)] if status == "done" else []):
                found, files = mistakes_of_links(root, cell)
                for message in found:
                    say(message)
                if status == "done" and files == 0 and name != "recipe":
                    say(f"done without any {name}")
    return mistakes + [f"docs/paper.md:1: no row for {element}" for element in ELEMENTS if element not in seen]


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve())
    print("\n".join(found))
    sys.exit(1 if found else 0)
