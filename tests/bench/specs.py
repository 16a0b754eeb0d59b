"""The formulas that are measured, as spec texts. A row of the table names one, with its options."""
import random

HEAD = """
local d, H, G = option("d", 64), option("heads", 8), option("groups", 8)
local Q = tokens("Q", d, "n", { heads = H })
local K = tokens("K", d, "m", { heads = G })
local V = tokens("V", d, "m", { heads = G })
local S = K:t() * Q / sqrt(d)
"""


def attention(scores="S", declare="", output="V * softmax(S)"):
    return f'{HEAD}{declare}\nS = {scores}\nreturn kernel("bench", {{ O = {output} }})'


SPECS = {
    "softmax": attention(),
    "causal": attention("keep(causal, S)"),
    "softcap": attention("map(softcap(20), S)"),
    "alibi": attention("map(alibi(H), S)"),
    "relative": attention("map(function(s, i, j) return s + bias(i - j + (size('n') - 1)) end, S)",
                          'local bias = vector("table", "t", { heads = H })'),
    "documents": attention("keep(documents(doc), S)", 'local doc = ids("doc", "m")').replace('"n"', '"m"'),
    "window": attention("keep(window(255, 0), S)"),
    "sigmoid": attention(output="V * sigmoid(S)"),
    "rbf": attention("rbf(K, Q, 1 / d)", output="V * S"),
    "order8": """
local d = option("d", 64)
local Y = tokens("Y", d, "n", { heads = 8 })
local V = tokens("V", d, "n", { heads = 8 })
local A = matrix("A", d, d)
local q = Y:t() * A * Y
for i = 2, 4 do q = q * (Y:t() * A * Y) end
return kernel("bench", { O = V * map(tanh, q / size("n") ^ 3.5) })""",
    "alibi_learned": attention("map(function(s, i, j) return s - slope * abs(i - j) end, S)",
                               'local slope = scalar("slope", { heads = H })'),
    "rbf_learned": attention("rbf(K, Q, gamma)", 'local gamma = scalar("gamma", { heads = H })', "V * S"),
    "linear": attention(output="V * keep(causal, S)").replace('"m"', '"n"').replace("8)", "1)"),
    "decay": attention("map(function(s, i, j) return s * exp(c(0, j) - c(0, i)) end, S)",
                       'local c = cumsum(tokens("a", 1, "n", { heads = H }))', "V * keep(causal, S)"
                       ).replace('"m"', '"n"').replace("8)", "1)"),
    "circulant": """
local V, w = tokens("V", 64, "n", { heads = 8 }), vector("w", "n", { heads = 8 })
return kernel("bench", { O = V * circulant(w) })""",
    "scores": """
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
return kernel("bench", { S = K:t() * Q })""",
    "spikes": """
local Q, K = tokens("Q", 64, "n"), tokens("K", 64, "m")
return kernel("bench", { S = ternary(K, 0.5):t() * ternary(Q, 0.5) })""",
    "project": """
local X = tokens("X", 384, "n")
local W, b = matrix("W", 1536, 384), vector("b", 1536)
return kernel("bench", { O = gelu(W * X + b) })""",
}

# What a random formula may do to scores: at most one of the costly ones, any of the cheap.
CHEAP = ["S * {a}", "S + {a}", "relu(S)", "map(abs, S)", "map(function(s) return clamp(s, -{b}, {b}) end, S)",
         "map(alibi(H), S)", "map(function(s) return s * s / {b} end, S)", "S - r", "S + c:t()",
         "map(function(s, i, j) return where(lt(i, j), s, s * {a}) end, S)", "map(function(s) return max(s, {a} * s) end, S)"]
COSTLY = ["map(softcap({b}), S)", "sigmoid(S)", "silu(S)", "softplus(S)", "gelu(S)", "map(sin, S)", "map(tanh, S)"]
OUTPUTS = ["V * softmax(S)", "V * softmax(S)", "V * S", 'V * normalize(map(exp, map(function(s) return min(s, 30.0) end, S)), "sum")']


def random_formula(seed):
    """A formula with one to three cheap steps and at most one transcendental function beyond exp."""
    draw = random.Random(seed)
    steps = draw.sample(CHEAP, draw.randint(1, 3)) + (draw.sample(COSTLY, 1) if draw.random() < 0.7 else [])
    draw.shuffle(steps)
    lines = [f"S = {s.format(a=round(draw.uniform(0.2, 0.9), 3), b=round(draw.uniform(5, 20), 2))}" for s in steps]
    declare = 'local r, c = vector("r", "m"), vector("c", "n")\n' + "\n".join(lines)
    return attention("S", declare, draw.choice(OUTPUTS))
