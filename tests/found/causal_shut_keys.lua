-- exp(a_j + b_i) with keys that are shut out, b_i = -inf: no walk may see the sums of all keys from such a one. Where
-- every key was taken to be as good as any other, the result was NaN.
local Q, K = tokens("Q", 16, "n", { heads = 2 }), tokens("K", 16, "n", { heads = 2 })
local V, a, b = tokens("V", 16, "n", { heads = 2 }), tokens("a", 1, "n"), tokens("b", 1, "n")

local S = map(function(s, i, j) return s * exp(a(0, j) + log(relu(b(0, i)))) end, K:t() * Q)
return kernel("causal_shut_keys", { O = V * keep(causal, S) })
