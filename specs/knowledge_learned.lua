-- A function with knowledge that is learned, Prop. 3.2 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g1(Z'X) + Z g2(Z'X)
--
-- Z is a d x k matrix of weights, the same for every sequence. Tokens compare themselves through it (g1, n x n) and
-- read from it (g2, k x n).
local d = option("d", 64)
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = matrix("Z", d, k)

local Y = Z:t() * X                                             -- k x n
return kernel("knowledge_learned", { O = X * softmax(Y:t() * Y / sqrt(k)) + Z * softmax(Y) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
