-- A coefficient from a kernel written out by hand, the Tanimoto similarity of chemistry (Ralaivola et al., Neural
-- Networks 18, 2005), in the sense of section 3.3 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g(Z'X) / n,     g_ij(Y) = K(y_i, y_j),     K(z, x) = z'x / (1 + |z|^2 + |x|^2 - z'x)
--
-- (The 1 keeps two zero vectors apart from a division by zero.) pairs_of takes any function of two tokens.
local d = option("d", 64)
local k = option("k", 32)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local g = pairs_of(function(z, x) return dot(z, x) / (1 + sqnorm(z) + sqnorm(x) - dot(z, x)) end, Y, Y)
return kernel("tanimoto", { O = X * g / size("n") },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
