"""Random formulas: each seed makes a spec and, beside it, the same formula in numpy in double, which knows nothing of
gram.

    random_specs.py [--seeds FROM-TO] [--jit tcc,cc,reference] [--types f32,f64] [--keep DIR]

The spec is run on random arrays by each back end in each type and compared with numpy; then gram check runs it over the
sizes that hurt, and its gradient through TinyCC. A failure prints the spec. Formulas are made of smooth, well-scaled
parts, so that rounding stays rounding: what is far off is wrong. (For f32 that is more than 1e-3, as a sum may cancel
where sizes are 1 or 2; how exact f32 is, accuracy.py measures.) What they are made of is in lib/random_matrices.py and
lib/random_scalars.py. Here a few seeds; where GRAM_TEST=all, 60.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import GRAM  # noqa: E402
from random_matrices import make  # noqa: E402

TOLERANCE = {"f64": 1e-12, "f32": 1e-3}
COMPILER = {"tcc": [], "reference": [], "cc": ["--cc", "gcc -O1 -march=native -std=c11 -Wall -Wextra -Wpedantic -Werror"]}


def expected(s, value):
    """As gram lays it out: [batch, heads, columns, rows], a vector without its side of 1."""
    batch = max([s.batch for array in s.batched if array in s.inputs] + [1])
    return np.broadcast_to(value.kept(), (batch, *value.array.shape[1:])).swapaxes(2, 3)


def distance(got, want):
    """Relative to the norm of what is wanted; infinite where shapes or infinities differ."""
    if got.size != want.size:
        return math.inf
    got = got.reshape(want.shape).astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0, got - want)
    if not np.isfinite(off).all():
        return math.inf
    norm = np.sqrt((np.where(np.isfinite(want), want, 0) ** 2).sum())
    error = np.sqrt((off ** 2).sum())
    return 0.0 if error == 0 else error / norm if norm else math.inf


def run_seed(seed, jits, types, folder):
    """The faults of one seed, and its text."""
    with np.errstate(all="ignore"):
        s, text, outputs = make(seed)
    spec = os.path.join(folder, f"random{seed}.lua")
    with open(spec, "w") as out:
        out.write(text)
    sizes = f"-- batch {s.batch}, n = {s.size['n']}, m = {s.size['m']}\n"
    for name, array in s.inputs.items():
        np.save(os.path.join(folder, name + ".npy"), array)
    given = [f"{name}={name}.npy" for name in s.inputs] + [f"{name}=out_{name}.npy" for name in outputs]
    faults = []
    for jit in jits:
        for kind in ["f64"] if jit == "reference" else types:
            faults += run_once(["run", spec, "--jit", jit, "--dtype", kind] + COMPILER[jit] + given, s, outputs, folder,
                               TOLERANCE[kind])
        for kind in types if jit != "reference" else []:
            faults += check_once(spec, text, jit, kind)
            faults += check_once(spec, text, jit, kind, "--grad") if jit == "tcc" else []
    return faults, sizes + text


def check_once(spec, text, jit, kind, *words):
    """gram check, which knows of no other tolerance for f32 than the spec's."""
    with open(spec, "w") as out:
        out.write(text if kind == "f64" else text.replace(" })\n", f" }}, {{ tolerance = {TOLERANCE['f32']} }})\n"))
    command = ["check", "--jit", jit, "--dtype", kind, *words]
    result = subprocess.run([GRAM, *command, spec] + COMPILER[jit], capture_output=True, text=True, timeout=300)
    if result.returncode == 0:
        return []
    return [f"gram {' '.join(command)}: status {result.returncode}\n{result.stdout}{result.stderr}"]


def run_once(words, s, outputs, folder, tolerance):
    result = subprocess.run([GRAM] + words, capture_output=True, text=True, timeout=300, cwd=folder)
    about = " ".join(words[2:6])
    if result.returncode != 0:
        return [f"{about}: status {result.returncode}: {result.stderr.strip()}"]
    faults = []
    for name, value in outputs.items():
        got = np.load(os.path.join(folder, f"out_{name}.npy"))
        error = distance(got, expected(s, value))
        if error > tolerance:
            faults.append(f"{about}: {name} is off by {error:.1e} of its norm (shape {got.shape})")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0-59" if os.environ.get("GRAM_TEST") == "all" else "0-19")
    parser.add_argument("--jit", help="back ends, of reference,tcc,cc; if not given, cc joins for every fourth seed")
    parser.add_argument("--types", default="f32,f64")
    parser.add_argument("--keep", help="a folder that gets the specs and arrays")
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    first, last = map(int, given.seeds.split("-")) if "-" in given.seeds else (int(given.seeds),) * 2
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(first, last + 1):
            jits = given.jit or ("reference,tcc,cc" if seed % 4 == 0 else "reference,tcc")
            faults, text = run_seed(seed, jits.split(","), given.types.split(","), given.keep or scratch)
            failed += bool(faults)
            if faults or given.show:
                print(f"seed {seed}:", *faults, text, sep="\n")
                sys.stdout.flush()
    total = last - first + 1
    print(f"{total - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
