-- Attention as a quadratic form, section 3.2 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g(Z'X)',     g(Y) = S_r(Y'AY / sqrt d1),     Z = [W_Q', W_K'],     A = [0 I; 0 0]
--
-- Then Y'AY = X' W_Q' W_K X: nothing is left of the zeros, in the result or in its cost. S_r is the softmax over rows,
-- so its transpose is the softmax down the columns of (Y'AY)'.
local d = option("d", 64)
local d1 = option("d1", 64)

local X = tokens("X", d, "n")
local WQ = matrix("WQ", d1, d)
local WK = matrix("WK", d1, d)

local Z = hcat(WQ:t(), WK:t())                                  -- d x 2 d1
local Y = Z:t() * X                                             -- 2 d1 x n
local I = identity(d1)
local A = vcat(hcat(0 * I, I), hcat(0 * I, 0 * I))              -- 2 d1 x 2 d1
local form = Y:t() * A * Y                                      -- n x n: row is a query, column a key

return kernel("quadratic", { O = X * softmax(form:t() / sqrt(d1)) }, { symmetry = { permutation = { "X" } } })
