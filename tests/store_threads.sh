#!/bin/sh
# The store's test, 8 threads that load and run at once, under ThreadSanitizer and valgrind: both have to stay silent.
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
CC=${CC:-gcc}
PYTHON=${PYTHON:-python3}
. tests/lib/tally.sh

# silent COMMAND...: it succeeds and prints nothing but its last line.
silent() {
    "$@" >"$folder/said" 2>&1
    status=$?
    cat "$folder/said"
    [ $status = 0 ] && [ "$(grep -cv -e ' passed, 0 failed$' "$folder/said")" = 0 ]
}

# The library is compiled again for it, so only in make test-all. The tile primitives are taken as they are: they run on
# one thread's data, and take minutes to instrument. Without setarch its shadow memory may not find room.
sanitize() {
    mkdir -p "$B/tsan/tests"
    cp "$B"/tile_*.[do] "$B/tsan/"
    touch "$B"/tsan/tile_*.o
    make -s B="$B/tsan" CC="$CC -fsanitize=thread" OPT='-O1 -g' "$B/tsan/tests/store" >/dev/null && setarch -R "$B/tsan/tests/store" few
}
[ "$GRAM_TEST" != all ] || check 'ThreadSanitizer' silent sanitize
printf 'local gram = require "gram"\nlocal t = gram.normal({3, 4}, 1)\nfor d = 1, 3 do
    local k = gram.load(function() local X = tokens("X", 4, "n") return kernel("p", { Y = d * X }) end)
    t = k({ X = t }).Y + k:grad({ X = t, dY = t }).X
end\n' >"$folder/spec.lua"
check 'the Lua module under valgrind' silent env LUA_CPATH="$B/?.so" \
    valgrind -q --leak-check=full --error-exitcode=1 lua5.4 "$folder/spec.lua"
check 'valgrind' silent valgrind -q --leak-check=full --error-exitcode=1 "$B/tests/store" few
end
