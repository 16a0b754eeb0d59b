"""The rows of the table: each is one piece of work with everybody who does it, and what gram has to reach.

A row gives its contenders, {name: function of no arguments that returns the result}; "matmul" is the rate of a matrix
product, which every row has. Its targets are (contender, against, least): contender's speed is at least so many times
that of the fastest of `against`. To add a row, add a function to ROWS."""
import itertools
import math
import os
import random
import subprocess
import sys
import time

import numpy as np

import emitted
import exact
import peers
from specs import SPECS, random_formula

BUILD = os.environ.get("GRAM_BUILD", "build")
sys.path.insert(0, os.path.join(BUILD, "python"))
import gram  # noqa: E402


class Row:
    """Work to be timed. flops: of one call, and exact: where to look in its result and what is right there (exact.py);
    either may be a dict by contender. once: of contenders that are not called again and again what was measured, the
    less the better, in this unit."""

    def __init__(self, name, flops, contenders, targets, exact=None, once=None, unit="s"):
        self.name, self.flops, self.contenders, self.targets = name, flops, contenders, targets
        self.exact, self.once, self.unit = exact, once or {}, unit

    def work(self, who):
        return self.flops[who] if isinstance(self.flops, dict) else self.flops

    def right(self, who):
        """None where the contender's result has no exact counterpart."""
        if who not in self.contenders or who == "read":
            return None
        return self.exact[who] if isinstance(self.exact, dict) else self.exact


def tokens(heads, n, d, seed):
    return np.random.default_rng(seed).standard_normal((1, heads, n, d), dtype=np.float32)


def attention_inputs(n, m, d, heads, groups):
    return {"Q": tokens(heads, n, d, 1), "K": tokens(groups, m, d, 2), "V": tokens(groups, m, d, 3)}


def kernel(text, inputs, threads, jit, flags=None, **options):
    """A call of a spec's kernel through one back end, into an array that stays."""
    loaded = gram.load(text=text, jit=jit, threads=threads, set=options, flags=flags)
    out = loaded(inputs)
    return lambda: loaded(inputs, out=out)


def kernels(text, inputs, threads, backends=("cc", "tcc"), **options):
    return {jit: kernel(text, inputs, threads, jit, **options) for jit in backends}


def attention(name, work, threads=1, n=2048, d=64, heads=8, share=1, against=(), least=None, matmul=None, extra=None,
              backends=("cc", "tcc")):
    """Attention of n tokens. share: the part of all pairs that is not masked. least and matmul: the targets of each
    back end against the peers and the matmul rate."""
    inputs = {**attention_inputs(n, n, d, heads, heads), **(extra or {})}
    calls = kernels(SPECS[work], inputs, threads, backends, d=d, heads=heads, groups=heads)
    calls.update(peers.attention(work, inputs, threads, against))
    targets = [(jit, tuple(against), ratio) for jit, ratio in (least or {}).items()]
    targets += [(jit, ("matmul",), ratio) for jit, ratio in (matmul or {}).items()]
    return Row(name, 4 * heads * n * n * d * share, calls, targets, exact.attention(work, inputs))


FUSED = ("sdpa", "ort")
FLEX = {"cc": 3.5, "tcc": 2.8}
SHARE = {"cc": 0.70, "tcc": 0.60}


def softmax(threads):
    for n in (512, 2048, 4096):
        yield attention(f"softmax, n = {n:,}", "softmax", threads, n=n, against=FUSED, least={"cc": 1.2},
                        matmul={"cc": 0.88, "tcc": 0.78} if n == 2048 and threads == 1 else None)


def wide_heads(threads):
    yield attention("softmax, d = 128", "softmax", threads, d=128, against=FUSED, least={"cc": 1.03}, matmul={"cc": 0.90})


def causal(threads):
    yield attention("causal", "causal", threads, share=0.5, against=("sdpa",), least={"cc": 1.4})


def variants(threads):
    n, heads = 2048, 8
    rng = np.random.default_rng(4)
    table = rng.standard_normal((heads, 2 * n - 1), dtype=np.float32)
    doc = (np.arange(n, dtype=np.int32) // 200)[None]
    for work, extra, share in (("softcap", {}, 1), ("alibi", {}, 1), ("relative", {"table": table}, 1),
                               ("documents", {"doc": doc}, 200 / n)):
        yield attention(work, work, threads, extra=extra, share=share, against=("flex",), least=FLEX)


def head_sizes(threads):
    for d in (40, 72, 96, 160):
        yield attention(f"softmax, d = {d}", "softmax", threads, d=d, matmul=SHARE)
    for n in (777, 3001):
        yield attention(f"softmax, n = {n:,}", "softmax", threads, n=n, matmul=SHARE)
    for heads in (1, 32):
        yield attention(f"softmax, heads: {heads}", "softmax", threads, heads=heads, matmul=SHARE)


def random_formulas(threads):
    """What is right here says the reference, of the first queries."""
    rng = np.random.default_rng(5)
    n, few, heads, d = 2048, exact.QUERIES, 8, 64
    terms = {"r": rng.standard_normal(n, dtype=np.float32), "c": rng.standard_normal(n, dtype=np.float32)}
    for seed in range(20):
        text, inputs = random_formula(seed), {**attention_inputs(n, n, d, heads, heads), **terms}
        first = {**inputs, "Q": inputs["Q"][:, :, :few], "c": inputs["c"][:few]}
        right = gram.load(text=text, jit="reference", set={"d": d})(first)["O"][0, -1].astype(float)
        yield Row(f"random formula {seed}", 4 * heads * n * n * d, kernels(text, inputs, threads),
                  [(jit, ("matmul",), least) for jit, least in SHARE.items()], ((0, -1, slice(few)), right))


def window(threads):
    yield attention("window of 256, n = 16,384", "window", threads, n=16384, heads=2, share=256 / 16384,
                    against=("flex",), least={"cc": 3})


def coefficients(threads):
    yield attention("sigmoid", "sigmoid", threads, against=("eager",), least={"cc": 4})
    yield attention("RBF", "rbf", threads, against=("eager",), least={"cc": 6})
    n, d, heads = 2048, 64, 8
    inputs = {"Y": tokens(heads, n, d, 1), "V": tokens(heads, n, d, 2),
              "A": np.random.default_rng(3).standard_normal((d, d), dtype=np.float32) / d}
    calls = {**kernels(SPECS["order8"], inputs, threads), **peers.order8(inputs, threads)}
    yield Row("eq. (3.2), order 8", 4 * heads * n * n * d, calls, [("cc", ("eager",), 1.2)], exact.order8(inputs))


def in_turn(calls):
    """One call after the other, over and over."""
    turn = itertools.cycle(calls)

    def run():
        return next(turn)()
    run.first = calls[0]
    return run


def decode(threads):
    """One token against the keys of four layers in turn, so that they come from memory as in a model's steps."""
    m, heads, groups, layers = 8192, 32, 8, 4
    inputs = [{x: a + np.float32(layer) / 8 for x, a in attention_inputs(1, m, 64, heads, groups).items()}
              for layer in range(layers)]
    calls = {jit: in_turn([kernel(SPECS["softmax"], given, threads, jit, heads=heads, groups=groups) for given in inputs])
             for jit in ("cc", "tcc")}
    calls["sdpa"] = in_turn([peers.attention("softmax", given, threads, ("sdpa",))["sdpa"] for given in inputs])
    calls["read"] = in_turn([peers.read(8 * groups * m * 64, threads) for _ in range(layers)])
    yield Row(f"decode, {heads} heads on {groups}, n = {m:,}", 4 * heads * m * 64, calls,
              [("cc", ("sdpa",), 3), ("cc", ("read",), 0.8)], exact.attention("softmax", inputs[0]))


def linear(threads):
    """Causal products without a softmax, alone and with a decay for each token, against what an algorithm in chunks
    does at the least: the state in and out, and half a chunk of pairs."""
    sizes, d, chunk = (4096, 65536), 64, 64
    for work in ("linear", "decay"):
        calls, flops, right = {}, {}, {}
        for n in sizes:
            inputs = attention_inputs(n, n, d, 1, 1)
            if work == "decay":
                inputs["a"] = -abs(tokens(1, n, 1, 4)) / 50
            for jit in ("cc", "tcc"):
                who = jit if n == sizes[-1] else f"{jit}, n = {n:,}"
                calls[who], flops[who] = kernel(SPECS[work], inputs, threads, jit), 2 * n * d * (2 * d + chunk)
                right[who] = exact.attention(work, inputs)
        yield Row(f"causal {work}, n = {sizes[-1]:,}", flops, calls,
                  [("cc", ("matmul",), 0.6), ("cc", (f"cc, n = {sizes[0]:,}",), 1 / 1.15)], right)


def circulant(threads):
    for n in (1000, 1021, 1536, 4096, 65521, 65536):
        w = np.random.default_rng(8).standard_normal((8, n), dtype=np.float32)
        inputs = {"V": tokens(8, n, 64, 3), "w": w}
        calls = {**kernels(SPECS["circulant"], inputs, threads), **peers.circulant(inputs, threads)}
        yield Row(f"circulant, n = {n:,}", 10 * 8 * 64 * n * math.log2(n), calls,
                  [(jit, ("torch.fft",), 2) for jit in ("cc", "tcc")])


def spikes(threads):
    """Scores of -1, 0 and 1 as bits, written out, against those of real numbers."""
    for n in (1024, 2048):
        inputs = {"Q": tokens(1, n, 64, 1)[0], "K": tokens(1, n, 64, 2)[0]}
        calls = kernels(SPECS["spikes"], inputs, threads)
        calls["f32"] = kernels(SPECS["scores"], inputs, threads, ("cc",))["cc"]
        yield Row(f"ternary scores, n = {n:,}", 2 * n * n * 64, calls, [("cc", ("f32",), 4)])


def project(threads):
    rng = np.random.default_rng(6)
    inputs = {"X": rng.standard_normal((1, 128, 384), dtype=np.float32), "b": rng.standard_normal(1536, dtype=np.float32),
              "W": rng.standard_normal((1536, 384), dtype=np.float32) / 20}
    calls = {**kernels(SPECS["project"], inputs, threads), **peers.project(inputs, threads)}
    yield Row("project 128 x 384 x 1,536, bias, GELU", 2 * 128 * 384 * 1536, calls, [("cc", ("matmul",), 0.85)],
              exact.project(inputs))


def small(threads):
    rng = np.random.default_rng(7)
    inputs = {x: rng.standard_normal((64, 3, 49, 32), dtype=np.float32) for x in "QKV"}
    calls = {**kernels(SPECS["softmax"], inputs, threads, d=32, heads=3, groups=3),
             **peers.attention("softmax", inputs, threads, ("sdpa",))}
    yield Row("small, 64 x 3 heads x 49 x 32", 4 * 64 * 3 * 49 * 49 * 32, calls, [("cc", ("sdpa",), 2)],
              exact.attention("softmax", inputs))


def training(threads):
    """Forward, and backward with what forward gave: seven products a pair at least."""
    n, heads = 2048, 8
    extra = {"alibi_learned": {"slope": np.linspace(0.1, 1, heads, dtype=np.float32)},
             "rbf_learned": {"gamma": np.full(heads, 1 / 64, dtype=np.float32)}}
    slope = tokens(heads, n, 64, 8)
    for work, peer, least in (("softmax", "sdpa", 1.1), ("softcap", "eager", 4), ("alibi_learned", "eager", 4),
                              ("sigmoid", "eager", 4), ("rbf_learned", "eager", 4)):
        inputs = {**{x: tokens(heads, n, 64, k) for k, x in enumerate("QKV")}, **extra.get(work, {})}
        calls = {peer: peers.training(work, inputs, threads, slope)}
        text = SPECS[work].replace("V * softmax(S)", "V * softmax(S), lse = logsumexp(S)")  # as every fused peer keeps
        for jit in ("cc", "tcc"):
            loaded = gram.load(text=text, jit=jit, threads=threads)
            calls[jit] = lambda loaded=loaded: loaded.grad(inputs, dO=slope, **loaded(inputs))
        yield Row(f"{work}, forward and backward", (4 + 10) * heads * n * n * 64, calls, [("cc", (peer,), least)])


def one_head(threads):
    """One head on two threads against one."""
    if threads != 2:
        return
    n, d = 8192, 64
    inputs = attention_inputs(n, n, d, 1, 1)
    calls = {f"cc, {t} threads": kernel(SPECS["softmax"], inputs, t, "cc", heads=1, groups=1) for t in (1, 2)}
    yield Row("one head, n = 8,192", 4 * n * n * d, calls, [("cc, 2 threads", ("cc, 1 threads",), 1.8)],
              exact.attention("softmax", inputs))


def plain_program(threads):
    """Emitted C, built and called by itself."""
    if threads != 1:
        return
    n, d, heads = 2048, 64, 8
    inputs, options = attention_inputs(n, n, d, heads, heads), dict(d=d, heads=heads, groups=heads)
    calls = {"cc": kernel(SPECS["softmax"], inputs, 1, "cc", **options),
             "emitted": emitted.attention(os.path.join(BUILD, "gram"), SPECS["softmax"], inputs, **options)}
    yield Row("emitted C, softmax", 4 * heads * n * n * d, calls, [("emitted", ("cc",), 0.97)],
              exact.attention("softmax", inputs))


def narrow(threads):
    """AVX2 forced. Where MKL is to be held to it too it must be told before it starts: see `make bench`."""
    if threads != 1 or os.environ.get("GRAM_ISA") != "avx2":
        return
    n, d, heads = 2048, 64, 8
    inputs, options = attention_inputs(n, n, d, heads, heads), dict(d=d, heads=heads, groups=heads)
    calls = {"cc": kernel(SPECS["softmax"], inputs, 1, "cc", flags="-O3 -march=x86-64-v3", **options),
             "tcc": kernel(SPECS["softmax"], inputs, 1, "tcc", **options)}
    yield Row("softmax, AVX2", 4 * heads * n * n * d, calls, [("cc", ("matmul",), 0.75)],
              exact.attention("softmax", inputs))


def first_call(threads):
    """From the spec's text to the result, and the tenth call; FlexAttention's first call compiles too."""
    n, d, heads = 512, 64, 8
    inputs = attention_inputs(n, n, d, heads, heads)

    def fresh():
        start = time.perf_counter()
        text = f"-- {random.random()}\n{SPECS['softcap']}"  # never loaded before
        loaded = gram.load(text=text, threads=threads)
        loaded(inputs)
        first = time.perf_counter() - start
        for _ in range(9):
            start = time.perf_counter()
            loaded(inputs)
        return first, time.perf_counter() - start
    first, tenth = min(fresh() for _ in range(5))
    yield Row("spec text to result, n = 512", 0, {}, [("tcc", ("flex",), 500)],
              once={"tcc": first, "tcc, tenth call": tenth, "flex": peers.first_flex(inputs, threads)})


# The peak since the process began to run Python: what it was forked from does not count.
PEAK = """import sys
sys.path.insert(0, sys.argv[1])
import gram, numpy
n = 1000000
x = [numpy.ones((1, 1, n, 64), numpy.float32) for _ in range(4)]
kernel = gram.load(text=sys.stdin.read(), jit="cc", threads=1, set=dict(heads=1, groups=1))
out = kernel(Q=x[0], K=x[1], V=x[2], out={"O": x[3]})
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak * 1024 / (4 * x[0].nbytes))"""


def million(threads):
    """A window of 256 over a million tokens: three times its arrays against the peak of the whole process."""
    if threads != 1:
        return
    result = subprocess.run([sys.executable, "-c", PEAK, os.path.join(BUILD, "python")], input=SPECS["window"], text=True,
                            capture_output=True, check=True)
    yield Row("window of 256, n = 1,000,000: memory", 0, {}, [("cc", ("limit",), 1)],
              once={"cc": float(result.stdout), "limit": 3}, unit="x its arrays")


ROWS = [softmax, wide_heads, causal, variants, head_sizes, random_formulas, window, million, coefficients, decode, linear,
        circulant, spikes, project, small, training, one_head, plain_program, narrow, first_call]
