"""gram causal, flow and size as commands: what they print, as text and as JSON, against numpy; and what they refuse.

gram causal's graphs are tested in causal.c; here are its input, its output and the graphs of the paper's companions.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

GRAM = os.path.abspath("build/gram")
results = []


def gram(*words):
    return subprocess.run([GRAM, *map(str, words)], capture_output=True, text=True, timeout=60)


def lines(*words):
    """The JSON objects that a command prints, one a line."""
    got = gram(*words, "--json")
    if got.returncode != 0:
        print(f"gram {' '.join(map(str, words))}: {got.stderr.rstrip()}")
        return []
    return [json.loads(line) for line in got.stdout.splitlines()]


def check(about, holds, got=""):
    results.append(bool(holds))
    if not holds:
        print(f"failed: {about} {got}")


def refused(status, text, *words):
    got = gram(*words)
    one_line = got.stderr.count("\n") == 1 and not got.stdout
    check(f"gram {' '.join(map(str, words))}", got.returncode == status and text in got.stderr and one_line,
          f"status {got.returncode}, expected {status} and '{text}': {got.stderr}")


# ---- gram causal ----

EDGES = [[0, 2], [1, 2], [2, 3], [3, 4]]


def model():
    """x = G x + u with 0 -> 2 <- 1, 2 -> 3 -> 4; (I - G)^-1."""
    G = np.zeros((5, 5))
    G[2, 0], G[2, 1], G[3, 2], G[4, 3] = 0.9, 0.8, 0.7, 0.9
    return np.linalg.inv(np.eye(5) - G)


def condition(A):
    C = A @ A.T
    root = np.sqrt(np.diag(C))
    return np.linalg.cond(C / root / root[:, None])


def causal():
    A = model()
    A /= A.sum(1, keepdims=True)
    np.save("a.npy", A)
    graph, = lines("causal", "a.npy", "--alpha", 0.01, "--samples", 768)
    check("PC's graph", list(graph) == ["directed", "undirected", "condition"], graph)
    check("PC's edges", graph["directed"] == EDGES and graph["undirected"] == [], graph)
    check("the condition number", abs(graph["condition"] / condition(A) - 1) < 1e-8, graph)
    graph, = lines("causal", "a.npy", "--method=icd", "--samples=768")
    check("ICD's edges", graph["directed"] == EDGES[2:] and graph["partly_directed"] == EDGES[:2], graph)
    graph, = lines("causal", "a.npy", "--order", 0)
    check("only marginal tests", len(graph["directed"] + graph["undirected"]) == 9, graph)

    u = np.random.default_rng(0).standard_normal((5, 2000))
    np.save("samples.npy", (model() @ u).astype("f4"))
    graph, = lines("causal", "samples.npy", "--samples", 2000, "--alpha", 0.001)
    check("the graph of 2,000 samples", graph["directed"] == EDGES and graph["undirected"] == [], graph)
    hidden = np.delete(model(), 2, 0)
    np.save("hidden.npy", hidden)
    graph, = lines("causal", "hidden.npy", "--samples", 10**6, "--method", "icd")
    check("a collider's child stands in for it", graph["partly_directed"] == [[0, 2], [1, 2]], graph)

    np.save("heads.npy", np.stack([A, np.full((5, 5), 0.2)]))
    np.save("layers.npy", np.stack([[A], [A[::-1, ::-1]], [np.eye(5)]]))
    heads = lines("causal", "heads.npy")
    check("two heads", [g["head"] for g in heads] == [0, 1] and heads[0]["directed"] == EDGES, heads)
    check("uniform attention tells nothing", len(heads[1]["undirected"]) == 10 and heads[1]["condition"] is None, heads)
    layers = lines("causal", "layers.npy")
    check("three layers of a head", [(g["layer"], g["head"]) for g in layers] == [(0, 0), (1, 0), (2, 0)], layers)
    check("tokens in reverse", layers[1]["directed"] == sorted([4 - a, 4 - b] for a, b in EDGES), layers[1])
    check("no attention, no edges", layers[2]["directed"] == layers[2]["undirected"] == [], layers[2])
    causal_text()
    causal_spec()


def causal_text():
    text = gram("causal", "heads.npy").stdout
    check("the text", "head 0: condition number 19.51\n  0 --> 2\n" in text and "head 1: " in text, text)
    dot = gram("causal", "a.npy", "--dot").stdout
    check("Graphviz", dot.startswith("digraph causal {") and "0 -> 2 [" in dot and dot.endswith("}\n"), dot)


SPEC = """
local X = tokens("X", 8, "n", { heads = 2 })
return kernel("scores", { P = softmax(X:t() * X)%s })
"""


def causal_spec():
    with open("one.lua", "w") as out:
        out.write(SPEC % "")
    with open("two.lua", "w") as out:
        out.write(SPEC % ", S = X:t() * X")
    X = 0.3 * np.random.default_rng(3).standard_normal((2, 6, 8))
    P = np.exp(X @ X.transpose(0, 2, 1))
    np.save("x.npy", X)
    np.save("p.npy", P / P.sum(2, keepdims=True))
    settings = ["--dtype", "f64", "--jit", "reference"]
    from_spec, from_file = lines("causal", "one.lua", "X=x.npy", *settings), lines("causal", "p.npy")
    check("a spec's matrix", [g["directed"] for g in from_spec] == [g["directed"] for g in from_file], from_spec)
    conditions = [[g["condition"] for g in graphs] for graphs in (from_spec, from_file)]
    check("their condition numbers", np.allclose(*conditions, rtol=1e-6), conditions)
    check("a named output", len(lines("causal", "two.lua", "--output", "P", "X=x.npy", *settings)) == 2)
    check("no file is left", not [name for name in os.listdir() if name.startswith("gram-")])
    refused(2, "--output", "causal", "two.lua", "X=x.npy")
    refused(1, "no output of that name", "causal", "two.lua", "--output", "O", "X=x.npy")
    refused(1, "y.npy: No such file", "causal", "one.lua", "X=y.npy")


def causal_refused():
    np.save("vector.npy", np.ones(3))
    np.save("zero.npy", np.diag([1.0, 0.0]))
    np.save("nan.npy", np.full((2, 2), np.nan))
    np.save("dense.npy", np.full((40, 40), 1 / 40))
    np.save("empty.npy", np.zeros((0, 3, 3)))
    refused(1, "No such file", "causal", "none.npy")
    refused(1, "got 1 axes", "causal", "vector.npy")
    refused(1, "row 1 has no variance", "causal", "zero.npy")
    refused(1, "not finite", "causal", "nan.npy")
    refused(1, "--order", "causal", "dense.npy")
    refused(2, "pc or icd", "causal", "a.npy", "--method", "fci")
    refused(2, "--alpha", "causal", "a.npy", "--alpha", "1")
    refused(2, "--samples", "causal", "a.npy", "--samples", "0")
    refused(2, "is for a spec", "causal", "a.npy", "X=x.npy")
    refused(2, "not both", "causal", "a.npy", "--json", "--dot")
    refused(2, "no option --alpha", "run", "a.npy", "--alpha", "1")
    check("no heads, no lines", gram("causal", "empty.npy").stdout == "")


# ---- gram flow ----


def numpy_flow(A, ids):
    """The share of A's mass between different groups, and between each two."""
    inside = ids >= 0
    A, ids = A[np.ix_(inside, inside)], ids[inside]
    labels = np.unique(ids)
    matrix = np.array([[A[np.ix_(ids == g, ids == h)].sum() for h in labels] for g in labels]) / A.sum()
    return 1 - np.trace(matrix), matrix


def rollouts(layers):
    R = np.eye(layers.shape[-1])
    for A in layers:
        R = (A + np.eye(len(A))) / 2 @ R
        yield R


def flow():
    random = np.random.default_rng(4)
    A = random.random((3, 4, 9, 9))
    A /= A.sum(-1, keepdims=True)
    ids = np.array([7, 0, 0, -1, 7, 2, 2, 7, 0])
    np.save("a4.npy", A)
    np.save("ids.npy", ids)
    got, = lines("flow", "a4.npy", "--groups", "ids.npy")
    layers = A.mean(1)
    expected = [numpy_flow(layer, ids) for layer in layers]
    base = 1 - sum((np.sum(ids == g) / 8)**2 for g in (0, 2, 7))
    check("flow", np.allclose(got["flow"], [f for f, _ in expected], rtol=1e-9), got)
    check("the matrix", np.allclose(got["matrix"], [m for _, m in expected], rtol=1e-8), got)
    check("base", np.allclose(got["base"], base), got)
    check("lift", np.allclose(got["lift"], np.array(got["flow"]) / base), got)
    matrix = np.array(got["matrix"])
    inside = np.diagonal(matrix, axis1=1, axis2=2)
    check("outflow", np.allclose(got["outflow"], 1 - inside / matrix.sum(2), rtol=1e-8), got)
    check("span", np.allclose(got["span"], [numpy_flow(R, ids)[0] for R in rollouts(layers)], rtol=1e-8), got)
    check("the groups", got["groups"] == [0, 2, 7], got)
    got, = lines("flow", "a4.npy", "--groups", "ids.npy", "--mask", "4:3")
    near = [sorted((0, 7), key=lambda t: -layer[t, 4] - layer[4, t]) for layer in layers]
    check("what to mask with token 4, of group 7", got["masked"] == near, got)
    check("in the text", "mask 4 with [" in gram("flow", "a4.npy", "--groups", "ids.npy", "--mask", "4:1").stdout)
    text = gram("flow", "a4.npy", "--groups", "ids.npy").stdout
    check("the text", "8 tokens" not in text and f"{got['flow'][2]:.4f}" in text, text)
    flow_laws(layers)


def flow_laws(layers):
    """The cases whose answer is known."""
    V, T = 3, 6
    ids, base = np.array([0] * V + [1] * T), 2 * V * T / (V + T)**2
    block = np.kron(np.eye(3), np.full((3, 3), 1 / 3))
    crossing = np.zeros((V + T, V + T))
    crossing[:V, V:], crossing[V:, :V] = 1 / T, 1 / V
    np.save("laws.npy", np.stack([block, crossing, np.full((9, 9), 1 / 9)])[:, None])
    np.save("uniform.npy", np.full((4, 2, 9, 9), 1 / 9))
    np.save("ids.npy", ids.astype("u1"))
    got, = lines("flow", "laws.npy", "--groups", "ids.npy")
    check("nothing crosses, all crosses, uniform", np.allclose(got["flow"], [0, 1, base], atol=1e-12), got)
    got, = lines("flow", "uniform.npy", "--groups", "ids.npy")
    check("the span of uniform layers", np.allclose(got["span"], base * (1 - 0.5**np.arange(1, 5)), rtol=1e-9), got)
    order = np.r_[np.random.default_rng(5).permutation(V), V + np.random.default_rng(6).permutation(T)]
    np.save("one.npy", layers[0])
    np.save("permuted.npy", layers[0][np.ix_(order, order)])
    one, permuted = (lines("flow", name, "--groups", "ids.npy")[0] for name in ("one.npy", "permuted.npy"))
    check("the order within a group", np.isclose(one["flow"][0], permuted["flow"][0], rtol=1e-12), (one, permuted))
    np.save("same.npy", np.zeros(9, int))
    got, = lines("flow", "one.npy", "--groups", "same.npy")
    check("one group", got["flow"] == [0] and got["lift"] == [None], got)


def flow_refused():
    np.save("negative.npy", -np.eye(9))
    np.save("wide.npy", np.ones((9, 4)))
    np.save("none.npy", np.full(9, -1))
    np.save("halves.npy", np.full(9, 0.5))
    refused(2, "--groups", "flow", "one.npy")
    refused(1, "an id for each of 9 tokens", "flow", "one.npy", "--groups", "vector.npy")
    refused(1, "not negative", "flow", "negative.npy", "--groups", "ids.npy")
    refused(2, "--mask", "flow", "one.npy", "--groups", "ids.npy", "--mask", "9:1")
    refused(2, "--mask", "flow", "one.npy", "--groups", "ids.npy", "--mask", "x:1")
    refused(2, "--mask", "flow", "one.npy", "--groups", "ids.npy", "--mask", "3")
    refused(1, "square", "flow", "wide.npy", "--groups", "ids.npy")
    refused(1, "no token has a group", "flow", "one.npy", "--groups", "none.npy")
    refused(1, "halves.npy", "flow", "one.npy", "--groups", "halves.npy")
    refused(1, "empty", "flow", "empty.npy", "--groups", "vector.npy")


# ---- gram size ----

TABLE = [(12, 768, 23), (24, 1024, 32), (24, 1536, 38), (24, 2048, 42), (32, 2560, 47), (32, 4096, 54), (40, 5140, 60),
         (96, 12288, 80)]
MODEL = """
local d = 8
local X = tokens("X", d, "n")
local h = X
for l = 1, option("layers", 3) do
    h = h + matrix("W" .. l, d, d) * h * softmax(h:t() * h) + vector("b" .. l, d)
end
return kernel("model", { O = h })
"""


def transition(params):
    """L e^(2 b L) = N e^(-2 a) / 12, by Newton's method."""
    a, b, L = 5.039, 0.0555, 10.0
    for _ in range(100):
        L -= (math.log(12 * L) + 2 * (a + b * L) - math.log(params)) / (1 / L + 2 * b)
        L = max(L, 1e-9)
    return L, math.exp(a + b * L)


def size():
    for depth, width, published in TABLE:
        got, = lines("size", "--params", 12 * depth * width**2)
        check(f"{depth} layers of {width}, published {published}", abs(got["depth"] - published) < 1, got)
    for params in (1e3, 1e8, 175e9, 1e12, 1e20):
        got, = lines("size", "--params", params)
        expected = transition(params)
        check(f"{params} parameters", np.allclose([got["depth"], got["width"]], expected, rtol=1e-6), (got, expected))
        check("the threshold", abs(got["threshold"] - math.log(got["width"], 3)) < 1e-8, got)
        deep = got["depth"] > got["threshold"]
        check("the regime", got["regime"] == ("depth-inefficient" if deep else "depth-efficient"), got)
    text = gram("size", "--params", "175e9").stdout
    check("the table", "175B     96   12288       80   13500     80.5    13422" in text, text)
    size_of_spec()


def size_of_spec():
    with open("model.lua", "w") as out:
        out.write(MODEL)
    with open("mixed.lua", "w") as out:
        out.write('local X = tokens("X", 8, "n") return kernel("mixed", { O = X * softmax(X:t() * X) })')
    got, = lines("size", "model.lua")
    check("a spec's shape", (got["depth"], got["width"], got["params"]) == (3, 8, 3 * 72), got)
    check("its verdict", got["verdict"] == "too deep" and got["advised_depth"] < 1, got)
    got, = lines("size", "model.lua", "--set", "layers=5")
    check("five layers", (got["depth"], got["params"]) == (5, 5 * 72), got)
    got, = lines("size", "model.lua", "--params", 175e9)
    check("another number of parameters", got["verdict"] == "too shallow" and got["params"] == 175e9, got)
    got, = lines("size", "depth=96", "width=12288")
    check("GPT-3", got["verdict"] == "too deep" and abs(got["advised_depth"] - 80.5) < 0.05, got)
    got, = lines("size", "depth=24", "width=2048")
    check("1.3B", got["verdict"] == "too shallow" and got["params"] == 12 * 24 * 2048**2, got)
    refused(2, "both of them", "size", "depth=24")
    refused(2, "takes no heads=3", "size", "depth=24", "heads=3")
    refused(2, "takes no depth=3", "size", "model.lua", "depth=3")
    check("the text", "too deep" in gram("size", "model.lua").stdout)
    refused(2, "of what", "size")
    refused(2, "--params", "size", "--params", "many")
    refused(2, "--params", "size", "--params", "inf")
    refused(1, "no layer of attention", "size", "one.lua")
    refused(1, "no weights", "size", "mixed.lua")
    refused(1, "No such file", "size", "absent.lua")


def main():
    with tempfile.TemporaryDirectory(prefix="analyses") as folder:
        os.chdir(folder)
        os.environ["TMPDIR"] = folder
        for test in (causal, causal_refused, flow, flow_refused, size):
            test()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not all(results))


main()
