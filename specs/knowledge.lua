-- An orthogonally equivariant function with knowledge Z, eq. (3.1) of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g1(X'X, Z'X, Z'Z) + Z g2(X'X, Z'X, Z'Z),     so that f(QX, QZ) = Q f(X, Z)
--
-- The columns of Z are k vectors in the space of the tokens, learned or data. Both coefficients here use all three
-- products: g1 = tanh(G + Y'CY) is n x n and g2 = relu(CY + YG) is k x n, where G = X'X, Y = Z'X and C = Z'Z.
local d = option("d", 64)
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local G = X:t() * X / d                                         -- n x n
local Y = Z:t() * X / d                                         -- k x n
local C = Z:t() * Z / d                                         -- k x k
local g1 = tanh(G + Y:t() * C * Y)
local g2 = relu(C * Y + Y * G)

return kernel("knowledge", { O = X * g1 + Z * g2 },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
