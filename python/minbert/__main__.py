"""python -m minbert is the program: `python -m minbert train --help`."""
from __future__ import annotations

import os
import pathlib
import sys


def program() -> str:
    """Path of the program that lies in this package."""
    return str(pathlib.Path(__file__).parent / "bin" / "minbert")


def main() -> None:
    """Becomes the program, with this process's arguments, streams and signals."""
    os.execv(program(), ["minbert", *sys.argv[1:]])


if __name__ == "__main__":
    main()
