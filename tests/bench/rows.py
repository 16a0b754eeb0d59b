"""The rows of the table: each is one piece of work with everybody who does it, and what gram has to reach.

A row gives its contenders, {name: function of no arguments}; "matmul" is the rate of a matrix product, which every row
has. Its targets are (contender, against, least): contender's speed is at least so many times that of the fastest of
`against`. To add a row, add a function to ROWS."""
import math
import os
import sys

import numpy as np

import peers
from specs import SPECS, random_formula

sys.path.insert(0, os.path.join(os.environ.get("GRAM_BUILD", "build"), "python"))
import gram  # noqa: E402


class Row:
    """Work to be timed; flops is one number for all its contenders."""

    def __init__(self, name, flops, contenders, targets, bytes=0, exact=None):
        self.name, self.flops, self.contenders, self.targets = name, flops, contenders, targets
        self.bytes, self.exact = bytes, exact


def tokens(heads, n, d, seed):
    return np.random.default_rng(seed).standard_normal((1, heads, n, d), dtype=np.float32)


def kernels(text, inputs, threads, backends=("cc", "tcc"), **options):
    """gram's contenders: a call of the kernel through each back end."""
    calls = {}
    for jit in backends:
        kernel = gram.load(text=text, jit=jit, threads=threads, set=options)
        calls[jit] = lambda kernel=kernel, out=kernel(inputs): kernel(inputs, out=out)
    return calls


def attention(name, work, threads=1, n=2048, m=None, d=64, heads=8, groups=None, share=1, against=(), least=None,
              matmul=None, extra=None, peer=None, backends=("cc", "tcc"), text=None):
    """Attention of n queries on m keys. share: the part of all pairs that is not masked. least and matmul: the targets
    of each back end against the peers and the matmul rate."""
    m, groups = m or n, groups or heads
    inputs = {"Q": tokens(heads, n, d, 1), "K": tokens(groups, m, d, 2), "V": tokens(groups, m, d, 3), **(extra or {})}
    calls = kernels(text or SPECS[work], inputs, threads, backends, d=d, heads=heads, groups=groups)
    calls.update(peers.attention(peer or work, inputs, threads, against))
    targets = [(jit, tuple(against), ratio) for jit, ratio in (least or {}).items()]
    targets += [(jit, ("matmul",), ratio) for jit, ratio in (matmul or {}).items()]
    return Row(name, 4 * heads * n * m * d * share, calls, targets, bytes=8 * groups * m * d)


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


def random_formulas(threads):
    rng = np.random.default_rng(5)
    extra = {"r": rng.standard_normal(2048, dtype=np.float32), "c": rng.standard_normal(2048, dtype=np.float32)}
    for seed in range(20):
        text = random_formula(seed)
        used = {k: v for k, v in extra.items() if f" {k}" in text.split("\n", 9)[-1] or True}
        yield attention(f"random formula {seed}", None, threads, text=text, extra=used, matmul=SHARE)


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
    yield Row("eq. (3.2), order 8", 4 * heads * n * n * d, calls, [("cc", ("eager",), 1.2)])


def decode(threads):
    row = attention("decode, 32 heads on 8, n = 8,192", "softmax", threads, n=1, m=8192, heads=32, groups=8,
                    against=("sdpa",), least={"cc": 3})
    row.contenders["read"] = peers.read(row.bytes, threads)
    row.targets.append(("cc", ("read",), 0.8))
    yield row


def linear(threads):
    for n in (4096, 65536):
        inputs = {"Q": tokens(1, n, 64, 1), "K": tokens(1, n, 64, 2), "V": tokens(1, n, 64, 3)}
        calls = kernels(SPECS["linear"].replace('"m"', '"n"'), inputs, threads, heads=1, groups=1)
        chunk = 64      # the least that an algorithm in chunks does: state in and out, and half a chunk of pairs
        yield Row(f"causal linear, n = {n:,}", 2 * n * 64 * (2 * 64 + chunk), calls, [("cc", ("matmul",), 0.6)])


def project(threads):
    rng = np.random.default_rng(6)
    inputs = {"X": rng.standard_normal((1, 128, 384), dtype=np.float32), "b": rng.standard_normal(1536, dtype=np.float32),
              "W": rng.standard_normal((1536, 384), dtype=np.float32) / 20}
    calls = {**kernels(SPECS["project"], inputs, threads), **peers.project(inputs, threads)}
    yield Row("project 128 x 384 x 1,536, bias, GELU", 2 * 128 * 384 * 1536, calls, [("cc", ("matmul",), 0.85)])


def small(threads):
    rng = np.random.default_rng(7)
    inputs = {x: rng.standard_normal((64, 3, 49, 32), dtype=np.float32) for x in "QKV"}
    calls = {**kernels(SPECS["softmax"], inputs, threads, d=32, heads=3, groups=3),
             **peers.attention("softmax", inputs, threads, ("sdpa",))}
    yield Row("small, 64 x 3 heads x 49 x 32", 4 * 64 * 3 * 49 * 49 * 32, calls, [("cc", ("sdpa",), 2)])


def training(threads):
    """Forward and backward, n = 2,048, d = 64, with the five products a pair that a backward pass makes at least."""
    n, heads = 2048, 8
    extra = {"alibi_learned": {"slope": np.linspace(0.1, 1, heads, dtype=np.float32)},
             "rbf_learned": {"gamma": np.full(heads, 1 / 64, dtype=np.float32)}}
    slope = tokens(heads, n, 64, 8)
    for work, peer, least in (("softmax", "sdpa", 1.1), ("softcap", "eager", 4), ("alibi_learned", "eager", 4),
                              ("sigmoid", "eager", 4), ("rbf_learned", "eager", 4)):
        inputs = {**{x: tokens(heads, n, 64, k) for k, x in enumerate("QKV")}, **extra.get(work, {})}
        calls = {peer: peers.training(work, inputs, threads, slope)}
        for jit in ("cc", "tcc"):
            kernel = gram.load(text=SPECS[work], jit=jit, threads=threads)
            calls[jit] = lambda kernel=kernel: (kernel(inputs), kernel.grad(inputs, dO=slope))
        yield Row(f"{work}, forward and backward", (4 + 10) * heads * n * n * 64, calls, [("cc", (peer,), least)])


ROWS = [softmax, wide_heads, causal, variants, head_sizes, random_formulas, window, coefficients, decode, linear, project,
        small, training]
