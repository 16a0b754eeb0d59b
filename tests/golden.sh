#!/bin/sh
# The C that gram writes, compared with tests/golden: small specs, byte for byte, so that a change of the emitted text is
# seen in review. `sh tests/golden.sh renew` (make golden) writes the files anew. And: twice the same bytes, from anywhere; every spec's header
# is C++ too, alone and first in its file, and its C says what compiled it: no date, no path.
cd "$(dirname "$0")/.." || exit 1
gram=$PWD/build/gram golden=$PWD/tests/golden
. tests/lib/tally.sh

[ "$1" = renew ] && for spec in "$golden"/*.lua; do $gram emit "$spec" -o "$golden" || exit 1; done

for spec in "$golden"/*.lua; do
    name=$(basename "$spec" .lua)
    mkdir -p "$folder/new"
    check "gram emit $name" $gram emit "$spec" -o "$folder/new"
    for file in "$name.c" "$name.h"; do
        check "$file is not as in tests/golden (make golden renews it)" diff -u "$golden/$file" "$folder/new/$file"
    done
done

for spec in specs/*.lua; do
    name=$(basename "$spec" .lua)
    mkdir -p "$folder/a" "$folder/b"
    $gram emit "$spec" -o "$folder/a" && (cd / && $gram emit "$OLDPWD/$spec" -o "$folder/b") || failed=$((failed + 1))
    check "$name.c differs from another folder" cmp "$folder/a/$name.c" "$folder/b/$name.c"
    check "$name.c names a path" sh -c "! grep -nE '$folder|$PWD|/tmp/|/home/|/root/' '$folder/a/$name.c' '$folder/a/$name.h'"
    for compiler in 'g++ -std=c++11' 'clang++ -std=c++17'; do
        command -v ${compiler%% *} >/dev/null || continue
        check "$name.h under $compiler" $compiler -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$folder/a/$name.h" -Wno-pragma-once-outside-header
    done
done
end
