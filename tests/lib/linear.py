"""Forms of linear attention that are linear in the tokens, as are their gradients by all inputs."""
from arrays import gram

HEAD = """
local d = option("d", 32)
local Q, K = tokens("Q", d, "n", { heads = 4 }), tokens("K", d, "n", { heads = 2 })
local V, a = tokens("V", d, "n", { heads = 2 }), tokens("a", 1, "n", { heads = 4 })
local rate = scalar("rate", { heads = 4 })
local c = cumsum(map(function(x) return -softplus(-x) end, a))
local function fading(S) return map(function(s, i, j) return s * exp(c(0, j) - c(0, i)) end, S) end
local function backwards(i, j) return ge(i, j) end
"""
LINEAR = {
    "gates": "V * keep(causal, fading(K:t() * Q / d))",
    "gates, normalised": 'V * normalize(keep(causal, fading(map(exp, K):t() * map(exp, Q))), "sum")',
    "gates, their sum at least 1": """(function()
        local S = keep(causal, fading(K:t() * Q / d))
        return map(function(o, z) return o / max(abs(z), 1) end, V * S, sum(S))
    end)()""",
    "gates of keys and queries": """V * keep(causal, map(function(s, i, j) return s * a(0, i) / (1 + a(0, j) * a(0, j)) end,
        fading(K:t() * Q)))""",
    "gates alone": "V * keep(causal, map(function(s, i, j) return exp(c(0, j) - c(0, i)) end, K:t() * Q))",
    "gates, backwards": "V * keep(backwards, map(function(s, i, j) return s * exp(c(0, i) - c(0, j)) end, K:t() * Q))",
    "a learned rate": "V * keep(causal, map(function(s, i, j) return s * exp((i - j) * rate * rate / 9) end, K:t() * Q))",
    "the exponential's first terms": "V * keep(causal, fading(1 + K:t() * Q / d))",
    "the exponential's first terms, normalised": 'V * normalize(keep(causal, 40 + K:t() * Q), "sum")',
    "all keys, normalised": 'V * normalize(map(exp, K):t() * map(exp, Q), "sum")',
    "the sums alone": "sum(keep(causal, fading(K:t() * Q)))",
}


def load_form(name, **options):
    return gram.load(text=HEAD + 'return kernel("form", { O = ' + LINEAR[name] + " })", **options)
