#!/bin/sh
# Orders 2, 4 and 8 of eq. (3.2) at n = 4,096, k = 64: one cost, since every order is one product Y'MY. Best of three each,
# alternating; more than 10% apart is a failure.
cd "$(dirname "$0")/../.." || exit 1
for round in 1 2 3; do
    for order in 2 4 8; do
        build/gram bench specs/order$order.lua n=4096 --json --jit "${1:-cc}" --threads 1
    done
done | awk -F'"ms": ' '
    { split($2, ms, ","); split($0, name, "\""); if (!(name[4] in best) || ms[1] + 0 < best[name[4]]) best[name[4]] = ms[1] + 0 }
    END {
        for (spec in best) {
            printf "%s %8.2f ms\n", spec, best[spec] | "sort"
            if (!low || best[spec] < low) low = best[spec]
            if (best[spec] > high) high = best[spec]
        }
        close("sort")
        printf "apart by %.1f%%: %s\n", 100 * (high / low - 1), high <= 1.1 * low ? "ok" : "FAILED: more than 10%"
        exit high > 1.1 * low
    }'
