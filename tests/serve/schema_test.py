#!/usr/bin/env python3
"""schemathesis asks every route of /openapi.json what its schemas allow and what they do not: no 5xx, no status and no reply that the document lacks.

Usage: schema_test.py MINBERT [EXAMPLES]. Ends with 77 without schemathesis.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
from importlib.util import find_spec

import served


def main():
    if find_spec("schemathesis") is None:
        print("skipped: schemathesis is not installed")
        return 77
    minbert, examples = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "30"
    with tempfile.TemporaryDirectory() as scratch:
        model = served.train(minbert, scratch)
        for key in ("", "secret"):
            program = served.Program(minbert, model, "--no-access-log", env=os.environ | {"MINBERT_API_KEY": key})
            # What no schema can say is left out: which names of tasks and which token ids this model has.
            done = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", "run", program.url + "/openapi.json", "--checks", "all", "--exclude-checks", "positive_data_acceptance",
                 "-n", examples, "--seed", "1", "--no-color", *(["-H", f"Authorization: Bearer {key}"] if key else [])],
                cwd=pathlib.Path(scratch), capture_output=True, text=True)  # fmt: skip
            good = program.ask("/livez")[0]
            code, rest = program.stop()
            if done.returncode != 0 or good != 200 or code != 0:
                print(done.stdout[-8000:], done.stderr[-2000:], rest)
                return 1
            print("\n".join(line for line in done.stdout.splitlines() if "Tested:" in line or "generated" in line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
