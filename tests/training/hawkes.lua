-- Which type of event comes next: one layer of causal attention over the events so far, their types embedded, beside
-- each what says when (Xu et al., arXiv:1911.12864). It gives the cross entropy of each event's successor.
--
--     --set map=0    the order alone: learned positions      1    Bochner's map of the times      2    Mercer's
local types, e, d, p, heads = option("types", 4), option("e", 8), option("d", 8), option("p", 8), option("heads", 2)
local length, harmonics = option("length", 48), option("harmonics", 4)
local event, following = ids("event", length, { below = types }), ids("following", length, { below = types })
local t = vector("t", length, { batch = true })

local embedding = matrix("embedding", e, types)
local E = map(function(b, x, i) return b + embedding(i, x) end, vector("b", e), event:t())

local maps = {
    [0] = function() return matrix("place", 2 * d, length) end,
    function() return bochner(t, exp(vector("log_omega", d))) end,
    function() return mercer(t, exp(vector("log_period", d // 4)), matrix("log_c", d // 4, harmonics + 1)) end,
}
local X = vcat(E, maps[option("map", 1)]())
local width = e + (option("map", 1) == 2 and d // 4 * (2 * harmonics + 1) or 2 * d)
local WQ, WK = matrix("WQ", p, width, { heads = heads }), matrix("WK", p, width, { heads = heads })
local WV = matrix("WV", p, width, { heads = heads })
local W1, b1, W2, b2 = matrix("W1", 32, heads * p + width), vector("b1", 32), matrix("W2", types, 32), vector("b2", types)

local A = WV * X * softmax(keep(causal, (WK * X):t() * (WQ * X) / sqrt(p)))
local S = W2 * relu(W1 * vcat(concat_heads(A), X) + b1) + b2    -- types x length
local right = sum(map(function(s, i, j) return where(eq(i, following(j)), s, 0) end, S))
return kernel("hawkes", { loss = logsumexp(S) - right })
