-- expect: stride_name.lua:4: error: the name A_stride is taken: it is where the strides of A are given
local A = tokens("A", 8, "n")
local B = tokens("A_stride", 8, "n")
return kernel("bad", { O = A + B })
