"""Inputs: what people call texts and pairs (str, lists, arrays, Series, data frames) as lists of str."""
from __future__ import annotations

from typing import Any, NamedTuple

from minbert._errors import UsageError


class Inputs(NamedTuple):
    texts: list
    pairs: list | None
    single: bool  # one input was given, not a list of them


def _column(values: Any) -> list:
    """The values of a list, array or Series, strings of NumPy as str."""
    try:
        return values.tolist() if hasattr(values, "tolist") else list(values)
    except TypeError:
        raise UsageError(f"expected texts, got {type(values).__name__}", place="inputs") from None


def read_texts(texts: Any) -> Inputs:
    """A str, or a list, array, Series or data frame of one column of str."""
    read = read_inputs(texts)
    if read.pairs is not None or isinstance(texts, dict):
        raise UsageError("expected texts, got pairs", place="inputs")
    return read


def read_inputs(inputs: Any) -> Inputs:
    """A text or a tuple of two, or a list, array, Series or data frame of these; columns of an (n, 2) array are the two texts."""
    if hasattr(inputs, "ndim") and inputs.ndim == 0:
        inputs = inputs.item()
    if isinstance(inputs, str):
        return Inputs([inputs], None, True)
    if isinstance(inputs, dict):
        inputs = _of_dict(inputs)
        return Inputs([inputs], None, True) if isinstance(inputs, str) else Inputs([inputs[0]], [inputs[1]], True)
    if isinstance(inputs, tuple) and len(inputs) == 2 and all(isinstance(text, str) for text in inputs):
        return Inputs([inputs[0]], [inputs[1]], True)
    rows = [_of_dict(row) if isinstance(row, dict) else row for row in _column(inputs.to_numpy() if hasattr(inputs, "to_numpy") else inputs)]
    widths = {len(row) if isinstance(row, (list, tuple)) else 0 for row in rows}
    if widths <= {0}:
        return Inputs(rows, None, False)
    if widths == {1}:
        return Inputs([row[0] for row in rows], None, False)
    if widths == {2}:
        return Inputs([row[0] for row in rows], [row[1] for row in rows], False)
    raise UsageError("expected texts, or pairs of texts, got a mixture or longer rows", place="inputs")


def _of_dict(row: dict) -> Any:
    """The text, or the two texts, of {"text", "text_pair"?}."""
    if "text" not in row:
        raise UsageError(f'expected the key "text", got {", ".join(map(repr, row)) or "none"}', place="inputs")
    return (row["text"], row["text_pair"]) if "text_pair" in row else row["text"]
