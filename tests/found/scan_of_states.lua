-- A scan with a list of states, two outputs, attention over tokens that it captures, fewer heads than it has.
local d = 6
local X, M = tokens("X", d, "n", { heads = 4 }), tokens("M", d, "m", { heads = 2 })
local W, s0 = matrix("W", d, d), vector("s0", d, { batch = true })
local outs, last = scan(function(S, x)
    local read = M * softmax(M:t() * S[1] / sqrt(d))
    local a = tanh(W * S[1] + x + read)
    local b = S[2] + a * x:t()
    return { a, b }, { b * a, S[2] * x }
end, { s0, identity(d) * W }, X)
return kernel("scan_of_states", { A = outs[1], B = outs[2], s = last[1], T = last[2] })
