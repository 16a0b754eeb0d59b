-- CAT-Alter (Yamada, arXiv:2504.06704): layers of circulant attention (specs/cat.lua) and of softmax attention take
-- turns, each with its residual; on average (2 D + H / 2) D parameters a layer, without the outputs' D^2, and n^2 time
-- for every second one.
local D, H, depth = option("D", 512), option("H", 8), option("depth", 2)
local p = D // H

local X = tokens("X", D, "n")
local Y = X
for layer = 1, depth do
    local WV, WO = matrix("WV" .. layer, p, D, { heads = H }), matrix("WO" .. layer, D, D)
    local P
    if layer % 2 == 1 then
        P = circulant(softmax((matrix("WA" .. layer, 1, D, { heads = H }) * Y):t()))
    else
        local WQ, WK = matrix("WQ" .. layer, p, D, { heads = H }), matrix("WK" .. layer, p, D, { heads = H })
        P = softmax((WK * Y):t() * (WQ * Y) / sqrt(p))
    end
    Y = Y + WO * concat_heads(WV * Y * P)
end
return kernel("cat_alter", { Y = Y }, { grad = { "X", "WA1", "WV1", "WO1", "WQ2", "WK2", "WV2", "WO2" } })
