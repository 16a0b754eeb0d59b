-- Attention with a position encoding, section 4 of Ma and Ying (doi 10.4208/jml.221206), its footnote:
--
--     f(X) = H softmax(H'H / sqrt d),     H = X + P
--     P_(2i-1, j) = sin(j / n^(2i/d)),     P_(2i, j) = cos(j / n^(2i/d)),     i and j from 1
--
-- The order of the tokens is in the input now, and the function itself can be permutation equivariant.
local d = option("d", 64)

local X = tokens("X", d, "n")

local H = X + sinusoidal(d, "n")                                -- d x n
return kernel("position", { O = H * softmax(H:t() * H / sqrt(d)) })
