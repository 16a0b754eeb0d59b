"""Time stamps as features: the maps against the theory of arXiv:1911.12864."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import gram, load  # noqa: E402
from command import Tally  # noqa: E402

MAP = """
local t = vector("t", "n", { batch = true })
return kernel("map", { F = bochner(t, vector("omega", option("d", 64))) })
"""
SERIES = """
local s, h = tokens("s", 1, "n"), option("harmonics", 1)
return kernel("series", { F = mercer(s, vector("omega", 1), matrix("log_c", 1, h + 1)) })
"""
# I_0(1), I_1(1), ...: exp(cos s) = I_0 + 2 sum_j I_j cos(j s)
BESSEL = np.array([1.26606588, 0.56515910, 0.13574767, 0.02216842, 0.00273712, 0.00027146])


def bochner(tally, rng):
    """Phi has length 1, its products are of the span alone, and near to the kernel that the frequencies are drawn
    from."""
    spans = np.linspace(0, 5, 101)
    for d in (64, 256, 1024, 4096):
        k = gram.load(text=MAP, dtype="f64", set={"d": d})
        omega, shift = rng.standard_normal(d), 1.75
        F, moved = (k(t=spans + by, omega=omega)["F"] for by in (0, shift))
        tally.expect(np.allclose((F * F).sum(1), 1, atol=1e-12), f"|Phi| = 1 for {d} frequencies")
        tally.expect(np.allclose(F @ F.T, moved @ moved.T, atol=1e-12), f"{d} frequencies: the kernel is of t - t'")
        error = np.abs(F @ F[0] - np.exp(-spans ** 2 / 2)).max()
        tally.expect(error < 2 / np.sqrt(d), f"{d} normal frequencies are within {error:.3f} of exp(-s^2 / 2)")


def mercer(tally):
    """exp(cos s - 1) by its series: the error is what the terms left out come to at s = 0."""
    spans = np.linspace(-7, 7, 141)
    for harmonics, tail in ((1, 0.1184), (3, 2.231e-3), (5, 1.780e-5)):
        c = np.concatenate([BESSEL[:1], 2 * BESSEL[1:harmonics + 1]]) / np.e
        k = gram.load(text=SERIES, dtype="f64", set={"harmonics": harmonics})
        F = k(s=spans[:, None], omega=np.array([np.pi]), log_c=np.log(c)[None])["F"]
        error = np.abs(F @ F.T - np.exp(np.cos(spans[:, None] - spans) - 1)).max()
        tally.expect(abs(error - tail) < 0.001 * tail, f"{harmonics} harmonics: the error {error:.4g} is {tail:.4g}")
    F = k(s=spans[:, None], omega=np.array([np.pi]), log_c=np.zeros((1, 6)))["F"]
    moved = k(s=spans[:, None] + 0.75, omega=np.array([np.pi]), log_c=np.zeros((1, 6)))["F"]
    tally.expect(np.allclose(F @ F.T, moved @ moved.T, atol=1e-10), "Mercer's kernel is of t - t'")


def frequencies_learn(tally, rng):
    """d cos(w t) / dw = -t sin(w t), through all of the kernel."""
    k = load("time_kernel", dtype="f64", set={"e": 3, "d": 4})
    given = {"X": rng.standard_normal((9, 3)), "s": rng.uniform(0, 5, 9), "omega": rng.standard_normal(4)}
    dO, span = rng.standard_normal((9, 3)), np.tril(given["s"][:, None] - given["s"])
    g = np.einsum("ijw->wij", -span[:, :, None] * np.sin(span[:, :, None] * given["omega"]))
    expected = np.einsum("wji,jd,id->w", g, dO, given["X"]) / (4 * 9)
    tally.expect(np.allclose(k.grad(**given, dO=dO)["omega"], expected, rtol=1e-10), "the gradient of the frequencies")


tally, rng = Tally(), np.random.default_rng(0)
bochner(tally, rng)
mercer(tally)
frequencies_learn(tally, rng)
tally.end()
