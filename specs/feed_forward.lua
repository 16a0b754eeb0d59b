-- A nonlinear change of embedding, eq. (5.2) of Ma and Ying (doi 10.4208/jml.221206): attention, then two layers on
-- each token of its result:
--
--     f(X, Z, U, V) = V gelu(U X g(Z'X))
local d = option("d", 64)
local d1 = option("d1", 128)                                    -- the hidden layer
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)
local U = matrix("U", d1, d)
local V = matrix("V", d, d1)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local attended = X * softmax(Y:t() * Y / sqrt(k))               -- d x n
return kernel("feed_forward", { O = V * gelu(U * attended) }, { symmetry = { permutation = { "X" } } })
