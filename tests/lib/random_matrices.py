"""Random specs, second part: matrices of tokens and of pairs from one another, and specs of them. To add an operation,
add a function to one of the lists at the end of its section."""
import math
import re

import numpy as np

from random_scalars import (FEATURES, fits, heads_meet, integers, joined_keep, map_values, matrix_input, Place,
                            scores_input, sigmoid, Spec, spread, tokens_input, Value, vector_input)


# ---- tokens: number x size ----

def some_tokens(s, cols=None):
    """Tokens there are, or new ones."""
    there = [t for t in s.tokens if cols is None or t.cols == cols]
    if there and s.random.random() < 0.7:
        return s.random.choice(there)
    cols = cols or s.random.choice(["n", "n", "m"])
    made = tokens_input(s, s.random.choice([t.rows for t in s.tokens] + FEATURES), cols)
    s.tokens.append(made)
    return made


def tokens_of(s, rows, cols):
    """Tokens of a given number of rows: there already, new, or projected."""
    there = [t for t in s.tokens if (t.rows, t.cols) == (rows, cols)]
    roll = s.random.random()
    if there and roll < 0.5:
        return s.random.choice(there)
    if roll < 0.75:
        made = tokens_input(s, rows, cols)
        s.tokens.append(made)
        return made
    made = project(s, some_tokens(s, cols), rows)
    return s.let(made, "T") if made is not None else tokens_input(s, rows, cols)


def project(s, X, rows=None):
    W = matrix_input(s, rows or s.random.choice(FEATURES), X.rows)
    return product(s, W, X)


def product(s, A, B):
    heads = heads_meet(A, B)
    if heads is None:
        return None
    array = spread(A.kept(), heads) @ spread(B.kept(), heads)
    return Value(f"{A.text} * {B.text}", array, A.rows, B.cols, heads)


def project_some(s):
    P = project(s, some_tokens(s))
    if P is None or s.random.random() < 0.5:
        return P
    v = vector_input(s, P.rows)
    return add(s, P, v)


def add(s, A, B, sign="+"):
    heads = heads_meet(A, B)
    if heads is None:
        return None
    a, b = spread(A.array, heads), spread(B.array, heads)
    return Value(f"{A.text} {sign} {B.text}", a + b if sign == "+" else a - b, A.rows, A.cols, heads,
                 joined_keep([A, B], heads))


def residual(s):
    A = some_tokens(s)
    return add(s, A, tokens_of(s, A.rows, A.cols), s.random.choice("+-"))


def map_tokens(s):
    A = some_tokens(s)
    others = [tokens_of(s, A.rows, A.cols)] if s.random.random() < 0.5 else []
    return map_values(s, [A] + others)


def normed(s):
    X = some_tokens(s)
    mean = X.kept().mean(axis=2, keepdims=True)
    variance = ((X.array - mean) ** 2).mean(axis=2, keepdims=True)
    square = (X.array ** 2).mean(axis=2, keepdims=True)
    length = np.sqrt((X.array ** 2).sum(axis=2, keepdims=True))
    ways = [(f"rms_norm({X.text}, nil, 0.01)", X.array / np.sqrt(square + 0.01)),
            (f'normalize({X.text}, "l2")', np.divide(X.array, length, out=np.zeros_like(X.array), where=length > 0))]
    if X.rows > 1:
        ways.append((f"layer_norm({X.text}, nil, nil, 0.01)", (X.array - mean) / np.sqrt(variance + 0.01)))
    text, array = s.random.choice(ways)
    return Value(text, array, X.rows, X.cols, X.heads)


def turned(s):
    X = some_tokens(s)
    if X.rows % 2:
        return None
    half, offset = X.rows // 2, s.random.choice([0, 3])
    angle = (np.arange(s.length(X.cols)) + offset) * 100.0 ** (-np.arange(half)[:, None] / half)
    a, b = X.array[:, :, :half], X.array[:, :, half:]
    array = np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], axis=2)
    return Value(f"rope({X.text}, 100, {{ offset = {offset} }})", array, X.rows, X.cols, X.heads)


def cut_rows(s):
    X = some_tokens(s)
    start = s.random.randrange(X.rows)
    count = s.random.randrange(1, X.rows - start + 1)
    return Value(f"rows({X.text}, {start}, {count})", X.array[:, :, start:start + count], count, X.cols, X.heads)


def stacked(s):
    A = some_tokens(s)
    B = some_tokens(s, A.cols)
    heads = heads_meet(A, B)
    if heads is None or A.rows + B.rows > 130:
        return None
    a, b = spread(A.array, heads), spread(B.array, heads)
    batch = max(a.shape[0], b.shape[0])
    array = np.concatenate([np.broadcast_to(x, (batch, *x.shape[1:])) for x in (a, b)], axis=2)
    return Value(f"vcat({A.text}, {B.text})", array, A.rows + B.rows, A.cols, heads)


def reheaded(s):
    X = some_tokens(s)
    if not X.heads:
        parts = [h for h in (1, 2, 4) if X.rows % h == 0 and (s.most_heads and s.most_heads % h == 0)]
        if not parts:
            return None
        H = s.random.choice(parts)
        array = X.array.reshape(X.array.shape[0], H, X.rows // H, -1)
        return Value(f"split_heads({X.text}, {H})", array, X.rows // H, X.cols, H)
    h = s.random.randrange(X.heads)
    flat = X.array.reshape(X.array.shape[0], 1, X.heads * X.rows, -1)
    return s.random.choice([Value(f"{X.text}[{h}]", X.array[:, h:h + 1], X.rows, X.cols),
                            Value(f"sum_heads({X.text})", X.array.sum(axis=1, keepdims=True), X.rows, X.cols),
                            Value(f"concat_heads({X.text})", flat, X.heads * X.rows, X.cols)])


def attended(s):
    """V * P: tokens from a pair matrix."""
    if not s.pairs:
        return None
    P = s.random.choice(s.pairs)
    V = some_tokens(s, P.rows)
    return product(s, V, P)


def settled(s):
    """V * P of a size that other formulas can take."""
    O = attended(s)
    if O is None or s.random.random() < 0.5:
        return map_over(O, "tanh({} / 8)", np.tanh(O.array / 8)) if O else None
    return map_over(O, "{} / 16", O.array / 16)


def map_over(A, text, array):
    return Value(text.format(f"({A.text})"), array, A.rows, A.cols, A.heads, A.keep)


def averaged(s):
    """X less half the mean of its tokens (X less all of it would be nothing, or rounding, for one token)."""
    X = some_tokens(s)
    mean = Value(f"mean_tokens({X.text}) / 2", X.array.mean(axis=3, keepdims=True) / 2, X.rows, 1, X.heads)
    return add(s, X, mean, "-")


def softmax_down(S, kept=True):
    """Down the last axis but one, where kept; zeros where nothing is."""
    top = np.where(kept, S, -np.inf).max(axis=-2, keepdims=True, initial=-np.inf)
    weights = np.where(kept, np.exp(np.minimum(S - np.where(np.isfinite(top), top, 0), 0)), 0)
    return np.divide(weights, weights.sum(axis=-2, keepdims=True), out=np.zeros_like(weights), where=weights > 0)


def by_items(s):
    """Something done to each column, cut into tokens."""
    X = some_tokens(s)
    m = s.random.choice([k for k in range(1, 7) if X.rows % k == 0])
    e = X.rows // m
    if X.heads or X.keep is not None:
        return None
    T = np.swapaxes(np.moveaxis(X.array[:, 0], 1, 2).reshape(X.array.shape[0], -1, m, e), 2, 3)
    W = matrix_input(s, s.random.choice([1, 3, e]), e)
    Tt, W0 = np.swapaxes(T, 2, 3), W.array[:, None, 0]
    seen = np.arange(m)[:, None] <= np.arange(m)
    ways = [("{} * softmax({}:t() * {} / 4)", T @ softmax_down(Tt @ T / 4)),
            ("{} * softmax(keep(causal, {}:t() * {})) - {} / 2", T @ softmax_down(Tt @ T, seen) - T / 2),
            ("({} - mean_tokens({}) / 2):t()", np.swapaxes(T - T.mean(axis=3, keepdims=True) / 2, 2, 3)),
            ("map(function(x, i, j) return tanh(x / 4 + j) end, {}) + max_tokens({}) / 2",
             np.tanh(T / 4 + np.arange(m)) + T.max(axis=3, keepdims=True) / 2),
            ("cumsum({}) / 4", T.cumsum(axis=3) / 4),
            ("vcat(sum({}), {})", np.concatenate([T.sum(axis=2, keepdims=True), T], axis=2))]
    if not W.heads:
        ways.append((f"tanh({W.text} * {{}} / 4)", np.tanh(W0 @ T / 4)))
    if e % 2 == 0:
        halves = [softmax_down(np.swapaxes(h, 2, 3) @ h / 4) for h in (T[:, :, :e // 2], T[:, :, e // 2:])]
        O = np.concatenate([T[:, :, :e // 2] @ halves[0], T[:, :, e // 2:] @ halves[1]], axis=2)
        ways.append(("concat_heads(split_heads({}, 2) * softmax(split_heads({}, 2):t() * split_heads({}, 2) / 4))", O))
    text, O = s.random.choice(ways)
    array = np.moveaxis(np.swapaxes(O, 2, 3).reshape(*O.shape[:2], -1), 2, 1)[:, None]
    return Value(f"each({X.text}, {m}, function(T) return {text.replace('{}', 'T')} end)", array, array.shape[2], X.cols)


def walked(s):
    """A state that is carried from column to column, a column itself or a matrix."""
    X = some_tokens(s)
    r = s.random.choice([1, 3, X.rows])
    W, U, v = matrix_input(s, r, X.rows), matrix_input(s, r, r), vector_input(s, r)
    heads = heads_meet(X, W, U, v)
    if heads is None:
        return None
    x, w, u, b = (spread(a.kept(), heads) for a in (X, W, U, v))
    matrix, state, columns = s.random.random() < 0.5, None, []
    state = w if matrix else b
    for j in range(x.shape[3]):
        xj = x[..., j:j + 1]
        if matrix:
            state = state / 2 + np.tanh(u @ (state @ xj) / 8 + b) @ np.swapaxes(xj, 2, 3) / 4
            columns.append(np.tanh(state @ xj))
        else:
            state = np.tanh(w @ xj / 2 + u @ state / 2 + b)
            columns.append(np.swapaxes(w, 2, 3) @ state / 4 + xj / 2)
    matrix_step = f"S / 2 + tanh({U.text} * (S * x) / 8 + {v.text}) * x:t() / 4 return t, tanh(t * x)"
    column_step = f"tanh({W.text} * x / 2 + {U.text} * S / 2 + {v.text}) return t, {W.text}:t() * t / 4 + x / 2"
    f, first = (matrix_step, W) if matrix else (column_step, v)
    array = np.concatenate(np.broadcast_arrays(*columns), axis=3)
    return Value(f"(scan(function(S, x) local t = {f} end, {first.text}, {X.text}))", array, array.shape[2], X.cols, heads)


TOKENS = [by_items, by_items, by_items, walked, walked, project_some, project_some, residual, map_tokens, map_tokens, normed, turned, cut_rows, stacked, reheaded, averaged]


# ---- pairs: size x size ----

def transposed(v):
    keep = None if v.keep is None else v.keep.swapaxes(2, 3)
    return Value(f"{v.text}:t()", v.array.swapaxes(2, 3), v.cols, v.rows, v.heads, keep)


def two_tokens(s):
    Q = some_tokens(s, s.random.choice(["n", "n", "m"]))
    return tokens_of(s, Q.rows, s.random.choice(["n", "m"])), Q


def inner(s):
    K, Q = two_tokens(s)
    P = product(s, transposed(K), Q)
    return scaled(P, K.rows) if P else None


def scaled(P, d):
    return Value(f"{P.text} / sqrt({d})", P.array / math.sqrt(d), P.rows, P.cols, P.heads, P.keep)


def quadratic(s):
    K, Q = two_tokens(s)
    W = matrix_input(s, K.rows, Q.rows)
    P = product(s, transposed(K), W)
    P = product(s, P, Q) if P else None
    return scaled(P, math.sqrt(K.rows)) if P else None


def distances(s):
    K, Q = two_tokens(s)
    heads = heads_meet(K, Q)
    if heads is None:
        return None
    a, b = spread(K.array, heads)[..., :, None], spread(Q.array, heads)[..., None, :]
    difference = a - b
    square, absolute = (difference ** 2).sum(axis=2), np.abs(difference).sum(axis=2)
    d = K.rows
    text, array = s.random.choice([
        (f"rbf({K.text}, {Q.text}, 1 / {4 * d})", np.exp(-square / (4 * d))),
        (f"laplace({K.text}, {Q.text}, 1 / {2 * d})", np.exp(-absolute / (2 * d))),
        (f"sqdist({K.text}, {Q.text}) / {2 * d}", square / (2 * d)),
        (f"-dist1({K.text}, {Q.text}) / {d}", -absolute / d),
    ])
    return Value(text, array, K.cols, Q.cols, heads)


def cosines(s):
    K, Q = two_tokens(s)
    heads = heads_meet(K, Q)
    if heads is None or K.rows < 2:
        return None
    a, b = spread(K.array, heads), spread(Q.array, heads)
    lengths = [np.sqrt((x ** 2).sum(axis=2, keepdims=True)) for x in (a, b)]
    array = (a / lengths[0]).swapaxes(2, 3) @ (b / lengths[1])
    return Value(f"cosine({K.text}, {Q.text})", array, K.cols, Q.cols, heads)


def any_scores(s):
    return s.random.choice([inner, inner, inner, quadratic, distances, cosines])(s)


def some_pairs(s):
    if s.pairs and s.random.random() < 0.8:
        return s.random.choice(s.pairs)
    P = any_scores(s)
    return s.let(P, "P") if P else None


def same_shape(s, P):
    """Another pair matrix of P's shape."""
    there = [p for p in s.pairs if (p.rows, p.cols) == (P.rows, P.cols)]
    return s.random.choice(there) if there and s.random.random() < 0.7 else scores_input(s, P.rows, P.cols)


def map_pairs(s):
    P = some_pairs(s)
    if P is None:
        return None
    others = [same_shape(s, P)] if s.random.random() < 0.4 else []
    return map_values(s, [P] + others)


def mask_of(place):
    s, i, j = place.s, place.i, place.j
    rows, cols = s.length(place.rows), s.length(place.cols)
    ways = [("causal", i <= j), ("causal_end", i - rows <= j - cols), ("window(5, 2)", (i >= j - 5) & (i <= j + 2)),
            ("prefix(3)", i < 3), ("dilated(3)", (i - j) % 3 == 0), ("global(2)", (i < 2) | (j < 2)),
            ("function(i, j) return ne(i, j) end", i != j),
            ("function(i, j) return lt((i * j) % 5, 3) | eq(i, 0) end", ((i * j) % 5 < 3) | (i == 0)),
            ("function(i, j, h) return le(i, j + h * 2) end", i <= j + 2 * place.h)]
    if s.random.random() < 0.3:
        name, ids = integers(s, "doc", [place.rows], 3)
        ways = [(f"function(i, j) return lt({name}(i), 2) end", ids[..., None] < 2)]
        if place.rows == place.cols:
            ways.append((f"documents({name})", ids[..., None] == ids[..., None, :]))
    elif s.random.random() < 0.3:
        name, length = integers(s, "len", [], max(2, rows))
        ways = [(f"function(i) return lt(i, {name}) end", i < length.reshape(-1, 1, 1, 1))]
    elif s.random.random() < 0.2:
        name, ids = integers(s, "see", [place.rows, place.cols], 2)
        ways = [(f"function(i, j) return ne({name}(i, j), 0) end", ids.reshape(-1, 1, rows, cols) != 0)]
    elif s.random.random() < 0.2:
        S = scores_input(s, place.rows, place.cols)
        if fits(place, S):
            ways = [(f"function(i, j) return gt({S.text}(i, j), -0.5) end", spread(S.array, place.heads) > -0.5)]
    return s.random.choice(ways)


def masked(s):
    P = some_pairs(s)
    if P is None:
        return None
    place = Place(s, P.rows, P.cols, P.heads)
    text, keep = mask_of(place)
    if s.random.random() < 0.3:
        more, other = mask_of(place)
        join = s.random.choice(["all_of", "any_of", "none_of"])
        text = f"{join}({text}, {more})"
        keep = {"all_of": keep & other, "any_of": keep | other, "none_of": ~(keep | other)}[join]
    keep = np.broadcast_to(keep, np.broadcast_shapes(keep.shape, P.array.shape))
    if P.keep is not None:
        keep = keep & P.keep
    return Value(f"keep({text}, {P.text})", P.array, P.rows, P.cols, P.heads, keep)


def divided(a, by):
    return np.divide(a, by, out=np.zeros_like(a + by), where=by != 0)


def softmax_of(P):
    a = P.array if P.keep is None else np.where(P.keep, P.array, -np.inf)
    top = a.max(axis=2, keepdims=True, initial=-np.inf)
    e = np.exp(a - np.where(np.isfinite(top), top, 0))
    return divided(e, e.sum(axis=2, keepdims=True))


def normalised(s):
    """Softmax of anything; other norms of what is well away from 0, where few digits would be left."""
    P = some_pairs(s)
    if P is None:
        return None
    if s.random.random() < 0.6:
        return Value(f"softmax({P.text})", softmax_of(P), P.rows, P.cols, P.heads, P.keep)
    text, array = s.random.choice([(f"1.5 - tanh({P.text})", 1.5 - np.tanh(P.array)), (f"sigmoid({P.text})", sigmoid(P.array)),
                                   (f"exp(-relu({P.text}))", np.exp(-np.maximum(P.array, 0)))])
    a = array if P.keep is None else np.where(P.keep, array, 0)
    by, norm = s.random.choice([("sum", a.sum(axis=2, keepdims=True)), ("l1", np.abs(a).sum(axis=2, keepdims=True)),
                                ("l2", np.sqrt((a ** 2).sum(axis=2, keepdims=True))),
                                ("max", np.abs(a).max(axis=2, keepdims=True, initial=0))])
    return Value(f'normalize({text}, "{by}")', divided(a, norm), P.rows, P.cols, P.heads, P.keep)


def pair_transpose(s):
    P = some_pairs(s)
    return transposed(P) if P else None


def pair_sum(s):
    P = some_pairs(s)
    return add(s, P, same_shape(s, P), s.random.choice("+-")) if P else None


def by_column(s):
    """A pair matrix with something per query or key: its sums, a vector."""
    P = some_pairs(s)
    if P is None:
        return None
    if s.random.random() < 0.5:
        v = vector_input(s, P.rows)
        return add(s, P, v)
    total = Value(f"sum({P.text})", P.kept().sum(axis=2, keepdims=True), 1, P.cols, P.heads)
    row = s.let(Value(f"tanh({total.text} / 8)", np.tanh(total.array / 8), 1, P.cols, P.heads), "r")
    return map_values(s, [P, row])


def pair_product(s):
    """P * P', as a rule dense."""
    P = some_pairs(s)
    if P is None:
        return None
    there = [q for q in s.pairs if q.rows == P.cols]
    if not there:
        return None
    Q = s.random.choice(there)
    R = product(s, P, Q)
    rows = s.length(P.cols)
    return Value(f"({R.text}) / (1 + size(\"{P.cols}\"))", R.array / (1 + rows), P.rows, Q.cols, R.heads) if R else None


PAIRS = [any_scores, any_scores, map_pairs, map_pairs, masked, masked, normalised, normalised, pair_transpose, pair_sum,
         by_column, pair_product]


# ---- outputs ----

def column_output(s, P):
    a = P.kept()
    top = np.where(np.ones_like(a, bool) if P.keep is None else P.keep, P.array, -np.inf)
    with np.errstate(divide="ignore"):
        most = top.max(axis=2, keepdims=True, initial=-np.inf)
        safe = np.where(np.isfinite(most), most, 0)
        lse = np.where(np.isfinite(most), np.log(np.exp(top - safe).sum(axis=2, keepdims=True)) + safe, -np.inf)
    text, array = s.random.choice([(f"sum({P.text})", a.sum(axis=2, keepdims=True)), (f"logsumexp({P.text})", lse),
                                   (f"sum_tokens({P.text})", a.sum(axis=3, keepdims=True))])
    return Value(text, array, 1 if text[3] != "_" else P.rows, P.cols if text[3] != "_" else 1, P.heads)


def attended_sum(s):
    """V * P + R, R a residual or another V * P."""
    A = attended(s)
    return add(s, A, tokens_of(s, A.rows, A.cols)) if A else None


def reduced(s):
    return column_output(s, s.random.choice(s.pairs)) if s.pairs else None


def whole_pairs(s):
    return s.random.choice(s.pairs) if s.pairs else None


def whole_tokens(s):
    return s.random.choice(s.tokens)


OUTPUTS = [attended, attended, attended, attended_sum, attended_sum, reduced, reduced, whole_pairs, whole_tokens]


def choose_outputs(s):
    return {f"O{k}": attempt(s, OUTPUTS) or whole_tokens(s) for k in range(s.random.choice([1, 1, 2, 2, 3]))}


def attempt(s, ways):
    """One of the ways, or None; what a way declared in vain is forgotten."""
    before = list(s.lines), dict(s.inputs), list(s.tokens), list(s.pairs)
    made = s.random.choice(ways)(s)
    if made is not None and np.isfinite(made.kept()).all() and np.abs(made.kept()).max(initial=0) < 50:
        return made
    s.lines, s.inputs, s.tokens, s.pairs = before
    return None


def used(s, outputs):
    """The lines that the outputs need; inputs that nothing needs go too."""
    lines, text = [], "\n".join(v.text for v in outputs.values())
    for line in reversed(s.lines):
        name = line.split()[1]
        if re.search(rf"\b{name}\b", text):
            lines.append(line)
            text += "\n" + line
        else:
            s.inputs.pop(name, None)
    return lines[::-1]


def make(seed):
    s = Spec(seed)
    some_tokens(s, "n")
    for _ in range(s.random.randrange(3, 16)):
        made = attempt(s, s.random.choice([PAIRS, PAIRS, TOKENS, [settled]]))
        if made is not None:
            pairs = isinstance(made.rows, str)
            (s.pairs if pairs else s.tokens).append(s.let(made, "P" if pairs else "T"))
    outputs = choose_outputs(s)
    table = ", ".join(f"{name} = {v.text}" for name, v in outputs.items())
    text = "\n".join(used(s, outputs)) + f'\nreturn kernel("random{seed}", {{ {table} }})\n'
    return s, text, outputs
