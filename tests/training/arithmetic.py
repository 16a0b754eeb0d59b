"""The arithmetic of Ma and Ying, section 3.2, learned from 70% of its expressions by kernels of gram.

    PYTHONPATH=build/python python3 tests/training/arithmetic.py [SEED]

There are 110 expressions a + b and a - b whose result is a digit. Of each operator's, 30% are held out. The embeddings
Z and the weights of the coefficients are learned by Adam from a random start; the formula is in digits.lua. The status
is 0 where every held-out expression is answered right, and f(QX, QZ) = Q f(X, Z) for random orthogonal Q.
"""
import os
import sys

import numpy as np

import gram
from adam import Adam
from show import curve, progress

SPEC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits.lua")
STEPS, RATE = 1000, 0.02
NAMES = "+-0123456789"


def expressions(rng):
    """(token of a, operator, b) and of the result: those to learn from, and those held out."""
    learned, held_out = [], []
    for operator, sign in ((0, 1), (1, -1)):
        all_of = [(2 + a, operator, 2 + b, 2 + a + sign * b) for a in range(10) for b in range(10) if 0 <= a + sign * b < 10]
        order = rng.permutation(len(all_of))
        cut = round(0.3 * len(all_of))
        held_out += [all_of[i] for i in order[:cut]]
        learned += [all_of[i] for i in order[cut:]]
    return np.array(learned), np.array(held_out)


def best_table(learned, held_out):
    """The best look-up by some of the question, its digits in either order or not: the most frequent answer, and its
    score."""
    def key(row, what):
        a, operator, b = row[:3]
        return {"a operator b": (a, operator, b), "{a, b} operator": (min(a, b), max(a, b), operator), "a operator": (a, operator),
                "operator b": (operator, b), "a b": (a, b), "operator": operator}[what]
    scores = {}
    for what in ("a operator b", "{a, b} operator", "a operator", "operator b", "a b", "operator"):
        answers = {}
        for row in learned:
            answers.setdefault(key(row, what), []).append(row[3])
        guess = {k: max(set(v), key=v.count) for k, v in answers.items()}
        scores[what] = np.mean([guess.get(key(row, what)) == row[3] for row in held_out])
    return max(scores.items(), key=lambda s: s[1])


def answers(f, weights, questions):
    """The token whose embedding is nearest to f(X, Z)."""
    Z = weights["Z"].T
    found = f(X=Z[questions[:, :3]], **weights)["O"].reshape(len(questions), -1)
    return ((found[:, None] - Z) ** 2).sum(-1).argmin(1)


def equivariance(f, weights, questions, rng):
    """The largest |f(QX, QZ) - Q f(X, Z)| over ten random Q, relative to f's largest entry."""
    X, worst = weights["Z"].T[questions[:, :3]], 0
    plain = f(X=X, **weights)["O"].reshape(len(questions), -1)
    for _ in range(10):
        Q = np.linalg.qr(rng.normal(size=(X.shape[-1],) * 2))[0].astype("f4")
        turned = f(X=X @ Q.T, **{**weights, "Z": Q @ weights["Z"]})["O"].reshape(plain.shape)
        worst = max(worst, abs(turned - plain @ Q.T).max() / abs(plain).max())
    return worst


def learn(loss, given, rng):
    """Weights from a random start, and the losses on the way. Where the signs of + and - start alike they may stay so:
    a start that has not got below a loss of 1 after a quarter of the steps is given up, and another one taken."""
    shapes = {"Z": (16, 12), "W": (8, 12), "u": (1, 12), "sharpness": ()}
    weights = {n: np.array(0.3 * rng.normal(size=s), "f4") for n, s in shapes.items()}
    share = np.full(len(given["answer"]), 1 / len(given["answer"]), "f4")
    adam, losses = Adam(weights, RATE), []
    for step in range(STEPS):
        adam.rate = RATE * min(1, 2 * (1 - step / STEPS))
        losses.append(float(loss(**given, **weights)["loss"].mean()))
        if step == STEPS // 4 and losses[-1] > 1:
            return learn(loss, given, rng)
        adam.step(loss.grad(**given, **weights, dloss=share))
        progress(step + 1, STEPS, f"loss {losses[-1]:.2e}")
    return weights, losses


def main(seed):
    rng = np.random.default_rng(seed)
    learned, held_out = expressions(rng)
    f, loss = gram.load(SPEC, threads=1), gram.load(SPEC, threads=1, set={"loss": 1})
    weights, losses = learn(loss, {"question": learned[:, :3].astype("i4"), "answer": learned[:, 3:].astype("i4")}, rng)
    curve(losses, "loss")
    right = answers(f, weights, held_out) == held_out[:, 3]
    for row in held_out[~right]:
        print("wrong:", " ".join(NAMES[t] for t in row[:3]))
    what, score = best_table(learned, held_out)
    error = equivariance(f, weights, held_out, rng)
    print(f"expressions learned from  {(answers(f, weights, learned) == learned[:, 3]).mean():7.1%} right")
    print(f"expressions held out      {right.mean():7.1%} right   (the best table, by {what}: {score:.1%})")
    print(f"f(QX, QZ) = Q f(X, Z)     off by {error:.1e}")
    return 0 if right.all() and error < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
