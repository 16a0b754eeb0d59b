"""Ragged tokens: each item against numpy on it alone; gradients, threads, what is left out, and starts that are wrong."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import gram, load  # noqa: E402
from command import Tally  # noqa: E402

# What differs between items here: their lengths, counts, ids and the index of the item.
LAYER = """
local d = 6
local X = tokens("X", d, "n", { ragged = "starts" })
local Z = tokens("Z", d, 3)
local W, shift = matrix("W", d, d), vector("shift", d, { batch = true })
local doc, length = ids("doc", "n"), count("length")
local S = keep(function(i, j, h, b) return lt(i, length()) & eq(doc(i), doc(j)) & le(i % 3, b + 1) end, X:t() * W * X)
local O = X * softmax(S / size("n")) + shift
return kernel("layer", { O = O, total = sum_tokens(O), to_Z = Z * softmax(Z:t() * X), c = cumsum(X) },
              { grad = { "X", "W", "shift" } })
"""
STARTS = ([0, 3, 3, 70, 200], [0, 0, 5], [0, 9], [0, 0, 0], [0])


def softmax(s):
    most = s.max(0, initial=-np.inf)
    p = np.exp(s - np.where(np.isfinite(most), most, 0))
    total = p.sum(0)
    return p / np.where(total > 0, total, 1)


def layer(X, Z, W, shift, doc, length, b):
    """One item, tokens as rows."""
    n = len(X)
    i, j = np.ogrid[:n, :n]
    kept = (i < length) & (doc[:, None] == doc[None]) & (i % 3 <= b + 1)
    S = np.where(kept, X @ W @ X.T / max(n, 1), -np.inf)
    O = softmax(S).T @ X + shift
    return {"O": O, "total": O.sum(0), "to_Z": softmax(Z @ X.T).T @ Z, "c": X.cumsum(0)}


def arrays(rng, starts):
    batch, total = len(starts) - 1, starts[-1]
    return {"starts": np.array(starts), "X": rng.standard_normal((total, 6)), "Z": rng.standard_normal((3, 6)),
            "W": rng.standard_normal((6, 6)), "shift": rng.standard_normal((batch, 6)),
            "doc": rng.integers(0, 3, total), "length": rng.integers(0, 100, batch)}


def items(given):
    """What each item sees: its own part of every array."""
    for b, (start, end) in enumerate(zip(given["starts"], given["starts"][1:])):
        own = {name: a[start:end] for name, a in given.items() if name in ("X", "doc")}
        yield b, slice(start, end), dict(given, **own, shift=given["shift"][b], length=given["length"][b])


def forward(tally, rng):
    kernels = {jit: gram.load(text=LAYER, dtype="f64", jit=jit, threads=2) for jit in ("tcc", "reference")}
    for starts in STARTS:
        given = arrays(rng, starts)
        for jit, k in kernels.items():
            got = k(**given)
            tally.expect(got["total"].shape == (len(starts) - 1, 6), f"{jit} {starts}: a sum for each item")
            for b, part, own in items(given):
                own.pop("starts")
                for name, wanted in layer(b=b, **own).items():
                    ours = got[name][b] if name == "total" else got[name][part]
                    tally.expect(np.allclose(ours, wanted, atol=1e-12), f"{jit} {starts}: {name} of item {b}")


def gradient(tally, rng):
    """That of a packed batch is that of its items: one after the other for what is theirs, summed for weights."""
    k = gram.load(text=LAYER, dtype="f64")
    for starts in STARTS[:3]:
        given = arrays(rng, starts)
        dO = rng.standard_normal((starts[-1], 6))
        whole = k.grad(**given, dO=dO)
        dW = np.zeros((6, 6))
        for b, part, own in items(given):
            n = part.stop - part.start
            alone = dict(own, starts=np.array([0] * (b + 1) + [n]), shift=given["shift"][:b + 1],
                         length=given["length"][:b + 1])
            got = k.grad(**alone, dO=dO[part])
            dW += got["W"]
            tally.expect(np.allclose(whole["X"][part], got["X"], atol=1e-12), f"{starts}: dX of item {b}")
            tally.expect(np.allclose(whole["shift"][b], got["shift"][b], atol=1e-12), f"{starts}: dshift of item {b}")
        tally.expect(np.allclose(whole["W"], dW, atol=1e-11), f"{starts}: dW is the sum of the items'")


def batch_of_equals(tally, rng):
    """Items of one length are what the same batch with an axis of its own is."""
    k, even = load("packed", threads=2), gram.load(text=EVEN, threads=1)
    Q, K, V = (rng.standard_normal((3, 130, h, 64)).astype("f4") for h in (4, 2, 2))
    packed = k(Q=Q.reshape(-1, 4, 64), K=K.reshape(-1, 2, 64), V=V.reshape(-1, 2, 64), starts=np.arange(4) * 130)
    O = even(Q=Q, K=K, V=V)["O"]
    tally.expect(np.array_equal(packed["O"].reshape(3, 130, 4, 64), O.transpose(0, 2, 1, 3)), "the bits of a batch")
    alone = k(Q=Q.reshape(-1, 4, 64), K=K.reshape(-1, 2, 64), V=V.reshape(-1, 2, 64), starts=np.arange(4) * 130,
              out={"O": None})
    tally.expect(list(alone) == ["O"] and np.array_equal(alone["O"], packed["O"]), "one output alone")


EVEN = """
local Q = tokens("Q", 64, "n", { heads = 4, layout = "token" })
local K = tokens("K", 64, "n", { heads = 2, layout = "token" })
local V = tokens("V", 64, "n", { heads = 2, layout = "token" })
return kernel("even", { O = V * softmax(keep(causal, K:t() * Q / sqrt(64))) })
"""
WRONG = (([0, 3, 9], "starts[2], where the last item ends, is 9: there are 10 tokens"),
         ([1, 10], "starts[0] is 1: expected 0"), ([0, 7, 3, 10], "starts[2] is 3, less than the 7 before it"),
         ([], "expected [batch + 1]"), ([[0, 10]], "expected [batch + 1]"), ([0.0, 10.0], "expected integers"))


def errors(tally, rng):
    k = load("packed", jit="reference")
    Q, K = rng.standard_normal((10, 4, 64)), rng.standard_normal((10, 2, 64))
    for starts, message in WRONG:
        try:
            k(Q=Q, K=K, V=K, starts=np.array(starts, None if starts else int))
            tally.expect(False, f"{starts} was taken")
        except gram.Error as error:
            tally.expect(message in str(error), f"{starts}: {error}")


tally, rng = Tally(), np.random.default_rng(3)
for case in (forward, gradient, batch_of_equals, errors):
    case(tally, rng)
tally.end()
