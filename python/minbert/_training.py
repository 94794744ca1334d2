"""Training: configs from dicts and files, live events, and what a run leaves."""
from __future__ import annotations

import json
import math
import os
import pathlib
import subprocess
import sys
from typing import Any, Callable, Iterable, Sequence

from minbert import _native
from minbert._errors import DataError, UsageError
from minbert._inputs import read_inputs
from minbert._model import Model, load
from minbert._progress import Bar, is_watched

Callback = Callable[[dict], Any]
_BLOCKS = ("task", "stage")  # lists of dicts that later configs merge with, block by block


class Run:
    """A run folder after training, or an earlier one: `minbert.Run("runs/mine")`."""

    def __init__(self, folder: str | os.PathLike, scores: dict[str, float] | None = None):
        self.folder = pathlib.Path(folder)
        if not (self.folder / "status.json").is_file():
            raise UsageError("expected a run folder, got none", place=str(self.folder))
        self._scores = scores

    def __repr__(self) -> str:
        return f"minbert.Run({str(self.folder)!r})"

    def model(self, dtype: str | None = None, threads: int | None = None) -> Model:
        """Its best model, loaded."""
        return load(self.folder, dtype=dtype, threads=threads)

    @property
    def metrics(self) -> list[dict]:
        """The lines of metrics.jsonl: steps with their losses, evaluations with their scores."""
        with open(self.folder / "metrics.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    @property
    def scores(self) -> dict[str, float]:
        """Dev scores of the best model by task; empty without dev data."""
        if self._scores is not None:
            return dict(self._scores)
        file = self.folder / "eval" / "dev" / "metrics.json"
        return json.loads(file.read_text(encoding="utf-8"))["scores"] if file.is_file() else {}

    def report(self) -> pathlib.Path:
        """Writes report.html, the scores, curves and errors of the run, and returns its path."""
        from minbert.__main__ import program

        done = subprocess.run([program(), "report", "-q", str(self.folder)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UsageError(done.stderr.strip(), place=str(self.folder))
        return self.folder / "report.html"


def train(
    config: dict | str | os.PathLike | Sequence[dict | str | os.PathLike],
    output: str | os.PathLike | None = None,
    resume: bool = False,
    progress: bool | None = None,
    callbacks: Callback | Iterable[Callback] | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    set: Sequence[str] = (),
) -> Run:
    """Trains as `minbert train` does, to the same bits, and returns the finished run.

    config: a TOML file, a dict of the same keys (docs/config.md), or a list of these, of which later ones win; files come before dicts.
    output: the run folder; default: runs/NAME. resume: go on where its last checkpoint stands. progress: draw a bar and print scores;
    default: if somebody watches. callbacks: functions that get each event of metrics.jsonl as a dict, while it happens, and also
    {"event": "pass"} and {"event": "message"}. Ctrl-C, or an exception of a callback, saves a checkpoint, ends the run and is raised.
    """
    sources = [config] if isinstance(config, (dict, str, os.PathLike)) else list(config)
    files = [os.fspath(source) for source in sources if not isinstance(source, dict)]
    texts = [to_toml(source) for source in sources if isinstance(source, dict)]
    if any(isinstance(source, dict) for source in sources[:len(files)]):
        raise UsageError("expected files before dicts, which win", place="config")
    return _run(files, texts, set, output, resume, overwrite, threads, progress, callbacks)


def _run(files: list, texts: list, set: Sequence[str], output: Any, resume: bool, overwrite: bool, threads: int | None,
         progress: bool | None, callbacks: Any) -> Run:
    listeners = [callbacks] if callable(callbacks) else list(callbacks or [])
    view = TrainView() if (is_watched() if progress is None else progress) else None
    if view is not None:
        listeners.insert(0, view)

    def on_event(line: str) -> None:
        event = json.loads(line)
        for listener in listeners:
            listener(event)

    try:
        folder, scores, _ = _native.train(files, texts, list(set), os.fspath(output) if output is not None else "", resume, overwrite,
                                          threads or 0, on_event if listeners else _ignore)
    finally:
        if view is not None:
            view.close()
    return Run(folder, scores)


def _ignore(_: str) -> None:
    pass


def train_texts(
    init: str | os.PathLike,
    X: Any,
    y: Any,
    X_pair: Any = None,
    dev: float | tuple | None = 0.1,
    *,
    output: str | os.PathLike | None = None,
    task: str = "label",
    epochs: int | None = None,
    lr: float | None = None,
    batch: int | None = None,
    max_length: int | None = None,
    dtype: str | None = None,
    seed: int | None = None,
    config: dict | None = None,
    resume: bool = False,
    progress: bool | None = None,
    callbacks: Callback | Iterable[Callback] | None = None,
    overwrite: bool = False,
    threads: int | None = None,
) -> Run:
    """Trains one task on texts in memory, with the settings of `minbert train --init INIT --train FILE`.

    X: texts, or pairs with X_pair or as (n, 2). y: labels; floats are a regression, lists sets of labels, all else classes: whole numbers
    0 to K - 1 stay numbers, others become names. dev: a fraction of X, (X_dev, y_dev), or None, which keeps the last epoch's model. config: further keys,
    such as {"stage": [{"name": "finetune", "epochs": 2}]}. Few pairs of classes train the head alone, unless epochs, lr, batch or a stage of config is given. The texts are written beside the run folder, so that it can be resumed and reported.
    """
    if isinstance(dev, (int, float)) and not 0 <= dev < 1:
        raise UsageError(f"expected a fraction below 1, or a pair (X, y), got {dev}", place="dev")
    rows = _read_rows(X, y, X_pair)
    labels = _label_keys(rows.labels)
    output = pathlib.Path(output) if output is not None else pathlib.Path("runs") / task
    data = output.with_name(output.name + "-data")
    if (output / "status.json").exists() and not (resume or overwrite):
        raise UsageError("holds a run already", place=str(output), hint="resume=True goes on with it, overwrite=True removes it")
    files = {data.absolute() / "train.jsonl": rows}
    own: dict[str, Any] = {"train": str(next(iter(files))), "text": "text", "label": "label"}
    if rows.pairs is not None:
        own["text_pair"] = "text_pair"
    if isinstance(dev, tuple):
        files[data.absolute() / "dev.jsonl"] = _read_rows(*dev)
        own["dev"] = str(data.absolute() / "dev.jsonl")
    elif dev:
        own["dev"] = float(dev)
    kind = ("pair_" if rows.pairs is not None else "") + ("regress" if labels is None else "classify")
    if _are_sets(rows.labels):
        kind = "multi_label"
    if labels is None:
        own["label_range"] = [-math.inf, math.inf]
    spec = {"name": task, "type": kind, "data": own}
    if labels is not None:
        spec["labels"] = labels
    stage = {key: value for key, value in (("epochs", epochs), ("lr", lr), ("batch", batch)) if value is not None}
    model = {key: value for key, value in (("max_length", max_length), ("dtype", dtype)) if value is not None}
    train_rows = len(rows.texts) * (1 - dev if isinstance(dev, float) else 1)
    more = config or {}
    tunes = bool(stage) or "stage" in more or any(isinstance(block, dict) and block.get("encode") == "joint" for block in more.get("task", []))
    usual = _native.usual_config(_init(init), task, rows.pairs is not None, labels is None, float(train_rows), tunes)
    overlay = {"run": {"name": task, **({} if seed is None else {"seed": seed})}, "model": {"init": _init(init), **model}, "task": [spec],
               "stage": [{"name": "finetune", **stage}]}
    texts = [usual, to_toml(overlay)] + ([to_toml(config)] if config else [])
    for path, of_split in files.items():  # once nothing that is wrong in the arguments can lose an earlier run's rows
        _write_rows(path, of_split, resume)
    return _run([], texts, [], output, resume, overwrite, threads, progress, callbacks)


def _init(init: str | os.PathLike) -> str:
    return "scratch" if init == "scratch" else str(pathlib.Path(init).absolute())


class Rows:
    """Texts, second texts or None, and labels, all of one length."""

    def __init__(self, texts: list, pairs: list | None, labels: list):
        self.texts, self.pairs, self.labels = texts, pairs, labels


def _read_rows(X: Any, y: Any, X_pair: Any = None) -> Rows:
    read = read_inputs(X)
    if read.pairs is not None and X_pair is not None:
        raise UsageError("expected texts in X beside X_pair, got pairs", place="X")
    pairs = read.pairs if X_pair is None else read_inputs(X_pair).texts
    if getattr(y, "ndim", 1) > 1 and y.dtype.kind in "biuf":
        raise UsageError(f"expected a label or a list of labels for each text, got numbers of shape {y.shape}", place="y",
                         hint="of an indicator matrix: [list(names[row == 1]) for row in y], names being an array")
    labels = y.tolist() if hasattr(y, "tolist") else [label.item() if hasattr(label, "item") else label for label in y]
    for name, values in (("X_pair", pairs), ("y", labels)):
        if values is not None and len(values) != len(read.texts):
            raise DataError(f"expected as many as X has, {len(read.texts)}, got {len(values)}", tag="data", place=name)
    for i, text in enumerate(read.texts + (pairs or [])):
        if not isinstance(text, str):
            raise DataError(f"expected a str, got {text!r:.40}", tag="data", place=f"X[{i % len(read.texts)}]")
    for i, label in enumerate(labels):
        if label is None:
            raise DataError("expected a label, got None", tag="data", place=f"y[{i}]")
        if isinstance(label, float) and not math.isfinite(label):
            raise DataError(f"expected a finite number, got {label}", tag="data", place=f"y[{i}]")
    return Rows(read.texts, pairs, labels)


def _are_sets(labels: list) -> bool:
    return any(isinstance(label, (list, tuple, set, frozenset)) for label in labels)


def _label_keys(labels: list) -> int | list[str] | None:
    """The task's `labels`: a count or names; None for numbers."""
    if _are_sets(labels):
        return sorted({str(label) for of_row in labels for label in of_row})
    if any(isinstance(label, float) for label in labels):
        return None
    distinct = sorted(set(labels), key=lambda label: (isinstance(label, str), label))
    if all(isinstance(label, (int, bool)) for label in distinct) and [int(label) for label in distinct] == list(range(len(distinct))):
        return len(distinct)
    return [str(label) for label in distinct]


def _write_rows(path: pathlib.Path, rows: Rows, resume: bool) -> None:
    """Writes a file of rows; a run that goes on must have the same ones."""
    lines = []
    for i, text in enumerate(rows.texts):
        row = {"text": text}
        if rows.pairs is not None:
            row["text_pair"] = rows.pairs[i]
        label = rows.labels[i]
        if isinstance(label, (list, tuple, set, frozenset)):
            row["label"] = sorted(str(one) for one in label)
        else:
            row["label"] = label if isinstance(label, float) else str(int(label) if isinstance(label, bool) else label)
        line = json.dumps(row, ensure_ascii=False)
        lines.append(line.encode("utf-16", "surrogatepass").decode("utf-16", "replace") + "\n")  # lone surrogates become U+FFFD
    content = "".join(lines).encode()
    if resume and path.exists():
        if path.read_bytes() != content:
            raise UsageError("expected the texts and labels of the run that is to go on, got others", place=str(path))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    new.write_bytes(content)
    os.replace(new, path)


class TrainView:
    """Draws a run's steps as one bar for each stage, and prints its scores."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._stage = ""
        self._text = ""

    def __call__(self, event: dict) -> None:
        if event["event"] == "step":
            if self._bar is None or event["stage"] != self._stage:
                self.close()
                self._bar, self._stage = Bar(event["stage_steps"]), event["stage"]
            loss = event["loss"]
            self._bar.show(event["stage_step"], f"stage {event['stage']} epoch {event['epoch']} {event['task']} loss "
                           f"{'nan' if loss is None else format(loss, '.4f')}{self._text}")
        elif event["event"] == "eval":
            scores = "  ".join(f"{task} {score:.4f}" for task, score in event["scores"].items())
            self._text = f"  {event['split']} {scores}"
        elif event["event"] == "message" and event["level"] == "warning":
            print(f"\nminbert: warning: {event['text']}", file=sys.stderr)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.__exit__()
            self._bar = None


def to_toml(config: dict) -> str:
    """A config as TOML; None stands for a key that is not there."""
    lines: list[str] = []
    _table(config, "", lines)
    return "\n".join(lines) + "\n"


def _table(table: dict, prefix: str, lines: list[str]) -> None:
    """Values first, then tables and blocks, which end the table before them."""
    def is_block(key: str, value: Any) -> bool:
        return not prefix and key in _BLOCKS and isinstance(value, (list, tuple))

    for key, value in table.items():
        if not isinstance(key, str):
            raise UsageError(f"expected a str, got {key!r}", place="key of config")
        if value is not None and not isinstance(value, dict) and not is_block(key, value):
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in table.items():
        name = f"{prefix}{_key(key)}"
        if is_block(key, value):
            for block in value:
                lines.append(f"[[{name}]]")
                _table(block, name + ".", lines)
        elif isinstance(value, dict):
            lines.append(f"[{name}]")
            _table(value, name + ".", lines)


def _key(key: str) -> str:
    return key if key.replace("-", "_").isidentifier() and key.isascii() else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))  # NumPy's float64 is a float, and its repr is no number
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if hasattr(value, "tolist"):
        return _value(value.tolist())
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise UsageError(f"expected text, numbers, lists and dicts, got {type(value).__name__}", place="config")
