-- Linear attention that corrects itself: the delta rule as a fast weight (Schlag, Irie and Schmidhuber,
-- arXiv:2102.11174, eqs. (24)-(25); Yang et al., arXiv:2406.06484). The state S maps keys to values. For each token it
-- is moved towards giving v for k, and then asked with q:
--
--     S' = S + b (v - S k) k',    o = S' q,    |k| = 1,  b = sigmoid(beta)
--
-- With S' = S + v k' in its place this is linear attention (linear_causal). S is d x d, so a token costs the same
-- however many came before it; `last` is S0 of a text that goes on.
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })
local beta = tokens("beta", 1, "n", { heads = 4 })
local S0 = scores("S0", d, d, { heads = 4 })

local O, last = scan(function(S, q, k, v, b)
    local after = S + b * (v - S * k) * k:t()
    return after, after * q
end, S0, Q, normalize(K, "l2"), V, sigmoid(beta))

return kernel("delta_rule", { O = O, last = last })
