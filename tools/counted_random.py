"""minbert's random numbers in numpy: Philox4x32-10, streams by name (minbert/base/rng.h) and dropout masks (minbert/ops/backend.h)."""

import itertools

import numpy as np


def philox(key, counter):
    """The four 32-bit words of each block, as uint64 arrays (Salmon et al. 2011); `counter` is four broadcastable arrays."""
    low = np.uint64(0xFFFFFFFF)
    c = list(np.broadcast_arrays(*(np.asarray(word, dtype=np.uint64) for word in counter)))
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p0 & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def dropout_factors(n, *, p, seed, step, micro_step, site, row, position, pass_=0, head=0):
    """Float32 factors (..., n), each 0 or the scale, of elements 0..n-1 of each row; row, position, pass_ and head broadcast together."""
    row, position, pass_, head = np.broadcast_arrays(*(np.asarray(x, dtype=np.int64)[..., None] for x in (row, position, pass_, head)))
    block = np.arange((n + 7) // 8)
    words = philox(seed, [step, micro_step | pass_ << 12 | site << 16, row | head << 24, position | block << 16])
    lanes = np.stack([word >> np.uint64(shift) & np.uint64(0xFFFF) for word in words for shift in (0, 16)], axis=-1)
    threshold = round(p * 65536)
    scale = np.float32(65536 / (65536 - threshold)) if threshold < 65536 else np.float32(0)
    return np.where(lanes < threshold, np.float32(0), scale).reshape(*row.shape[:-1], -1)[..., :n]


class Stream:
    """minbert's random stream `name`: Philox4x32-10 with the seed as key, and a counter of block number and the name's FNV-1a hash."""

    def __init__(self, seed, name):
        self.seed, hashed = seed, 0xCBF29CE484222325
        for byte in name.encode():
            hashed = (hashed ^ byte) * 0x100000001B3 & (1 << 64) - 1
        self.hash = hashed

    def blocks(self, numbers):
        """The four words of each block, as an int64 array (N, 4)."""
        numbers = np.asarray(numbers, dtype=np.uint64)
        words = philox(self.seed, [numbers & np.uint64(0xFFFFFFFF), numbers >> np.uint64(32), self.hash & 0xFFFFFFFF, self.hash >> 32])
        return np.stack(words, axis=-1).astype(np.int64)

    def block(self, number):
        return self.blocks([number])[0].tolist()

    def integers(self):
        """Yields the stream's 64-bit integers from its start on."""
        for first in itertools.count(0, 1024):
            for a, b, c, d in self.blocks(np.arange(first, first + 1024)).tolist():
                yield a | b << 32
                yield c | d << 32

    def permutation(self, n):
        """0..n-1 in the order of Rng::shuffle."""
        most, order, integers = (1 << 64) - 1, list(range(n)), self.integers()
        for i in range(n, 1, -1):
            j = next(x for x in integers if x < most - most % i) % i
            order[i - 1], order[j] = order[j], order[i - 1]
        return order
