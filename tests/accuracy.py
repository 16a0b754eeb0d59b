"""How exact kernels are: f32 against double on the same arrays, up to 4,096 tokens, relative to the output's norm.

Every shipped spec: f32 within 1e-5 of f64. The specs below also have their formula in numpy: f32 is no worse than twice
numpy's own float32 error on the formula (or 3e-7), f64 within 1e-12 of numpy in double. Prints the errors side by side.
To add a formula, add a function named as the spec.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import has_pair_array, load, random_arrays, specs  # noqa: E402
from command import ALL, Tally, distance  # noqa: E402

LENGTHS = [333, 4096]
FLOOR = 3e-7
# These compare scores, and rounding decides between near ones: of multiples of 1/8 scores are exact in f32 too.
COMPARING = {"topk"}


def softmax(s):
    """Down each column."""
    e = np.exp(s - s.max(axis=-2, keepdims=True))
    return e / e.sum(axis=-2, keepdims=True)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


def columns(*arrays):
    """Arrays [..., tokens, features] as matrices with a token in each column."""
    return [np.swapaxes(a, -1, -2) for a in arrays]


def t(a):
    return np.swapaxes(a, -1, -2)


def root(a, n):
    """sqrt(n) in a's type."""
    return a.dtype.type(np.sqrt(n))


# Each takes the arrays by name, in one type, and gives the outputs as matrices.

def attention(X, WQ, WK, WV):
    X, = columns(X)
    return {"O": X + WV @ X @ softmax(t(X) @ t(WK) @ WQ @ X / root(X, WQ.shape[0]))}


def equivariant(X):
    X, = columns(X)
    return {"O": X @ softmax(t(X) @ X / root(X, X.shape[-2]))}


def knowledge(X, Z):
    X, Z = columns(X, Z)
    d = X.dtype.type(X.shape[-2])
    G, Y, C = t(X) @ X / d, t(Z) @ X / d, t(Z) @ Z / d
    return {"O": X @ np.tanh(G + t(Y) @ C @ Y) + Z @ np.maximum(C @ Y + Y @ G, 0)}


def quadratic(X, WQ, WK):
    X, = columns(X)
    return {"O": X @ softmax(t(WK @ X) @ (WQ @ X) / root(X, WQ.shape[0]))}


def powers(X, Z, terms):
    """sigmoid of a sum of Y'W1Y Y'W2Y ... / (n^(q - 1) sqrt k), one term for each list of weights."""
    X, Z = columns(X, Z)
    Y = t(Z) @ X / root(X, X.shape[-2])
    n, total = X.dtype.type(X.shape[-1]), 0
    for weights in terms:
        form = t(Y) @ weights[0] @ Y
        for W in weights[1:]:
            form = form @ t(Y) @ W @ Y / n
        total = total + form / root(X, Z.shape[-1])
    return {"O": X @ sigmoid(total)}


def order2(X, Z, W):
    return powers(X, Z, [[W]])


def order4(X, Z, W1, W2):
    return powers(X, Z, [[W1, W2]])


def order8(X, Z, W1, W2, W3, W4):
    return powers(X, Z, [[W1, W2, W3, W4]])


def order_mixed(X, Z, W11, W21, W22, W31, W32, W33, W34):
    return powers(X, Z, [[W11], [W21, W22], [W31, W32, W33, W34]])


def rbf(X, Z):
    """Distances from differences, token by token: the formula as it is written."""
    X, Z = columns(X, Z)
    Y = t(t(Z) @ X / root(X, X.shape[-2]))[0]
    g = np.stack([np.exp(((Y - y) ** 2).sum(axis=1) * X.dtype.type(-1 / 32)) for y in Y], axis=1)
    return {"O": X @ g}


def identity(X, Z, W):
    X, Z = columns(X, Z)
    Y = t(Z) @ X / root(X, X.shape[-2])
    return {"O": X @ (t(Y) @ W @ Y / root(X, W.shape[0])) / X.dtype.type(X.shape[-1])}


def deep(X, Z, A, B):
    X, Z = columns(X, Z)
    Y = t(Z) @ X / root(X, X.shape[-2])
    a, b = (t(Y) @ W @ Y / root(X, A.shape[0]) for W in (A, B))
    n = X.dtype.type(X.shape[-1])
    return {"O": X @ np.tanh(np.maximum(a, 0) @ np.maximum(b, 0) / n)}


def heads_of(A, heads):
    return np.repeat(A, heads // A.shape[-3], axis=-3)


def gqa_softcap(Q, K, V):
    Q, K, V = columns(Q, *(heads_of(A, Q.shape[-3]) for A in (K, V)))
    cap = Q.dtype.type(20)
    S = cap * np.tanh(t(K) @ Q / root(Q, Q.shape[-2]) / cap)
    S = np.where(np.arange(S.shape[-2])[:, None] <= np.arange(S.shape[-1]), S, Q.dtype.type(-np.inf))
    top = S.max(axis=-2)
    return {"O": V @ softmax(S), "lse": np.log(np.exp(S - top[..., None, :]).sum(axis=-2)) + top}


def sigmoid_(Q, K, V):
    Q, K, V = columns(Q, K, V)
    S = t(K) @ Q / root(Q, Q.shape[-2]) - np.log(Q.dtype.type(K.shape[-1]))
    return {"O": V @ sigmoid(S)}


FORMULAS = {f.__name__.strip("_"): f for f in (attention, equivariant, knowledge, quadratic, order2, order4, order8,
                                              order_mixed, rbf, identity, deep, gqa_softcap, sigmoid_)}


def by_numpy(spec, arrays, kind):
    outputs = FORMULAS[spec](**{name: a.astype(kind) for name, a in arrays.items()})
    return {name: t(a) if a.ndim == 4 or a.ndim == 3 and name == "O" else a for name, a in outputs.items()}


def worst(got, want):
    return max(distance(got[name], want[name]) for name in want)


def check(tally, spec, n):
    single, double = load(spec), load(spec, dtype="f64")
    n = min(n, 1024) if has_pair_array(single) else n
    arrays = random_arrays(single, {"batch": 1, **{s: n for s in single.sizes}})
    if spec in COMPARING:
        arrays = {name: np.round(8 * a) / 8 for name, a in arrays.items()}
    got, exact = single(arrays), double(arrays)
    error = worst(got, exact)
    line = f"{spec:20} n = {n:5}  f32 {error:.1e}"
    tally.expect(error <= 1e-5, f"{spec}, n = {n}: f32 is off by {error:.1e}, more than 1e-5")
    if spec in FORMULAS:
        truth = by_numpy(spec, arrays, np.float64)
        peer, error64 = worst(by_numpy(spec, arrays, np.float32), truth), worst(exact, truth)
        error = worst(got, truth)
        line += f"  numpy's float32 {peer:.1e}  f64 {error64:.1e}"
        tally.expect(error <= max(2 * peer, FLOOR), f"{spec}, n = {n}: f32 is off by {error:.1e}, numpy by {peer:.1e}")
        tally.expect(error64 <= 1e-12, f"{spec}, n = {n}: f64 is off by {error64:.1e}, more than 1e-12")
    print(line, flush=True)


def main():
    tally = Tally()
    missing = set(FORMULAS) - set(specs())
    tally.expect(not missing, f"formulas without a spec: {missing}")
    for spec in sys.argv[1:] or specs():
        if load(spec).sizes:
            for n in LENGTHS if ALL or spec in FORMULAS else LENGTHS[:1]:
                check(tally, spec, n)
    tally.end()


main()
