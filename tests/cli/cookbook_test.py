#!/usr/bin/env python3
"""Runs every command of docs/cookbook.md, in its order, with a tiny encoder in place of the one that it names.

Usage: cookbook_test.py MINBERT ROOT [--onnx]. Without --onnx, a build without libonnx, commands that need it are left out.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def main(program, root, *options):
    blocks = re.findall(r"^```sh\n(.*?)^```$", (pathlib.Path(root) / "docs/cookbook.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if "--as onnx" not in line or "--onnx" in options]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "bin").mkdir()
        (folder / "bin/minbert").symlink_to(pathlib.Path(program).resolve())
        shutil.copy(pathlib.Path(root) / "tests/tiny.toml", folder)
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
        prepare = ["minbert sample-data --train-rows 64 --dev-rows 8 --test-rows 4", "minbert train tiny.toml -o tiny -q",
                   "minbert export tiny -o models/all-MiniLM-L6-v2 --as sentence-transformers", "rm -r samples"]
        for line in prepare + lines:
            line = re.sub(r"minbert sample-data -o samples$", r"\g<0> --train-rows 300 --dev-rows 40 --test-rows 20", line)
            run = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if run.returncode != 0:
                print(f"{line}\nexit code {run.returncode}\n{run.stdout}{run.stderr}")
                return 1
    print(f"{len(lines)} commands")
    return 0 if lines else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
