-- Attention over events that have times and not only an order (Xu et al., "Self-attention with Functional Time
-- Representation Learning", arXiv:1911.12864). A time stamp t becomes Phi(t), whose products are a kernel of the span
-- alone, Phi(t)'Phi(t') = K(t - t'), and stands beside the event; a feed-forward layer leads back to the event's width:
--
--     X = [E; Phi(t)],     O = W2 relu(W1 concat_h(WV X softmax(keep(X'WK'WQ X / sqrt p, i <= j))) + b1) + b2
--
-- --set map=    Phi
--     1         Bochner, K(s) the mean of cos(w s): [cos w_1 t, sin w_1 t, ...] / sqrt d, the frequencies w learned as they are
--     2         the same with w = mu + exp(log_sigma) eps, eps drawn from the standard normal by the caller
--     3         the same with w = F(eps), F a growing function: the inverse distribution function, a network of positive
--               weights. That F is exp(a) eps + sum_h exp(c_h) tanh(exp(s_h) eps + o_h) is a choice made here
--     4         Mercer, K(s) a Fourier series for each of the periods 2 w: [sqrt c_0, sqrt c_1 cos(pi t / w), ...]. The paper
--               has a coefficient for each cosine and each sine; here the two of a pair share one: K depends on more than
--               the span otherwise (derived, not in the paper)
--     5         Bochner as in the authors' code: other frequencies for sines than for cosines, no 1 / sqrt d
--     6         Mercer as in the authors' code: a number for each period, b_i + sum_j a_ij sin(j s_i) + c_ij cos(j s_i), where
--               s_i = t / 10^q_i
--
-- Times count from the sequence's first event. In f32 the angle w t keeps seven digits: where spans are long, --dtype
-- f64.
local e, p, heads, hidden = option("e", 32), option("p", 16), option("heads", 2), option("hidden", 64)
local d, harmonics = option("d", 10), option("harmonics", 5)    -- frequencies or periods, harmonics of each
local E, t = tokens("E", e, "n"), vector("t", "n", { batch = true })

local function flow(eps)
    local h = option("flow", 4)
    local a, c, s, o = scalar("a"), vector("c", h), vector("s", h), vector("o", h)
    local steps = map(function(c, s, o, x) return exp(c) * tanh(exp(s) * x + o) end, c, s, o, eps:t())
    return map(function(x, y) return exp(a) * x + y end, eps, sum(steps):t())
end

local maps = {
    function() return bochner(t, vector("omega", d)) end,
    function()
        local normal = map(function(m, s, x) return m + exp(s) * x end, vector("mu", d), vector("log_sigma", d), vector("eps", d))
        return bochner(t, normal)
    end,
    function() return bochner(t, flow(vector("eps", d))) end,
    function() return mercer(t, exp(vector("log_omega", d)), matrix("log_c", d, harmonics + 1)) end,
    function() return vcat(cos(vector("omega_cos", d) * t:t()), sin(vector("omega_sin", d) * t:t())) end,
    function()
        local A, C, b, q = matrix("A", d, harmonics), matrix("C", d, harmonics), vector("b", d), vector("q", d)
        local out, angle = b, exp(-math.log(10) * q) * t:t()
        for j = 1, harmonics do
            out = map(function(o, x, i) return o + A(i, j - 1) * sin(j * x) + C(i, j - 1) * cos(j * x) end, out, angle)
        end
        return out
    end,
}

local which = option("map", 1)
local X = maps[which] and vcat(E, maps[which]()) or error("map is 1 to 6")
local width = e + (which <= 3 and 2 * d or which == 4 and d * (2 * harmonics + 1) or which == 5 and 2 * d or d)
local WQ, WK = matrix("WQ", p, width, { heads = heads }), matrix("WK", p, width, { heads = heads })
local WV = matrix("WV", p, width, { heads = heads })
local W1, b1, W2, b2 = matrix("W1", hidden, heads * p), vector("b1", hidden), matrix("W2", e, hidden), vector("b2", e)

local S = keep(causal, (WK * X):t() * (WQ * X) / sqrt(p))
return kernel("event_time", { O = W2 * relu(W1 * concat_heads(WV * X * softmax(S)) + b1) + b2 },
    { tolerance = which == 6 and 1e-3 or 1e-5 })                -- 10^-q makes the angles large
