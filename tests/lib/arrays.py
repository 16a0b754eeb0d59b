"""gram in process (build/python), and random arrays for whatever a kernel takes."""
import os
import sys

import numpy as np

from command import BUILD, ROOT

sys.path.insert(0, os.path.join(BUILD, "python"))
import gram  # noqa: E402

# A sigma inside a sigma, and what compares all keys of a query: their plans hold an array over pairs.
DENSE = {"bipolar", "deep", "topk", "triangle"}
# Networks whose tokens have more features inside than in the arrays: the workspace grows with those.
WIDE = {"event_time", "npt"}


def specs():
    return sorted(f[:-4] for f in os.listdir(os.path.join(ROOT, "specs")) if f.endswith(".lua"))


def load(spec, **options):
    return gram.load(os.path.join(ROOT, "specs", spec + ".lua"), **options)


def shape_of(port, sizes):
    """"[batch, 8, n, 64]" as numbers."""
    def number(term):
        return sizes[term] if term in sizes else int(term)
    axes = port.shape.strip("[]").split(", ")
    return tuple(sum(map(number, a.split(" + "))) for a in axes if a)


def starts_of(sizes):
    """Where ragged items of n tokens in all start that are about equally long."""
    return np.linspace(0, sizes["n"], sizes["batch"] + 1).astype(np.int32)


def random_arrays(kernel, sizes, seed=1):
    """f32 arrays by name: normal, weights scaled by their columns, small integers."""
    random = np.random.default_rng(seed)

    def array(port):
        shape = shape_of(port, sizes)
        if port.kind == "starts":
            return starts_of(sizes)
        if port.integer:
            return random.integers(0, max(2, max(sizes.values()) if port.kind == "count" else 2), shape).astype(np.int32)
        scale = 1 / np.sqrt(shape[-1]) if port.kind == "matrix" else 1
        return (scale * random.standard_normal(shape)).astype(np.float32)
    return {port.name: array(port) for port in kernel.inputs}


def has_pair_array(kernel):
    """Does the caller hold an array with an entry for each pair?"""
    def runtime(port):
        return [a for a in port.shape.strip("[]").split(", ") if not a.startswith("batch") and not a.isdigit()]
    return any(len(runtime(port)) > 1 for port in kernel.inputs + kernel.outputs)


def array_bytes(kernel, sizes):
    """Of the inputs and outputs, in f32."""
    return sum(4 * int(np.prod(shape_of(port, sizes), dtype=np.int64)) for port in kernel.inputs + kernel.outputs)
