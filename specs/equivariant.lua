-- An orthogonally equivariant function of a sequence, Prop. 3.1 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X) = X g(X'X),     so that f(QX) = Q f(X) for every orthogonal Q
--
-- Any g will do; here it is the softmax, which leaves attention without a single weight.
local d = option("d", 64)

local X = tokens("X", d, "n")

local g = softmax(X:t() * X / sqrt(d))                          -- n x n, of inner products alone
return kernel("equivariant", { O = X * g }, { symmetry = { orthogonal = { "X" }, permutation = { "X" } } })
