-- CAT, circulant attention (Yamada, "CAT: Circular-Convolutional Attention for Sub-Quadratic Transformers", NeurIPS
-- 2025, arXiv:2504.06704): one score per token, whose softmax weights every query alike, by how far the key is behind
-- it on the circle.
--
--     O = V circulant(softmax(z)),   z = WA X,   V = WV X:     O_j = sum over i of V_i softmax(z)[(i - j) mod n]
--
-- A product with a circulant matrix is a convolution, computed by Fourier transforms in n log n, for any n; no n x n
-- matrix is built. The orientation, weight k for the token k behind, is derived: formulas printed without the conjugate
-- are another layer. (D + H) D parameters and D^2 of the output; standard attention has 3 D^2 and D^2.
local D, H = option("D", 512), option("H", 8)

local X = tokens("X", D, "n")
local WA = matrix("WA", 1, D, { heads = H })
local WV, WO = matrix("WV", D // H, D, { heads = H }), matrix("WO", D, D)

local O = WV * X * circulant(softmax((WA * X):t()))
return kernel("cat", { O = WO * concat_heads(O) }, { grad = { "X", "WA", "WV", "WO" } })
