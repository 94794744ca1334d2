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
    return values.tolist() if hasattr(values, "tolist") else list(values)


def read_texts(texts: Any) -> Inputs:
    """A str, or a list, array or Series of str."""
    if isinstance(texts, str):
        return Inputs([texts], None, True)
    return Inputs(_column(texts), None, False)


def read_inputs(inputs: Any) -> Inputs:
    """A text or a tuple of two, or a list, array, Series or data frame of these; columns of an (n, 2) array are the two texts."""
    if isinstance(inputs, str):
        return Inputs([inputs], None, True)
    if isinstance(inputs, dict):
        return Inputs([inputs["text"]], [inputs["text_pair"]] if "text_pair" in inputs else None, True)
    if isinstance(inputs, tuple) and len(inputs) == 2 and all(isinstance(text, str) for text in inputs):
        return Inputs([inputs[0]], [inputs[1]], True)
    rows = _column(inputs.to_numpy() if hasattr(inputs, "to_numpy") else inputs)
    if rows and isinstance(rows[0], dict):
        rows = [(row["text"], row["text_pair"]) if "text_pair" in row else row["text"] for row in rows]
    widths = {len(row) if isinstance(row, (list, tuple)) else 0 for row in rows}
    if widths <= {0}:
        return Inputs(rows, None, False)
    if widths == {1}:
        return Inputs([row[0] for row in rows], None, False)
    if widths == {2}:
        return Inputs([row[0] for row in rows], [row[1] for row in rows], False)
    raise UsageError("expected texts, or pairs of texts, got a mixture or longer rows", place="inputs")
