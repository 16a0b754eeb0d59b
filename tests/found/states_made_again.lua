-- A gradient that makes a scan's states again from the last segment of columns to the first: of two of them, as the other
-- is not needed, for heads that the tokens do not have and for one that starts from the item's own.
local d = 8
local X = tokens("X", d, "n")
local S0, T0, c0 = scores("S0", d, d, { heads = 2 }), scores("T0", d, d), vector("c0", d)
local Y, last = scan(function(S, x)
    local a = S[1] * x + S[3]
    local next = S[1] / 2 + a * tanh(S[2]:t() * x):t() / d
    return { next, S[2] - sin(a) * x:t() / d, S[3] / 2 + x }, next:t() * a + S[3]
end, { S0, T0, c0 }, X)
return kernel("states_made_again", { Y = Y, S = last[1], T = last[2], c = last[3] })
