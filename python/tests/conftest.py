"""What tests share: a tiny model with tasks of several kinds, and the program."""
import os
import pathlib
import subprocess

import pytest

import minbert
from minbert.__main__ import program

ROOT = pathlib.Path(__file__).resolve().parents[2]
MINILM = ROOT.parent / "shared" / "models" / "minilm-l6"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tests run beside others: one thread of maths is enough for tiny models."""
    os.environ.setdefault("MINBERT_THREADS", "1")


def write_rows(path, header, rows):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def tiny_config(folder):
    """A run of a few steps from scratch: mood (named classes), stars (numbered), same (pairs), near (pairs, numbers)."""
    mood = write_rows(folder / "mood.csv", "text,label", ["a fine film,good", "a dull film,bad", "fine and good,good", "dull and bad,bad"] * 4)
    stars = write_rows(folder / "stars.csv", "text,label", ["a fine film,2", "a film,1", "a dull film,0"] * 4)
    same = write_rows(folder / "same.csv", "a,b,label", ["a film,a film,1", "a film,dull,0"] * 4)
    near = write_rows(folder / "near.csv", "a,b,label", ["a film,a film,5", "a film,dull,0.5"] * 4)

    def task(name, kind, train, **more):
        return {"name": name, "type": kind, "head": {"dense": []}, "pool": "mean",
                "data": {"train": train, "dev": train, "text": "text", "label": "label", **more}}

    pair = {"text": "a", "text_pair": "b"}
    return {
        "run": {"name": "tiny"},
        "model": {"init": "scratch", "max_length": 16,
                  "config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
                  "vocabulary": {"size": 100}},
        "task": [task("mood", "classify", mood), task("stars", "classify", stars) | {"labels": 3},
                 task("same", "pair_classify", same, **pair) | {"labels": 2},
                 task("near", "pair_regress", near, **pair, label_range=[0, 5])],
        "stage": [{"epochs": 2, "batch": 4, "lr": 1e-3, "sampler": "round_robin"}],
    }


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return minbert.train(tiny_config(folder), output=folder / "run", threads=1)


@pytest.fixture(scope="session")
def tiny(tiny_run):
    return tiny_run.model(threads=1)


@pytest.fixture(scope="session")
def minilm():
    if not MINILM.is_dir():
        pytest.skip(f"no {MINILM}")
    return minbert.load(MINILM, dtype="f32")


def run_program(*arguments, **keywords):
    """Its standard output; the program must succeed."""
    done = subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, check=False, **keywords)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ragged_lines(count):
    """Lines of 0 to 60 words, of several scripts, in no order; none holds a line end or a tab."""
    words = ["a", "fine", "film", "dull", "unbelievably", "größer", "日本語", "été", "🎬", "don't", "co-operate", "x" * 120, "3.14", "[MASK]"]
    return [" ".join(words[(i * 7 + k * k) % len(words)] for k in range((i * 37) % 61 if i % 10 else i % 3)) for i in range(count)]
