#!/bin/sh
# The Lua module, as built: tests/modules.lua under stock Lua 5.4.
cd "$(dirname "$0")/.." || exit 1
LUA_CPATH="${B:-build}/?.so" exec "${LUA:-lua5.4}" tests/modules.lua
