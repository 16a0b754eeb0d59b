"""gram: attention kernels from formulas, in process."""
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Union

# Arrays: numpy's, or whatever has the buffer protocol or DLPack on the CPU (torch, jax). Outputs are numpy arrays
# (memoryviews where numpy is missing).
Array = Any

__version__: str

class Error(ValueError):
    """A spec, an array or a compiler was at fault; in a spec, at this file and line."""
    file: Optional[str]
    line: Optional[int]

class Port(NamedTuple):
    """An input or an output of a kernel."""
    name: str
    kind: str                  # "tokens", "scores", "matrix", "vector", "scalar", "ids", "count"; "output"
    shape: str                 # "[batch, 8, n, 64]"
    integer: bool              # takes integers or booleans; otherwise floats
    key: Optional[str]         # its tensor in a weights file

class Kernel:
    """A compiled kernel. It may be called from many threads at once, and runs without Python's lock."""
    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> List[Port]: ...
    @property
    def outputs(self) -> List[Port]: ...
    @property
    def sizes(self) -> List[str]: ...
    @property
    def times(self) -> Dict[str, float]: ...
    @property
    def source(self) -> str: ...
    @property
    def c_header(self) -> str: ...
    @property
    def plan(self) -> str: ...
    @property
    def ir(self) -> str: ...
    def __call__(self, inputs: Mapping[str, Array] = ..., /, *, out: Union[None, Array, Mapping[str, Optional[Array]]] = None,
                 **arrays: Array) -> Dict[str, Array]:
        """The outputs by name. out={"O": o} computes only O, into o; out={"O": None} makes it."""
    def grad(self, inputs: Mapping[str, Array] = ..., /, **arrays: Array) -> Dict[str, Array]:
        """The gradients of sum(O * dO) by each input that takes floats: k.grad(Q=q, K=k_, V=v, dO=do)["Q"].

        With all outputs as k gave them, k.grad(Q=q, ..., dO=do, **out), what they hold is not computed again.
        """
    def gradient(self, *names: str, given: bool = False) -> "Kernel":
        """The kernel of the gradient by these inputs (none: all): it takes dO beside the inputs, and gives dQ. given: it
        takes O too."""
    def cost(self, inputs: Mapping[str, Array] = ..., /, **arrays: Array) -> Dict[str, float]:
        """What such a call takes: its "operations", the "bytes" of its inputs, and its "workspace" in bytes."""
    def weights(self, path: Union[str, os.PathLike[str]]) -> Dict[str, Array]:
        """The inputs that a .safetensors or .npz file holds, found by their key or name: k(X=x, **k.weights(path))."""

def load(spec: Union[str, os.PathLike[str]] = ..., *, text: Optional[str] = None, name: str = "spec",
         jit: Optional[str] = "tcc", cc: Optional[str] = None, flags: Optional[str] = None, threads: int = 0,
         dtype: str = "f32", set: Optional[Mapping[str, float]] = None, seconds: float = 0) -> Kernel:
    """The kernel of a spec: a file, or a text. Loading the same again compiles nothing.

    jit: "tcc" (at once), "cc" (optimised, by the system's compiler `cc` with `flags`), "reference" (double precision).
    threads: 0 is one for each CPU. dtype: "f32", "f64", "f16" or "bf16", of arrays; those of 16
    bits are computed in float32, and numpy holds bf16 as uint16. set: values of the spec's options. seconds: what the
    spec's Lua may take; 0 is 1 s.
    """

def read(path: Union[str, os.PathLike[str]], *, widen: bool = False) -> Union[Array, Dict[str, Array]]:
    """The array of a .npy file, or the arrays by name of a .safetensors or .npz file, over the mapped file.

    What is written to them stays in memory. numpy has no bfloat16: its bits come as uint16, unless widen makes 16-bit
    floats float32.
    """
