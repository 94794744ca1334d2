"""train and train_texts: the bits of the program, live events, stops that can be resumed."""
import json
import os
import signal
import subprocess
import sys
import tomllib

import numpy as np
import pytest

import minbert
from conftest import run_program, tiny_config, write_rows
from minbert._training import to_toml


def test_a_run_has_scores_metrics_and_a_model(tiny_run):
    assert set(tiny_run.scores) == {"mood", "stars", "same", "near"}
    events = tiny_run.metrics
    assert {event["event"] for event in events} == {"step", "eval"} and events[-1]["event"] == "eval"
    assert tiny_run.model().tasks == ["mood", "stars", "same", "near"]
    assert minbert.Run(tiny_run.folder).scores == tiny_run.scores
    assert tiny_run.report().read_text(encoding="utf-8").startswith("<!")
    with pytest.raises(minbert.Error, match="expected a run folder"):
        minbert.Run(tiny_run.folder / "best")


def test_the_bits_are_those_of_the_program(tiny_run, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(to_toml(tiny_config(tmp_path)), encoding="utf-8")
    run_program("train", "-q", config, "-o", tmp_path / "run")
    for name in ("model.safetensors", "heads.safetensors"):
        assert (tmp_path / "run" / "best" / name).read_bytes() == (tiny_run.folder / "best" / name).read_bytes(), name
    own = {line.split(" = ")[0] for line in (tiny_run.folder / "config.toml").read_text().splitlines()}
    theirs = {line.split(" = ")[0] for line in (tmp_path / "run" / "config.toml").read_text().splitlines()}
    assert own == theirs


def test_events_are_the_lines_of_metrics_and_come_live(tmp_path):
    events = []
    run = minbert.train(tiny_config(tmp_path), output=tmp_path / "run", callbacks=events.append)
    written = [{key: round(value, 6) if key == "wall_s" else value for key, value in event.items() if key not in ("stage_step", "stage_steps")}
               for event in events if event["event"] in ("step", "eval")]
    assert written == run.metrics
    steps = [event for event in events if event["event"] == "step"]
    assert [step["stage_step"] for step in steps] == list(range(1, len(steps) + 1)) and steps[0]["stage_steps"] == len(steps)
    assert any(event["event"] == "message" for event in events)


def test_files_come_before_dicts_which_win(tmp_path):
    file = tmp_path / "base.toml"
    file.write_text(to_toml(tiny_config(tmp_path)), encoding="utf-8")
    run = minbert.train([file, {"stage": [{"epochs": 1}]}], output=tmp_path / "run", set=["run.seed=3"])
    text = (run.folder / "config.toml").read_text()
    assert tomllib.loads(text)["stage"][0]["epochs"] == 1 and tomllib.loads(text)["run"]["seed"] == 3
    with pytest.raises(minbert.Error, match="files before dicts"):
        minbert.train([{"stage": [{"epochs": 1}]}, file])


def test_what_a_callback_raises_ends_the_run_after_a_checkpoint(tmp_path):
    def stop(event):
        if event["event"] == "step" and event["step"] == 5:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        minbert.train(tiny_config(tmp_path), output=tmp_path / "run", callbacks=[stop])
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "stopped"
    steps = []
    run = minbert.train(tiny_config(tmp_path), output=tmp_path / "run", resume=True,
                        callbacks=lambda event: steps.append(event["step"]) if event["event"] == "step" else None)
    assert steps[0] == 6
    whole = minbert.train(tiny_config(tmp_path), output=tmp_path / "whole")
    assert (run.folder / "best" / "model.safetensors").read_bytes() == (whole.folder / "best" / "model.safetensors").read_bytes()


def test_ctrl_c_gives_a_checkpoint_and_keyboard_interrupt(tmp_path):
    script = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from conftest import tiny_config
import minbert
folder = pathlib.Path(sys.argv[2])
def say(event):
    if event["event"] == "step" and event["step"] == 2:
        print("running", flush=True)
try:
    minbert.train([tiny_config(folder), {"stage": [{"epochs": 100000}]}], output=folder / "run", callbacks=say)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", script, os.path.dirname(__file__), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=120)[0] == "interrupted\n"
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "stopped"
    assert (tmp_path / "run" / "checkpoints" / "last" / "DONE").exists()


def test_train_texts_infers_the_task_from_the_labels(tmp_path, tiny_run):
    X, init = ["a fine film", "a dull film"] * 6, tiny_run.folder
    named = minbert.train_texts(init, X, ["good", "bad"] * 6, output=tmp_path / "named", epochs=1, max_length=16)
    assert named.model().classes_().tolist() == ["bad", "good"] and set(named.scores) == {"label"}
    counted = minbert.train_texts(init, np.array(X), np.array([1, 0] * 6), dev=None, output=tmp_path / "counted", epochs=1, max_length=16)
    assert counted.model().classes_().tolist() == [0, 1] and counted.scores == {}
    numbers = minbert.train_texts(init, X, [0.5, 2.0] * 6, X_pair=X[::-1], output=tmp_path / "numbers", epochs=1, max_length=16,
                                  dev=(X[:2], [0.5, 2.0], X[:2]))
    info = numbers.model().task_info()
    assert info.type == "pair_regress"
    sets = minbert.train_texts(init, X, [["good", "short"], ["short"]] * 6, output=tmp_path / "sets", epochs=1, max_length=16).model()
    assert sets.task_info().is_multi_label and sets.classes_().tolist() == ["good", "short"]
    assert all(set(labels) <= {"good", "short"} for labels in sets.predict(X))
    assert sets.analyze(X[0])["label"]["labels"] == sets.predict(X[0])
    with pytest.raises(minbert.Error, match="y: expected as many as X has, 12, got 1"):
        minbert.train_texts(init, X, ["a"], output=tmp_path / "short")
    kept = (tmp_path / "named-data" / "train.jsonl").read_bytes()
    for refused in ({}, {"resume": True}):
        with pytest.raises(minbert.UsageError, match="holds a run already|to go on"):
            minbert.train_texts(init, ["one", "two"], ["x", "y"], output=tmp_path / "named", **refused)
        assert (tmp_path / "named-data" / "train.jsonl").read_bytes() == kept
    with pytest.raises(OSError):
        minbert.train_texts(tmp_path / "nobody", X, ["good", "bad"] * 6, output=tmp_path / "never")
    assert not (tmp_path / "never-data").exists()
    with pytest.raises(minbert.UsageError, match="shape"):
        minbert.train_texts(init, X, np.array([[1, 0], [0, 1]] * 6), output=tmp_path / "matrix")
    with pytest.raises(minbert.Error, match=r"X\[1\]: expected a str"):
        minbert.train_texts(init, ["a", None], ["a", "b"], output=tmp_path / "none")
    with pytest.raises(minbert.Error, match=r"y\[1\]: expected a finite number, got nan"):
        minbert.train_texts(init, ["a", "b"], [0.5, float("nan")], output=tmp_path / "none")
    with pytest.raises(minbert.Error, match=r"y\[1\]: expected a label, got None"):
        minbert.train_texts(init, ["a", "b"], ["x", None], output=tmp_path / "none")
    scalars = minbert.train_texts(init, X, list(np.array([0.5, 2.0] * 6, np.float32)), output=tmp_path / "scalars", epochs=1, max_length=16)
    assert scalars.model().task_info().type == "regress"
    whole = minbert.train_texts(init, X, list(np.array([0, 1] * 6)), output=tmp_path / "whole", epochs=1, max_length=16)
    assert whole.model().classes_().tolist() == [0, 1]
    with pytest.raises(minbert.Error, match="dev: expected a fraction below 1"):
        minbert.train_texts(init, X, ["good", "bad"] * 6, dev=1.5, output=tmp_path / "none")
    with pytest.raises(minbert.Error, match="X: expected texts in X beside X_pair"):
        minbert.train_texts(init, [("a", "b")] * 4, [0, 1] * 2, X_pair=["c"] * 4, output=tmp_path / "none")
    odd = minbert.train_texts(init, ["a \ud800 film", "dull"] * 6, ["good", "bad"] * 6, output=tmp_path / "odd", epochs=1, max_length=16)
    assert odd.model().predict("a \ud800 film") in ("good", "bad")


def test_train_texts_is_the_one_liner_of_the_program(tmp_path, tiny_run):
    X, y = ["a fine film", "a dull film", "fine", "dull"] * 5, ["good", "bad"] * 10
    run = minbert.train_texts(tiny_run.folder, X, y, output=tmp_path / "own", max_length=16)
    file = write_rows(tmp_path / "label.csv", "text,label", [f"{text},{label}" for text, label in zip(X, y)])
    run_program("train", "-q", "--init", tiny_run.folder, "--train", file, "--set", "model.max_length=16", "-o", tmp_path / "theirs")
    assert (run.folder / "best" / "model.safetensors").read_bytes() == (tmp_path / "theirs" / "best" / "model.safetensors").read_bytes()


def test_rows_of_dev_are_no_rows_of_train(tmp_path, tiny_run):
    run = minbert.train_texts(tiny_run.folder, ["a fine film", "a dull film"] * 200, ["good", "bad"] * 200, dev=0.5, epochs=1,
                              max_length=16, output=tmp_path / "run")
    heads, finetune = tomllib.loads((run.folder / "config.toml").read_text())["stage"]
    assert heads["epochs"] == 24 and finetune["epochs"] == 1  # 300 steps of 16 of the 200 rows


def test_errors_of_configs_name_the_key(tmp_path):
    with pytest.raises(minbert.Error) as caught:
        minbert.train({**tiny_config(tmp_path), "stage": [{"epochz": 1}]}, output=tmp_path / "run")
    assert caught.value.tag == "usage" and "epochz" in str(caught.value) and "epochs" in caught.value.hint
    with pytest.raises(minbert.Error, match="expected text, numbers, lists and dicts, got set"):
        minbert.train({"run": {"name": {1}}})
    with pytest.raises(minbert.Error, match="key of config: expected a str, got 1"):
        minbert.train({1: 2})
    assert not (tmp_path / "run").exists()


def test_toml_holds_every_value():
    config = {"run": {"name": 'a "b"\n\x7f é', "seed": 3}, "model": {"init": "x", "max_length": None},
              "task": [{"name": "t", "labels": ["x", "y"], "head": {"dense": ["H", 4]}, "data": {"train": [{"path": "p", "limit": 3}],
                        "label_range": [float("-inf"), 1e-5], "label_map": {"é 1": "2"}}}], "stage": []}
    config["stage"] = [{"lr": np.float64(1e-5), "epochs": np.int64(2), "betas": np.array([0.5, 0.75])}]
    read = tomllib.loads(to_toml(config))
    del config["model"]["max_length"]
    config["stage"] = [{"lr": 1e-5, "epochs": 2, "betas": [0.5, 0.75]}]
    assert read == config
    assert tomllib.loads(to_toml({"stage": []})) == {}


def test_a_bar_shows_steps_and_scores(tmp_path, capsys):
    minbert.train(tiny_config(tmp_path), output=tmp_path / "run", progress=True)
    text = capsys.readouterr().err
    assert "stage 0 epoch 2" in text and "loss" in text
