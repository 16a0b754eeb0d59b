"""gram: attention kernels from formulas, in process.

    import gram
    k = gram.load("specs/x.lua", jit="tcc", threads=2, set={"d": 64})
    out = k(Q=q, K=k_, V=v)            # a dict of arrays, no copies where strides allow
    print(k.plan, k.source)
"""
from ._gram import Error, Kernel, Port, __version__, load, read

__all__ = ["Error", "Kernel", "Port", "__version__", "load", "read"]
