"""Emitted C as a user builds it: gram emit, gcc -O3 -march=native, and a call with nothing of gram around it."""
import ctypes
import os
import subprocess
import tempfile

import numpy as np


def arguments(header, name):
    """The struct of arguments as the header declares it."""
    kinds = {"const float *": ctypes.c_void_p, "float *": ctypes.c_void_p, "int64_t ": ctypes.c_int64}
    body = header.split(f"typedef struct {name}_args {{")[1].split("}")[0]
    fields = []
    for line in body.strip().splitlines():
        text = line.split(";")[0].strip()
        kind = next(k for k in kinds if text.startswith(k))
        field, _, many = text[len(kind):].partition("[")
        fields.append((field, kinds[kind] * int(many[:-1]) if many else kinds[kind]))
    return type("Arguments", (ctypes.Structure,), {"_fields_": fields})


def build(gram, text, folder, options):
    """The library of a spec's emitted C, and its header."""
    spec, library = os.path.join(folder, "bench.lua"), os.path.join(folder, "bench.so")
    with open(spec, "w") as file:
        file.write(text)
    subprocess.run([gram, "emit", spec, "-o", folder, *(f"--set={k}={v}" for k, v in options.items())], check=True)
    subprocess.run(["gcc", "-std=c11", "-O3", "-march=native", "-shared", "-fPIC", os.path.join(folder, "bench.c"), "-o",
                    library, "-lm"], check=True)
    with open(os.path.join(folder, "bench.h")) as file:
        return ctypes.CDLL(library), file.read()


def attention(gram, text, inputs, **options):
    """A function of no arguments that runs the emitted C of a spec called bench, and returns its output."""
    with tempfile.TemporaryDirectory() as folder:
        library, header = build(gram, text, folder, options)
    args, out = arguments(header, "bench")(), np.zeros_like(inputs["Q"])
    for name, array in {**inputs, "O": out}.items():
        setattr(args, name, array.ctypes.data)
    args.batch, args.n, args.m = 1, inputs["Q"].shape[2], inputs["K"].shape[2]
    library.bench_workspace.restype = ctypes.c_size_t
    bytes = library.bench_workspace(ctypes.byref(args), 1)
    room = np.empty(bytes + 64, np.uint8)
    place = ctypes.c_void_p((room.ctypes.data + 63) // 64 * 64)

    def run():
        if library.bench(ctypes.byref(args), place, None) != 0:
            raise RuntimeError("the emitted kernel refuses")
        return out
    run.keeps = inputs, room
    return run
