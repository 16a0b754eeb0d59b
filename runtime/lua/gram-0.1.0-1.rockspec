-- luarocks make runtime/lua/gram-0.1.0-1.rockspec, in a checkout: the Makefile builds gram.so, which carries libgram.
rockspec_format = "3.0"
package = "gram"
version = "0.1.0-1"
source = { url = "." }
description = {
    summary = "Attention kernels from formulas, compiled in process",
    detailed = "A formula for attention, written in Lua, becomes a kernel: at once through TinyCC, or optimised C.",
    license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.4, < 5.5" }
build = {
    type = "make",
    build_target = "lua",
    install_target = "install-lua",
    build_variables = { CC = "$(CC)" },
    install_variables = { LUADIR = "$(LIBDIR)" },
}
