#!/usr/bin/env python3
"""check_paper.py accepts a complete table with valid links, and reports each planted mistake with its line."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_paper

FILES = {
    "minbert/model/heads.cpp": "void Head::forward(int) {}\n",
    "tests/model/heads_test.cpp": "TEST_F(Heads, Forward) {}\n",
}
GOOD = ["`minbert/model/heads.cpp`: `Head::forward`", "`tests/model/heads_test.cpp`: `Heads.Forward`", "all", "done", ""]

# (index of a cell in equation 1's row, its new text, expected report).
PLANTED = [
    (0, "`minbert/model/head.cpp`: `Head::forward`", "no file minbert/model/head.cpp"),
    (0, "`minbert/model/heads.cpp`: `Head::for`", "no Head::for in minbert/model/heads.cpp"),
    (0, "`minbert/model/heads.cpp`: `ead::forward`", "no ead::forward in minbert/model/heads.cpp"),
    (0, "`Head::forward`", "Head::forward stands before any file"),
    (0, "", "done without any code"),
    (1, "", "done without any test"),
    (1, "`tests/model/heads_test.cpp`: `Heads.Backward`", "no Heads.Backward in tests/model/heads_test.cpp"),
    (1, "`tests/model/heads_test.cpp`: `Head.Forward`", "no Head.Forward in tests/model/heads_test.cpp"),
    (2, "`recipes/gone.toml`", "no file recipes/gone.toml"),
    (3, "finished", 'expected a status of done, part, planned, none, got "finished"'),
    (4, "a | b", "expected 6 cells, got 7"),
]


def check(rows, without=None):
    """(mistakes in a table with these rows, line of equation 1); all other elements are planned."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        lines = ["| element | code | test | recipe | status | why |", "|---|---|---|---|---|---|"]
        lines += [f"| {element}, x | " + " | ".join(rows.get(element, ["", "", "", "planned", ""])) + " |" for element in check_paper.ELEMENTS if element != without]
        lines += [f"| {element} | | | | planned | |" for element in rows if element not in check_paper.ELEMENTS]
        for name, text in (FILES | {"docs/paper.md": "\n".join(lines)}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return check_paper.check(root), 3 + check_paper.ELEMENTS.index("Equation 1")


class CheckPaper(unittest.TestCase):
    def test_complete_table_passes(self):
        self.assertEqual(check({"Equation 1": GOOD})[0], [])

    def test_each_planted_mistake_is_named(self):
        for cell, text, expected in PLANTED:
            row = list(GOOD)
            row[cell] = text
            mistakes, line = check({"Equation 1": row})
            with self.subTest(expected):
                self.assertEqual(mistakes[0], f"docs/paper.md:{line}: {expected}")

    def test_planned_rows_promise_nothing(self):
        self.assertEqual(check({"Equation 1": ["`minbert/gone.cpp`", "", "`recipes/gone.toml`", "planned", ""]})[0], [])

    def test_elements_are_those_of_the_paper(self):
        self.assertEqual(check({"Equation 10": []})[0][0].split(": ")[1], "the paper has no Equation 10")
        self.assertEqual(check({}, without="Table 4")[0], ["docs/paper.md:1: no row for Table 4"])


if __name__ == "__main__":
    unittest.main()
