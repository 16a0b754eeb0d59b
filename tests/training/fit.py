"""An RBF and a g of order 4 fitted to data that another g made.

    PYTHONPATH=build/python python3 tests/training/fit.py [SEED]

Gaussians of learned widths (rbf.lua) learn Student's kernel 1 / (1 + |x - z|^2), and the form of order 4 (order4.lua)
learns the geometric series of all orders, Y'A (I - YY'A)^-1 Y. What is fitted are sequences; the error is measured on
others. The status is 0 where it is below a hundredth of the data's variance for both.
"""
import os
import sys

import numpy as np

import gram
from adam import Adam
from show import curve, progress

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, RATE, D = 1500, 0.02, 4

STUDENT = """
local X = tokens("X", 4, "n")
return kernel("student_teacher", { f = X * map(function(s) return 1 / (1 + s) end, sqdist(X, X)) / size("n") })
"""
SERIES = """
local X, A = tokens("X", 4, "n"), matrix("A", 4, 4)
local Y = X / sqrt(size("n"))
return kernel("series_teacher", { f = X * map(tanh, Y:t() * A * inverse(identity(4) - Y * Y:t() * A) * Y) / size("n") })
"""


def fit(name, teacher, given, weights, rng):
    """The error's share of the variance on sequences that were not fitted."""
    data = [rng.normal(size=(count, 24, D)).astype("f4") for count in (48, 32)]
    fitted, other = [{"X": X, "target": teacher(X=X, **given)["f"]} for X in data]
    k = gram.load(os.path.join(HERE, name + ".lua"), threads=1)
    scale = (fitted["target"] ** 2).sum()
    share = np.full(fitted["X"].shape[:2], 1 / scale, "f4")
    adam, losses = Adam(weights, RATE), []
    for step in range(STEPS):
        adam.rate = RATE * min(1, 2 * (1 - step / STEPS))
        losses.append(float(k(**fitted, **weights)["loss"].sum() / scale))
        adam.step(k.grad(**fitted, **weights, dloss=share))
        progress(step + 1, STEPS, f"{name}: error {losses[-1]:.2e}")
    curve(losses, name)
    error = float(k(**other, **weights)["loss"].sum() / (other["target"] ** 2).sum())
    print(f"{name}: {error:.2e} of the variance is left on other sequences\n")
    return error


def main(seed):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return np.array(0.3 * rng.normal(size=shape), "f4")

    rbf = fit("rbf", gram.load(text=STUDENT), {}, {"a": normal(4), "width": normal(4)}, rng)
    A = normal(D, D)
    A *= 0.3 / np.linalg.norm(A, 2)  # the series converges
    weights = {n: normal(D, D) for n in ("Z", "W1", "W2", "W3")}
    order4 = fit("order4", gram.load(text=SERIES), {"A": A}, weights, rng)
    return 0 if rbf < 0.01 and order4 < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
