"""Random formulas: each seed makes a spec and, beside it, the same formula in numpy in double, which knows nothing of gram.

    random_specs.py [--seeds FROM-TO] [--jit tcc,cc,reference] [--types f32,f64] [--keep DIR]

The spec is run on random arrays by each back end in each type and compared with numpy; then gram check runs it over the
sizes that hurt. A failure prints the spec. Formulas are made of smooth, well-scaled parts, so that rounding stays
rounding: what is far off is wrong. (For f32 that is more than 1e-3, as a sum may cancel where sizes are 1 or 2; how exact
f32 is, accuracy.py measures.) To add an operation, add a function to one of the lists at the end of its section.
"""
import argparse
import math
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy as np

GRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "gram")
SIZES = [1, 2, 3, 5, 8, 13, 17, 31, 47, 48, 49, 63, 64, 65, 70, 97, 129]
FEATURES = [1, 2, 3, 4, 5, 8, 12, 16, 17, 33, 64, 65]
TOLERANCE = {"f64": 1e-12, "f32": 1e-3}
COMPILER = {"tcc": [], "reference": [], "cc": ["--cc", "gcc -O1 -march=native -std=c11 -Wall -Wextra -Wpedantic -Werror"]}
erf = np.vectorize(math.erf, otypes=[float])


class Value:
    """A matrix as text and as an array [batch, heads, rows, columns]; batch and heads are 1 where it has none. `keep` is
    where entries are left, or None; heads 0: no heads axis; rows and cols are a number or a name; exact: as it came from
    the caller, so that rounding it to an integer is no matter of luck."""

    def __init__(self, text, array, rows, cols, heads=0, keep=None, exact=False):
        self.text, self.array, self.keep, self.exact = text, array, keep, exact
        self.rows, self.cols, self.heads = rows, cols, heads

    def kept(self):
        """Its entries, and 0 for dropped ones: what sums, products and readers see."""
        return self.array if self.keep is None else np.where(self.keep, self.array, 0)


def heads_meet(*values):
    """Heads of several values with one another: the most, which all divide; None where they do not."""
    most = max(v.heads for v in values)
    return most if all(v.heads == 0 or most % v.heads == 0 for v in values) else None


def spread(array, heads):
    """Head h of `heads` uses group h // (heads / groups)."""
    return np.repeat(array, max(1, heads) // array.shape[1], axis=1)


class Spec:
    """A spec under way: its lines, its inputs, and the values made so far."""

    def __init__(self, seed):
        self.random, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.lines, self.inputs, self.tokens, self.pairs = [], {}, [], []
        self.batched = set()
        self.count = 0
        choose = self.random.choice
        self.batch = choose([0, 1, 2, 3])
        self.size = {"n": choose(SIZES), "m": choose(SIZES)}
        self.most_heads = choose([0, 0, 1, 2, 4])

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def length(self, dim):
        return self.size.get(dim, dim) if isinstance(dim, str) else dim

    def heads(self):
        """Some number of heads that meets with others."""
        return self.random.choice([h for h in (0, 1, 2, 4) if h == 0 or (self.most_heads and self.most_heads % h == 0)])

    def let(self, value, prefix):
        """Names a value, so that formulas share it."""
        name = self.name(prefix)
        self.lines.append(f"local {name} = {value.text}")
        value.text = name
        return value

    def declare(self, kind, prefix, rows, cols, heads, batched, text, values, layout=None):
        """An input: `values` [batch, heads, rows, columns] laid out as the kind's arrays are."""
        name = self.name(prefix)
        self.lines.append(f'local {name} = {kind}("{name}"{text})')
        array = values
        if layout == "columns":
            array = values.swapaxes(2, 3)
        if layout == "flat":
            array = values.transpose(0, 3, 1, 2)
        if not heads:
            array = array.squeeze(2 if layout == "flat" else 1)
        if not batched or self.batch == 0:
            array = array.squeeze(0)
        if layout == "column":
            array = array.squeeze(-1)
        self.inputs[name] = np.ascontiguousarray(array)
        if values.shape[0] > 1:
            self.batched.add(name)
        return Value(name, values.astype(np.float64), rows, cols, heads, exact=True)

    def normal(self, heads, rows, cols, batched=True, scale=1.0):
        batch = self.batch if batched and self.batch and self.random.random() < 0.85 else 1
        shape = (batch, max(1, heads), self.length(rows), self.length(cols))
        return (scale * self.numbers.standard_normal(shape)).astype(np.float32)


# ---- inputs ----

def lua_size(dim):
    return f'"{dim}"' if isinstance(dim, str) else str(dim)


def options(*texts):
    given = [t for t in texts if t]
    return ", { " + ", ".join(given) + " }" if given else ""


def head_option(heads):
    return f"heads = {heads}" if heads else ""


def tokens_input(s, rows, cols):
    heads, flat = s.heads(), s.random.random() < 0.2
    text = f', {rows}, {lua_size(cols)}' + options(head_option(heads), 'layout = "token"' if flat else "")
    return s.declare("tokens", "X", rows, cols, heads, True, text, s.normal(heads, rows, cols), "flat" if flat else "columns")


def scores_input(s, rows, cols):
    heads = s.heads()
    text = f", {lua_size(rows)}, {lua_size(cols)}" + options(head_option(heads))
    return s.declare("scores", "S", rows, cols, heads, True, text, s.normal(heads, rows, cols), "columns")


def matrix_input(s, rows, cols):
    heads = s.heads() if s.random.random() < 0.4 else 0
    values = s.normal(heads, rows, cols, batched=False, scale=1 / math.sqrt(cols))
    return s.declare("matrix", "W", rows, cols, heads, False, f", {rows}, {cols}" + options(head_option(heads)), values)


def vector_input(s, rows):
    heads = s.heads() if s.random.random() < 0.4 else 0
    batched = s.random.random() < 0.3
    text = f", {lua_size(rows)}" + options(head_option(heads), "batch = true" if batched else "")
    return s.declare("vector", "v", rows, 1, heads, batched, text, s.normal(heads, rows, 1, batched), "column")


def scalar_input(s):
    heads = s.heads() if s.random.random() < 0.6 else 0
    name = s.name("c")
    s.lines.append(f'local {name} = scalar("{name}"{options(head_option(heads))})')
    values = s.normal(heads, 1, 1, batched=False)
    s.inputs[name] = values.reshape((heads,) if heads else ())
    return Value(name, values.astype(np.float64), 1, 1, heads, exact=True)


def integers(s, prefix, sizes, below):
    """ids or count: values as [batch, 1, sizes...]."""
    name = s.name(prefix)
    kind = "ids" if sizes else "count"
    said = f", {{ below = {below} }}" if s.random.random() < 0.5 else ""
    s.lines.append(f'local {name} = {kind}("{name}"' + "".join(", " + lua_size(d) for d in sizes) + said + ")")
    shape = (s.batch or 1, *(s.length(d) for d in reversed(sizes)))
    values = s.numbers.integers(0, below, shape).astype(s.random.choice([np.int32, np.int64, np.uint8]))
    s.inputs[name] = values if s.batch else values.reshape(shape[1:])
    s.batched.add(name)
    array = values.astype(np.float64)
    return name, array.reshape(shape[0], 1, *shape[1:]).swapaxes(-1, -2) if len(sizes) == 2 else array[:, None]


# ---- scalar formulas ----

class Scalar:
    """A real number in a map: text and array broadcastable to the map's shape; exact: not rounded yet."""

    def __init__(self, text, array, exact=False):
        self.text, self.array, self.exact = text, array, exact


def unary(name, f):
    return lambda s, a: Scalar(f"{name}({a.text})", f(a.array))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SMOOTH = [
    unary("tanh", np.tanh), unary("sigmoid", sigmoid), unary("relu", lambda x: np.maximum(x, 0)), unary("erf", erf),
    unary("gelu", lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2)))), unary("silu", lambda x: x * sigmoid(x)),
    unary("softplus", lambda x: np.logaddexp(0, x)), unary("sin", np.sin), unary("cos", np.cos), unary("abs", np.abs),
    lambda s, a: Scalar(f"exp(min({a.text}, 1))", np.exp(np.minimum(a.array, 1))),
    lambda s, a: Scalar(f"exp2(clamp({a.text}, -2, 1.5))", np.exp2(np.clip(a.array, -2, 1.5))),
    lambda s, a: Scalar(f"log1p(abs({a.text}))", np.log1p(np.abs(a.array))),
    lambda s, a: Scalar(f"log(({a.text}) ^ 2 + 1.5)", np.log(a.array ** 2 + 1.5)),
    lambda s, a: Scalar(f"sqrt(abs({a.text}) + 0.25)", np.sqrt(np.abs(a.array) + 0.25)),
    lambda s, a: Scalar(f"rsqrt(({a.text}) * ({a.text}) + 1)", 1 / np.sqrt(a.array ** 2 + 1)),
    lambda s, a: Scalar(f"-({a.text})", -a.array),
    lambda s, a: Scalar(f"({a.text}) * 0.5", a.array * 0.5),
    lambda s, a: Scalar(f"(1.25 - ({a.text}))", 1.25 - a.array),
    lambda s, a: Scalar(f"1 / (1 + ({a.text}) ^ 2)", 1 / (1 + a.array ** 2)),
    lambda s, a: Scalar(f"(abs({a.text}) + 0.5) ^ 1.5", (np.abs(a.array) + 0.5) ** 1.5),
]
BINARY = [
    lambda s, a, b: Scalar(f"({a.text} + {b.text})", a.array + b.array),
    lambda s, a, b: Scalar(f"({a.text} - ({b.text}))", a.array - b.array),
    lambda s, a, b: Scalar(f"({a.text}) * ({b.text})", a.array * b.array),
    lambda s, a, b: Scalar(f"({a.text}) / (1.5 + abs({b.text}))", a.array / (1.5 + np.abs(b.array))),
    lambda s, a, b: Scalar(f"min({a.text}, {b.text})", np.minimum(a.array, b.array)),
    lambda s, a, b: Scalar(f"max({a.text}, {b.text})", np.maximum(a.array, b.array)),
]
STEPS = [
    unary("floor", np.floor), unary("ceil", np.ceil), unary("round", np.rint), unary("sign", np.sign),
    lambda s, a: Scalar(f"where(lt({a.text}, 0.25), 0.5, {a.text})", np.where(a.array < 0.25, 0.5, a.array)),
    lambda s, a: Scalar(f"({a.text}) % 0.75", np.mod(a.array, 0.75)),
    lambda s, a: Scalar(f"(({a.text}) // 0.5)", np.floor(a.array / 0.5)),
]


class Place:
    """Where a formula of a map stands: index symbols as arrays, and the shape."""

    def __init__(self, s, rows, cols, heads):
        self.s, self.rows, self.cols, self.heads = s, rows, cols, heads
        self.i = np.arange(s.length(rows)).reshape(1, 1, -1, 1)
        self.j = np.arange(s.length(cols)).reshape(1, 1, 1, -1)
        self.h = np.arange(max(1, heads)).reshape(1, -1, 1, 1)
        self.b = np.arange(max(1, s.batch)).reshape(-1, 1, 1, 1)

    def read(self, value, row, col):
        """value(row, col), the indices clamped into range."""
        array = spread(value.kept(), self.heads)
        row = np.clip(row, 0, array.shape[2] - 1).astype(int)
        col = np.clip(col, 0, array.shape[3] - 1).astype(int)
        batch, heads, row, col = np.broadcast_arrays(np.arange(array.shape[0]).reshape(-1, 1, 1, 1),
                                                     np.arange(array.shape[1]).reshape(1, -1, 1, 1), row, col)
        return array[batch, heads, row, col]


def index_term(place):
    s, n, m = place.s, place.j.size, place.i.size
    return s.random.choice([
        lambda: Scalar("(i - j) / 32", (place.i - place.j) / 32, True),
        lambda: Scalar("abs(i - j) * 0.0625", np.abs(place.i - place.j) * 0.0625, True),
        lambda: Scalar("(h + 1) * 0.25", (place.h + 1) * 0.25, True),
        lambda: Scalar("(i + 2 * j) % 7 / 4", (place.i + 2 * place.j) % 7 / 4, True),
        lambda: Scalar("(i - j) // 3 / 8", np.floor((place.i - place.j) / 3) / 8, True),
        lambda: Scalar("min(i, j) / 64", np.minimum(place.i, place.j) / 64, True),
        lambda: Scalar("i / rows", place.i / max(1, m)), lambda: Scalar("(j + 1) / cols", (place.j + 1) / max(1, n)),
        lambda: Scalar("where(eq(i % 2, j % 3), 0.5, -0.25)", np.where(place.i % 2 == place.j % 3, 0.5, -0.25), True),
        lambda: Scalar("(batch + 1) * 0.125", (place.b + 1) * 0.125 if s.batch else np.full((1, 1, 1, 1), 0.125), True),
    ])()


def captured_term(place):
    """A value from outside: a scalar, a vector by index, a table of relative positions, a matrix at the place or beside it."""
    s = place.s
    ways = [read_scalar, read_row_vector, read_table, read_pair]
    return s.random.choice(ways)(place)


def fits(place, value):
    return value.heads == 0 or (place.heads and place.heads % value.heads == 0)


def read_scalar(place):
    c = scalar_input(place.s)
    return Scalar(c.text, spread(c.array, place.heads), True) if fits(place, c) else index_term(place)


def read_row_vector(place):
    by, index = place.s.random.choice([("i", place.i), ("j", place.j)])
    v = vector_input(place.s, place.rows if by == "i" else place.cols)
    return Scalar(f"{v.text}({by})", place.read(v, index, 0), True) if fits(place, v) else index_term(place)


def read_table(place):
    v = vector_input(place.s, 9)
    if not fits(place, v):
        return index_term(place)
    return Scalar(f"{v.text}(i - j + 4)", place.read(v, place.i - place.j + 4, np.zeros_like(place.i)), True)


def read_pair(place):
    s = place.s
    known = [p for p in s.pairs + s.tokens if p.array.size and fits(place, p)]
    if not known or s.random.random() < 0.3:
        known = [scores_input(s, place.rows, place.cols)] if isinstance(place.rows, str) else known
    known = [p for p in known if fits(place, p)]
    if not known:
        return index_term(place)
    p = s.random.choice(known)
    row, col, text = s.random.choice([(place.i, place.j, "i, j"), (place.j, place.i, "j, i"),
                                      (place.i + 1, place.j - 1, "i + 1, j - 1"), (place.i // 2, place.j, "i // 2, j")])
    return Scalar(f"{p.text}({text})", place.read(p, row, col), p.exact)


def formula(place, terms, depth):
    """A random formula that uses every term once, and others besides."""
    s = place.s
    terms = list(terms)
    for _ in range(depth):
        roll = s.random.random()
        if roll < 0.45:
            k = s.random.randrange(len(terms))
            steps = terms[k].exact and s.random.random() < 0.3
            terms[k] = s.random.choice(STEPS if steps else SMOOTH)(s, terms[k])
        elif roll < 0.6:
            terms.append(index_term(place))
        elif roll < 0.75:
            terms.append(captured_term(place))
        elif len(terms) > 1:
            terms.append(s.random.choice(BINARY)(s, terms.pop(), terms.pop(0)))
    while len(terms) > 1:
        terms.append(s.random.choice(BINARY)(s, terms.pop(), terms.pop(0)))
    return terms[0]


def joined_keep(values, heads):
    keep = None
    for v in values:
        if v.keep is not None:
            mine = spread(v.keep, heads)
            keep = mine if keep is None else keep & mine
    return keep


def shaped(array, like):
    """array at least as large as `like`, along every axis."""
    return array + np.zeros(np.broadcast_shapes(array.shape, like), array.dtype)


def map_values(s, values, depth=None):
    """map(f, A, B, ...) with a random f; the first value has the full shape."""
    heads = heads_meet(*values)
    if heads is None:
        return None
    first = values[0]
    place = Place(s, first.rows, first.cols, heads)
    names = ["a", "b", "c", "e"][:len(values)]
    terms = [Scalar(x, spread(v.array, heads), v.exact) for x, v in zip(names, values)]
    f = formula(place, terms, s.random.randrange(1, 6) if depth is None else depth)
    shape = (1, max(1, heads), s.length(first.rows), s.length(first.cols))
    text = f"map(function({', '.join(names)}, i, j, h, batch, rows, cols) return {f.text} end, " + \
        ", ".join(v.text for v in values) + ")"
    return Value(text, shaped(f.array, shape), first.rows, first.cols, heads, joined_keep(values, heads))


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


TOKENS = [by_items, by_items, by_items, project_some, project_some, residual, map_tokens, map_tokens, normed, turned, cut_rows, stacked, reheaded, averaged]


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


# ---- running ----

def expected(s, value):
    """As gram lays it out: [batch, heads, columns, rows], a vector without its side of 1."""
    batch = max([s.batch for array in s.batched if array in s.inputs] + [1])
    return np.broadcast_to(value.kept(), (batch, *value.array.shape[1:])).swapaxes(2, 3)


def distance(got, want):
    """Relative to the norm of what is wanted; infinite where shapes or infinities differ."""
    if got.size != want.size:
        return math.inf
    got = got.reshape(want.shape).astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0, got - want)
    if not np.isfinite(off).all():
        return math.inf
    norm = np.sqrt((np.where(np.isfinite(want), want, 0) ** 2).sum())
    error = np.sqrt((off ** 2).sum())
    return 0.0 if error == 0 else error / norm if norm else math.inf


def run_seed(seed, jits, types, folder):
    """The faults of one seed, and its text."""
    with np.errstate(all="ignore"):
        s, text, outputs = make(seed)
    spec = os.path.join(folder, f"random{seed}.lua")
    with open(spec, "w") as out:
        out.write(text)
    sizes = f"-- batch {s.batch}, n = {s.size['n']}, m = {s.size['m']}\n"
    for name, array in s.inputs.items():
        np.save(os.path.join(folder, name + ".npy"), array)
    given = [f"{name}={name}.npy" for name in s.inputs] + [f"{name}=out_{name}.npy" for name in outputs]
    faults = []
    for jit in jits:
        for kind in ["f64"] if jit == "reference" else types:
            faults += run_once(["run", spec, "--jit", jit, "--dtype", kind] + COMPILER[jit] + given, s, outputs, folder,
                               TOLERANCE[kind])
        for kind in types if jit != "reference" else []:
            faults += check_once(spec, text, jit, kind)
    return faults, sizes + text


def check_once(spec, text, jit, kind):
    """gram check, which knows of no other tolerance for f32 than the spec's."""
    with open(spec, "w") as out:
        out.write(text if kind == "f64" else text.replace(" })\n", f" }}, {{ tolerance = {TOLERANCE['f32']} }})\n"))
    result = subprocess.run([GRAM, "check", spec, "--jit", jit, "--dtype", kind] + COMPILER[jit], capture_output=True,
                            text=True, timeout=300)
    if result.returncode == 0:
        return []
    return [f"gram check --jit {jit} --dtype {kind}: status {result.returncode}\n{result.stdout}{result.stderr}"]


def run_once(words, s, outputs, folder, tolerance):
    result = subprocess.run([GRAM] + words, capture_output=True, text=True, timeout=300, cwd=folder)
    about = " ".join(words[2:6])
    if result.returncode != 0:
        return [f"{about}: status {result.returncode}: {result.stderr.strip()}"]
    faults = []
    for name, value in outputs.items():
        got = np.load(os.path.join(folder, f"out_{name}.npy"))
        error = distance(got, expected(s, value))
        if error > tolerance:
            faults.append(f"{about}: {name} is off by {error:.1e} of its norm (shape {got.shape})")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0-499" if os.environ.get("GRAM_TEST") == "all" else "0-99")
    parser.add_argument("--jit", help="back ends, of reference,tcc,cc; if not given, cc joins for every fourth seed")
    parser.add_argument("--types", default="f32,f64")
    parser.add_argument("--keep", help="a folder that gets the specs and arrays")
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    first, last = map(int, given.seeds.split("-")) if "-" in given.seeds else (int(given.seeds),) * 2
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(first, last + 1):
            jits = given.jit or ("reference,tcc,cc" if seed % 4 == 0 else "reference,tcc")
            faults, text = run_seed(seed, jits.split(","), given.types.split(","), given.keep or scratch)
            failed += bool(faults)
            if faults or given.show:
                print(f"seed {seed}:", *faults, text, sep="\n")
                sys.stdout.flush()
    total = last - first + 1
    print(f"{total - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
