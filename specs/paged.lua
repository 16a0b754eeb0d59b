-- Attention over a cache of keys and values in pages (Kwon et al., "Efficient Memory Management for Large Language
-- Model Serving with PagedAttention", SOSP 2023): token t of an item lies in its page t // size of the table, at t %
-- size.
--
--     O = V' softmax(K'' Q / sqrt d),     column t of K' is column table[t // size] * size + t % size of K, t < length
local d = option("d", 64)
local page = option("page", 16)

local Q = tokens("Q", d, "n", { heads = 4 })
local K = tokens("K", d, "m", { heads = 2 })                    -- the pool, m a multiple of the page's size
local V = tokens("V", d, "m", { heads = 2 })
local pages = ids("pages", "p")                                 -- an item's pages in order
local length = count("length")

local function place(t)
    return pages(t // page) * page + t % page
end
local S = pick(K, place, "m"):t() * Q / sqrt(d)
return kernel("paged", { O = pick(V, place, "m") * softmax(keep(prefix(length()), S)) })
