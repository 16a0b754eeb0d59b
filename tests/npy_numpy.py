"""gram's .npy files against numpy: every type, order and header version numpy writes is read as numpy means it, and
numpy reads what gram writes. Usage: npy_numpy.py [path/to/npy, built from tests/npy.c]"""
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import BUILD, Tally  # noqa: E402

NPY = sys.argv[1] if len(sys.argv) > 1 else os.path.join(BUILD, "tests", "npy")
TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
SHAPES = [(), (1,), (7,), (3, 5), (2, 0, 3), (2, 3, 4, 5)]
NAMES = {"?": "bool"}
tally = Tally()
check = tally.expect


def copy(source, target, dtype):
    """The npy program's reading, conversion and writing."""
    done = subprocess.run([NPY, "copy", source, target, NAMES.get(dtype, dtype)], stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr.strip()


def values(shape, dtype, random):
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)


def check_copy(folder, array, target, text, version=None):
    """array, written by numpy, converted by gram to target, equals numpy's own conversion."""
    source, result = folder / "a.npy", folder / "b.npy"
    with open(source, "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    status, message = copy(source, result, target)
    check(status == 0, f"{text}: {message}")
    if status == 0:
        got, expected = np.load(result, allow_pickle=False), array.astype(target)
        same = got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes("C")
        check(same and got.flags.c_contiguous, f"{text}: {got!r} is not {expected!r}")


def main():
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for dtype, shape in itertools.product(TYPES, SHAPES):
            array = values(shape, dtype, random)
            for order, endian in itertools.product("CF", "<>"):
                ordered = np.asarray(array, dtype=np.dtype(dtype).newbyteorder(endian), order=order)
                check_copy(folder, ordered, dtype, f"{endian}{dtype} {shape} {order}")
        for version, dtype, order in itertools.product([(1, 0), (2, 0), (3, 0)], ["f4", "f8", "i4"], "CF"):
            array = np.asarray(values((4, 6), dtype, random), order=order)
            check_copy(folder, array, dtype, f"version {version} {dtype} {order}", version)
        for source, target in itertools.product(TYPES, TYPES):
            array = values((3, 5), source, random)
            if np.dtype(source).kind == "f":
                array = np.round(np.abs(array) * 30).astype(source)
            check_copy(folder, array if target != "?" else (array != 0).astype(source), target, f"{source} to {target}")
        wide = (random.standard_normal(20000) * np.exp(random.uniform(-20, 12, 20000)))
        with np.errstate(over="ignore"):
            for source, target in itertools.product(["f8", "f4"], ["f4", "f2"]):
                check_copy(folder, wide.astype(source), target, f"rounding {source} to {target}")
        np.save(folder / "a.npy", np.array([1.5, 2.5]))
        status, message = copy(folder / "a.npy", folder / "none.npy", "i4")
        check(status == 1 and message == "the value 1.5 at [0] does not fit type i4", message)
        check(not (folder / "none.npy").exists(), "a file was written in spite of an error")
        (folder / "tail.npy").write_bytes((folder / "a.npy").read_bytes() + b"more")
        check(copy(folder / "tail.npy", folder / "b.npy", "f8")[0] == 0, "bytes after the data are not an error")
    tally.end()


main()
