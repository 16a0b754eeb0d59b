"""gram and its peers on the same work, alternately, in one process: make bench.

    bench.py [--rows softmax,decode] [--threads 1,2] [--seconds 2] [--json FILE] [--least] [--bare]

Prints a Markdown table: for every target of every row the speed of gram's back end as a ratio to the fastest of those
it is held against, and what it should reach; the error of both is their largest difference to the formula in double
over its largest value. With --json, also a line a measurement. With --least the exit status tells whether all were
reached. Below the table is what no product can exceed. With --bare the table has no head or foot, and the file's lines
are added: a table goes on.

On one thread the processor's time is taken, which other programs disturb less; on more, the clock's; the best run of
each counts.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import exact
import peers
import rows as table

CLOCKS = {1: time.thread_time}


def best_times(calls, threads, seconds):
    """The best time of each, all taken in turn until the time is up and each has had three turns. A turn lasts 20 ms at
    least, so that what is short is measured with its arrays at hand."""
    clock = CLOCKS.get(threads, time.perf_counter)
    best = {name: float("inf") for name in calls}
    rounds, end = 0, time.perf_counter() + seconds
    while rounds < 3 or time.perf_counter() < end:
        for name, call in calls.items():
            turn = time.perf_counter() + 0.02
            while True:
                start = clock()
                call()
                best[name] = min(best[name], clock() - start)
                if time.perf_counter() >= turn:
                    break
        rounds += 1
    return best


def measure(row, threads, seconds):
    """One JSON object for each contender of the row."""
    multiply, flops = peers.matmul(threads)
    best = best_times({**row.contenders, "matmul": multiply}, threads, seconds) if row.contenders else row.once
    found = {}
    for name, t in best.items():
        work = flops if name == "matmul" else row.work(name)
        found[name] = {"row": row.name, "who": name, "threads": threads, "ms": round(1e3 * t, 4),
                       "gflops": round(1e-9 * work / t, 2)}
        if row.once:
            found[name]["unit"] = row.unit
        if row.right(name):
            call = row.contenders[name]
            found[name]["error"] = float(f"{exact.error(row.right(name), getattr(call, 'first', call)()):.1e}")
    return found


def speed(found, name):
    """Work a second: of a matrix product and of gram as flops, of all others by the row's own flops."""
    return found[name]["gflops"] if found[name]["gflops"] > 0 else 1e3 / found[name]["ms"]


def judge(row, found):
    """Each target as (contender, against, ratio, least)."""
    for who, against, least in row.targets:
        rival = max(against, key=lambda name: speed(found, name))
        yield who, rival, speed(found, who) / speed(found, rival), least


def cell(one):
    """Who, how fast, how exact."""
    fast = f"{one['ms'] / 1e3:.3g} {one['unit']}" if "unit" in one else f"{one['gflops']:.1f}"
    return f"{one['who']} | {fast} | {one.get('error', '')}"


def print_row(row, found, threads):
    held = True
    for who, rival, ratio, least in judge(row, found):
        held &= ratio >= least
        mark = "yes" if ratio >= least else "**no**"
        print(f"| {row.name} | {threads} | {cell(found[who])} | {cell(found[rival])} | {ratio:.2f} | {least:.2f} | {mark} |",
              flush=True)
    return held


def peak():
    """What one core does of fused multiply-adds on registers alone, in GFLOP/s."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peak.c")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "peak")
        subprocess.run(["gcc", "-O3", "-march=native", source, "-o", program], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout.strip()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rows", default="")
    ap.add_argument("--threads", default="1")
    ap.add_argument("--seconds", type=float, default=2)
    ap.add_argument("--json")
    ap.add_argument("--least", action="store_true")
    ap.add_argument("--bare", action="store_true")
    args = ap.parse_args()
    wanted = [name for name in args.rows.split(",") if name]
    log = open(args.json, "a" if args.bare else "w") if args.json else None
    held = True
    if not args.bare:
        print("| work | threads | gram | GFLOP/s | error | against | GFLOP/s | error | ratio | target | reached |")
        print("|" + " --- |" * 11)
    for threads in map(int, args.threads.split(",")):
        for make in table.ROWS:
            if wanted and make.__name__ not in wanted:
                continue
            for row in make(threads):
                found = measure(row, threads, args.seconds)
                held &= print_row(row, found, threads)
                for line in found.values() if log else ():
                    print(json.dumps(line), file=log, flush=True)
    if not args.bare:
        print(f"\nA core does {peak()} GFLOP/s of fused multiply-adds alone.", flush=True)
    sys.exit(1 if args.least and not held else 0)


if __name__ == "__main__":
    main()
