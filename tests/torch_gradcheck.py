"""gram.torch under PyTorch's own gradcheck, first and second derivatives. Nothing is tested where torch is missing."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, os.environ.get("B", "build"), "python"))
try:
    import torch
except ImportError:
    print("torch is not here\n0 passed, 0 failed")
    sys.exit(0)
import gram
import gram.torch

passed = failed = 0


def check(name, held):
    global passed, failed
    passed, failed = passed + bool(held), failed + (not held)
    if not held:
        print("failed:", name)


def inputs_of(kernel, sizes):
    """A random tensor for each input, of the shape that its port says."""
    torch.manual_seed(1)
    given = {}
    for port in kernel.inputs:
        shape = [int(sizes.get(axis, axis)) for axis in port.shape.strip("[]").split(", ") if axis]
        given[port.name] = (torch.randint(0, 2, shape) if port.integer else torch.randn(*shape, dtype=torch.float64)).requires_grad_(not port.integer)
    return given


def gradcheck(spec, second=True, **options):
    kernel = gram.load(os.path.join(ROOT, "specs", spec + ".lua"), dtype="f64", threads=1, set=options)
    given = inputs_of(kernel, {"batch": 2, "n": 3, "m": 4, "k": 2})
    f = gram.torch.function(kernel)

    def outputs(*values):
        out = f(**dict(zip(given, values)))
        return out if isinstance(out, torch.Tensor) else tuple(out.values())
    check(spec, torch.autograd.gradcheck(outputs, tuple(given.values()), raise_exception=False))
    if second:
        check(spec + ", twice", torch.autograd.gradgradcheck(outputs, tuple(given.values()), raise_exception=False))


def against_autograd():
    """The same formula in torch: the same value and gradients, in single precision, with a tensor that serves all items."""
    kernel = gram.load(os.path.join(ROOT, "specs", "gqa_softcap.lua"))
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
        check("the value", torch.allclose(*both(*values), atol=1e-5))
        for mine, theirs in zip(*gradients):
            check("a gradient as torch's", mine.shape == theirs.shape and torch.allclose(mine, theirs, atol=1e-4))


for spec in ("attention", "sigmoid", "rbf", "alibi", "relative", "knowledge_learned", "identity", "gqa_softcap", "documents"):
    small = {"d": 2} if spec not in ("alibi",) else {}
    gradcheck(spec, **{name: 2 for name in small})
against_autograd()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
