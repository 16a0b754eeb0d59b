-- A kernel of time as the coefficients g: each event gathers those before it by the span between them (the translation
-- invariant kernels of Xu et al., arXiv:1911.12864, in X g of Ma and Ying, doi 10.4208/jml.221206):
--
--     O = X keep(g, i <= j) / n,     g = K(s_i - s_j) = Phi(s_i)'Phi(s_j)
--
-- Phi is Bochner's map, or with --set mercer=1 Mercer's. K is a product of few features, so no n x n matrix is built.
local e, d, harmonics = option("e", 64), option("d", 16), option("harmonics", 2)
local X, s = tokens("X", e, "n"), vector("s", "n", { batch = true })

local Phi
if option("mercer", 0) == 1 then
    Phi = mercer(s, exp(vector("log_omega", d)), matrix("log_c", d, harmonics + 1))
else
    Phi = bochner(s, vector("omega", d))
end
return kernel("time_kernel", { O = X * keep(causal, Phi:t() * Phi) / size("n") })
