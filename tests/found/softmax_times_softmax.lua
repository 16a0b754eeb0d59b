-- A product of two softmaxes: the first has to be built, which the planner did for ever.
local S = scores("S", "m", "m")
local P = softmax(S)
return kernel("softmax_times_softmax", { O = P * P })
