-- An output in another embedding, eq. (5.1) of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z, W) = W X g(Z'X)
local d = option("d", 64)
local d1 = option("d1", 48)                                     -- the output's embedding
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local W = matrix("W", d1, d)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
return kernel("projected", { O = W * X * softmax(Y:t() * Y / sqrt(k)) }, { symmetry = { permutation = { "X" } } })
