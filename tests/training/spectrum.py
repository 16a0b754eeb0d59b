"""Primal-Attention's kernel has singular values that decay more sharply than softmax attention's.

    PYTHONPATH=build/python python3 tests/training/spectrum.py [SEED]

Trains on the same denoising a layer of softmax attention, and one of Primal-Attention of the same weights, without and
with eta J^2 in the loss (eta = 0.1, as the paper's range has it), and prints how much of the squared singular values of
the n x n matrix the first s hold. The status is 0 where Primal-Attention's hold more. (Part of it is by construction:
phi(K)'phi(Q) has a rank of at most d. J by itself, which is 0 at the SVD but elsewhere too, changes the decay little
here.)
"""
import os
import sys

import numpy as np

import gram
from adam import Adam
from show import progress

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, RATE, D, S, N, ITEMS = 600, 0.01, 16, 4, 48, 16


def sequences(rng):
    """Tokens of four kinds per sequence, noisy; the target is without the noise."""
    centres = rng.standard_normal((ITEMS, 4, D))
    clean = np.take_along_axis(centres, rng.integers(0, 4, (ITEMS, N))[..., None], 1)
    return {"X": (clean + rng.standard_normal(clean.shape)).astype("f4"), "target": clean.astype("f4")}


def train(name, k, data, eta, seed):
    """What the first S singular values hold of the kernel, over the sequences; the error; J."""
    rng = np.random.default_rng(seed)
    shapes = {"WQ": (D, D), "WK": (D, D), "We": (D, S), "Wr": (D, S), "Wc": (D, 2 * S), "l": (S,)}
    weights = {n: np.array(rng.standard_normal(shape) / 4, "f4") for n, shape in shapes.items()}
    adam = Adam(weights, RATE)
    for step in range(STEPS):
        J = k(**data, **weights)["J"]
        dJ = (2 * eta * J / ITEMS).astype("f4")
        adam.step(k.grad(**data, **weights, dloss=np.full(ITEMS, 1 / ITEMS, "f4"), dJ=dJ))
        progress(step + 1, STEPS, f"{name}: J {np.abs(J).mean():.3f}")
    out = k(**data, **weights)
    squares = np.linalg.svd(out["K"], compute_uv=False) ** 2
    share = (np.cumsum(squares, 1) / squares.sum(1, keepdims=True)).mean(0)
    print(f"{name}: error {out['loss'].mean():.3f}, |J| {np.abs(out['J']).mean():.4f}, share of the first 1, 2, 4, 8 singular"
          f" values {', '.join(f'{share[r - 1]:.3f}' for r in (1, 2, 4, 8))}")
    return share[S - 1]


def main(seed):
    data = sequences(np.random.default_rng(seed))
    primal, canonical = (gram.load(os.path.join(HERE, "spectrum.lua"), threads=1, set={"canonical": c}) for c in (0, 1))
    softmax = train("softmax", canonical, data, 0, seed)
    train("Primal, eta 0", primal, data, 0, seed)
    pulled = train("Primal, eta 0.1", primal, data, 0.1, seed)
    return 0 if pulled > softmax else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
