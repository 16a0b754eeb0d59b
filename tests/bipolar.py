"""Bipolar spiking attention: scores from bits are the integer products, for sizes that fill words and do not; both
sides' signs may change; shiftmax gives exact powers of two that sum to more than 1/2 and at most 1, to 1 only where
they can, and its exponent is right where floating-point sums would round; a scan's gradient is backpropagation through
time.
"""
import os
import sys
from fractions import Fraction

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import Tally, distance, run  # noqa: E402

SCORES = """
local d = option("d", 64)
local Q, K = tokens("Q", d, "n"), tokens("K", d, "m")
return kernel("scores", { S = ternary(K, 0.5):t() * ternary(Q, 0.5) })
"""
WEIGHTS = """
local S = scores("S", "m", "n")
return kernel("weights", { P = shiftmax(S), kept = shiftmax(keep(causal, S)) })
"""
NEURON = """
local T = 5
local X, w = tokens("X", 3, T), vector("w", 3)
local O, last = scan(function(charge, x)
    local U = charge + hadamard(x, w)
    local S = ternary(U, 0.5, { surrogate = 1 })
    return map(function(u, s) return u * (1 - abs(s)) / 2 end, U, S), S
end, 0 * w, X)
return kernel("neuron", { O = O, last = last }, { grad = { "X", "w" } })
"""
rng = np.random.default_rng(17)


def ternary(A):
    return np.where(np.abs(A) >= 0.5, np.sign(A), 0)


def test_scores(tally, words):
    for d in (1, 31, 32, 33, 64, 65, 128, 200):
        Q, K = rng.standard_normal((70, d)).astype("f4"), rng.standard_normal((131, d)).astype("f4")
        S, = run(SCORES, {"Q": Q, "K": K}, ["S"], "--set", f"d={d}", *words)
        tally.expect((S == ternary(Q) @ ternary(K).T).all(), f"{words}: scores of d = {d}")
        flipped, = run(SCORES, {"Q": -Q, "K": -K}, ["S"], "--set", f"d={d}", *words)
        tally.expect((flipped == S).all(), f"{words}: both signs changed, d = {d}")


def exponent(column):
    """The least g with sum 2^(x - g) <= 1, exactly."""
    low = int(min(column))
    total = sum(1 << int(x) - low for x in column)
    return low + (total - 1).bit_length()


def columns():
    yield np.full(8, 3.0)
    yield np.full(7, -64.0)
    yield np.array([64.0] + [-64.0] * 6)                        # 2^128 and a little: past the next power
    yield np.array([5.0, 4.0, 3.0, 2.0, 2.0, -60.0])            # exactly a power, and a little
    yield np.array([5.0, 4.0, 3.0, 2.0, 2.0])
    for n in (1, 2, 3, 65, 130):
        yield rng.integers(-64, 65, n).astype(float)


def test_shiftmax(tally, words):
    for column in columns():
        P, = run(WEIGHTS, {"S": column[None].astype("f4")}, ["P"], *words)
        shifts = column - exponent(column)
        tally.expect((P[0] == np.exp2(shifts).astype("f4")).all(), f"{words}: shiftmax of {column[:6]}")
        total = sum(Fraction(2) ** int(s) for s in shifts)
        tally.expect(Fraction(1, 2) < total <= 1, f"{words}: shiftmax of {column[:6]} sums to {float(total)}")
    alike, = run(WEIGHTS, {"S": np.zeros((1, 48), "f4")}, ["P"], *words)
    tally.expect(alike.sum() == 0.75, f"{words}: 48 alike sum to {alike.sum()}")
    S = rng.integers(-9, 10, (40, 40)).astype("f4")
    kept, = run(WEIGHTS, {"S": S}, ["kept"], *words)
    want = [np.where(np.arange(40) <= j, np.exp2(S[j] - exponent(S[j, :j + 1])), 0) for j in range(40)]
    tally.expect((kept == np.array(want)).all(), f"{words}: shiftmax of what is kept")


def test_neuron(tally, words):
    """Forward, and backward with a box of width 1 around the thresholds in place of the step's derivative."""
    X, w, d = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal((5, 3))
    charge, U, S = np.zeros(3), [], []
    for x in X:
        U.append(charge + x * w)
        S.append(ternary(U[-1]))
        charge = U[-1] * (1 - abs(S[-1])) / 2
    O, last = run(NEURON, {"X": X, "w": w}, ["O", "last"], *words)
    tally.expect((O == np.array(S)).all() and distance(last.ravel(), charge) < 1e-12, f"{words}: the spikes of a scan")
    dX, back = np.zeros((5, 3)), np.zeros(3)
    for t in range(4, -1, -1):
        spike = d[t] - back * U[t] * np.sign(S[t]) / 2          # of |S|, whose derivative at 0 is 0
        box = (abs(U[t] - 0.5) < 0.5) * 1.0 + (abs(U[t] + 0.5) < 0.5)
        back = back * (1 - abs(S[t])) / 2 + spike * box
        dX[t] = back * w
    got, dw = run(NEURON, {"X": X, "w": w, "dO": d}, ["dX", "dw"], "--grad", *words)
    tally.expect(distance(got, dX) < 1e-12, f"{words}: dX of a scan is {distance(got, dX):.1e} off")
    tally.expect(distance(dw, (dX / w * X).sum(0)) < 1e-12, f"{words}: dw of a scan")


def main():
    tally = Tally()
    for words in (["--jit", "reference"], ["--jit", "tcc"], ["--jit", "cc", "--cc", "gcc -O3 -march=native"]):
        test_scores(tally, words)
        test_shiftmax(tally, words)
        test_neuron(tally, [*words, "--dtype", "f64"])
    tally.end()


if __name__ == "__main__":
    sys.exit(main())
