"""Every streamed spec runs at 32,768 tokens in less than three times its arrays: the peak memory of gram run, whole
process, less what the same command takes for one token (7 MB: the program, Lua, TinyCC).

Here a share of them; where GRAM_TEST=long (make test-long), every one. Specs whose caller holds an array over pairs run
at 2,048.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from arrays import DENSE, WIDE, array_bytes, has_pair_array, load, specs  # noqa: E402
from command import ALL, GRAM, ROOT, Tally  # noqa: E402

QUICK = {"identity", "rbf", "window", "linear_causal", "permutation", "documents"}

# The peak of a process counts what the one it was forked from held, so that a small one starts gram.
LAUNCH = """import posix, sys
child = posix.fork()
if not child:
    posix.dup2(posix.open("/dev/null", posix.O_WRONLY), 1)
    posix.execv(sys.argv[1], sys.argv[1:])
_, status, usage = posix.wait4(child, 0)
print(status, usage.ru_maxrss * 1024)"""


def peak(spec, sizes):
    """The exit status, what it complained of, and its peak resident memory in bytes."""
    words = ["run", os.path.join(ROOT, "specs", spec + ".lua"), "--random", *(f"{s}={n}" for s, n in sizes.items())]
    result = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCH, GRAM, *words], capture_output=True, text=True,
                            timeout=600)
    status, most = map(int, result.stdout.split())
    return status, result.stderr, most


def check(tally, spec):
    kernel = load(spec)
    n = 2048 if has_pair_array(kernel) else 32768
    sizes = {s: 64 if s == "k" else n for s in kernel.sizes}
    arrays = array_bytes(kernel, {"batch": 1, **sizes})
    status, message, most = peak(spec, sizes)
    _, _, program = peak(spec, {s: 1 for s in kernel.sizes})
    most -= program
    print(f"{spec:20} n = {n:5}  arrays {arrays / 2**20:6.1f} MiB  peak {most / 2**20:6.1f} MiB  {most / arrays:.2f} x",
          flush=True)
    tally.expect(status == 0, f"{spec}: {message}")
    tally.expect(most < 3 * arrays, f"{spec}: {most / arrays:.2f} x its arrays")


def main():
    tally = Tally()
    for spec in sys.argv[1:] or specs():
        if spec not in DENSE | WIDE and load(spec).sizes and (ALL or sys.argv[1:] or spec in QUICK):
            check(tally, spec)
    tally.end()


main()
