"""Gradients through the Python module: the same bits for any number of threads, and nothing of what was dropped, NaN
included."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import load, shape_of, starts_of  # noqa: E402
from command import Tally  # noqa: E402
from linear import LINEAR, load_form  # noqa: E402

tally = Tally()


def arrays(ports, sizes, rng, prefix=""):
    """A random array for each port, of the shape that it says."""
    given = {}
    for port in ports:
        shape = shape_of(port, sizes)
        random = rng.integers(0, 3, shape, dtype="i4") if port.integer else rng.standard_normal(shape, "f4")
        given[prefix + port.name] = starts_of(sizes) if port.kind == "starts" else random
    return given


def threads():
    """Sums over queries are added up in parts, of which one head of few items has several."""
    for spec in ("gqa_softcap", "rbf", "alibi", "documents", "laplace", "window", "packed"):
        for sizes in ({"batch": 1, "n": 300, "m": 300}, {"batch": 3, "n": 131, "m": 131}):
            found = []
            for count in (1, 2, 3, 7):
                rng = np.random.default_rng(0)
                k = load(spec, threads=count)
                found.append(k.grad(**arrays(k.inputs, sizes, rng), **arrays(k.outputs, sizes, rng, "d")))
            same = all((found[0][name] == g[name]).all() for g in found for name in g)
            tally.expect(same, f"{spec} {sizes}: the same bits for any number of threads")


def dropped():
    """Of two documents the second is all NaN: the first one's gradients are what they are without it."""
    k = load("documents", threads=2)
    rng = np.random.default_rng(1)
    given = arrays(k.inputs, {"batch": 1, "n": 150, "m": 150}, rng)
    given["doc"] = np.repeat([[0, 1]], [90, 60], axis=1).astype("i4")
    given["dO"] = rng.standard_normal(k(**given)["O"].shape, "f4")
    tokens = [name for name in given if name != "doc"]
    alone = k.grad({name: a[:, :90] if name == "doc" else a[..., :90, :] for name, a in given.items()})
    for name in tokens:
        given[name][..., 90:, :] = np.nan
    both = k.grad(given)
    for name, g in alone.items():
        tally.expect(np.allclose(both[name][..., :90, :], g, atol=1e-5), f"d{name} beside NaN")


def linear():
    """Walks over blocks of tokens give the gradient that the reference does, of whole blocks and others; and the same
    bits where each walk is a thread's and where walks are cut into runs."""
    for form in LINEAR:
        for sizes in ({"batch": 2, "n": 70}, {"batch": 1, "n": 1100}):
            rng, k = np.random.default_rng(3), load_form(form, threads=2)
            inputs = {**arrays(k.inputs, sizes, rng), **arrays(k.outputs, sizes, rng, "d")}
            found, expected = k.grad(**inputs), load_form(form, jit="reference").grad(**inputs)
            cut = load_form(form, threads=3).grad(**inputs)
            for name, g in expected.items():
                error, norm = np.linalg.norm(found[name] - g), np.linalg.norm(g)
                tally.expect(error <= 3e-5 * norm, f"{form}, n = {sizes['n']}: d{name} is {error} off, of {norm}")
                tally.expect((found[name] == cut[name]).all(), f"{form}, n = {sizes['n']}: d{name} in runs")


def given():
    """What the forward pass gave is read and not computed again: the same gradients, from a plan without a step for
    it."""
    for spec in ("gqa_softcap", "attention", "sigmoid", "rope", "layers"):
        k = load(spec, threads=2)
        rng = np.random.default_rng(2)
        inputs = arrays(k.inputs, {"batch": 2, "n": 70, "m": 70}, rng)
        slopes = arrays(k.outputs, {"batch": 2, "n": 70, "m": 70}, rng, "d")
        mine, theirs = k.grad(inputs, **slopes, **k(inputs)), k.grad(inputs, **slopes)
        close = all(np.allclose(mine[name], theirs[name], rtol=1e-4, atol=1e-5) for name in theirs)
        tally.expect(close, f"{spec}: outputs given")
    steps = [load("gqa_softcap").gradient("Q", "K", "V", given=flag).plan.count("\nstep") for flag in (False, True)]
    tally.expect(steps[1] < steps[0], "gqa_softcap: fewer steps where O and lse are given")
    try:
        k.gradient("Q", other=True)
        refused = False
    except TypeError:
        refused = True
    tally.expect(refused, "gradient refuses other keywords")


threads()
dropped()
linear()
given()
tally.end()
