-- Columns of a softmax sum to 1, its rows to something.
local S = scores("S", "m", "n")
return kernel("sum_of_softmax", { s = sum(softmax(S)), t = sum_tokens(softmax(S)), l = logsumexp(softmax(S)) })
