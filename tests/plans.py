"""What specs plan to: streamed or dense, how many flops, how much workspace; and that gram does not change its mind.

Only a sigma inside a sigma goes dense, and what compares all keys of a query. Forms of one formula cost the same. At
32,768 tokens the workspace of every streamed spec is less than twice its arrays. (memory.py runs them.) At 65,536 so is
that of its gradient, but for those of LARGER, each with its own bound.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import DENSE, WIDE, array_bytes, gram, has_pair_array, load, shape_of, specs, starts_of  # noqa: E402
from command import ROOT, Tally  # noqa: E402
from command import gram as command  # noqa: E402
from linear import LINEAR, load_form  # noqa: E402

# The same work written in two ways; and orders of eq. (3.2), which differ by what has no n squared in it.
EQUAL = [("quadratic", 0.001, """
local d, d1 = 64, 64
local X = tokens("X", d, "n")
local WQ, WK = matrix("WQ", d1, d), matrix("WK", d1, d)
return kernel("equivalent", { O = X * softmax(X:t() * WK:t() * WQ * X / sqrt(d1)) })
"""), ("multihead", 0.02, "multihead_heads"), ("order2", 0.05, "order4"), ("order2", 0.05, "order8")]

# Gradients that need more than three times their arrays. A deep one keeps what each of its layers needs; heads as an axis
# are all under way at once; the others hold some projections more.
LARGER = {"heads_differ": 3.4, "order_mixed": 3.5, "knowledge": 3.6, "primal_layers": 4.7, "cat_alter": 4.8,
          "transformer": 5.5, "multihead_heads": 6.6, "layers": 8.6}


def plan_of(spec, *words):
    return command("show", os.path.join(ROOT, "specs", spec + ".lua"), *words).stdout


def sizes_of(kernel, length):
    return {"batch": 1, **{s: 64 if s == "k" else length for s in kernel.sizes}}


def cost(kernel, length):
    """Operations and workspace at that many tokens; of zeros, which take no memory."""
    sizes = sizes_of(kernel, length)
    given = {p.name: np.zeros(shape_of(p, sizes), np.int32 if p.integer else np.float32) for p in kernel.inputs}
    return kernel.cost({**given, **{p.name: starts_of(sizes) for p in kernel.inputs if p.kind == "starts"}})


def test_templates(tally):
    for spec in specs():
        for kind in ("f32", "f64"):
            line = plan_of(spec, "--dtype", kind).split("\n")[0]
            want = f"{spec}: {'dense' if spec in DENSE else 'streamed'}, {kind}"
            tally.expect(line == want, f"{spec} plans to '{line}', expected '{want}'")


def test_operations(tally):
    for first, within, second in EQUAL:
        other = gram.load(text=second) if "\n" in second else load(second)
        a, b = (cost(kernel, 4096)["operations"] for kernel in (load(first), other))
        tally.expect(a > 0 and abs(a - b) <= within * a, f"{first} takes {a:.4g} operations, {other.name} {b:.4g}")
    a, b = (cost(load("identity"), n)["operations"] for n in (4096, 8192))
    tally.expect(b < 2.1 * a, f"identity takes {a:.4g} operations for 4,096 tokens and {b:.4g} for 8,192: not O(n)")


def grows(kernel):
    """What four times the tokens cost, in what a fourth of them does."""
    a, b = (cost(kernel, n)["operations"] for n in (2048, 8192))
    return b / a


def test_linear(tally):
    """What is linear in the tokens has a gradient that is, too. (cat_causal's softmax is dense there.)"""
    kernels = {spec: load(spec) for spec in specs() if spec != "cat_causal"}
    kernels = {spec: k for spec, k in kernels.items() if k.sizes and not has_pair_array(k) and grows(k) < 4.1}
    tally.expect({"decay", "identity", "linear_attention", "linear_causal", "primal", "time_kernel"} <= set(kernels),
                 f"of the specs only {', '.join(kernels)} are linear")
    kernels.update({form: load_form(form) for form in LINEAR})
    for name, kernel in kernels.items():
        for what, k in (("", kernel), ("'s gradient", kernel.gradient())):
            tally.expect(grows(k) < 4.1, f"{name}{what}: four times the tokens cost {grows(k):.1f} times as much")


def test_integers(tally):
    """k + 0 and 1 k of integers are k."""
    text = """local X = tokens("X", 4, "n")
return kernel("integers", { O = X * softmax(keep(function(i, j) return le(%s, %s) end, X:t() * X)) })"""
    plans = [gram.load(text=text % sides).plan for sides in (("i", "j"), ("i * 1 + 0", "0 + 1 * j"))]
    tally.expect(plans[0] == plans[1], f"{plans[1]} is not planned as {plans[0]}")


def test_workspace(tally):
    for spec in specs():
        kernel = load(spec)
        if spec not in DENSE | WIDE and kernel.sizes and not has_pair_array(kernel):
            arrays = array_bytes(kernel, sizes_of(kernel, 32768))
            part = cost(kernel, 32768)["workspace"] / arrays
            print(f"{spec:20} arrays {arrays / 2**20:6.1f} MiB  workspace {part:.2f} x")
            tally.expect(part < 2, f"{spec}: arrays and workspace are {1 + part:.1f} x its arrays")


def test_gradient_workspace(tally):
    for spec in specs():
        kernel = load(spec)
        if spec in DENSE | WIDE or not kernel.sizes or has_pair_array(kernel):
            continue
        gradient = kernel.gradient()
        arrays = array_bytes(gradient, sizes_of(gradient, 65536))
        part = 1 + cost(gradient, 65536)["workspace"] / arrays
        print(f"{spec:20} gradient: arrays {arrays / 2**20:6.1f} MiB  with workspace {part:.2f} x")
        tally.expect(part < LARGER.get(spec, 3), f"{spec}'s gradient: arrays and workspace are {part:.2f} x its arrays")


def test_determinism(tally):
    """The same bytes twice, from another folder, with other threads."""
    for spec in specs():
        path = os.path.join(ROOT, "specs", spec + ".lua")
        texts = {command("show", path, "--stage", "c", *words, cwd=cwd).stdout
                 for words, cwd in (((), ROOT), ((), "/"), (("--threads", "1"), ROOT))}
        tally.expect(len(texts) == 1 and texts.pop(), f"{spec}: its C differs from run to run")


def main():
    tally = Tally()
    test_templates(tally)
    test_operations(tally)
    test_linear(tally)
    test_integers(tally)
    test_workspace(tally)
    test_gradient_workspace(tally)
    test_determinism(tally)
    tally.end()


main()
