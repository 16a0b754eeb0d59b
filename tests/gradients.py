"""Gradients through the Python module: the same bits for any number of threads, and nothing of what was dropped, NaN included."""
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, os.environ.get("B", "build"), "python"))
import gram  # noqa: E402

passed = failed = 0


def check(name, held):
    global passed, failed
    passed, failed = passed + bool(held), failed + (not held)
    if not held:
        print("failed:", name)


def load(spec, **options):
    return gram.load(os.path.join(ROOT, "specs", spec + ".lua"), **options)


def arrays(ports, sizes, rng, prefix=""):
    """A random array for each port, of the shape that it says."""
    given = {}
    for port in ports:
        shape = [int(sizes.get(axis, axis)) for axis in port.shape.strip("[]").split(", ") if axis]
        given[prefix + port.name] = rng.integers(0, 3, shape, dtype="i4") if port.integer else rng.standard_normal(shape, "f4")
    return given


def threads():
    """Sums over queries are added up in parts, of which one head of few items has several."""
    for spec in ("gqa_softcap", "rbf", "alibi", "documents", "laplace", "window"):
        for sizes in ({"batch": 1, "n": 300, "m": 300}, {"batch": 3, "n": 131, "m": 131}):
            found = []
            for count in (1, 2, 3, 7):
                rng = np.random.default_rng(0)
                k = load(spec, threads=count)
                found.append(k.grad(**arrays(k.inputs, sizes, rng), **arrays(k.outputs, sizes, rng, "d")))
            same = all((found[0][name] == g[name]).all() for g in found for name in g)
            check(f"{spec} {sizes}: the same bits for any number of threads", same)


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
        check(f"d{name} beside NaN", np.allclose(both[name][..., :90, :], g, atol=1e-5))


def given():
    """What the forward pass gave is read and not computed again: the same gradients, from a plan without a step for it."""
    for spec in ("gqa_softcap", "attention", "sigmoid", "rope", "layers"):
        k = load(spec, threads=2)
        rng = np.random.default_rng(2)
        inputs = arrays(k.inputs, {"batch": 2, "n": 70, "m": 70}, rng)
        slopes = arrays(k.outputs, {"batch": 2, "n": 70, "m": 70}, rng, "d")
        mine, theirs = k.grad(inputs, **slopes, **k(inputs)), k.grad(inputs, **slopes)
        check(f"{spec}: outputs given", all(np.allclose(mine[name], theirs[name], rtol=1e-4, atol=1e-5) for name in theirs))
    steps = [load("gqa_softcap").gradient("Q", "K", "V", given=flag).plan.count("\nstep") for flag in (False, True)]
    check("gqa_softcap: fewer steps where O and lse are given", steps[1] < steps[0])
    try:
        k.gradient("Q", other=True)
        check("gradient refuses other keywords", False)
    except TypeError:
        check("gradient refuses other keywords", True)


threads()
dropped()
given()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
