"""CLEANN's explanation: the smallest set of tokens that changes a classifier's outcome, along a causal graph.

Rohekar, Gurwicz and Nisimov, arXiv:2310.20307. A layer of attention is trained here by gram to tell from its first
token, [CLS], whether a sentence has a keyword. Its attention matrix goes to `gram causal --method icd`; from [CLS]
outwards along that graph, sets of tokens are tried, small and near ones first, until replacing one by [PAD] changes
the answer. The sentences' keywords are known, so explanations can be checked; trying all sets says which is smallest.

    make python && python3 tests/causal_cleann.py
"""
import itertools
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, "build/python")
try:
    import numpy as np
    import gram
except ImportError as error:
    print(f"left out: {error}\n0 passed, 0 failed")
    sys.exit(0)

GRAM = os.path.abspath("build/gram")
PAD, CLS, KEYWORD, WORDS, LENGTH, D = 0, 1, 2, 12, 7, 24
SPEC = """
local d = option("d", 24)
local X = tokens("X", d, "n")
local WQ, WK, WV, C = matrix("WQ", d, d), matrix("WK", d, d), matrix("WV", d, d), matrix("C", 2, d)
local A = softmax((WK * X):t() * (WQ * X) / sqrt(d))            -- column j: what token j attends to
return kernel("classifier", { y = C * (X + WV * X * A), A = A })
"""


# ---- the classifier ----

def sentences(random, count):
    """[CLS] and words, of which none, one or two are the keyword."""
    ids = random.integers(KEYWORD + 1, WORDS, (count, LENGTH))
    ids[:, 0] = CLS
    for row, times in zip(ids, random.integers(0, 3, count)):
        row[random.choice(np.arange(1, LENGTH), times, replace=False)] = KEYWORD
    padded = random.random((count, LENGTH)) < 0.1
    padded[:, 0] = False
    return np.where(padded & (ids != KEYWORD), PAD, ids)


def answers(k, weights, ids):
    return k(X=weights["E"][ids], **{w: v for w, v in weights.items() if w != "E"})["y"][:, 0]


def gradients(k, weights, ids):
    """Of the mean cross entropy, by every weight and by the words' vectors E."""
    y = answers(k, weights, ids)
    p = np.exp(y - y.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    dy = np.zeros((len(ids), LENGTH, 2), "f4")
    dy[:, 0] = (p - np.eye(2)[(ids == KEYWORD).any(1).astype(int)]) / len(ids)
    g = k.grad(X=weights["E"][ids], dy=dy, **{w: v for w, v in weights.items() if w != "E"})
    dE = np.zeros_like(weights["E"])
    np.add.at(dE, ids, g.pop("X"))
    return {**g, "E": dE}


def train(k, random, steps=300, rate=0.01):
    """Adam."""
    shapes = {"WQ": (D, D), "WK": (D, D), "WV": (D, D), "C": (2, D), "E": (WORDS, D)}
    weights = {w: (random.standard_normal(s) / np.sqrt(D)).astype("f4") for w, s in shapes.items()}
    first, second = ({w: np.zeros(s) for w, s in shapes.items()} for _ in range(2))
    for step in range(1, steps + 1):
        for w, g in gradients(k, weights, sentences(random, 64)).items():
            first[w] = 0.9 * first[w] + 0.1 * g
            second[w] = 0.999 * second[w] + 0.001 * g**2
            move = first[w] / (1 - 0.9**step) / (np.sqrt(second[w] / (1 - 0.999**step)) + 1e-8)
            weights[w] = (weights[w] - rate * move).astype("f4")
    return weights


# ---- the graph around a token ----

ENDS = {"directed": "-->", "undirected": "---", "bidirected": "<->", "partly_directed": "o->", "unknown": "o-o",
        "partly_undirected": "o--"}


def graph_of(A):
    """end[a, b]: the mark at b of the edge between a and b."""
    np.save("a.npy", A.astype("f8"))
    words = [GRAM, "causal", "a.npy", "--method", "icd", "--samples", str(D), "--json"]
    graph = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    end = {}
    for kind, marks in ENDS.items():
        for a, b in graph[kind]:
            end[a, b], end[b, a] = marks[2].replace("<", ">"), marks[0].replace("<", ">")
    return end


def distances(end, root):
    """To the tokens of the possible-d-sep tree: along a path u, v, w, v is a collider or the three are a triangle."""
    near, edges = {}, [(None, root, 0)]
    seen = set()
    for u, v, depth in edges:                                   # it grows on the way
        for w in range(LENGTH):
            if (v, w) not in end or w == root or (v, w) in seen:
                continue
            if u is None or (end[u, v] == end.get((w, v)) == ">" or (u, w) in end) and u != w:
                seen.add((v, w))
                near.setdefault(w, depth + 1)
                edges.append((v, w, depth + 1))
    return near


# ---- explanations ----

def smallest(changes, tokens, distance):
    """The first set that changes the answer, small ones and, among these, near ones first; None: no set does."""
    for size in range(1, len(tokens) + 1):
        sets = itertools.combinations(sorted(tokens), size)
        for chosen in sorted(sets, key=lambda s: sum(distance.get(t, LENGTH) for t in s)):
            if changes(chosen):
                return set(chosen)
    return None


def explain(k, weights, ids):
    """CLEANN's set for the answer at [CLS], how many sets it tried, and the smallest of all sets."""
    tried = []
    before = answers(k, weights, ids[None]).argmax()

    def changes(chosen):
        tried.append(chosen)
        without = ids.copy()
        without[list(chosen)] = PAD
        return answers(k, weights, without[None]).argmax() != before

    A = k(X=weights["E"][ids[None]], **{w: v for w, v in weights.items() if w != "E"})["A"][0]
    near = distances(graph_of(A), 0)
    found = smallest(changes, list(near), near)
    return found, len(tried), smallest(changes, range(1, LENGTH), {})


def main():
    random = np.random.default_rng(0)
    k = gram.load(text=SPEC, name="classifier", set={"d": D})
    weights = train(k, random)
    test = sentences(random, 1000)
    has = (test == KEYWORD).any(1)
    accuracy = np.mean(answers(k, weights, test).argmax(1) == has)
    explained = [(ids, *explain(k, weights, ids)) for ids in test[has][:100]]
    right = np.mean([found == set(np.flatnonzero(ids == KEYWORD)) for ids, found, _, _ in explained])
    least = np.mean([found is not None and len(found) == len(best or ()) for _, found, _, best in explained])
    ids, found, tried, _ = explained[0]
    print(f"accuracy {accuracy:.3f}; explanations that are the keywords {right:.2f}, as small as can be {least:.2f}")
    print(f"sentence {ids.tolist()}: without tokens {sorted(found or [])} the answer changes, after {tried} tries")
    checks = [accuracy > 0.98, right >= 0.9, least >= 0.9]
    print(f"{sum(checks)} passed, {len(checks) - sum(checks)} failed")
    sys.exit(not all(checks))


def in_own_folder():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main()


in_own_folder()
