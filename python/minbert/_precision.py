"""Precisions of vectors: int8 and uint8 by ranges of each dimension, binary and ubinary by signs, as sentence-transformers defines them."""
from __future__ import annotations

import warnings
from typing import Any

from minbert._errors import UsageError

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
_FEW_ROWS = 100


def quantize(rows: Any, precision: str) -> Any:
    """Vectors (n, d) float32 as (n, d) int8 or uint8, or packed as (n, d / 8) int8 (binary) or uint8 (ubinary).

    int8 and uint8 divide the range of each dimension over these vectors into 256 levels.
    """
    import numpy as np

    if precision not in PRECISIONS:
        raise UsageError(f'expected one of {", ".join(PRECISIONS)}, got "{precision}"', place="precision")
    if precision == "float32":
        return rows
    if precision in ("binary", "ubinary"):
        packed = np.packbits(rows > 0).reshape(rows.shape[0], -1)
        return packed if precision == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
    if len(rows) < _FEW_ROWS:
        warnings.warn(f"the ranges of {precision} vectors come from {len(rows)} of them; other texts' vectors would have others",
                      stacklevel=3)
    ranges = np.vstack([rows.min(axis=0), rows.max(axis=0)]) if len(rows) else np.zeros((2, rows.shape[1]), rows.dtype)
    starts, steps = ranges[0], (ranges[1] - ranges[0]) / 255
    steps = np.where(steps == 0, 1, steps)
    levels = np.clip(np.floor((rows - starts) / steps), 0, 255)
    return levels.astype(np.uint8) if precision == "uint8" else (levels - 128).astype(np.int8)
