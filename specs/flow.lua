-- Attention that measures what crosses between groups of tokens (text and image, say) while it computes, without the
-- n x n matrix of probabilities: M, a row for each group, is summed up beside the values in the same pass.
--
--     O = V P,     P = softmax(K'Q / sqrt d),     to = M P,     cross_j = sum over groups g other than j's of to_gj
--
-- to[g, j] is what query j gives to group g, cross what it gives to other groups than its own, and flow its mean per
-- head. `gram flow` prints the same from stored matrices. The measure is gram's own, derived: the paper on
-- inter-modality probing that names one does not print a formula.
local d, groups = option("d", 64), option("groups", 2)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })
local group = ids("group", "n", { below = groups })

local function belongs(_, g, j)
    return where(eq(group(j), g), 1, 0)
end
local M = map(belongs, rows(K[0], 0, groups))                   -- groups x n: of the matrix given only the shape counts

local P = softmax(K:t() * Q / sqrt(d))
local to = M * P
local cross = sum(map(function(mass, g, j) return where(eq(group(j), g), 0, mass) end, to))
return kernel("flow", { O = V * P, to = to, cross = cross, flow = mean_tokens(cross) })
