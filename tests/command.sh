#!/bin/sh
# The command as a person meets it: help, hints, exit statuses, files that appear whole or not at all.
cd "$(dirname "$0")/.." || exit 1
gram=$PWD/build/gram
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0

# expect STATUS WHERE PATTERN COMMAND...: the exit status, and a line of stdout or stderr that matches; '' is no line.
expect() {
    status=$1 where=$2 pattern=$3
    shift 3
    "$@" >stdout 2>stderr
    got=$?
    if [ -n "$pattern" ]; then grep -q -e "$pattern" "$where"; else [ ! -s "$where" ]; fi
    if [ $? -eq 0 ] && [ $got -eq "$status" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$*: status $got, expected $status and '$pattern' on $where:"
        sed 's/^/    /' stdout stderr
    fi
}
# check TEXT CONDITION...: a test(1) that has to hold.
check() {
    text=$1
    shift
    if [ "$@" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$text: [ $* ]"; fi
}

spec() { printf '%s\n' "$2" >"$1.lua"; }
spec soft 'local X = tokens("X", option("d", 4), "n")
return kernel("soft", { O = X * softmax(X:t() * X) }, { symmetry = { orthogonal = {"X"}, permutation = {"X"} } })'
spec lie 'local X = tokens("X", 4, "n")
return kernel("lie", { O = exp(X) }, { symmetry = { orthogonal = {"X"} } })'
spec lie2 'local X = tokens("X", 4, "n")
return kernel("lie2", { O = cumsum(X) }, { symmetry = { permutation = {"X"} } })'
spec odd 'return 3'
spec plain 'return kernel("plain", { O = -tokens("X", 4, "n") })'
spec minus 'return kernel("minus", { O = sqrt(-1 - exp(tokens("X", 4, "n"))) })'
spec two 'local X, Z = tokens("X", 4, "n"), tokens("Z", 4, "n")
return kernel("two", { O = X + Z })'
spec masks 'local Q = tokens("Q", 8, "n", { heads = 4 })
local K, V = tokens("K", 8, "m", { heads = 2 }), tokens("V", 8, "m", { heads = 2 })
local allowed = ids("allowed", "m", "n", { heads = 4, below = 2 })
local S = keep(function(i, j) return ne(allowed(i, j), 0) end, K:t() * Q)
return kernel("masks", { O = V * softmax(S) })'
spec place 'local X = tokens("X", 4, "n")
return kernel("place", { P = sinusoidal(6, "n"), O = -X })'

# help and hints
expect 0 stdout 'gram run' $gram --help
expect 0 stdout '^gram [0-9]' $gram --version
expect 0 stdout 'gram run' $gram help
expect 2 stderr 'gram run' $gram
expect 2 stderr "try 'gram show soft.lua'" $gram soft.lua
expect 2 stderr "there is no command 'rum'" $gram rum soft.lua
expect 2 stderr 'which spec' $gram run
expect 2 stderr "there is no option --jot" $gram run soft.lua --jot tcc
expect 2 stderr "there is no option --stage" $gram run soft.lua --stage ir
expect 2 stderr 'wants a value' $gram run soft.lua --jit
expect 2 stderr 'takes no value' $gram run soft.lua --random=3
expect 2 stderr "tcc, cc or reference, not 'gpu'" $gram run soft.lua --jit gpu
expect 2 stderr "reference or all, not 'gpu'" $gram check soft.lua --jit gpu
expect 2 stderr 'wants the command of a C compiler' $gram run soft.lua --cc ''
expect 2 stderr "not 'f8'" $gram run soft.lua --dtype f8
expect 2 stderr "not 'many'" $gram run soft.lua --threads many
expect 2 stderr "not 'd'" $gram run soft.lua --set d
expect 2 stderr "not 'd=x'" $gram run soft.lua --set d=x
expect 2 stderr 'needs the size n' $gram run soft.lua --random
expect 2 stderr 'n=x is not a size' $gram run soft.lua --random n=x
expect 2 stderr 'n is a size, read off the arrays; --random n=4' $gram run soft.lua n=4
expect 2 stderr "not 'asm'" $gram show soft.lua --stage asm
expect 2 stderr 'takes no n=3' $gram show soft.lua n=3
expect 1 stderr 'No such file' $gram show none.lua
expect 1 stderr '^odd.lua:1: error:' $gram show odd.lua
expect 1 stderr 'no option e to set' $gram show soft.lua --set e=1

# show, list, run
expect 0 stdout 'softmax' $gram show soft.lua --stage ir
expect 0 stdout 'flops' $gram show soft.lua
expect 0 stdout 'int soft(const soft_args' $gram show soft.lua --stage c
expect 0 stdout 'typedef struct soft_args' $gram show soft.lua --stage h
expect 0 stdout '^gqa_softcap$' $gram list
expect 0 stdout '^    [A-Z]' $gram list
expect 1 stdout '' sh -c "$gram list | grep ' $'"
expect 0 stdout '^O  *f4 \[5, 4\]' $gram run soft.lua --random n=5
expect 0 stdout '^O  *f4 \[2, 5, 3\]' $gram run soft.lua --random n=5 batch=2 --set d=3
expect 0 stdout '^O  *f4 \[0, 5, 4\]  norm 0$' $gram run soft.lua --random n=5 batch=0
expect 0 stdout '^O  *f4 \[5, 4\]  norm nan  nan nan nan nan \.\.\.$' $gram run minus.lua --random n=5
for jit in tcc reference; do
    for type in f32 f64; do
        expect 0 stderr '' $gram run soft.lua --random n=9 --jit $jit --dtype $type O=$jit-$type.npy
        check "an output of $jit" -s $jit-$type.npy
    done
done
expect 0 stderr '' $gram run soft.lua --random n=9 --dtype f16 O=half.npy
expect 0 stdout "'descr': '<f2'" cat half.npy
expect 0 stderr '' $gram run soft.lua --random n=9 --dtype bf16 O=bits.npy
expect 0 stdout "'descr': '<u2'" cat bits.npy
expect 0 stdout '^O  *bf16 \[9, 4\]' $gram run soft.lua X=bits.npy --dtype bf16
expect 1 stderr 'X (bits.npy) is u2 \[9, 4\]: expected floats' $gram run soft.lua X=bits.npy --dtype f16
expect 0 stdout 'const uint16_t \*X' $gram show soft.lua --dtype f16 --stage h
expect 0 stdout ' 1 ulp at\| 0 ulp at' $gram check soft.lua --dtype f16 --grad --jit tcc
cat >square.lua <<'EOF'
local W, X, Z = matrix("W", 8, 8), tokens("X", 8, "n"), tokens("Z", 8, "n")
local Y = W * X
return kernel("square", { O = hadamard(Y, Y) }, { inplace = { O = "Z" } }) -- no copy of Y
EOF
expect 0 stdout ' 1 ulp at\| 0 ulp at' $gram check square.lua --dtype f16 --jit tcc
expect 0 stderr '' $gram run soft.lua --random n=9 --threads 1 O=one.npy
expect 0 stderr '' $gram run soft.lua --random n=9 --threads 3 O=three.npy
expect 0 stdout '' cmp one.npy three.npy
expect 0 stderr '' $gram run plain.lua --random n=9 O=nine.npy
expect 0 stderr '' $gram run plain.lua --random n=9 batch=3 O=three_nine.npy
expect 0 stdout '^O  *f4 \[9, 4\]' $gram run two.lua --random X=nine.npy
expect 0 stdout '^O  *f4 \[3, 9, 4\]' $gram run two.lua --random X=three_nine.npy
expect 1 stderr 'n is 9 by X and 2 by the command line' $gram run two.lua --random n=2 X=nine.npy
expect 1 stderr 'batch is 3 by X and 2 by the command line' $gram run two.lua --random batch=2 X=three_nine.npy
expect 0 stdout '^P  *f4 \[9, 6\]' $gram run place.lua X=nine.npy
expect 0 stderr '' $gram run soft.lua --random n=9 --seed 1 O=other.npy
expect 1 stdout 'differ' cmp one.npy other.npy

# in place
spec over 'local X = tokens("X", 4, "n")
return kernel("over", { Y = map(function(x, i, j) return where(eq(j, 1), 2 * i, x) end, X) }, { inplace = { Y = "X" } })'
spec twice 'local X = tokens("X", 4, "n")
return kernel("twice", { O = X * softmax(X:t() * X),
    Y = X / 2 }, { inplace = { Y = "X" } })'
expect 0 stdout ' float \*X; .* becomes Y' $gram show over.lua --stage h
expect 1 stdout '' grep -q '\*Y' stdout
expect 0 stderr '' $gram check over.lua
expect 1 stderr '^twice.lua:3: error: kernel: inplace: Y overwrites X, which is read for something else' $gram show twice.lua

# plot
spec weights 'local X = tokens("X", 4, "n", { heads = 3 })
return kernel("weights", { A = softmax(X:t() * X) })'
expect 0 stdout '^head 2: .* to ' $gram plot weights.lua --random n=7 -o out.png
expect 0 stderr '' $gram run weights.lua --random n=7 A=A.npy
expect 0 stderr '' $gram plot A.npy -o out2.png
expect 0 stdout '' cmp out.png out2.png
check 'a picture' "$(head -c 4 out.png | tail -c 3)" = PNG
expect 2 stderr 'where to' $gram plot A.npy
expect 1 stderr 'error:' $gram plot A.npy -o no/such.png

# emit
expect 0 stderr '' $gram emit soft.lua -o out
check 'emitted files' -s out/soft.c -a -s out/soft.h
expect 0 stderr '' gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -c out/soft.c -o soft.o
expect 0 stderr '' g++ -Wall -Wextra -Wpedantic -Werror -x c++ -fsyntax-only out/soft.h
expect 0 stderr '' $gram emit "$PWD/soft.lua" -o out2
expect 0 stdout '' cmp out/soft.c out2/soft.c
expect 1 stdout '' grep -n "$folder" out2/soft.c out2/soft.h
expect 1 stderr 'error:' $gram emit soft.lua -o soft.lua
expect 1 stderr 'error:' $gram emit soft.lua -o no/such

# check
expect 0 stdout 'orthogonal .*ok' $gram check soft.lua --jit tcc
expect 0 stdout 'no symmetry: there is nothing to check' $gram check plain.lua --jit reference
expect 0 stdout 'worst' $gram check place.lua --jit tcc
expect 0 stdout 'worst' $gram check masks.lua --jit tcc
expect 0 stdout 'allowed; .. .batch, 4, n, m' $gram show masks.lua --stage h
expect 1 stdout 'orthogonal .*FAILED' $gram check lie.lua --jit tcc
expect 1 stdout 'permutation .*FAILED' $gram check lie2.lua --jit tcc
expect 0 stdout '"ms": ' $gram bench soft.lua n=64 --jit tcc --json

check 'nothing left behind' -z "$(ls -A | grep -v -e '\.lua$' -e '\.npy$' -e '^out' -e '^std' -e '\.o$')"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
