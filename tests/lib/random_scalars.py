"""Random specs, first part: matrices as text and as arrays beside it, the inputs that a spec declares, and formulas of
numbers. random_matrices.py makes matrices of them; random_specs.py says what all is for."""
import math
import random

import numpy as np

SIZES = [1, 2, 3, 5, 8, 13, 17, 31, 47, 48, 49, 63, 64, 65, 70, 97, 129]
FEATURES = [1, 2, 3, 4, 5, 8, 12, 16, 17, 33, 64, 65]
erf = np.vectorize(math.erf, otypes=[float])


class Value:
    """A matrix as text and as an array [batch, heads, rows, columns]; batch and heads are 1 where it has none. `keep`
    is where entries are left, or None; heads 0: no heads axis; rows and cols are a number or a name; exact: as it came
    from the caller, so that rounding it to an integer is no matter of luck."""

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
    """A value from outside: a scalar, a vector by index, a table of relative positions, a matrix at the place or beside
    it."""
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
