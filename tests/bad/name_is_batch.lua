-- expect: name_is_batch.lua:2: error: tokens batch: the name is already the number of batch items
local A = tokens("batch", 8, "n")
return kernel("bad", { O = A })
