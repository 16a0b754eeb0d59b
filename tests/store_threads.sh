#!/bin/sh
# The store's test, 8 threads that load and run at once, under ThreadSanitizer and valgrind: both have to stay silent.
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
CC=${CC:-gcc}
PYTHON=${PYTHON:-python3}
out=$(mktemp) || exit 1
trap 'rm -f "$out" "$out.lua"' EXIT
passed=0 failed=0

# silent WHAT COMMAND...: it has to succeed and print nothing but its last line.
silent() {
    what=$1
    shift
    if "$@" >"$out" 2>&1 && [ "$(grep -cv -e ' passed, 0 failed$' "$out")" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $what"
        sed 's/^/    /' "$out" | head -n 60
    fi
}

# The library is compiled again for it, so only in make test-all. The tile primitives are taken as they are: they run on
# one thread's data, and take minutes to instrument. Without setarch its shadow memory may not find room.
sanitize() {
    mkdir -p "$B/tsan/tests"
    cp "$B"/tile_*.[do] "$B/tsan/"
    touch "$B"/tsan/tile_*.o
    make -s B="$B/tsan" CC="$CC -fsanitize=thread" OPT='-O1 -g' "$B/tsan/tests/store" >/dev/null && setarch -R "$B/tsan/tests/store" few
}
[ "$GRAM_TEST" != all ] || silent 'ThreadSanitizer' sanitize
printf 'local gram = require "gram"\nlocal t = gram.normal({3, 4}, 1)\nfor d = 1, 3 do
    local k = gram.load(function() local X = tokens("X", 4, "n") return kernel("p", { Y = d * X }) end)
    t = k({ X = t }).Y + k:grad({ X = t, dY = t }).X
end\n' >"$out.lua"
silent 'the Lua module under valgrind' env LUA_CPATH="$B/?.so" \
    valgrind -q --leak-check=full --error-exitcode=1 lua5.4 "$out.lua"
silent 'valgrind' valgrind -q --leak-check=full --error-exitcode=1 "$B/tests/store" few
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
