-- Linear attention, causal: Katharopoulos, Vyas, Pappas, Fleuret, "Transformers are RNNs", arXiv:2006.16236, eq. (8) to
-- (11), with its feature map phi(x) = elu(x) + 1 and its normalisation,
--
--     O = V g,    g = phi(K)'phi(Q) kept where i <= j, over its columns' sums
--
-- All keys before a block of tokens, and their sum, come in as one matrix: linear in the tokens.
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })

local function phi(X)
    return map(function(x) return where(gt(x, 0), x + 1, exp(min(x, 0))) end, X)
end

return kernel("linear_attention", { O = V * normalize(keep(causal, phi(K):t() * phi(Q)), "sum") })
