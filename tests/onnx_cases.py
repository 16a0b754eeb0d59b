"""ONNX's own test cases of its Attention operator (opsets 23 to 25) through specs/onnx.lua.

The onnx package makes the inputs and the results to expect. It is fetched from PyPI into the build folder once; where
that can't be done, nothing is tested, and it is said.
"""
import os
import subprocess
import sys
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = os.path.join(ROOT, os.environ.get("B", "build"), "onnx")
if not os.path.isdir(PACKAGES):
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", PACKAGES, "onnx==1.23.2"],
                   capture_output=True)
sys.path[:0] = [PACKAGES, os.path.join(ROOT, "tests", "lib")]
try:
    from onnx import helper
    from onnx.backend.test.case.node import collect_testcases
except ImportError:
    print("onnx is not here and could not be fetched\n0 passed, 0 failed")
    sys.exit(0)
import numpy as np  # noqa: E402

from arrays import gram, load  # noqa: E402
from command import Tally  # noqa: E402

INPUTS = ["Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen"]
OUTPUTS = ["Y", "present_key", "present_value", "qk_matmul_output"]
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


def named(names, slots, arrays):
    """The arrays of those slots that the node fills."""
    arrays = iter(arrays)
    return {name: np.asarray(next(arrays)) for name, slot in zip(names, slots) if slot}


def widened(given):
    """numpy has no bfloat16 of its own, and so no way to hand one on."""
    return {name: a.astype("f4") if a.dtype.name == "bfloat16" else a for name, a in given.items()}


def shapes(given, attributes):
    """The options that say what ONNX reads off the arrays: heads and their sizes."""
    q, v = given["Q"].shape, given["V"].shape
    if len(q) == 3:
        return {"three_d": 1, "head_size": q[2] // attributes["q_num_heads"],
                "v_head_size": v[2] // attributes["kv_num_heads"]}
    return {"q_num_heads": q[1], "kv_num_heads": v[1], "head_size": q[3], "v_head_size": v[3]}


def mask(given):
    """The options of a mask, which meets [batch, heads, n, keys] as numpy's operands meet: repeated by strides of 0."""
    if "attn_mask" not in given:
        return {}
    m, n = given["attn_mask"], given["Q"].shape[-2]
    m = m.reshape((1,) * (4 - m.ndim) + m.shape)
    heads, keys = m.shape[1], m.shape[3]
    m = np.broadcast_to(m, m.shape[:2] + (n, keys))
    given["attn_mask"] = m if heads > 1 else m[:, 0]
    past = given["past_key"].shape[2] if "past_key" in given else 0
    return {"attn_mask": 1 if m.dtype == bool else 2, "mask_heads": heads if heads > 1 else 0,
            "short_mask": int(keys != given["K"].shape[-2] + past)}


def same(got, want):
    got, limit = np.asarray(got, "f8"), TOLERANCE[want.dtype.name]
    return got.shape == want.shape and np.allclose(got, want.astype("f8"), rtol=0, atol=limit, equal_nan=True)


def run(case):
    """The outputs of the case that differ."""
    node, (inputs, outputs) = case.model.graph.node[0], case.data_sets[0]
    given, want = named(INPUTS, node.input, inputs), named(OUTPUTS, node.output, outputs)
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    options |= {**shapes(given, options), **mask(given), "past": int("past_key" in given),
                "nonpad": int("nonpad_kv_seqlen" in given)}
    options["qk_matmul_output_mode"] = options.get("qk_matmul_output_mode", 0) if "qk_matmul_output" in want else -1
    got = load("onnx", set=options)(**widened(given))
    return [name for name in want if not same(got[name], want[name])]


warnings.filterwarnings("ignore")
tally, cases = Tally(), 0
for case in collect_testcases(None):
    if not case.name.startswith("test_attention") or "expanded" in case.name:
        continue
    try:
        wrong = run(case)
    except gram.Error as error:
        wrong = [str(error)]
    cases += 1
    tally.faultless(wrong, case.name)
tally.expect(cases >= 60, f"there are {cases} cases: their names have changed")
tally.end()
