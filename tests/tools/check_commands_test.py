#!/usr/bin/env python3
"""check_commands.py accepts documents that agree with a small program, and reports each planted disagreement."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_commands

PROGRAM = """#!/bin/sh
case $1 in
  --help) printf 'Usage\\n\\nSubcommands:\\n  train                       trains\\n  sample-data                 writes\\n\\nMore.\\n' ;;
  train) printf 'Options:\\n  -o,--output DIR   where\\n  --init-from2 X   what\\n' ;;
  *) printf 'Options:\\n  -h,--help\\n' ;;
esac
"""
README = "# m\n\n## Verbs\n\n| verb | what |\n|---|---|\n| `train` | t |\n| `sample-data` | s |\n\n## End\n"

# (document, text to append or to replace, expected report)
PLANTED = [
    ("README.md", README.replace("| `train` | t |\n", ""), "README.md: the list of verbs has no train"),
    ("README.md", README.replace("| `train`", "| `serve` | s |\n| `train`"), "README.md: the program has no verb serve"),
    ("README.md", README + "run `minbert train --init x -o y`\n", "README.md:11: minbert train has no flag --init"),
    ("quickstart.sh", '\n"$minbert" sample-data -o x\n', "quickstart.sh:2: minbert sample-data has no flag -o"),
    ("quickstart.sh", "$minbert train x --dry-run", "quickstart.sh:1: minbert train has no flag --dry-run"),
]


def check(documents):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        program = root / "minbert"
        program.write_text(PROGRAM, encoding="utf-8")
        program.chmod(0o755)
        (root / "docs").mkdir()
        for name in check_commands.SHOWN_IN:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(documents.get(name, README if name == "README.md" else ""), encoding="utf-8")
        return check_commands.check(program, root)


class CheckCommands(unittest.TestCase):
    def test_agreement_passes(self):
        shown = '"$minbert" train a.toml -o "$run" --init-from2 x >/dev/null\nminbert serve --port 1  # no verb of this program\n'
        self.assertEqual(check({"quickstart.sh": shown}), [])

    def test_each_planted_disagreement_is_named(self):
        for name, text, expected in PLANTED:
            with self.subTest(expected):
                self.assertEqual(check({name: text}), [expected])


if __name__ == "__main__":
    unittest.main()
