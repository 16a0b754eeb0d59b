"""gram.torch under PyTorch's own gradcheck, first and second derivatives. Nothing is tested where torch is missing."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
try:
    import torch
except ImportError:
    print("torch is not here\n0 passed, 0 failed")
    sys.exit(0)
from arrays import gram, load, shape_of, starts_of  # noqa: E402
from command import Tally  # noqa: E402
import gram.torch  # noqa: E402

tally = Tally()


def inputs_of(kernel, sizes):
    """A random tensor for each input, of the shape that its port says."""
    torch.manual_seed(1)
    given = {}
    for port in kernel.inputs:
        shape = shape_of(port, sizes)
        random = torch.randint(0, 2, shape) if port.integer else torch.randn(shape, dtype=torch.float64)
        starts = port.kind == "starts"
        given[port.name] = torch.tensor(starts_of(sizes)) if starts else random.requires_grad_(not port.integer)
    return given


def gradcheck(spec, second=True, **options):
    kernel = load(spec, dtype="f64", threads=1, set=options)
    given = inputs_of(kernel, {"batch": 2, "n": 3, "m": 4, "k": 2})
    f = gram.torch.function(kernel)

    def outputs(*values):
        out = f(**dict(zip(given, values)))
        return out if isinstance(out, torch.Tensor) else tuple(out.values())
    tally.expect(torch.autograd.gradcheck(outputs, tuple(given.values()), raise_exception=False), spec)
    if second:
        twice = torch.autograd.gradgradcheck(outputs, tuple(given.values()), raise_exception=False)
        tally.expect(twice, spec + ", twice")


def against_autograd():
    """The same formula in torch: the same value and gradients, in single precision, with a tensor that serves all
    items."""
    kernel = load("gqa_softcap")
    q, k, v = (torch.randn(2, h, 9, 64, requires_grad=True) for h in (8, 2, 2))
    shared = torch.randn(1, 2, 9, 64, requires_grad=True)

    def formula(q, k, v):
        s = 20 * torch.tanh(q @ k.repeat_interleave(4, 1).transpose(-1, -2) / 8 / 20)
        s = s.masked_fill(~torch.tril(torch.ones(9, 9, dtype=torch.bool)), -torch.inf)
        return torch.softmax(s, -1) @ v.repeat_interleave(4, 1)

    def both(q, k, v):
        return gram.torch.function(kernel)(Q=q, K=k, V=v)["O"], formula(q, k, v.expand(2, -1, -1, -1))
    for values in ((q, k, v), (q, k, shared)):
        gradients = [torch.autograd.grad((out * torch.linspace(-1, 1, 64)).sum(), values) for out in both(*values)]
        tally.expect(torch.allclose(*both(*values), atol=1e-5), "the value")
        for mine, theirs in zip(*gradients):
            same = mine.shape == theirs.shape and torch.allclose(mine, theirs, atol=1e-4)
            tally.expect(same, "a gradient as torch's")


def halves():
    """Tensors of 16 bits: values and gradients of their own type, near those of floats."""
    for dtype, name, near in (torch.bfloat16, "bf16", 0.01), (torch.float16, "f16", 0.002):
        given = {n: torch.randn(2, h, 9, 64).to(dtype) for n, h in (("Q", 8), ("K", 2), ("V", 2))}
        found = []
        for kind, real in ("f32", torch.float32), (name, dtype):
            tensors = {n: t.to(real).requires_grad_() for n, t in given.items()}
            out = gram.torch.function(load("gqa_softcap", dtype=kind))(**tensors)["O"]
            found.append([out] + list(torch.autograd.grad((out * torch.linspace(-1, 1, 64)).sum(), tensors.values())))
        for wide, half in zip(*found):
            tally.expect(half.dtype == dtype and (half.float() - wide).norm() < near * wide.norm(), name)


for spec in ("attention", "sigmoid", "rbf", "relative", "knowledge_learned", "identity", "gqa_softcap", "documents", "packed"):
    gradcheck(spec, d=2)
gradcheck("alibi")
against_autograd()
halves()
tally.end()
