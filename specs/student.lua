-- A coefficient from Student's t distribution, the kernel of t-SNE (van der Maaten and Hinton, JMLR 9, 2008), in the
-- sense of section 3.3 of Ma and Ying (doi 10.4208/jml.221206):
--
--     f(X, Z) = X g(Z'X),     g_ij(Y) = t_ij / sum_l t_lj,     t_ij = (1 + |y_i - y_j|^2 / nu)^(-(nu + 1) / 2)
local d = option("d", 64)
local k = option("k", 32)
local nu = option("nu", 3)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, k)

local Y = Z:t() * X / sqrt(d)                                   -- k x n
local t = map(function(s) return (1 + s / nu) ^ (-(nu + 1) / 2) end, sqdist(Y, Y))
return kernel("student", { O = X * normalize(t, "sum") },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
