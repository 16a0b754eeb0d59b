-- ONNX's Attention operator, opsets 23 to 25 (onnx.ai/onnx/operators/onnx__Attention.html), attribute by attribute:
--
--     Y = V softmax(mask(softcap(scale K'Q) + attn_mask)),     K = [past_key, K],     V = [past_value, V]
--
-- Attributes and the presence of optional inputs are options, as in gram run specs/onnx.lua --set is_causal=1 ...
--
-- One thing differs: a query whose keys are all masked gives zeros, not NaN.
local heads, kv_heads = option("q_num_heads", 8), option("kv_num_heads", 8)
local d, dv = option("head_size", 64), option("v_head_size", 64)
local scale = option("scale", 0)                                -- 0: 1 / sqrt(head_size)
local softcap = option("softcap", 0)                            -- 0: none
local is_causal = option("is_causal", 0) ~= 0
local left = option("left_window_size", -1)                     -- how far back a query sees, -1: all (opset 25)
local right = option("right_window_size", -1)                   -- how far ahead
local three_d = option("three_d", 0) ~= 0                       -- Q, K, V and Y are [batch, n, heads * head_size]
local past = option("past", 0) ~= 0                             -- past_key and past_value are given
local nonpad = option("nonpad", 0) ~= 0                         -- nonpad_kv_seqlen is given (opset 24)
local attn_mask = option("attn_mask", 0)                        -- 0: none, 1: booleans, 2: floats to add
local mask_heads = option("mask_heads", 0)                      -- 0: attn_mask is the same for all heads
local short_mask = option("short_mask", 0) ~= 0                 -- attn_mask has fewer keys; the others are not seen
local mode = option("qk_matmul_output_mode", -1)                -- -1: no qk_matmul_output
local precision = option("softmax_precision", 1)                -- 1: float, 10: float16, 16: bfloat16, 11: double

-- All of it is computed in --dtype, f32 unless said, which is as precise as float and its halves; double is --dtype
-- f64.
assert(precision == 1 or precision == 10 or precision == 16 or precision == 11, "softmax_precision is 1, 10, 11 or 16")

local function input(name, rows, n, h)                          -- rows x n for each of h heads
    if three_d then return split_heads(tokens(name, rows * h, n), h) end
    return tokens(name, rows, n, { heads = h })
end

local Q, K, V = input("Q", d, "n", heads), input("K", d, "m", kv_heads), input("V", dv, "m", kv_heads)
local outputs, total, offset, visible = {}, "m", 0, {}

if past then
    K = hcat(tokens("past_key", d, "p", { heads = kv_heads }), K)
    V = hcat(tokens("past_value", dv, "p", { heads = kv_heads }), V)
    outputs.present_key, outputs.present_value = K, V
    total, offset = "t", size("p")                              -- t = p + m is checked when the kernel runs
end

if nonpad then
    local length = count("nonpad_kv_seqlen")
    table.insert(visible, function(i, j) return lt(i, length) end)
    if not past then offset = length - size("n") end
end

if is_causal then table.insert(visible, function(i, j) return le(i, j + offset) end) end
if left >= 0 then table.insert(visible, function(i, j) return ge(i, j + offset - left) end) end
if right >= 0 then table.insert(visible, function(i, j) return le(i, j + offset + right) end) end

local S = K:t() * Q * (scale == 0 and 1 / math.sqrt(d) or scale)  -- t x n: row i is a key, column j a query
local stages = { [0] = S }
if softcap ~= 0 then S = softcap * tanh(S / softcap) end
stages[1] = S

if short_mask then
    total = "l"
    table.insert(visible, function(i, j) return lt(i, size("l")) end)
end

local per_head = mask_heads > 0 and { heads = mask_heads } or {}
if attn_mask == 1 then
    local allowed = ids("attn_mask", total, "n", per_head)
    table.insert(visible, function(i, j) return ne(allowed(i, j), 0) end)
elseif attn_mask == 2 then
    local bias = scores("attn_mask", total, "n", per_head)
    S = map(function(s, i, j) return s + bias(i, j) end, S)
end

local P = softmax(#visible > 0 and keep(all_of(table.unpack(visible)), S) or S)
if mode == 2 and #visible > 0 then
    local see = all_of(table.unpack(visible))
    S = map(function(s, i, j, h, batch, rows, cols)
        return where(see(i, j, h, batch, rows, cols), s, -math.huge)
    end, S)
end
stages[2], stages[3] = S, P

outputs.Y = three_d and concat_heads(V * P) or V * P
outputs.qk_matmul_output = stages[mode]
return kernel("onnx", outputs)
