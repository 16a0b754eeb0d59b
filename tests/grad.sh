#!/bin/sh
# First derivatives: of every row of the operations' table, and of every spec, against differences and the reference in
# double (gram check says how); and the C of each, which every compiler below takes without a warning. The derivatives
# run through TinyCC, a share of them through emitted C too; forward mode and the compilers see a share, or all where
# GRAM_TEST=all. Second derivatives are in grad.c.
cd "$(dirname "$0")/.." || exit 1
strict='-std=c11 -Wall -Wextra -Wpedantic -Werror'
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT

# A job: a name for its result, a spec, --grad or --jvp, and "check" or "compile".
cat >"$results/job" <<'EOF'
name=$1 spec=$2 by=$3 kind=$4 jit=$5
compile() {
    mkdir "$RESULTS/$name" && build/gram emit "$spec" "$by" -o "$RESULTS/$name" || return
    for cc in "clang -O0" "gcc -O1" tcc; do
        $cc $STRICT -c "$RESULTS/$name"/*.c -o "$RESULTS/$name/kernel.o" || return
    done
}
check() {
    timeout 300 build/gram check "$spec" "$by" --jit "$jit"
}
$kind >"$RESULTS/$name.out" 2>&1
status=$?
[ $status -eq 0 ] || { echo "$kind $spec $by: exit status $status"; sed 's/^/    /' "$RESULTS/$name.out"; }
echo $status >"$RESULTS/$name.status"
EOF

n=0
for spec in specs/*.lua; do
    n=$((n + 1)) jit=tcc
    [ $((n % 12)) -ne 0 ] || jit=all
    echo "$n-grad $spec --grad check $jit"
    [ $((n % 8)) -ne 0 ] || echo "$n-jvp-text $spec --jvp compile"
    [ "$GRAM_TEST" = all ] || [ $((n % 8)) -eq 0 ] || continue
    echo "$n-text $spec --grad compile"
    echo "$n-jvp $spec --jvp check $jit"
done | RESULTS=$results STRICT=$strict xargs -P "$(nproc)" -L 1 sh "$results/job"
build/gram check --grad >"$results/ops.out" 2>&1
echo $? >"$results/ops.status"
[ "$(cat "$results/ops.status")" -eq 0 ] || cat "$results/ops.out"
passed=$(cat "$results"/*.status | grep -cx 0)
total=$(ls "$results" | grep -c '\.status$')
echo "$passed passed, $((total - passed)) failed"
[ "$passed" -eq "$total" ]
