-- Two sums over one pair matrix, the second of the first: two functions, two names.
local X, S = tokens("X", 16, "n"), scores("S", "n", "n")
local P = keep(causal, tanh(S))
return kernel("two_sums_of_one_matrix", { O = (X * P) * P + X })
