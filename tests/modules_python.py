"""The Python module: arrays in and out, errors, files of weights (hostile ones too), threads; calls are timed and
printed."""
import gc
import json
import os
import re
import struct
import sys
import tempfile
import threading
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import gram  # noqa: E402
from command import BUILD, ROOT, Tally  # noqa: E402

tally = Tally()
check = tally.expect
folder = tempfile.TemporaryDirectory()
rng = np.random.default_rng(0)
SOFT = 'local X = tokens("X", option("d", 4), "n")\nreturn kernel("soft", { O = X * softmax(X:t() * X) })\n'


def fails(kind, pattern, what, call):
    try:
        result = call()
    except Exception as error:
        check(isinstance(error, kind) and re.search(pattern, str(error)), "%s: %s: %s" % (what, type(error).__name__, error))
        return error
    check(False, "%s gives %r" % (what, result))


def path(name, data=None):
    name = os.path.join(folder.name, name)
    if data is not None:
        with open(name, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
    return name


def soft(x):
    p = np.exp(np.einsum("...nd,...md->...nm", x, x))
    return p / p.sum(-1, keepdims=True) @ x


def near(a, b, what):
    check(a.shape == b.shape and np.abs(a - b).max(initial=0) < 1e-5, what)


def arrays():
    k = gram.load(text=SOFT)
    x = rng.standard_normal((3, 6, 4)).astype("f4")
    for name, given in {"dense": x, "strides": x.transpose(1, 2, 0).copy().transpose(2, 0, 1), "backwards": x[:, ::-1],
                        "no batch": x[0], "f8": x.astype("f8"), "read-only": np.frombuffer(x.tobytes(), "f4").reshape(x.shape),
                        "Fortran": np.asfortranarray(x), "nothing": x[:, :0]}.items():
        near(k(X=given)["O"], soft(given), name)
    near(k({"X": x})["O"], soft(x), "a dict")
    near(np.asarray(k(X=memoryview(x))["O"]), soft(x), "a memoryview")
    out = k(X=x)["O"]
    check(out.flags.writeable and out.dtype == np.float32 and out.flags.c_contiguous, "an output is an array of its own")
    room = np.zeros((3, 6, 8), "f4")
    result = k(X=x, out={"O": room[:, :, ::2]})
    near(room[:, :, ::2], soft(x), "out with strides")
    check(not room[:, :, 1::2].any() and list(result) == ["O"], "nothing else is written")
    half = np.zeros((3, 6, 4), "f2")
    check(k(X=x, out=half)["O"] is half and np.abs(half - soft(x)).max() < 2e-3, "out of another type")
    near(k(X=x, out={"O": None})["O"], soft(x), "out to be made")
    check(np.abs(gram.load(text=SOFT, dtype="f64")(X=x.astype("f8"))["O"] - soft(x.astype("f8"))).max() < 1e-12, "f64")
    near(gram.load(text=SOFT, jit="reference")(X=x)["O"], soft(x), "reference")
    rounded = x.astype("f2")
    out = gram.load(text=SOFT, dtype="f16")(X=rounded)["O"]
    check(out.dtype == np.float16 and (out == k(X=rounded)["O"].astype("f2")).all(), "f16")
    bits = (x.view("u4") >> 16).astype("u2")
    half = gram.load(text=SOFT, dtype="bf16")
    out, wide = half(X=bits)["O"], k(X=(bits.astype("u4") << 16).view("f4"))["O"]
    check(out.dtype == np.uint16 and np.abs((out.astype("u4") << 16).view("f4") / wide - 1).max() <= 2 ** -8, "bf16 as bits")
    room = np.zeros_like(bits)
    check(half(X=bits, out={"O": room})["O"] is room and (room == out).all(), "bf16 into an array of bits")
    fails(gram.Error, "expected floats", "bits for floats", lambda: k(X=bits))
    view = k(X=x)["O"][1]
    gc.collect()
    near(view, soft(x)[1], "a view keeps its data")
    scale = gram.load(text='return kernel("p", { Y = scalar("s") * tokens("X", 4, "n") })')
    for number in (2, 2.0, np.float32(2), np.array([2.0])):
        near(scale(s=number, X=x)["Y"], 2 * x, "a scalar as %r" % type(number))


def in_place():
    """A cache that is both input and output: only its new entries are written."""
    for dtype, kind in ("f32", "f4"), ("f64", "f8"), ("f16", "f2"):
        k = gram.load(os.path.join(ROOT, "specs/append.lua"), set={"d": 8}, dtype=dtype)
        q, new = (rng.standard_normal((2, heads, 1, 8)).astype(kind) for heads in (4, 2))
        room = rng.standard_normal((2, 2, 40, 16)).astype(kind)
        cache, was, length = room[..., :8], room.copy(), np.array([3, 39])
        given = dict(Q=q, k=new, v=new, V=cache.copy(), length=length)
        copied = k(K=cache, **given)
        check((room == was).all(), "an input stays as it is where the output is made")
        out = k(K=cache, **given, out={"O": None, "K2": cache})
        check(out["K2"] is cache and (cache == copied["K2"]).all() and (out["O"] == copied["O"]).all(), "in place, %s" % dtype)
        was[np.arange(2), :, length, :8] = new[:, :, 0]
        check((room == was).all(), "nothing else is touched, %s" % dtype)
        wide = cache.astype("f8" if kind != "f8" else "f4")
        k(K=wide, **given, out={"K2": wide})
        check((wide == cache.astype(wide.dtype)).all(), "in place, of another type than %s" % dtype)
        reference = gram.load(os.path.join(ROOT, "specs/append.lua"), set={"d": 8}, dtype=dtype, jit="reference")
        reference(K=room[..., :8], **given, out={"K2": room[..., :8]})
        check((room == was).all(), "the reference in place, %s" % dtype)


class Tensor:
    """What torch shows of a tensor: DLPack, and no buffer."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()


def dlpack():
    k = gram.load(text=SOFT)
    x = rng.standard_normal((2, 6, 4)).astype("f4")
    near(k(X=Tensor(x))["O"], soft(x), "DLPack")
    near(k(X=Tensor(x.transpose(1, 0, 2)))["O"], soft(x.transpose(1, 0, 2)), "DLPack with strides")
    out = np.zeros_like(x)
    k(X=x, out={"O": Tensor(out)})
    near(out, soft(x), "DLPack as out")
    before = sys.getrefcount(x)
    for _ in range(100):
        k(X=Tensor(x))
    check(sys.getrefcount(x) == before, "DLPack's tensors are given back")
    check("torch" not in sys.modules, "torch is not imported")


def mistakes():
    k, x = gram.load(text=SOFT), np.zeros((3, 4), "f4")
    error = fails(gram.Error, r"^a/b.lua:2: error: ", "a broken spec", lambda: gram.load(text="local x = 1\nreturn 3", name="a/b.lua"))
    check((error.file, error.line) == ("a/b.lua", 2) and isinstance(error, ValueError), "an error knows its line")
    error = fails(gram.Error, "input X .* missing", "a missing input", k)
    check(error.file is None and error.line is None, "an error without a line")
    fails(gram.Error, "No such file", "a missing file", lambda: gram.load(path("none.lua")))
    fails(gram.Error, "no array Y", "an unknown input", lambda: k(X=x, Y=x))
    fails(gram.Error, r"f4 \[3, 5\]", "a wrong shape", lambda: k(X=np.zeros((3, 5), "f4")))
    fails(gram.Error, "expected floats", "integers", lambda: k(X=np.zeros((3, 4), int)))
    fails(TypeError, "entries of type", "complex numbers", lambda: k(X=np.zeros((3, 4), complex)))
    fails(TypeError, "expected an array", "a list", lambda: k(X=[1, 2]))
    fails(TypeError, "byte order", "another byte order", lambda: k(X=x.astype(">f4")))
    fails(ValueError, "strides", "odd strides", lambda: k(X=np.zeros(3, "f4,f4,f4,f4,u1").view("u1").reshape(3, 17)[:, :16].view("f4")))
    fails(TypeError, "by name", "an array without a name", lambda: k(x))
    fails((ValueError, BufferError), "read-only|writ", "a read-only out", lambda: k(X=x, out={"O": np.frombuffer(bytes(48), "f4").reshape(3, 4)}))
    fails(gram.Error, "expected", "a wrong out", lambda: k(X=x, out={"O": np.zeros((3, 3), "f4")}))
    fails(TypeError, "load takes", "no spec", gram.load)
    fails(TypeError, "jot", "an unknown option", lambda: gram.load(text=SOFT, jot=1))
    fails(gram.Error, "no back end", "an unknown back end", lambda: gram.load(text=SOFT, jit="gpu"))
    fails(ValueError, "f32", "an unknown type", lambda: gram.load(text=SOFT, dtype="f8"))
    fails(gram.Error, "no option e", "an unknown option of the spec", lambda: gram.load(text=SOFT, set={"e": 1}))
    fails(ValueError, "threads", "too many threads", lambda: gram.load(text=SOFT, threads=10000))


def questions():
    k = gram.load(os.path.join(ROOT, "specs/gqa_softcap.lua"), jit="tcc", threads=2, set={"d": 32})
    check(k.name == "gqa_softcap" and [p.name for p in k.inputs] == ["Q", "K", "V"] and k.sizes == ["n", "m"], "questions")
    check(k.inputs[0].shape == "[batch, 8, n, 32]" and k.outputs[0].kind == "output" and not k.inputs[0].integer, "ports")
    check("int gqa_softcap(" in k.source and "gqa_softcap_args" in k.c_header and "flops" in k.plan and "softmax" in k.ir, "texts")
    q = np.zeros((8, 5, 32), "f4")
    cost = k.cost(Q=q, K=q[:2], V=q[:2])
    check(cost["bytes"] == 4 * 12 * 5 * 32 and cost["operations"] > 0 and cost["workspace"] > 0, "cost")
    stub = open(os.path.join(os.path.dirname(gram.__file__), "__init__.pyi")).read()
    for name in gram.__all__ + [n for n in dir(gram.Kernel) if not n.startswith("_")]:
        check(re.search(r"\b%s\b" % name, stub), "the stub lacks " + name)


def safetensors(tensors, metadata=None):
    header, blob = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, array) in tensors.items():
        data = array.tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + blob


def raw(header, data=b""):
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data


def files():
    w = rng.standard_normal((4, 4)).astype("f4")
    bits = (w.view("u4") >> 16).astype("u2")
    data = safetensors({"a.weight": ("F32", w), "h": ("F16", w.astype("f2")), "b": ("BF16", bits), "i": ("I64", np.arange(3)),
                        "j": ("I32", np.arange(2, dtype="i4")), "empty": ("F32", w[:0]), "\u00e9\t\U0001f600": ("U8", w.view("u1"))},
                       {"format": "pt"})
    read = gram.read(path("w.safetensors", data))
    check((read["a.weight"] == w).all() and (read["h"] == w.astype("f2")).all() and (read["b"] == bits).all(), "safetensors")
    check((read["i"] == [0, 1, 2]).all() and read["empty"].shape == (0, 4) and "\u00e9\t\U0001f600" in read, "their names and types")
    wide = gram.read(path("w.safetensors"), widen=True)
    check(wide["b"].dtype == np.float32 and np.abs(wide["b"] - w).max() < 0.05 and wide["h"].dtype == np.float32, "widened")
    kept = gram.read(path("w.safetensors"))["a.weight"]
    gc.collect()
    check((kept == w).all(), "an array keeps its file open")
    np.savez(path("w.npz"), W=w, big=w.astype(">f4"), fortran=np.asfortranarray(w), one=np.float64(3), none=w[:0])
    read = gram.read(path("w.npz"))
    check(all((read[name] == w).all() for name in ("W", "big", "fortran")) and read["one"] == 3, "npz")
    np.save(path("w.npy"), w)
    check((gram.read(path("w.npy")) == w).all(), "npy")
    k = gram.load(text='local W = matrix("W", 4, 4, { key = "a.weight" })\nreturn kernel("p", { Y = W * tokens("X", 4, "n") })')
    for name in ("w.safetensors", "w.npz"):
        near(k(X=w, **k.weights(path(name)))["Y"], w @ w.T, "weights from " + name)
    fails(gram.Error, "has no tensor a.weight for W", "weights without the tensor", lambda: k.weights(path("e", raw("{}"))))
    np.savez_compressed(path("c.npz"), W=w)
    fails(gram.Error, "compressed", "a compressed npz", lambda: gram.read(path("c.npz")))
    fails(gram.Error, "not a regular file", "a folder", lambda: gram.read(folder.name))


HOSTILE = {
    "empty": b"",
    "short": b"\x01\x00",
    "a header longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "the longest header": struct.pack("<Q", (1 << 64) - 1) + b"{}",
    "no JSON": raw("hello"),
    "a header cut short": raw('{"a":{"dtype":"F32","shape":[1],'),
    "behind the header": raw('{} x'),
    "a list": raw('[]'),
    "outside the file": raw('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(4)),
    "backwards": raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', bytes(4)),
    "negative": raw('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', bytes(4)),
    "too large a number": raw('{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}', bytes(4)),
    "an overflow": raw('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
    "a shape that does not fit": raw('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', bytes(4)),
    "too many axes": raw('{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}', bytes(1)),
    "a gap": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', bytes(2)),
    "an overlap": raw('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', bytes(3)),
    "bytes of no tensor": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', bytes(2)),
    "an unknown type": raw('{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}', bytes(1)),
    "no type": raw('{"a":{"shape":[1],"data_offsets":[0,1]}}', bytes(1)),
    "a repeated key": raw('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', bytes(1)),
    "a repeated name": raw('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "half a surrogate": raw('{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "a zero in a name": raw('{"a\\u0000":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "a bad escape": raw('{"\\x":1}'),
    "a string without end": raw('{"a'),
    "deep": raw('{"a":' * 100000),
    "zip without directory": b"PK\3\4" + bytes(100),
    "zip with a far directory": b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 1, 1, 46, 1 << 30, 0),
    "zip with many entries": b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 65535, 65535, 46, 0, 0),
}


def hostile():
    for name, data in HOSTILE.items():
        fails(gram.Error, r"hostile: .", name, lambda: gram.read(path("hostile", data)))
    np.savez(path("f.npz"), a=np.arange(6, dtype="f4").reshape(2, 3), b=np.arange(3))
    for good in (open(path("f.npz"), "rb").read(), safetensors({"a": ("F32", np.ones((2, 3), "f4")), "b": ("I64", np.arange(3))})):
        survived = 0
        for k in range(len(good)):
            damaged = bytearray(good)
            damaged[k] = rng.integers(256)
            for data in (good[:k], bytes(damaged)):
                try:
                    read = gram.read(path("fuzz", data))
                    for array in read.values() if isinstance(read, dict) else [read]:
                        array.sum()
                except (gram.Error, UnicodeDecodeError):
                    pass
                survived += 1
        check(survived == 2 * len(good), "damaged files")


def threads():
    k, x = gram.load(text=SOFT), rng.standard_normal((50, 4)).astype("f4")
    wanted, wrong = soft(x), []

    def work(seed):
        for i in range(200):
            mine = k if i % 2 else gram.load(text=SOFT, threads=1 + seed % 2, set={"d": 4})
            if np.abs(mine(X=x)["O"] - wanted).max() > 1e-5:
                wrong.append(seed)
    pool = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    check(not wrong, "8 threads")


def gradients():
    k = gram.load(os.path.join(ROOT, "specs/gqa_softcap.lua"), set={"d": 8}, dtype="f64")
    given = {name: rng.standard_normal((heads, 7, 8)) for name, heads in (("Q", 8), ("K", 2), ("V", 2))}
    do = rng.standard_normal((8, 7, 8))
    g = k.grad(**given, dO=do)
    check(sorted(g) == ["K", "Q", "V"], "the gradients' names")
    for name, x in given.items():
        step = 1e-6 * rng.standard_normal(x.shape)
        sides = [(k(**{**given, name: x + sign * step})["O"] * do).sum() / 2 for sign in (1, -1)]
        check(abs(sides[0] - sides[1] - (g[name] * step).sum()) < 1e-10, "the gradient by " + name)
    one = k.gradient("Q")
    check([p.name for p in one.outputs] == ["dQ"] and np.allclose(one(**given, dO=do)["dQ"], g["Q"], rtol=0, atol=1e-13),
          "the gradient by one input")  # sums in another order where fewer are made in one pass
    fails(gram.Error, "no input", "the gradient by what is no input", lambda: k.gradient("Z"))


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")


def growth():
    k, x = gram.load(text=SOFT), rng.standard_normal((1000, 4)).astype("f4")

    def work(times):
        for _ in range(times):
            gram.load(text=SOFT)
            k(X=x[:10])
            gram.read(path("w.safetensors"))
            try:
                k(Y=x)
            except gram.Error:
                pass
    work(2000)
    before = resident()
    work(10000)
    check(resident() - before < 2 << 20, "10,000 loads, calls and reads grow by %d bytes" % (resident() - before))


def environment():
    """The system's compiler has the environment as it is now, which is not where it was when the module was loaded."""
    compiler, seen = path("cc", '#!/bin/sh\nenv > "$GRAM_TEST_SEEN"\nexec cc "$@"\n'), path("seen")
    os.chmod(compiler, 0o755)
    os.environ["GRAM_TEST_SEEN"] = seen
    for k in range(500):
        os.environ["GRAM_TEST_%d" % k] = "more"
    k = gram.load(text=SOFT, jit="cc", cc=compiler, flags="-O0", set={"d": 3})
    check(k(X=np.ones((2, 3), "f4"))["O"].shape == (2, 3) and "GRAM_TEST_499=more" in open(seen).read(), "the environment")
    for k in range(500):
        del os.environ["GRAM_TEST_%d" % k]


def one_compile():
    start = time.perf_counter()
    for _ in range(1000):
        k = gram.load(os.path.join(ROOT, "specs/gqa_softcap.lua"))
    print("a load of the same spec: %.1f us" % ((time.perf_counter() - start) * 1e3))
    for i in range(1, 11):
        n = 10 * i * i
        v = rng.standard_normal((2, n, 64)).astype("f4")
        out = k(Q=rng.standard_normal((8, n, 64)).astype("f4"), K=v, V=v)
        near(out["O"][:, 0], np.repeat(v[:, 0], 4, 0), "softcap of length %d" % n)


def overhead():
    k, x = gram.load(text=SOFT), np.ones((1, 4), "f4")
    out = {"O": np.empty_like(x)}
    for what, call in (("outputs made", lambda: k(X=x)), ("outputs given", lambda: k(X=x, out=out))):
        best = min(timed(call) for _ in range(5))
        print("a call of a tiny kernel, %s: %.2f us" % (what, best * 1e6))


def timed(call, times=5000):
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


for part in (arrays, in_place, dlpack, mistakes, questions, files, hostile, gradients, threads, growth, environment,
             one_compile, overhead):
    part()
tally.end()
