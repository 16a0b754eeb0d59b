-- Causal CAT (Yamada, arXiv:2504.06704) without leaks, in n log n; the paper's own causal form takes n^2. Token i is
-- weighted by how far it is behind the query, over what there is:
--
--     O_j = sum over i <= j of exp(z[j - i]) V_i / sum over k <= j of exp(z[k]),     z = WA X,   V = WV X
--
-- which is the softmax of a causal circulant matrix; this form is derived. The numerators are a causal convolution, by
-- Fourier transforms of exp(z) padded to twice the length, the denominators running sums. z[k] is the score of token k,
-- which every later query uses for the token k behind it. The transforms round relative to the greatest weight: so the
-- first 128 tokens, and all where z has too wide a range, are summed up term by term, and a later token can change an
-- earlier one's result by no more than rounding.
local D, H = option("D", 512), option("H", 8)

local X = tokens("X", D, "n")
local WA = matrix("WA", 1, D, { heads = H })
local WV, WO = matrix("WV", D // H, D, { heads = H }), matrix("WO", D, D)

local O = WV * X * softmax(keep(causal, circulant((WA * X):t()):t()))
return kernel("cat_causal", { O = WO * concat_heads(O) }, { grad = { "X", "WA", "WV", "WO" } })
