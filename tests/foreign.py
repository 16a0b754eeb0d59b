"""Emitted C in a plain program, and on another CPU: cross-compiled for aarch64 and run under qemu-user, with a team of
two that takes turns, against the reference; with arrays of floats and of 16-bit ones. A sample of the specs; all of
them where GRAM_TEST=long.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import load, random_arrays, shape_of, specs  # noqa: E402
from command import ALL, ROOT, Tally  # noqa: E402
from command import gram as command  # noqa: E402

STRICT = "-std=c11 -Wall -Wextra -Wpedantic -Werror"
TARGETS = {"this CPU": (f"gcc -O2 {STRICT}", ""),
           "aarch64": (f"aarch64-linux-gnu-gcc -O2 -static {STRICT}", "qemu-aarch64")}
KINDS = {"f32": (np.float32, 1e-5), "f16": (np.float16, 2 ** -10)}  # and how far off outputs may be
SIZES = (70, 33, 130)

MAIN = """#include <stdio.h>
#include <stdlib.h>

#include "@name@.h"

static void take_turns(const gram_team *team, void (*task)(void *job, int thread), void *job)
{
    for (int thread = 0; thread < team->threads; thread++)
        task(job, thread);
}

static void *read_array(FILE *file, size_t bytes)
{
    char *array = malloc(bytes + 1);
    return fread(array, 1, bytes, file) == bytes ? array : NULL;
}

int main(int argc, char **argv)
{
    FILE *in = fopen(argv[argc - 2], "rb"), *out = fopen(argv[argc - 1], "wb");
    gram_team team = {2, take_turns, NULL};
    @name@_args args = {.batch = @batch@, @sizes@};
    @read@
    @allocate@
    void *workspace = aligned_alloc(64, @name@_workspace(&args, 2) + 64);
    int error = @name@(&args, workspace, &team);
    @write@
    return fclose(out) || error;
}
"""


def filled(template, **holes):
    for name, text in holes.items():
        template = template.replace(f"@{name}@", text)
    return template


def type_of(port, kind):
    return np.int32 if port.integer else KINDS[kind][0]


def main_of(kernel, sizes, kind):
    """The program: inputs from one file, outputs into another, each array after the other."""
    def lines(form, ports):
        bytes_of = [type_of(port, kind)().nbytes * int(np.prod(shape_of(port, sizes), dtype=np.int64)) for port in ports]
        return "\n    ".join(form % (port.name, n) for port, n in zip(ports, bytes_of))
    return filled(MAIN, name=kernel.name, batch=str(sizes["batch"]),
                  sizes=", ".join(f".{s} = {n}" for s, n in sizes.items() if s != "batch"),
                  read=lines("args.%s = read_array(in, %d);", kernel.inputs),
                  allocate=lines("args.%s = malloc(%d);", kernel.outputs),
                  write=lines("fwrite(args.%s, 1, %d, out);", kernel.outputs))


def outputs_of(kernel, sizes, kind, path):
    data, at, found = np.fromfile(path, KINDS[kind][0]), 0, {}
    for port in kernel.outputs:
        shape = shape_of(port, sizes)
        count = int(np.prod(shape, dtype=np.int64))
        found[port.name], at = data[at:at + count].reshape(shape).astype(np.float64), at + count
    return found


def compiled(spec, kernel, sizes, kind, compiler, folder):
    """What is wrong with compiling, or None."""
    emitted = command("emit", os.path.join(ROOT, "specs", spec + ".lua"), "--dtype", kind, "-o", folder)
    with open(os.path.join(folder, "main.c"), "w") as file:
        file.write(main_of(kernel, sizes, kind))
    words = compiler.split() + ["-I" + folder, "main.c", kernel.name + ".c", "-lm", "-o", "main"]
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    return emitted.stderr or (result.stderr[:2000] if result.returncode else None)


def run(spec, target, kind):
    """What is wrong, or None."""
    compiler, emulator = TARGETS[target]
    kernel = load(spec, jit="reference", dtype="f64")
    sizes = dict(zip(kernel.sizes, SIZES), batch=2)
    arrays, ports = random_arrays(kernel, sizes), {port.name: port for port in kernel.inputs}
    arrays = {name: array.astype(type_of(ports[name], kind)) for name, array in arrays.items()}
    given = {name: array if ports[name].integer else array.astype(np.float32) for name, array in arrays.items()}
    with tempfile.TemporaryDirectory() as folder:
        wrong = compiled(spec, kernel, sizes, kind, compiler, folder)
        if wrong:
            return wrong
        with open(os.path.join(folder, "in"), "wb") as file:
            for port in kernel.inputs:
                file.write(arrays[port.name].tobytes())
        result = subprocess.run(emulator.split() + ["./main", "in", "out"], cwd=folder, capture_output=True, text=True)
        if result.returncode:
            return f"exit status {result.returncode} {result.stderr[:500]}"
        found, want = outputs_of(kernel, sizes, kind, os.path.join(folder, "out")), kernel(**given)
    errors = {name: np.linalg.norm(found[name] - w) / max(np.linalg.norm(w), 1e-30) for name, w in want.items()}
    return next((f"{name} is off by {e:.2g}" for name, e in errors.items() if not e < KINDS[kind][1]), None)


tally = Tally()
for target, (compiler, emulator) in TARGETS.items():
    missing = [tool for tool in (compiler.split()[0], emulator) if tool and not shutil.which(tool)]
    if missing:
        print(f"{target}: {' and '.join(missing)} not here, nothing tested")
        continue
    chosen = specs()[::1 if ALL else 8]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for kind in KINDS:
            for spec, wrong in zip(chosen, pool.map(lambda spec: run(spec, target, kind), chosen)):
                tally.faultless(wrong, f"{spec} on {target}, {kind}")
tally.end()
