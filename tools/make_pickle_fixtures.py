#!/usr/bin/env python3
"""Writes the small torch checkpoints of tests/golden/model: files of torch.save, and malicious ones.

Usage: make_pickle_fixtures.py FOLDER    (needs torch; tests/model/pickle_test.cpp knows the values)
"""
import collections
import os
import pathlib
import sys
import zipfile

import torch


def state_dict():
    """Every dtype, and views that share a storage: one transposed, one with an offset, one expanded."""
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = collections.OrderedDict()
    state["base"] = base
    state["transposed"] = base.t()
    state["column"] = base[1:, 2]
    state["expanded"] = base[:1, 1:2].expand(2, 3)
    state["half"] = torch.tensor([1.5, -2.0, 65504.0], dtype=torch.float16)
    state["bfloat16"] = torch.tensor([1.0, -3.0], dtype=torch.bfloat16)
    state["double"] = torch.tensor([[0.5], [0.25]], dtype=torch.float64)
    state["ids"] = torch.arange(3).unsqueeze(0)
    state["flag"] = torch.tensor([True, False])
    state["scalar"] = torch.tensor(7.0)
    state["empty"] = torch.zeros(0, 4)
    state["parameter"] = torch.nn.Parameter(torch.tensor([8.0, 9.0]))
    state._metadata = collections.OrderedDict(version=1)
    return state


def to_big_endian(source, target):
    """The file that torch.save writes on a big-endian machine: the same pickle, with the bytes of each number reversed."""
    size_of = {}
    for tensor in torch.load(source).values():
        size_of.setdefault(tensor.untyped_storage().data_ptr(), tensor.element_size())
    sizes = list(size_of.values())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = old.read(name)
            parts = name.split("/")
            if parts[1] == "byteorder":
                data = b"big"
            elif parts[1] == "data":
                size = sizes[int(parts[2])]
                data = b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))
            new.writestr(name, data)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch harm-was-done",)


class Plain:
    """A class of the program that saves: harmless, but only running code could restore it."""


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state_dict(), folder / "zip.bin")
    torch.save(state_dict(), folder / "zip_protocol4.bin", pickle_protocol=4)
    torch.save(state_dict(), folder / "legacy.bin", _use_new_zipfile_serialization=False)
    wrapped = {"epoch": 3, "lr": 1e-5, "hyper": [None, True, (1, 2)], "state_dict": {"model": state_dict()}, "size": torch.Size([2, 3])}
    torch.save(wrapped, folder / "wrapped.bin")
    numbers = {name: tensor.clone() for name, tensor in state_dict().items() if name in ("base", "half", "double")}
    torch.save(numbers, folder / "little.tmp")
    to_big_endian(folder / "little.tmp", folder / "big_endian.bin")
    (folder / "little.tmp").unlink()

    torch.save({"w": torch.ones(2), "x": Hostile()}, folder / "hostile_zip.bin")
    torch.save({"w": torch.ones(2), "x": Hostile()}, folder / "hostile_legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"w": torch.ones(2), "x": Plain()}, folder / "class.bin")
    torch.save(torch.ones(2), folder / "not_a_dict.bin")
    with zipfile.ZipFile(folder / "zip.bin") as old, zipfile.ZipFile(folder / "deflated.bin", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


if __name__ == "__main__":
    main()
