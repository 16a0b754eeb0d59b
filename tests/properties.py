"""Laws that hold whatever the numbers are: dropped entries leak nothing, not even NaN; nothing left gives zeros;
softmax does not mind a shift; keys may come in any order; any number of threads gives the same bits; heads and items
mind their own business; a symmetry declared in vain is refused.

Each law is tried with every back end; to add one, add a function named law_*.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import ALL, Tally, check, distance, run  # noqa: E402

CC = ["--jit", "cc", "--cc", "gcc -O3 -march=native" if ALL else "gcc -O1 -march=native"]
BACKENDS = [["--jit", "reference"], ["--jit", "tcc"], ["--jit", "tcc", "--dtype", "f64"], CC]
KEYS, QUERIES, LEFT, D = 150, 70, 90, 7
MASKED = """
local Q, K, V = tokens("Q", 7, "n"), tokens("K", 7, "m"), tokens("V", 5, "m")
local length = count("length")
local S = keep(function(i, j) return lt(i, length) end, {scores})
local P = {weights}
return kernel("masked", {{ {outputs} }})
"""
WEIGHTS = {
    "softmax": "softmax(S)", "tanh": "tanh(S)", "exp": "exp(S)", "identity": "S", "log": "log(S)", "sum": 'normalize(exp(S), "sum")',
    "l2": 'normalize(S, "l2")', "max": 'normalize(S, "max")', "sparsemax": "normalize(S, relu)", "twice": "softmax(S + softmax(S))",
    "square": "hadamard(S, S)", "shifted": "softmax(S + 1)",
}
SCORES = {"inner": "K:t() * Q", "sqdist": "sqdist(K, Q) / 7", "rbf": "rbf(K, Q, 0.1)", "dist1": "dist1(K, Q)", "cosine": "cosine(K, Q)",
          "bounded": "tanh(K:t() * Q)"}
OUTPUTS = {"sums": "O = V * P", "rows": "s = sum(P), l = logsumexp(S)", "entries": "P = P", "tokens": "t = sum_tokens(P)",
           "largest": "t = max_tokens(P)", "product": "O = V * P * P:t()"}
random = np.random.default_rng(5)


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


def names_of(outputs):
    return [o.split(" = ")[0] for o in outputs.split(", ")]


def masked_specs():
    """Each weight, score and output at least once with the plain ones; log of negative scores is NaN of itself:
    rbf's."""
    for weights in WEIGHTS:
        yield ("rbf" if weights == "log" else "inner"), weights, "sums"
    for scores in SCORES:
        yield scores, "softmax", "sums"
        yield scores, "tanh", "sums"
    for outputs in OUTPUTS:
        for weights in ("softmax", "tanh", "sum"):
            yield "inner", weights, outputs


def law_dropped_keys_do_not_leak(tally, backend):
    """Keys and values behind the length are NaN and infinite, or are not there at all."""
    Q, K, V = real(QUERIES, D), real(KEYS, D), real(KEYS, 5)
    for bad in (np.nan, np.inf, 1e30):
        Kbad, Vbad = K.copy(), V.copy()
        Kbad[LEFT:], Vbad[LEFT:] = bad, bad
        for scores, weights, outputs in masked_specs():
            text = MASKED.format(scores=SCORES[scores], weights=WEIGHTS[weights], outputs=OUTPUTS[outputs])
            about = f"{scores}, {weights}, {outputs}, {bad} in dropped keys"
            try:
                got = run(text, {"Q": Q, "K": Kbad, "V": Vbad, "length": np.array(LEFT)}, names_of(OUTPUTS[outputs]), *backend)
                want = run(text, {"Q": Q, "K": K, "V": V, "length": np.array(LEFT)}, names_of(OUTPUTS[outputs]), *backend)
            except RuntimeError as error:
                tally.expect(False, f"{about}: {error}")
                continue
            for a, b in zip(got, want):
                a, b = (np.where(x == -np.inf, 0, x) for x in (a, b))
                tally.expect(distance(a, b) < 1e-6, f"{about}: {np.isnan(a).sum()} NaN of {a.size}, off by {distance(a, b):.1e}")


def law_nothing_left_gives_zeros(tally, backend):
    Q, K, V = real(QUERIES, D), real(KEYS, D), real(KEYS, 5)
    for weights in WEIGHTS:
        text = MASKED.format(scores=SCORES["rbf"], weights=WEIGHTS[weights], outputs="O = V * P, P = P, l = logsumexp(S)")
        O, P, lse = run(text, {"Q": Q, "K": K, "V": V, "length": np.array(0)}, ["O", "P", "l"], *backend)
        tally.expect(not O.any() and not P.any() and (lse == -np.inf).all(), f"{weights} of nothing is not zeros")


SCORED = """
local S, V = scores("S", "m", "n"), tokens("V", 5, "m")
return kernel("scored", { O = V * softmax(S), P = softmax(S), l = logsumexp(S), s = sum(softmax(S)) })
"""


def law_minus_infinity_is_no_key(tally, backend):
    """Scores of -inf, as ONNX and torch mask: like dropping; a query with nothing else gets zeros."""
    S, V = real(QUERIES, KEYS), real(KEYS, 5)
    S[random.random(S.shape) < 0.5] = -np.inf
    S[3], S[10, 1:] = -np.inf, -np.inf
    O, P, lse, total = run(SCORED, {"S": S, "V": V}, ["O", "P", "l", "s"], *backend)
    top = np.where(np.isfinite(S.max(axis=1)), S.max(axis=1), 0)[:, None].astype(np.float64)
    e = np.exp(S - top)
    want = e / np.maximum(e.sum(axis=1, keepdims=True), 1e-300)
    tally.expect(distance(P, want) < 1e-6 and not P[3].any() and not O[3].any() and lse[3] == -np.inf, "a masked query")
    tally.expect(distance(O, want @ V) < 1e-6, "keys at -inf")
    tally.expect(distance(total, want.sum(axis=1)) < 1e-6, f"softmax sums to {total[:4]}")


def law_infinite_and_missing_scores(tally, backend):
    """A query with +inf has it as its logsumexp, one with NaN has NaN; neither has weights, and both leave the others
    alone."""
    S, V = real(QUERIES, KEYS), real(KEYS, 5)
    clean = run(SCORED, {"S": S, "V": V}, ["O", "P", "l"], *backend)
    S[2, 7], S[9, 149], odd = np.inf, np.nan, [2, 9]
    O, P, lse = got = run(SCORED, {"S": S, "V": V}, ["O", "P", "l"], *backend)
    tally.expect(lse[2] == np.inf and np.isnan(lse[9]), f"logsumexp of +inf is {lse[2]}, of NaN {lse[9]}")
    tally.expect(np.isnan(O[odd]).all() and np.isnan(P[odd]).all(), "weights of +inf or NaN are numbers")
    for a, b in zip(got, clean):
        tally.expect(np.array_equal(np.delete(a, odd, 0), np.delete(b, odd, 0)), "another query's +inf or NaN is seen")


def law_softmax_is_shift_invariant(tally, backend):
    S, V = real(QUERIES, KEYS), real(KEYS, 5)
    S = np.round(S * 1024) / 1024
    O, P = run(SCORED, {"S": S, "V": V}, ["O", "P"], *backend)
    O2, P2 = run(SCORED, {"S": S + np.float32(512), "V": V}, ["O", "P"], *backend)
    tally.expect(distance(O2, O) < 1e-6 and distance(P2, P) < 1e-6, "a shift of 512 changes the softmax")
    for shift in (-1e4, 1e6, 3e38, -3e38):
        P3, = run(SCORED, {"S": np.full_like(S, shift), "V": V}, ["P"], *backend)
        tally.expect(np.allclose(P3, 1 / KEYS, rtol=1e-5), f"{KEYS} equal scores of {shift} give {P3[0, 0]} each")


def law_keys_in_any_order(tally, backend):
    S, V, order = real(QUERIES, KEYS), real(KEYS, 5), random.permutation(KEYS)
    O, = run(SCORED, {"S": S, "V": V}, ["O"], *backend)
    O2, = run(SCORED, {"S": S[:, order], "V": V[order]}, ["O"], *backend)
    tally.expect(distance(O2, O) < 1e-6, "another order of keys changes the output")


def law_outputs_may_be_skipped(tally, backend):
    S, V, names = real(QUERIES, KEYS), real(KEYS, 5), ["O", "P", "l", "s"]
    whole = run(SCORED, {"S": S, "V": V}, names, *backend)
    for name, want in zip(names, whole):
        try:
            got, = run(SCORED, {"S": S, "V": V}, [name], *backend)
            tally.expect(np.array_equal(got, want), f"{name} alone has other bits")
        except RuntimeError as error:
            tally.expect(False, f"{name} alone: {error}")


def law_threads_do_not_change_bits(tally, backend):
    arrays = {"Q": real(2, 8, 131, 64), "K": real(2, 2, 131, 64), "V": real(2, 2, 131, 64)}
    results = [run("gqa_softcap", arrays, ["O", "lse"], "--threads", n, *backend) for n in (1, 2, 3, 7)]
    for n, got in zip((2, 3, 7), results[1:]):
        tally.expect(all(np.array_equal(a, b) for a, b in zip(got, results[0])), f"{n} threads give other bits than 1")


def law_items_are_alone(tally, backend):
    """A batch is its items one by one; a batch of 1 serves all; no batch axis is a batch of 1; a batch of 0 is
    nothing."""
    Q, K, V = real(3, 8, 33, 64), real(3, 2, 50, 64), real(1, 2, 50, 64)
    whole, = run("gqa_softcap", {"Q": Q, "K": K, "V": V}, ["O"], *backend)
    for b in range(3):
        part, = run("gqa_softcap", {"Q": Q[b], "K": K[b], "V": V[0]}, ["O"], *backend)
        tally.expect(np.array_equal(part, whole[b]), f"item {b} alone differs from it in the batch")
    try:
        none, = run("gqa_softcap", {"Q": Q[:0], "K": K[:0], "V": V[:0]}, ["O"], *backend)
        tally.expect(none.shape == (0, 8, 33, 64), f"a batch of 0 gives {none.shape}")
    except RuntimeError as error:
        tally.expect(False, f"a batch of 0: {error}")


def law_no_tokens(tally, backend):
    for n, m in ((0, 5), (5, 0), (0, 0)):
        O, lse = run("gqa_softcap", {"Q": real(8, n, 64), "K": real(2, m, 64), "V": real(2, m, 64)}, ["O", "lse"], *backend)
        good = O.shape == (8, n, 64) and lse.shape == (8, n) and not O.any() and (lse == -np.inf).all()
        tally.expect(good, f"n = {n}, m = {m}: {O.shape}, {lse.shape}")


def law_values_are_linear(tally, backend):
    """f(2 V) = 2 f(V) to the bit, f(V + U) = f(V) + f(U)."""
    arrays = {"Q": real(8, 40, 64), "K": real(2, 60, 64)}
    V, U = real(2, 60, 64), real(2, 60, 64)
    a, b, c, d = (run("gqa_softcap", {**arrays, "V": v}, ["O"], *backend)[0] for v in (V, U, 2 * V, V + U))
    tally.expect(np.array_equal(c, 2 * a), "twice the values is not twice the output")
    tally.expect(distance(d, a + b) < 1e-6, "the output is not linear in the values")


LIES = {
    "orthogonal": 'local X = tokens("X", 6, "n")\nreturn kernel("lie", { O = tanh(X) }, { symmetry = { orthogonal = { "X" } } })\n',
    "orthogonal, knowledge left out": """
local X, Z = tokens("X", 6, "n"), tokens("Z", 6, 4)
return kernel("lie", { O = X * softmax(X:t() * Z * Z:t() * X) }, { symmetry = { orthogonal = { "X" } } })
""",
    "permutation": """
local X = tokens("X", 6, "n")
return kernel("lie", { O = X * softmax(keep(causal, X:t() * X)) }, { symmetry = { permutation = { "X" } } })
""",
    "permutation, positions": """
local X = tokens("X", 6, "n")
return kernel("lie", { O = X * map(function(s, i, j) return s * (i - j) end, X:t() * X) }, { symmetry = { permutation = { "X" } } })
""",
}


def law_lies_are_refused(tally, backend):
    for about, text in LIES.items():
        faults = check(text, *backend[:2])
        tally.expect("FAILED: the spec declares what does not hold" in faults, f"{about}: not refused: {faults}")


def main():
    tally = Tally()
    for backend in BACKENDS:
        for name, law in globals().items():
            if name.startswith("law_") and not (name == "law_lies_are_refused" and backend != BACKENDS[1]):
                before = tally.failed
                try:
                    law(tally, backend)
                except RuntimeError as error:
                    tally.expect(False, error)
                if tally.failed > before:
                    print(f"    in {name}, {' '.join(backend)}")
    tally.end()


main()
