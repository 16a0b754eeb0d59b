"""Every row of every table goes through the whole pipeline: operations (runtime/ops.def), masks (the README's table,
which readme.py keeps complete), kernels by name (as coefficient names them), templates of sizes. A new row is tested
the moment it exists: nothing here lists them.
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import ALL, ROOT, Tally, check, gram, spec_path  # noqa: E402

# How an operation is written where it is not NAME(operands).
WRITTEN = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "pow": "abs({}) ^ {}", "fdiv": "{} // {}",
           "fmod": "{} % {}", "idiv": "{} // {}", "imod": "{} % {}", "neg": "-{}", "and": "{} & {}", "or": "{} | {}", "not": "~{}"}
# Conversions have no name in the language: integers become real where they meet reals.
SILENT = {"real": "1.0 * {}", "int": None}
ANY = {"R": ["a", "b", "(a - b)"], "I": ["(i - j)", "j", "(i + 3)"], "B": ["lt(a, b)", "lt(i, j)", "eq(i, 2)"]}
POSITIVE = {**ANY, "R": ["(abs(a) + 0.25)", "(abs(b) + 0.75)", "a"]}
CC = ["--cc", "gcc -O1 -march=native -std=c11 -Wall -Wextra -Wpedantic -Werror"]


def operations():
    """Name, result, operands of each row."""
    with open(os.path.join(ROOT, "runtime", "ops.def")) as rows:
        return re.findall(r"^OP\(\w+, (\w+), (\w), (\w+),", rows.read(), re.M)


def written(name, operands, values):
    """The operation in the language, of values by their type; None where it cannot be asked for."""
    plain = name[1:] if "I" in operands and name.startswith("i") and name not in WRITTEN else name
    form = SILENT.get(name, WRITTEN.get(plain, plain + "(" + ", ".join(["{}"] * len(operands)) + ")"))
    return form and form.format(*(values[letter][k] for k, letter in enumerate(operands)))


def operation_spec(name, result, operands):
    """The entries as they are, NaN and all; and sums over keys of what is certain to be a number."""
    real = {"R": "{}", "I": "0.5 * ({})", "B": "where({}, 1.5, -0.5)"}[result]
    entry, term = (real.format(written(name, operands, values)) for values in (ANY, POSITIVE))
    arguments = "a, b, i, j"
    return f"""
local A, B = scores("A", "m", "n"), scores("B", "m", "n")
local V = tokens("V", 5, "m")
local P = map(function({arguments}) return {entry} end, A, B)
local N = map(function({arguments}) return {term} end, A, B)
return kernel("op_{name}", {{ P = P, S = V * N, L = sum(N) }})
"""


def test_operations(tally, words):
    for name, result, operands in operations():
        if written(name, operands, ANY):
            tally.faultless(check(operation_spec(name, result, operands), *words), f"operation {name}")


def rows_of_readme(title):
    """What stands in the first cells of the table that follows a line."""
    with open(os.path.join(ROOT, "README.md")) as text:
        table = text.read().split(title, 1)[1].lstrip().split("\n\n")[0]
    return [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def mask(row):
    """A mask of the README's table with arguments: numbers, ids for doc, two masks for '...'."""
    name, _, arguments = row.partition("(")
    values = {"doc": "doc", "...": "causal, prefix(3)"}
    given = [values.get(a.strip(), "3") for a in arguments.rstrip(")").split(",")] if arguments else []
    return f"{name}({', '.join(given)})" if arguments else name


def mask_spec(text):
    return f"""
local K, Q, V = tokens("K", 6, "n", {{ heads = 2 }}), tokens("Q", 6, "n", {{ heads = 2 }}), tokens("V", 5, "n")
local doc = ids("doc", "n", {{ below = 3 }})
local S = keep({text}, K:t() * Q)
return kernel("mask", {{ O = V * softmax(S), R = V * tanh(S), S = S, L = logsumexp(S), D = map(function(x, i) return x + doc(i) end, V:t()) }})
"""


def test_masks(tally, words):
    rows = rows_of_readme("For `keep`, key i and query j:\n")
    tally.expect(len(rows) >= 10, f"the README's table of masks has {len(rows)} rows")
    for row in rows:
        for text in (mask(row), f"none_of({mask(row)})"):
            tally.faultless(check(mask_spec(text), *words), f"mask {text}")


def kernels():
    """Their names, from the error that lists them."""
    with tempfile.TemporaryDirectory() as folder:
        text = 'local X = tokens("X", 4, "n")\nreturn kernel("x", { O = X * coefficient { X, kernel = "?" } })\n'
        message = gram("show", spec_path(text, folder)).stderr
    return re.findall(r"\w+", message.split("kernel is ", 1)[1].split(", not ")[0].replace(" or ", ", "))


def coefficient_spec(kernel, sigma, order, heads):
    return f"""
local Y = tokens("Y", 6, "n") / sqrt(6 * (1 + size("n")))
local X = tokens("X", 5, "n")
return kernel("g", {{ O = X * coefficient {{ Y, order = {order}, kernel = "{kernel}", sigma = {sigma}, heads = {heads} }} }})
"""


# Finite everywhere, as a sigma has to be; the others of one operand are tested as operations.
def sigmas():
    bounded = [n for n, r, o in operations() if r == "R" and o == "R" and n not in ("log", "log1p", "sqrt", "rsqrt", "neg")]
    return ["softmax"] + [n for n in bounded if n not in ("floor", "ceil", "round", "sign")]


def test_coefficients(tally, words):
    names = kernels()
    tally.expect("inner" in names and len(names) >= 6, f"kernels are {names}")
    cases = [(k, s, o, h) for o in (2, 4, 8) for k in names for s in sigmas() for h in (1, 8)]
    for n, case in enumerate(cases):
        if ALL or n % 7 == 0:
            tally.faultless(check(coefficient_spec(*case), *words), f"coefficient {case}")


def main():
    tally = Tally()
    test_operations(tally, ["--jit", "tcc"])
    test_operations(tally, ["--jit", "cc", *CC] if ALL else ["--jit", "cc", "--dtype", "f32", *CC])
    test_masks(tally, ["--jit", "tcc"])
    test_coefficients(tally, ["--jit", "tcc"])
    if ALL:
        test_masks(tally, ["--jit", "cc", *CC])
    tally.end()


main()
