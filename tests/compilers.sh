#!/bin/sh
# gram check of every spec: TinyCC and the reference once, and TinyCC with arrays of 16 bits; and the emitted C under
# one of the compilers below in turn, or under each where GRAM_TEST=all, without a warning. Arrays of 16 bits have a
# share of the specs under each, a larger one then. To add a compiler, add a line.
cd "$(dirname "$0")/.." || exit 1
strict='-std=c11 -Wall -Wextra -Wpedantic -Werror'
compilers="gcc -O3 $strict
gcc -O3 -march=native $strict
gcc -O0 $strict
gcc -O0 -march=native $strict
clang -O3 $strict
clang -O3 -march=native $strict
clang -O0 -ftrivial-auto-var-init=pattern $strict
clang -O0 -march=native -ftrivial-auto-var-init=pattern $strict
tcc $strict
gcc -O1 -g -march=native -fsanitize=address,undefined -fno-sanitize-recover=all $strict"
export GRAM_CACHE=${GRAM_CACHE:-$PWD/build/cache}
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT

count=$(echo "$compilers" | wc -l)
halves=60
[ "$GRAM_TEST" != all ] || halves=20

# One job a line: a name for its result, and the arguments of gram check.
jobs() {
    n=0
    for spec in specs/*.lua; do
        n=$((n + 1)) k=0
        echo "$n-tcc $spec --jit tcc"
        half=$([ $((n % 2)) -eq 0 ] && echo f16 || echo bf16)
        echo "$n-half $spec --jit tcc --dtype $half"
        echo "$compilers" | while read -r compiler; do
            if [ "$GRAM_TEST" = all ] || [ $((n % count)) -eq $k ]; then
                echo "$n-$k $spec --jit cc --cc $compiler"
            fi
            if [ $(((n + k) % halves)) -eq 0 ]; then
                echo "$n-$k-half $spec --jit cc --dtype $half --cc $compiler"
            fi
            k=$((k + 1))
        done
    done
}

# The sanitizers' runtime has to come before everything else.
cat >"$results/job" <<'EOF2'
name=$1 spec=$2 jit=$4 dtype= && shift 4
[ "$1" = --dtype ] && dtype=$2 && shift 2
[ "$1" = --cc ] && shift
case "$*" in
*sanitize*) preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" ;;
*) preload= ;;
esac
ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=$preload \
    timeout 300 build/gram check "$spec" --jit "$jit" ${dtype:+--dtype} $dtype ${1:+--cc} ${1:+"$*"} \
        >"$RESULTS/$name.out" 2>&1
status=$?
[ $status -eq 0 ] || { echo "$spec, $jit $dtype $*: exit status $status"; sed 's/^/    /' "$RESULTS/$name.out"; }
echo $status >"$RESULTS/$name.status"
EOF2

jobs | RESULTS=$results xargs -P "$(nproc)" -L 1 sh "$results/job"
passed=$(cat "$results"/*.status | grep -cx 0)
total=$(ls "$results" | grep -c '\.status$')
echo "$passed passed, $((total - passed)) failed"
[ "$passed" -eq "$total" ]
