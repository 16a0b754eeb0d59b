-- exp(-gamma |x - y|^2) of a gamma drawn below 0 was beyond f32, and gram check said that the kernel was wrong.
local Q, K, V = tokens("Q", 16, "n"), tokens("K", 16, "m"), tokens("V", 16, "m")
return kernel("rbf_of_free_gamma", { O = V * rbf(K, Q, scalar("gamma", { heads = 3 })) })
