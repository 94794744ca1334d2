#!/usr/bin/env python3
"""Writes tests/golden/model/init.safetensors: initial values of a head and of a linear MLM head, in numpy, from the definition alone.

A parameter called NAME has the random stream "init NAME" of the run's seed: Philox4x32-10 keyed by the seed, its counter the block's number
below the FNV-1a hash of the stream's name. A value takes two words, u = (low | high << 32) >> 11 in units of 2^-53, and is
(2u - 1) / sqrt(inputs) in float32: torch.nn.Linear's distribution (torch/nn/modules/linear.py, reset_parameters).

    python3 tools/export_golden_init.py [folder]        needs numpy, safetensors
"""

import sys
from pathlib import Path

import numpy as np
from counted_random import philox
from safetensors.numpy import save_file

SEED = 0x0123456789ABCDEF
# name: shape, inputs of the layer; those of tests/model/golden_test.cpp
PARAMETERS = {
    "heads.pair.dense.0.weight": ((5, 18), 18),
    "heads.pair.dense.0.bias": ((5,), 18),
    "heads.pair.out.weight": ((1, 5), 5),
    "heads.pair.out.bias": ((1,), 5),
    "mlm.weight": ((11, 6), 6),
}


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


def uniform_values(name, shape, inputs):
    stream = fnv1a("init " + name)
    count = int(np.prod(shape))
    block = np.arange((count + 1) // 2, dtype=np.uint64)
    words = philox(SEED, [block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), stream & 0xFFFFFFFF, stream >> 32])
    words = np.stack(words, axis=-1).reshape(-1, 2)[:count]
    u = ((words[:, 0] | words[:, 1] << np.uint64(32)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return ((2 * u - 1) / np.sqrt(inputs)).astype(np.float32).reshape(shape)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "tests/golden/model"
    save_file({name: uniform_values(name, *layer) for name, layer in PARAMETERS.items()}, folder / "init.safetensors")
