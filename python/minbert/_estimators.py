"""Classifier and Regressor: minbert's training as estimators of scikit-learn."""
from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import weakref
from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import assert_all_finite, column_or_1d
except ImportError as error:
    raise ImportError("minbert.Classifier and minbert.Regressor need scikit-learn: pip install scikit-learn") from error

from minbert._errors import DataError
from minbert._inputs import read_inputs
from minbert._model import Model, load
from minbert._training import Run, train_texts


def _check_inputs(X: Any) -> list:
    """The inputs as a list of texts or pairs."""
    if hasattr(X, "tocsr"):
        raise TypeError("Sparse data was passed, but texts are required")
    read = read_inputs([X] if isinstance(X, str) else X)
    if not read.texts:
        raise DataError("Found array with 0 sample(s) while a minimum of 1 is required", tag="data", place="X")
    for i, text in enumerate(read.texts):
        if not isinstance(text, str):
            raise DataError(f"expected a text or a pair of texts, got {text!r:.40}", tag="data", place=f"X[{i}]")
    return read.texts if read.pairs is None else list(zip(read.texts, read.pairs))


class _TextEstimator(BaseEstimator):
    """What both estimators share: the arguments, fit, and a fitted model that pickles with its weights."""

    def __init__(
        self,
        init: str | os.PathLike = "models/all-MiniLM-L6-v2",
        *,
        epochs: int | None = None,
        lr: float | None = None,
        batch: int | None = None,
        max_length: int | None = None,
        dtype: str | None = None,
        dev: float | None = None,
        random_state: int | None = None,
        config: dict | None = None,
        threads: int | None = None,
        progress: bool = False,
    ):
        self.init = init
        self.epochs = epochs
        self.lr = lr
        self.batch = batch
        self.max_length = max_length
        self.dtype = dtype
        self.dev = dev
        self.random_state = random_state
        self.config = config
        self.threads = threads
        self.progress = progress

    def _fit(self, X: list, y: list) -> None:
        if len(X) != len(y):
            raise DataError(f"expected {len(X)} labels, one for each input, got {len(y)}", tag="data", place="y")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="minbert-"))
        try:
            seed = None if self.random_state is None else int(self.random_state)
            run = train_texts(self.init, X, y, dev=self.dev, output=folder / "run", epochs=self.epochs, lr=self.lr, batch=self.batch,
                              max_length=self.max_length, dtype=self.dtype, seed=seed, config=self.config, progress=self.progress,
                              threads=self.threads)
            self.history_ = run.metrics
            self.scores_ = run.scores
            shutil.move(run.folder / "best", folder / "best")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.rmtree(folder / "run-data", ignore_errors=True)
        self._keep(folder)

    def _keep(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._model: Model | None = None
        self._removal = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @property
    def model_(self) -> Model:
        """The fitted model."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments first.")
        if self._model is None:
            self._model = load(self._folder / "best", dtype=self.dtype, threads=self.threads)
        return self._model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_folder")

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        state.pop("_removal", None)
        state.pop("_model", None)
        folder = state.pop("_folder", None)
        if folder is not None:
            best = folder / "best"
            state["_files"] = {str(file.relative_to(best)): file.read_bytes() for file in sorted(best.rglob("*")) if file.is_file()}
        return state

    def __setstate__(self, state: dict) -> None:
        state = dict(state)
        files = state.pop("_files", None)
        super().__setstate__(state)
        if files is None:
            return
        folder = pathlib.Path(tempfile.mkdtemp(prefix="minbert-"))
        for name, data in files.items():
            path = folder / "best" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self._keep(folder)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        tags.target_tags.required = True
        return tags

    def save(self, folder: str | os.PathLike) -> None:
        """Copies the fitted model into a new folder, which minbert.load and the program open."""
        self.model_
        shutil.copytree(self._folder / "best", folder)


class Classifier(ClassifierMixin, _TextEstimator):
    """Fine-tunes an encoder to put texts, or pairs of texts, into classes.

    init: the model to start from. Absent settings are those of `minbert train --init INIT --train FILE`; `config` holds further keys
    (docs/config.md). dev: fraction of the rows that choose the best epoch; None trains on all and keeps the last. Attributes after fit:
    classes_ (classes,), model_ (minbert.Model), history_ (events), scores_ (dev).
    """

    def fit(self, X: Any, y: Any) -> Classifier:
        """Trains. X: n texts, or (n, 2) pairs; y: n labels of any kind that sorts."""
        y = _check_targets(y)
        check_classification_targets(y)
        classes, indices = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"Classifier can't train when only one class is present: {classes.tolist()}", tag="data", place="y")
        names = _names_of(classes)
        self._fit(_check_inputs(X), [names[i] for i in indices.tolist()])
        self.classes_ = classes
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(n,): a class of classes_ for each input."""
        predicted = self.model_.predict(_check_inputs(X))
        index = {name: i for i, name in enumerate(_names_of(self.classes_))}
        return self.classes_[np.array([index[label] for label in predicted], dtype=int)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, classes), with columns in the order of classes_."""
        return self.model_.predict_proba(_check_inputs(X))


class Regressor(RegressorMixin, _TextEstimator):
    """Fine-tunes an encoder to give texts, or pairs of texts, numbers. Settings are those of Classifier."""

    def fit(self, X: Any, y: Any) -> Regressor:
        """Trains. X: n texts, or (n, 2) pairs; y: n numbers."""
        y = np.asarray(_check_targets(y), dtype=np.float64)
        self._fit(_check_inputs(X), y.tolist())
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(n,) float64."""
        return np.array(self.model_.predict(_check_inputs(X)), dtype=np.float64)


def _names_of(classes: np.ndarray) -> list:
    """What the model calls the classes: their names, or their indices if some have none, or blanks around it."""
    names = classes.tolist()
    return names if all(isinstance(name, str) and name and name == name.strip() for name in names) else list(range(len(names)))


def _check_targets(y: Any) -> np.ndarray:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    return y
