"""Circulant matrices as Fourier transforms: products and gradients against dense ones, at lengths with and without
large factors; the orientation of CAT (shifting the tokens on their circle changes nothing, where the other one would
shift the result); and that causal CAT lets nothing leak but rounding, for scores of narrow and of wide range.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import Tally, distance, run  # noqa: E402

PRODUCTS = """
local V, w = tokens("V", 35, "n", { heads = 2 }), vector("w", "n", { heads = 2 })
local C, after = circulant(w), function(i, j) return ge(i, j) end
return kernel("products", { ahead = V * C, back = V * C:t(), left = (C * V:t()):t(), before = V * keep(causal, C:t()),
    later = V * keep(after, C), means = V * softmax(keep(causal, C:t())), round = V * softmax(C) }, { grad = { "V", "w" } })
"""
CAT = ["--set", "D=12", "--set", "H=3"]
rng = np.random.default_rng(11)


def softmax(S):
    P = np.exp(S - S.max(0))
    return P / P.sum(0)


def dense(w):
    """The matrices of PRODUCTS by name, entry (key i, query j)."""
    n = len(w)
    i, j = np.indices((n, n))
    C = w[(i - j) % n]
    low = np.where(i <= j, C.T, -np.inf)
    return {"ahead": C, "back": C.T, "left": C.T, "before": np.where(i <= j, C.T, 0), "later": np.where(i >= j, C, 0),
            "means": softmax(low), "round": softmax(C)}


def test_products(tally, n, words, bound):
    V, w = rng.standard_normal((2, n, 35)).astype("f4"), rng.standard_normal((2, n)).astype("f4")
    names = sorted(dense(w[0]))
    got = dict(zip(names, run(PRODUCTS, {"V": V, "w": w}, names, *words)))
    for head in range(2):
        for name, C in dense(w[head].astype("f8")).items():
            error = distance(got[name][head], C.T @ V[head])
            tally.expect(error < bound, f"{name}, n = {n}, {words}: {error:.1e} from the dense product")


def test_gradients(tally, n, words, bound, scale=1):
    """Of a sum of products with given numbers, dV and dw are linear in them: written out. Of a softmax of a wide range
    the gradient too is summed up term by term."""
    V, w, d = rng.standard_normal((2, n, 35)), scale * rng.standard_normal((2, n)), rng.standard_normal((2, n, 35))
    i, j = np.indices((n, n))
    causal = np.where(i <= j, j - i, n)
    for name, lag in (("ahead", (i - j) % n), ("back", (j - i) % n), ("before", causal), ("means", causal)):
        dV, dw = run(PRODUCTS, {"V": V, "w": w, "d" + name: d}, ["dV", "dw"], "--grad", *words)
        for head in range(2 if n > 1 or name != "means" else 0):  # of one token the softmax is 1, whatever its score
            C = dense(w[head])[name]
            pairs = V[head] @ d[head].T
            pairs = C * (pairs - (C * pairs).sum(0)) if name == "means" else pairs
            want = np.bincount(lag.ravel(), pairs.ravel(), n + 1)[:n]
            tally.expect(distance(dV[head], C @ d[head]) < bound, f"dV of {name}, n = {n}, {words}")
            tally.expect(distance(dw[head], want) < bound, f"dw of {name}, n = {n}, {words}: {distance(dw[head], want):.1e}")


def weights():
    return {"WA": rng.standard_normal((3, 1, 12)), "WV": rng.standard_normal((3, 4, 12)), "WO": rng.standard_normal((12, 12))}


def test_orientation(tally, words):
    """Rolling the tokens by s rolls the weights and the values: their products with the right orientation are
    unchanged."""
    given, X = weights(), rng.standard_normal((97, 12))
    O, = run("cat", {"X": X, **given}, ["O"], *CAT, *words)
    rolled, = run("cat", {"X": np.roll(X, 5, 0), **given}, ["O"], *CAT, *words)
    tally.expect(distance(rolled, O) < 1e-5, f"{words}: tokens shifted by 5 change the result by {distance(rolled, O):.1e}")
    tally.expect(distance(np.roll(O, 10, 0), O) > 0.1, f"{words}: the result is the same at every token")


def test_leaks(tally, words, scale, bound):
    """The last 50 tokens change; the others' results must not. With a wide range of scores they are summed up term by
    term."""
    given, X = weights(), rng.standard_normal((700, 12))
    given["WA"] *= scale
    other = X.copy()
    other[650:] = 3 * rng.standard_normal((50, 12))
    O, changed = (run("cat_causal", {"X": x, **given}, ["O"], *CAT, *words)[0] for x in (X, other))
    each = np.linalg.norm(changed[:650] - O[:650], axis=1) / np.linalg.norm(O[:650], axis=1)
    tally.expect(each.max() <= bound, f"{words}: scores of {scale}: later tokens change an earlier one by {each.max():.1e}")
    tally.expect(distance(changed[650:], O[650:]) > 0.01, f"{words}: the last tokens do not matter to themselves")


def main():
    tally = Tally()
    cc = ["--jit", "cc", "--cc", "gcc -O3 -march=native"]
    for words in (["--jit", "tcc"], cc):
        for n in (1, 2, 5, 12, 97, 360, 1021, 1536):
            test_products(tally, n, words, 2e-6)
        test_products(tally, 97, words + ["--dtype", "f64"], 1e-13)
        test_products(tally, 1000, words + ["--dtype", "f64"], 1e-13)
        for n in (1, 12, 97, 360):
            test_gradients(tally, n, words + ["--dtype", "f64"], 1e-12)
        for scale in (0.1, 1, 10):
            test_gradients(tally, 600, words + ["--dtype", "f64"], 1e-12, scale)
            test_gradients(tally, 600, words, 1e-5, scale)
        test_orientation(tally, words)
        for scale in (0.1, 1, 10, 100):
            test_leaks(tally, words, scale, 1e-5)
    tally.end()


if __name__ == "__main__":
    sys.exit(main())
