#!/usr/bin/env python3
"""Checks that the README lists the program's verbs, and that the program has the flags of every command that documents show.

Usage: check_commands.py PROGRAM [ROOT]. Prints one line for each mistake, and ends with 1 if there is any.
"""
import pathlib
import re
import subprocess
import sys

SHOWN_IN = ["README.md", "docs/cookbook.md", "docs/models.md", "docs/onnx.md", "docs/tutorial.md", "DESIGN.md", "CONTRIBUTING.md", "quickstart.sh"]
COMMAND = re.compile(r'(?:\bminbert|\$minbert"?) ([a-z-]+)\b([^\n`|]*)')


def help_of(program, *verb):
    return subprocess.run([program, *verb, "--help"], capture_output=True, text=True, check=True).stdout


def check(program, root):
    """The mistakes in root's documents."""
    verbs = re.findall(r"^  ([a-z-]+) {2,}\S", help_of(program).split("Subcommands:")[1], re.MULTILINE)
    helps = {verb: help_of(program, verb) for verb in verbs}
    mistakes = []
    table = (root / "README.md").read_text(encoding="utf-8").split("\n## Verbs\n")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    mistakes += [f"README.md: the list of verbs has no {verb}" for verb in verbs if verb not in listed]
    mistakes += [f"README.md: the program has no verb {verb}" for verb in listed if verb not in verbs]
    for name in SHOWN_IN:
        for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), 1):
            for verb, rest in COMMAND.findall(line):
                for flag in re.findall(r"(?<!\S)(--?[a-z][a-z0-9-]*)", rest) if verb in helps else []:
                    if not re.search(rf"(?<![\w-]){flag}(?![\w-])", helps[verb]):
                        mistakes.append(f"{name}:{number}: minbert {verb} has no flag {flag}")
    return mistakes


if __name__ == "__main__":
    found = check(sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent.parent))
    print("\n".join(found))
    sys.exit(1 if found else 0)
