-- A coefficient from the angle between tokens, section 3.3 of Ma and Ying (doi 10.4208/jml.221206), with a learned
-- temperature (Henry et al., "Query-Key Normalization", arXiv:2010.04245):
--
--     f(X, Z) = X softmax(beta cos(y_i, y_j)),     Y = Z'X
local d = option("d", 64)
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local beta = scalar("beta")

local Y = Z:t() * X                                             -- k x n
return kernel("cosine", { O = X * softmax(beta * cosine(Y, Y)) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
