-- The first self-attention of all-MiniLM-L6-v2, a trained sentence encoder (a BERT of 6 layers, 384 features and 12
-- heads):
--
--     context = concat_h V_h softmax(K_h' Q_h / sqrt 32),     Q = W_Q X + b_Q, K and V likewise
--
-- Devlin et al., "BERT" (arXiv:1810.04805); the weights are those of sentence-transformers' all-MiniLM-L6-v2.
-- `make demo` runs it on a sentence.
local d = option("d", 384)
local heads = option("heads", 12)

local X = tokens("X", d, "n")

local function project(name, key)
    local at = "encoder.layer.0.attention.self." .. key
    local W = matrix("W" .. name, d, d, { key = at .. ".weight" })
    local b = vector("b" .. name, d, { key = at .. ".bias" })
    return split_heads(W * X + b, heads)                        -- heads of 32 x n
end

local Q, K, V = project("Q", "query"), project("K", "key"), project("V", "value")
local A = softmax(K:t() * Q / sqrt(d / heads))                  -- column j: what token j attends to

return kernel("minilm", { A = A, context = concat_heads(V * A) }, { symmetry = { permutation = { "X" } } })
