"""Bad inputs of gram run: each gives exactly one line, the exit status, and leaves no output file behind.

A case is (what it is about, arguments, exit status, the line; HERE stands for the current folder). Arrays are made
below; to add a case, add a row.
"""
import io
import os
import subprocess
import sys
import tempfile

import numpy as np

GRAM = os.path.abspath("build/gram")

SPEC = """
local Q = tokens("Q", 4, "n", { heads = 2 })
local K = tokens("K", 4, "m", { heads = 1 })
local W = matrix("W", 4, 4)
local c = scalar("c")
local doc = ids("doc", "m", { below = 3 })
local len = count("len")
local S = keep(function(i, j) return lt(i, len) & lt(doc(i), 2) end, K:t() * W * Q * c)
return kernel("bad", { O = K * softmax(S), lse = logsumexp(S) })
"""


def npy(header, data=b"", magic=b"\x93NUMPY", version=b"\x01\x00", length=None):
    """A .npy file by hand."""
    text = header.encode()
    return magic + version + (len(text) if length is None else length).to_bytes(2, "little") + text + data


def saved(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


random = np.random.default_rng(1)


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


GOOD = {"Q": real(2, 5, 4), "K": real(1, 6, 4), "W": real(4, 4), "c": real(), "doc": np.array([0, 1, 2, 0, 1, 2]),
        "len": np.array(4)}
HEADER = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n"
FILES = {
    "Q3.npy": real(5, 4), "Qd.npy": real(2, 5, 3), "Qh.npy": real(3, 5, 4), "Qb.npy": real(2, 2, 5, 4),
    "Kb.npy": real(3, 1, 6, 4), "K5.npy": real(1, 5, 4), "K2.npy": real(2, 6, 4), "Qi.npy": np.ones((2, 5, 4), np.int64),
    "W3.npy": real(4, 3), "c2.npy": real(2), "docf.npy": real(6), "doc9.npy": np.array([0, 1, 9, 0, 1, 2]),
    "doc-1.npy": np.array([0, 1, 2, 0, 1, -1]), "doc5.npy": np.zeros(5, np.int32),
    "lenbig.npy": np.array(2**31), "Qc.npy": np.ones((2, 5, 4), np.complex64),
    "empty.npy": b"", "magic.npy": b"not an array at all", "text.npy": npy("", length=0, magic=b"\x93NUMPX"),
    "cut.npy": saved(real(2, 5, 4))[:-8], "header.npy": npy(HEADER % ("<f4", "(2, 5, 4)"), length=500),
    "version.npy": npy(HEADER % ("<f4", "(2, 5, 4)"), version=b"\x09\x00"),
    "object.npy": npy(HEADER % ("|O", "(2, 5, 4)")), "record.npy": npy("{'descr': [('a', '<f4')], 'fortran_order': "
                                                                         "False, 'shape': (2,), }\n"),
    "negative.npy": npy(HEADER % ("<f4", "(2, -5, 4)")), "huge.npy": npy(HEADER % ("<f4", "(2, 4611686018427387904, 4)")),
    "nodict.npy": npy("(2, 5, 4)\n"), "noshape.npy": npy("{'descr': '<f4', 'fortran_order': False, }\n"),
    "many.npy": npy(HEADER % ("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), b"\0" * 4),
    "tall.npy": npy(HEADER % ("<f4", "(0, 4611686018427387904, 4)")),
}

OUT = "O=o.npy lse=lse.npy"
CASES = [
    ("an unknown name", "X=Q.npy " + OUT, 1, "error: bad has no array X (Q.npy): its inputs are Q, K, W, c, doc, len, "
     "its outputs O, lse"),
    ("a missing input", "-Q " + OUT, 1, "error: the input Q [batch, 2, n, 4] is missing"),
    ("a name twice", "Q=Q.npy " + OUT, 1, "error: Q (Q.npy) is given twice"),
    ("too few axes", "Q=Q3.npy " + OUT, 1, "error: Q (Q3.npy) is f4 [5, 4]: expected [batch, 2, n, 4]"),
    ("a wrong feature count", "Q=Qd.npy " + OUT, 1, "error: Q (Qd.npy) is f4 [2, 5, 3]: expected [batch, 2, n, 4]"),
    ("a wrong head count", "Q=Qh.npy " + OUT, 1, "error: Q (Qh.npy) is f4 [3, 5, 4]: expected [batch, 2, n, 4]"),
    ("declared heads make an axis", "K=K2.npy " + OUT, 1, "error: K (K2.npy) is f4 [2, 6, 4]: expected [batch, 1, m, 4]"),
    ("sizes that disagree", "K=K5.npy " + OUT, 1, "error: m is 5 in K (K5.npy) and 6 in doc (doc.npy)"),
    ("ids that disagree", "doc=doc5.npy " + OUT, 1, "error: m is 6 in K (K.npy) and 5 in doc (doc5.npy)"),
    ("batches that disagree", "Q=Qb.npy K=Kb.npy " + OUT, 1, "error: batch is 2 in Q (Qb.npy) and 3 in K (Kb.npy)"),
    ("a wrong weight", "W=W3.npy " + OUT, 1, "error: W (W3.npy) is f4 [4, 3]: expected [4, 4]"),
    ("two numbers as a scalar", "c=c2.npy " + OUT, 1, "error: c (c2.npy) is f4 [2]: expected [] or [1]"),
    ("integers for reals", "Q=Qi.npy " + OUT, 1, "error: Q (Qi.npy) is i8 [2, 5, 4]: expected floats [batch, 2, n, 4]"),
    ("reals for integers", "doc=docf.npy " + OUT, 1,
     "error: doc (docf.npy) is f4 [6]: expected integers or booleans [batch, m]"),
    ("an id too large", "doc=doc9.npy " + OUT, 1, "error: doc (doc9.npy)[2] is 9: expected 0 to 2"),
    ("a negative id", "doc=doc-1.npy " + OUT, 1, "error: doc (doc-1.npy)[5] is -1: expected 0 to 2"),
    ("a count beyond int32", "len=lenbig.npy " + OUT, 1,
     "error: len (lenbig.npy): the value 2147483648 at [0] does not fit type i4"),
    ("no such file", "Q=none.npy " + OUT, 1,
     "error: none.npy: No such file or directory"),
    ("a folder", "Q=. " + OUT, 1,
     "error: .: Is a directory"),
    ("an empty file", "Q=empty.npy " + OUT, 1,
     "error: empty.npy: truncated .npy file: its magic has 0 bytes, 8 are expected"),
    ("no .npy", "Q=magic.npy " + OUT, 1,
     "error: magic.npy: not a .npy file"),
    ("a wrong magic", "Q=text.npy " + OUT, 1,
     "error: text.npy: not a .npy file"),
    ("cut data", "Q=cut.npy " + OUT, 1,
     "error: cut.npy: truncated .npy file: its data has 152 bytes, 160 are expected"),
    ("a cut header", "Q=header.npy " + OUT, 1,
     "error: header.npy: truncated .npy file: its header has 63 bytes, 500 are expected"),
    ("an unknown version", "Q=version.npy " + OUT, 1,
     "error: version.npy: version 9.0 of .npy is not supported: 1.0, 2.0 and 3.0 are"),
    ("Python objects", "Q=object.npy " + OUT, 1,
     "error: object.npy: dtype object is not supported"),
    ("a structured type", "Q=record.npy " + OUT, 1,
     "error: record.npy: a structured dtype is not supported: [('a', '<f4')], 'fortran_order': False, 'shape': "
     "(2,), }"),
    ("complex numbers", "Q=Qc.npy " + OUT, 1,
     "error: Qc.npy: dtype '<c8' is not supported: booleans, integers and floats of up to 8 bytes are"),
    ("a negative shape", "Q=negative.npy " + OUT, 1,
     "error: negative.npy: a negative size in its shape: -5, 4), }"),
    ("a shape that overflows", "Q=huge.npy " + OUT, 1,
     "error: huge.npy: its shape is too large"),
    ("a header that is no dictionary", "Q=nodict.npy " + OUT, 1,
     "error: nodict.npy: malformed header: (2, 5, 4)"),
    ("a header without shape", "Q=noshape.npy " + OUT, 1,
     "error: noshape.npy: its header has no 'shape'"),
    ("too many axes", "Q=many.npy " + OUT, 1,
     "error: many.npy: more than 8 axes are not supported"),
    ("a size that overflows outputs", "Q=tall.npy " + OUT, 1,
     "error: tall.npy: its shape is too large"),
    ("an output folder that is not there", "O=no/o.npy lse=lse.npy", 1,
     "error: no/o.npy: cannot be written: No such file or directory"),
    ("an output that is a folder", "lse=lse.npy O=folder", 1,
     "error: HERE/folder: cannot be written: Is a directory"),
    ("two outputs in one file", "O=o.npy lse=o.npy", 2,
     "gram run: O and lse cannot both be written to o.npy (see gram --help)"),
    ("an unknown option of the spec", "--set x=1 " + OUT, 1,
     "bad.lua:9: error: the spec has no option x to set"),
    ("an unknown option", "--treads 2 " + OUT, 2, "gram run: there is no option --treads (see gram --help)"),
    ("a second spec", "other.lua " + OUT, 2, "gram run: 'other.lua' is not NAME=FILE, and the spec is bad.lua "
     "(see gram --help)"),
]


def command(arguments):
    """The good inputs, replaced where the case names another array; -NAME leaves one out."""
    words = arguments.split()
    given = {w.split("=")[0] for w in words if not w.startswith("--")}
    twice = {"Q"} if "Q=Q.npy" in words else set()
    inputs = [f"{name}={name}.npy" for name in GOOD if name not in given - twice and "-" + name not in words]
    return [GRAM, "run", "bad.lua", "--jit", "reference"] + inputs + [w for w in words if w[1:] not in GOOD or w[0] != "-"]


def write_files():
    os.mkdir("folder")
    with open("bad.lua", "w") as out:
        out.write(SPEC)
    for name, content in {**{k + ".npy": v for k, v in GOOD.items()}, **FILES}.items():
        with open(name, "wb") as out:
            out.write(content if isinstance(content, bytes) else saved(content))


def check(about, arguments, status, line):
    before = sorted(os.listdir("."))
    result = subprocess.run(command(arguments), capture_output=True, text=True, timeout=20)
    faults = []
    if result.returncode != status:
        faults.append(f"exit status {result.returncode}, expected {status}")
    if result.stderr.rstrip() != line.replace("HERE", os.getcwd()):
        faults.append(f"expected {line}")
    if result.stderr.count("\n") != 1 or result.stdout:
        faults.append("more or less than one line")
    if sorted(os.listdir(".")) != before:
        faults.append(f"files left: {set(os.listdir('.')) - set(before)}")
    for fault in faults:
        print(f"{about}: {fault}\n    got {result.stderr.rstrip()}")
    if os.environ.get("SHOW"):
        print(f"{about:40} {result.stderr.rstrip()}")
    return not faults


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_files()
        good = subprocess.run(command("O=good.npy lse=good2.npy"), capture_output=True, text=True)
        passed = [good.returncode == 0 and not good.stderr and np.load("good.npy").shape == (2, 5, 4)]
        if not passed[0]:
            print(f"the good inputs: {good.stderr}")
        passed += [check(*case) for case in CASES]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    sys.exit(not all(passed))


main()
