#!/usr/bin/env python3
"""Checks that every C++ file is as clang-format leaves it; --fix rewrites those that are not.

Versions of clang-format differ in what they write, so only the version named here counts. Without it the check is skipped (exit code 77).

    python3 tools/check_format.py [--fix]
"""

import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "18.1.8"
ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("minbert", "python", "examples", "tests", "bench")


def find_clang_format():
    for name in ("clang-format", f"clang-format-{VERSION.split(chr(46))[0]}"):
        path = shutil.which(name)
        if path and f"version {VERSION}" in subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout:
            return path
    return None


def main(fix):
    program = find_clang_format()
    if program is None:
        print(f"skipped: clang-format {VERSION} not installed (pip install clang-format=={VERSION})")
        return 77
    files = sorted(str(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".h", ".cpp"))
    return subprocess.run([program, "-i" if fix else "--dry-run", "-Werror", "--ferror-limit=0", *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main("--fix" in sys.argv[1:]))
