"""What gram is measured against: the same work in PyTorch (its fused attention, compiled FlexAttention, eager formulas)
and onnxruntime. Every function gives {name: function of no arguments}; what takes part is imported when it is asked
for."""
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F

warnings.filterwarnings("ignore")


def tensors(inputs, threads):
    torch.set_num_threads(threads)
    return [torch.from_numpy(np.ascontiguousarray(inputs[x])) for x in "QKV"]


def onnx_attention(inputs, threads):
    """com.microsoft.MultiHeadAttention, which wants tokens with their heads side by side."""
    import onnxruntime as ort
    from onnx import TensorProto, helper
    batch, heads, n, d = inputs["Q"].shape
    shape = [batch, n, heads * d]
    values = [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape) for x in "QKVO"]
    node = helper.make_node("MultiHeadAttention", list("QKV"), ["O"], domain="com.microsoft", num_heads=heads)
    model = helper.make_model(helper.make_graph([node], "g", values[:3], values[3:]), ir_version=10,
                              opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)])
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads > 1 else "1")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {x: np.ascontiguousarray(inputs[x].transpose(0, 2, 1, 3)).reshape(shape) for x in "QKV"}
    return lambda: session.run(None, feed)[0].reshape(batch, n, heads, d).transpose(0, 2, 1, 3)


def flex_attention(work, inputs, threads):
    """Compiled FlexAttention with the work's change of scores or its block mask, made beforehand."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention as flex
    q, k, v = tensors(inputs, threads)
    heads, n = q.shape[1], q.shape[2]
    slope = torch.exp2(-8 * torch.arange(1, heads + 1) / heads)
    table = torch.from_numpy(inputs["table"]) if "table" in inputs else None
    doc = torch.from_numpy(inputs["doc"][0]) if "doc" in inputs else None
    scores = {"softcap": lambda s, b, h, i, j: 20 * torch.tanh(s / 20),
              "alibi": lambda s, b, h, i, j: s - slope[h] * (i - j).abs(),
              "relative": lambda s, b, h, i, j: s + table[h, j - i + n - 1]}
    masks = {"documents": lambda b, h, i, j: doc[i] == doc[j], "window": lambda b, h, i, j: (i >= j) & (i - j < 256)}
    options = {"score_mod": scores[work]} if work in scores else {}
    if work in masks:
        options["block_mask"] = create_block_mask(masks[work], None, None, n, n, device="cpu")
    compiled = torch.compile(flex)
    compiled(q, k, v, **options)
    return lambda: compiled(q, k, v, **options)


def first_flex(inputs, threads):
    """Seconds of FlexAttention's first call with a soft cap: nothing compiled before is at hand."""
    import torch._inductor.config as config
    torch._dynamo.reset()
    kept, config.force_disable_caches = config.force_disable_caches, True
    start = time.perf_counter()
    flex_attention("softcap", inputs, threads)
    config.force_disable_caches = kept
    return time.perf_counter() - start


def circulant(inputs, threads):
    """V times the circulant matrix of w, along the tokens of [heads, n, d]."""
    torch.set_num_threads(threads)
    v, w = (torch.from_numpy(inputs[x]) for x in "Vw")
    n = v.shape[-2]
    return {"torch.fft": lambda: torch.fft.irfft(torch.fft.rfft(w).conj()[..., None] * torch.fft.rfft(v, dim=-2), n=n, dim=-2)}


def eager(work, inputs, threads):
    q, k, v = tensors(inputs, threads)
    d, turned = q.shape[-1], k.transpose(-1, -2)
    if work == "sigmoid":
        return lambda: torch.sigmoid(q @ turned / d**0.5) @ v
    return lambda: torch.exp(-(q.square().sum(-1, keepdim=True) + k.square().sum(-1)[..., None, :] - 2 * q @ turned) / d) @ v


def attention(work, inputs, threads, names):
    def sdpa():
        q, k, v = tensors(inputs, threads)
        grouped = q.shape[1] != k.shape[1]
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=work == "causal", enable_gqa=grouped)

    makers = {"sdpa": sdpa, "ort": lambda: onnx_attention(inputs, threads),
              "flex": lambda: flex_attention(work, inputs, threads), "eager": lambda: eager(work, inputs, threads)}
    return {name: makers[name]() for name in names}


def training(work, inputs, threads, slope):
    """Forward and backward by autograd: PyTorch's fused attention, or the formula as a user writes it."""
    torch.set_num_threads(threads)
    given = {x: torch.from_numpy(a).requires_grad_() for x, a in inputs.items()}
    slope = torch.from_numpy(slope)
    n = given["Q"].shape[2]
    distance = (torch.arange(n)[:, None] - torch.arange(n)).abs()

    def scores(Q, K):
        return Q @ K.transpose(-1, -2) / Q.shape[-1]**0.5

    formulas = {
        "softmax": lambda Q, K, V: F.scaled_dot_product_attention(Q, K, V),
        "softcap": lambda Q, K, V: torch.softmax(20 * torch.tanh(scores(Q, K) / 20), -1) @ V,
        "alibi_learned": lambda Q, K, V, slope: torch.softmax(scores(Q, K) - slope[:, None, None] * distance, -1) @ V,
        "sigmoid": lambda Q, K, V: torch.sigmoid(scores(Q, K)) @ V,
        "rbf_learned": lambda Q, K, V, gamma: torch.exp(-gamma[:, None, None] * torch.cdist(
            Q, K, compute_mode="use_mm_for_euclid_dist").square()) @ V,
    }

    def run():
        out = formulas[work](**given)
        return torch.autograd.grad(out, tuple(given.values()), slope)
    return run


def order8(inputs, threads):
    """As a user writes it: the chain in its best association, head by head."""
    torch.set_num_threads(threads)
    Y, V, A = (torch.from_numpy(inputs[x]) for x in ("Y", "V", "A"))
    n, heads = Y.shape[2], Y.shape[1]

    def head(h):
        y = Y[0, h]
        chain = [y]
        for _ in range(4):
            chain += [A, y.T, y]
        return torch.tanh(torch.linalg.multi_dot(chain[:-1]) / n**3.5).T @ V[0, h]
    return {"eager": lambda: torch.stack([head(h) for h in range(heads)])[None]}


def project(inputs, threads):
    torch.set_num_threads(threads)
    X, W, b = (torch.from_numpy(inputs[x]) for x in ("X", "W", "b"))
    return {"eager": lambda: F.gelu(F.linear(X, W, b))}


def read(bytes, threads):
    """A plain read of as many bytes."""
    torch.set_num_threads(threads)
    data = torch.ones(bytes // 4)
    return lambda: data.sum()


def matmul(threads):
    """A product of 2,048 x 2,048 matrices, and its flops."""
    torch.set_num_threads(threads)
    a, b, c = (torch.rand(2048, 2048) for _ in range(3))
    return (lambda: torch.mm(a, b, out=c)), 2 * 2048**3
