-- Causal attention over several documents packed into one sequence: a token sees those before it in its own document.
--
--     O = V softmax(keep(K'Q / sqrt d, i <= j and doc_i = doc_j))
local d = option("d", 64)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "n", { heads = 4 })
local V = tokens("V", d, "n", { heads = 4 })
local doc = ids("doc", "n")                                     -- an array [batch, n]

local S = keep(all_of(causal, documents(doc)), K:t() * Q / sqrt(d))
return kernel("documents", { O = V * softmax(S) })
