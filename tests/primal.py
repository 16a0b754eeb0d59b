"""Primal-Attention at the point where its theory says what must come out: with We = phi(K) V and Wr = phi(Q) U from the
SVD K = phi(Q)' phi(K) = U S V' and Lambda = 1 / S, the primal scores are the dual ones, E = U S and R = V S, J is 0,
and its gradients vanish. And for directions that are any combination of features, E is K times the combination (a
kernel that mixed up queries and keys would not show it).
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import Tally, distance, run  # noqa: E402

H, N, D, S = 4, 37, 12, 5
SET = ["--set", f"d={D}", "--set", f"s={S}", "--dtype", "f64"]
rng = np.random.default_rng(3)


def features(X):
    return X / np.linalg.norm(X, axis=-1, keepdims=True)


def given(**arrays):
    return {"Q": rng.standard_normal((H, N, D)), "K": rng.standard_normal((H, N, D)), "We": np.zeros((H, D, S)),
            "Wr": np.zeros((H, D, S)), "Wc": np.zeros((H, D, 2 * S)), "bc": np.zeros((H, D)), "l": np.zeros((H, S)), **arrays}


def at_svd():
    """The inputs of the stationary point, and U S and V S."""
    arrays = given()
    q, k = features(arrays["Q"]), features(arrays["K"])
    U, s, Vt = np.linalg.svd(q @ k.transpose(0, 2, 1))
    U, s, V = U[:, :, :S], s[:, :S], Vt.transpose(0, 2, 1)[:, :, :S]
    arrays.update(We=k.transpose(0, 2, 1) @ V, Wr=q.transpose(0, 2, 1) @ U, l=-np.log(s))
    return arrays, U * s[:, None], V * s[:, None]


def test_svd(tally, backend):
    arrays, E, R = at_svd()
    got = dict(zip("ERJ", run("primal", arrays, ["E", "R", "J"], *SET, *backend)))
    tally.expect(distance(got["E"], E) < 1e-12, f"{backend}: E is {distance(got['E'], E):.1e} from the dual scores")
    tally.expect(distance(got["R"], R) < 1e-12, f"{backend}: R is {distance(got['R'], R):.1e} from the dual scores")
    tally.expect(np.abs(got["J"]).max() < 1e-12, f"{backend}: J is {np.abs(got['J']).max():.1e} at the SVD")
    arrays["l"] = np.zeros_like(arrays["l"])
    away = run("primal", arrays, ["J"], *SET, *backend)[0]
    tally.expect(np.abs(away).min() > 1, f"{backend}: J is {away.ravel()} with another Lambda")


def test_gradients(tally, backend):
    arrays, _, _ = at_svd()
    zero = run("primal", {**arrays, "dJ": np.ones(H)}, ["dWe", "dWr"], "--grad", *SET, *backend)
    for name, gradient in zip(("We", "Wr"), zero):
        tally.expect(np.abs(gradient).max() < 1e-12, f"{backend}: dJ/d{name} is {np.abs(gradient).max():.1e} at the SVD")
    arrays["We"] = arrays["We"] + 1
    moved = run("primal", {**arrays, "dJ": np.ones(H)}, ["dWe"], "--grad", *SET, *backend)[0]
    q = features(arrays["Q"])
    want = q.transpose(0, 2, 1) @ (q @ arrays["We"]) * np.exp(arrays["l"])[:, None] - arrays["Wr"]
    tally.expect(distance(moved, want) < 1e-12, f"{backend}: dJ/dWe is {distance(moved, want):.1e} from phi(Q) E' Lambda - Wr")


def test_any_directions(tally, backend):
    arrays, C = given(), rng.standard_normal((H, N, S))
    q, k = features(arrays["Q"]), features(arrays["K"])
    arrays["We"] = k.transpose(0, 2, 1) @ C
    E = run("primal", arrays, ["E"], *SET, *backend)[0]
    tally.expect(distance(E, q @ k.transpose(0, 2, 1) @ C) < 1e-12, f"{backend}: E is not K C")
    swapped = run("primal", {**arrays, "Q": arrays["K"], "K": arrays["Q"]}, ["E"], *SET, *backend)[0]
    tally.expect(distance(swapped, E) > 0.1, f"{backend}: queries and keys may change places")


def main():
    tally = Tally()
    for backend in (["--jit", "reference"], ["--jit", "tcc"], ["--jit", "cc", "--cc", "gcc -O2"]):
        for test in (test_svd, test_gradients, test_any_directions):
            test(tally, backend)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
