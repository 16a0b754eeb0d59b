-- Attention over knowledge and tokens under one softmax, from the proof of Prop. 3.2 of Ma and Ying
-- (doi 10.4208/jml.221206), where [Z, X] is one sequence:
--
--     f(X, Z) = [Z, X] g([Z, X]' X)
--
-- Unlike in X g1 + Z g2 with a softmax each, tokens and knowledge compete for the same attention.
local d = option("d", 64)

local X = tokens("X", d, "n")
local Z = tokens("Z", d, "k")

local ZX = hcat(Z, X)                                           -- d x (k + n)
return kernel("knowledge_joint", { O = ZX * softmax(ZX:t() * X / sqrt(d)) },
              { symmetry = { orthogonal = { "X", "Z" }, permutation = { "X" } } })
