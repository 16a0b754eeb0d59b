"""Kernels as functions of PyTorch that autograd differentiates.

    import gram, gram.torch
    attention = gram.torch.function(gram.load("specs/attention.lua"))
    f = attention(X=x, WQ=wq, WK=wk, WV=wv)    # a kernel of one output: its tensor; of several: a dict
    f.sum().backward()

Tensors are on the CPU and are not copied where their type is the kernel's. The backward pass is a kernel too, made when
it is first needed, for the inputs that need it, and reads what the forward pass gave rather than compute it again;
being a function of this kind itself, it can be differentiated again.
"""
import torch


def _tensor(array):
    """An output as a tensor; numpy holds bfloat16 as integers of its bits."""
    tensor = torch.from_dlpack(array)
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.uint16 else tensor


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernel, gives, names, *tensors):
        ctx.kernel, ctx.gives, ctx.names = kernel, gives, names  # gives: the gradient takes the outputs
        out = kernel({name: tensor.detach() for name, tensor in zip(names, tensors)})
        out = tuple(_tensor(out[port.name]) for port in kernel.outputs)
        ctx.save_for_backward(*tensors, *out)
        return out

    @staticmethod
    def backward(ctx, *slopes):
        given = dict(zip(ctx.names, ctx.saved_tensors))
        gives = ctx.gives and all(slope is None or slope.element_size() > 2 for slope in slopes)  # 16 bits are too few
        needed = [name for name, needs in zip(ctx.names, ctx.needs_input_grad[3:]) if needs]
        tensors, out = ctx.saved_tensors[:len(ctx.names)], ctx.saved_tensors[len(ctx.names):]
        for port, value, slope in zip(ctx.kernel.outputs, out, slopes):
            if gives:
                given[port.name] = value.detach()
            if slope is not None:
                given["d" + port.name] = slope
        gradient = ctx.kernel.gradient(*needed, given=gives)
        found = dict(zip((port.name[1:] for port in gradient.outputs), _Function.apply(gradient, False, tuple(given), *given.values())))
        return (None, None, None) + tuple(_like(found.get(name), tensor) for name, tensor in zip(ctx.names, tensors))


def _like(gradient, tensor):
    """The gradient of a tensor that serves every item is the sum of the items' own."""
    return gradient if gradient is None else gradient.sum_to_size(tensor.shape)


def function(kernel):
    """The kernel as a function of its inputs by name."""
    def call(**tensors):
        given = {name: torch.as_tensor(value) for name, value in tensors.items()}
        out = _Function.apply(kernel, True, tuple(given), *given.values())
        return out[0] if len(out) == 1 else {port.name: value for port, value in zip(kernel.outputs, out)}
    return call
