-- Scores of two heads that four heads mask, each as it likes: the gradient of a group adds up what each of its heads
-- keeps.
local X1 = tokens("X1", 16, "n", {heads = 4})
local S5 = scores("S5", "n", "n", {heads = 2})
local S8 = scores("S8", "n", "n", {heads = 4})
return kernel("gradient_of_masked_groups", { O0 = X1 * keep(function(i, j) return gt(S8(i, j), -0.5) end, S5) })
