"""minbert: fine-tunes BERT on several sentence-level tasks, labels texts, makes sentence vectors, ranks.

    model = minbert.load("models/all-MiniLM-L6-v2")      # or a run folder
    vectors = model.encode(["A fine film.", "Dull."])    # (2, 384)
    run = minbert.train_texts("models/all-MiniLM-L6-v2", texts, labels)
    run.model().predict(["A fine film."])

Numbers are those of the program to the bit. Errors are minbert.Error with tag, place and hint.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minbert import _native
from minbert._errors import DataError, Error, ResourceError, UsageError
from minbert._model import Model, load
from minbert._training import Run, train, train_texts

if TYPE_CHECKING:
    from minbert._estimators import Classifier, Regressor

__version__: str = _native.version()
__all__ = ["Classifier", "DataError", "Error", "Model", "Regressor", "ResourceError", "Run", "UsageError", "load", "train", "train_texts"]


def __getattr__(name: str) -> Any:
    """Imports scikit-learn, which takes a second, only for those who ask for its estimators."""
    if name in ("Classifier", "Regressor"):
        from minbert import _estimators

        return getattr(_estimators, name)
    raise AttributeError(f"module 'minbert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
