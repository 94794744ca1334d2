#!/usr/bin/env python3
"""Every command of docs/tutorial.md and of the README's first pages runs, from top to bottom, on sample data and a tiny encoder.

Usage: tutorial_test.py MINBERT ROOT. Commands that use the network or install are left out: their results are there beforehand.
"""
import importlib.util
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT, MINBERT = pathlib.Path(sys.argv.pop()), pathlib.Path(sys.argv.pop()).resolve()
LEFT_OUT = re.compile(r"minbert fetch|\./quickstart\.sh|export PATH")
TINY = """
[model]
init = "scratch"
config = { hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 2, intermediate_size = 32, max_position_embeddings = 128 }
vocabulary = { size = 300 }
[data]
root = "samples"
[[task]]
name = "sentiment"
labels = 5
data = { train = "sentiment-train.csv", dev = "sentiment-dev.csv", text = "sentence" }
[[stage]]
epochs = 1
max_steps = 20
lr = 1e-3
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def blocks(page, section, language):
    """The text of a section's code blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = text.split(f"\n## {section}\n")[1].split("\n## ")[0] if section else text.split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)


class TutorialTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        base = pathlib.Path(cls.base.name)
        (base / "bin").mkdir()
        (base / "bin/minbert").symlink_to(MINBERT)
        (base / "tiny.toml").write_text(TINY)
        cls.environment = os.environ | {"PATH": f"{base}/bin:{os.environ['PATH']}", "MINBERT_THREADS": "1",
                                        "no_proxy": "127.0.0.1,localhost"}  # for curl
        cls.shell("minbert sample-data -o samples --train-rows 40 -q; minbert train tiny.toml -o tiny -q; "
                  "minbert export tiny -o models/all-MiniLM-L6-v2 --as hf -q; rm -r samples", base)  # fmt: skip

    @classmethod
    def tearDownClass(cls):
        cls.base.cleanup()

    @classmethod
    def shell(cls, script, folder):
        done = subprocess.run(["bash", "-eux", "-o", "pipefail", "-c", script], cwd=folder, env=cls.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def page(self, *sections, prepare="", python=False):
        """Runs the sections (page, title) as one script in a folder of their own; returns it."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.base.name))
        (folder / "models").symlink_to(pathlib.Path(self.base.name, "models"))
        lines = [line for page, title in sections for block in blocks(page, title, "sh") for line in block.replace("\\\n", "").splitlines()]
        script = "\n".join(line for line in lines if not LEFT_OUT.search(line))
        if shutil.which("curl") is None:
            script = re.sub(r"(?m)^(curl .*|minbert serve .*|kill %1)$", "", script)
        self.shell(prepare + "\n" + script.replace("8080", str(free_port())), folder)
        for code in blocks(*sections[-1], "python") if python else []:
            subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
        return folder

    def test_student(self):
        folder = self.page(("docs/tutorial.md", None), ("docs/tutorial.md", "The student"))
        self.assertTrue((folder / "both.html").stat().st_size > 10000)
        self.assertTrue((folder / "sst-test-output.csv").read_text().startswith("id \t Predicted_Sentiment"))

    def test_analyst(self):
        folder = self.page(("docs/tutorial.md", None), ("docs/tutorial.md", "The analyst"))
        self.assertTrue((folder / "answered.csv").read_text().startswith("id,sentence,label,pred,score,"))
        self.assertTrue((folder / "twice.csv").is_file())

    def test_developer(self):
        has_python = all(map(importlib.util.find_spec, ["torch", "transformers"]))
        self.page(("docs/tutorial.md", None), ("docs/tutorial.md", "The developer"), python=has_python)

    def test_readme(self):
        folder = self.page(("README.md", "In sixty seconds"))
        self.assertTrue((folder / "runs/reviews/report.html").is_file())
        prepare = ("minbert sample-data -o samples --train-rows 60 -q\n"
                   "for f in my new labelled tickets; do sed '1s/.*/id,review,stars/' samples/sentiment-train.csv >$f.csv; done\n"
                   "cut -d, -f2 new.csv >reviews.log; cp reviews.log my-texts.txt\n"
                   "tail() { head -n 3 reviews.log; }")  # the real one does not end
        self.page(("README.md", "Your own texts"), prepare=prepare)


if __name__ == "__main__":
    unittest.main()
