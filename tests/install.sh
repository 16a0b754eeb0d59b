#!/bin/sh
# The library as installed, in a scratch prefix: examples in C and C++ against it, the Lua module, the command, the
# wheel.
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
CC=${CC:-gcc}
PYTHON=${PYTHON:-python3}
. tests/lib/tally.sh
prefix=$folder/prefix
mkdir "$prefix" || exit 1

# prints TEXT COMMAND...: it has to succeed and print a line with that text.
prints() {
    text=$1
    shift
    check "$*" sh -c '"$@" >"$0" && cat "$0"' "$prefix/printed" "$@"
    check "$* prints '$text'" grep -qF -e "$text" "$prefix/printed"
}

check 'make install' make -s B="$B" install PREFIX="$prefix"
staged=$(mktemp -d "$prefix/XXXXXX")
check 'make install DESTDIR' make -s B="$B" install PREFIX=/usr DESTDIR="$staged"
check 'DESTDIR is not in what is installed' sh -c "! grep -q '$staged' '$staged/usr/lib/pkgconfig/gram.pc'"

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib"
flags=$(pkg-config --cflags --libs gram)
for source in tests/examples/*.c; do
    program=$prefix/$(basename "$source" .c)
    check "$source" $CC -std=c11 -Wall -Wextra -Wpedantic -Werror "$source" $flags -o "$program"
    check "$program links libgram.so" sh -c "ldd '$program' | grep -q libgram.so.0"
done
if echo '#include <ggml.h>' | $CC -E -xc - >/dev/null 2>&1; then
    check 'an operator of ggml' $CC -std=c11 -Wall -Wextra -Wpedantic -Werror -c tests/examples/ggml/operator.c $flags -o "$prefix/operator.o"
fi
cd "$prefix" || exit 1
prints 'n = 1000   the first query sees the first key only: -0.78 = -0.78' ./lengths share/gram/specs/gqa_softcap.lua
prints 'wrong.lua:2: error:' ./questions
prints 'input X: tokens [batch, n, 8]' ./questions
prints 'phases; O[1][4] = 0.7499 0.7890 0.7682 0.4796, then 0' ./team
prints '3 kernels compiled, 1000 of 1000 loads share them' ./store
check 'the example without a leak' valgrind -q --leak-check=full --error-exitcode=1 ./team
cd "$OLDPWD" || exit 1

# The header in C++, the static library, and that the library shows what the header declares and nothing else.
printf '#include <gram.h>\nint main() { return gram_store_new() == nullptr; }\n' >"$prefix/plus.cc"
check 'gram.h in C++' g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror "$prefix/plus.cc" $flags -o "$prefix/plus"
check 'the static library' $CC tests/examples/team.c $(pkg-config --cflags gram) "$prefix/lib/libgram.a" \
    $(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/gram.pc") -o "$prefix/static"
check 'the static program' "$prefix/static"
sed -n 's/^[a-z].*[ *]\(gram_[a-z0-9_]*\)(.*/\1/p' "$prefix"/include/gram/*.h | sort -u >"$prefix/declared"
nm -D --defined-only "$prefix/lib/libgram.so.0" | sed -n 's/.* T \(gram_[a-z0-9_]*\)@@GRAM_.*/\1/p' | sort -u >"$prefix/shown"
check 'declared and shown agree' diff "$prefix/declared" "$prefix/shown"
check 'nothing else is shown' sh -c "! nm -D --defined-only '$prefix/lib/libgram.so.0' | grep ' [TDBR] ' | grep -v @@GRAM_"

# The command and the Lua module.
prints 'gqa_softcap' "$prefix/bin/gram" list
cat >"$prefix/first.lua" <<'END'
local gram = require "gram"
local k = gram.load(arg[1], { jit = "tcc", threads = 2, set = { d = 32 } })
local out = k { Q = gram.normal({8, 5, 32}, 1), K = gram.normal({2, 5, 32}, 2), V = gram.uniform({2, 5, 32}, 3) }
print(out.O:shape())
END
prints '{8, 5, 32}' env LUA_CPATH="$prefix/lib/lua/5.4/?.so" lua5.4 "$prefix/first.lua" specs/gqa_softcap.lua

# The wheel, installed apart from the checkout.
case $B in /*) absolute=$B ;; *) absolute=$PWD/$B ;; esac
check 'pip install' env GRAM_BUILD="$absolute" PIP_ROOT_USER_ACTION=ignore "$PYTHON" -m pip install -q --no-build-isolation \
    --no-deps --no-index --target "$prefix/site" ./runtime/python
prints "{'O': (8, 5, 64), 'lse': (8, 5)}" env -C "$prefix" PYTHONPATH="$prefix/site" "$PYTHON" -c '
import gram, numpy
k = gram.load("share/gram/specs/gqa_softcap.lua")
x = numpy.ones((8, 5, 64), "f4")
print({name: a.shape for name, a in k(Q=x, K=x[:2], V=x[:2]).items()})'
check 'the source tree is as it was' test ! -e runtime/python/gram.egg-info -a ! -e runtime/python/build

end
