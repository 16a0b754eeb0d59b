-- A function with knowledge that is data, Prop. 3.2 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X + Z g2(Z'X)
--
-- The columns of Z are a source text, or passages that were looked up: as many as there are. This is what is called
-- cross-attention.
local d = option("d", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, "k")

return kernel("knowledge_data", { O = X + Z * softmax(Z:t() * X / sqrt(d)) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
