"""Runs every example in README.md as printed, in a scratch folder that looks like the repository.

    ```lua NAME, ```c NAME, ```python NAME    becomes the file NAME; a spec must pass gram check through TinyCC
    ```console                                lines with $ are commands, the lines below what they print, and a command
                                              must succeed unless it prints an error
    ```sh                                     commands named, not run but for make lua and python; a target must exist

In printed output a line of ... stands for any lines, numbers may differ by rounding, and so may the place of the worst.
The tables are tested too: every shipped spec has its row, every command and option is described, and so is every name
that a spec sees; the manual page has every command and option.

`readme.py --update` writes what the commands print now into the README.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from command import ROOT, Tally  # noqa: E402

README = os.path.join(ROOT, "README.md")
BUILDS = ("lua", "python")
tally = Tally()
check = tally.expect


def blocks(text):
    """Each fenced block: its kind, its name, its lines, the number of its first line."""
    fence = re.compile(r"^```(\w+) *(\S*)\n(.*?)^```$", re.M | re.S)
    for match in fence.finditer(text):
        first = text.count("\n", 0, match.start(3))
        yield match[1], match[2], match[3].splitlines(), first


def commands(lines):
    """Each command of a console block: its text, what it prints, where that starts and ends in the block."""
    starts = [k for k, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, starts[1:] + [len(lines)]):
        yield lines[start][2:], lines[start + 1:end], start + 1, end


def same_word(a, b):
    """Equal, or numbers with a point that differ by rounding: those like 2.3e-07 are rounding errors themselves."""
    number = r"-?[0-9]+\.[0-9]+(e[-+][0-9]+)?"
    if a == b or not (re.fullmatch(number, a) and re.fullmatch(number, b)):
        return a == b
    return "e" in a or abs(float(a) - float(b)) <= 1e-3 * abs(float(a))


def same_line(a, b):
    a, b = (re.sub(r"( worst \S+ at) .* (\S+)$", r"\1 \2", line).split() for line in (a, b))
    return len(a) == len(b) and all(map(same_word, a, b))


def same_lines(expected, got):
    if not expected or expected[0] != "...":
        here = bool(expected) and bool(got) and same_line(expected[0], got[0])
        return here and same_lines(expected[1:], got[1:]) or not expected and not got
    return any(same_lines(expected[1:], got[k:]) for k in range(len(got) + 1))


def scratch(folder):
    for entry in os.listdir(ROOT):
        os.symlink(os.path.join(ROOT, entry), os.path.join(folder, entry))
    bin_ = os.path.join(folder, ".bin")
    os.mkdir(bin_)
    os.symlink(sys.executable, os.path.join(bin_, "python3"))
    return dict(os.environ, PATH=bin_ + os.pathsep + os.environ["PATH"], LC_ALL="C")


def run(command, folder, env):
    result = subprocess.run(["sh", "-c", command], cwd=folder, env=env, text=True, timeout=300,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, [line.rstrip() for line in result.stdout.splitlines()]


def test_console(lines, first, folder, env, updates):
    for command, expected, start, end in commands(lines):
        status, got = run(command, folder, env)
        faulty = any("error:" in line for line in expected)
        same = same_lines(expected, got)
        if not same and "..." not in expected:
            updates.append((first + start, first + end, got))
        check(same and (status == 0) != faulty,
              "README.md:%d: $ %s (status %d) prints\n%s" % (first + start, command, status, "\n".join(got)))


def test_file(kind, name, lines, first, folder, env):
    with open(os.path.join(folder, name), "w") as file:
        file.write("\n".join(lines) + "\n")
    if kind == "lua" and any("return kernel" in line for line in lines):
        status, got = run("build/gram check --jit tcc " + name, folder, env)
        check(status == 0, "README.md:%d: %s:\n%s" % (first + 1, name, "\n".join(got)))


def test_make(lines, first, env):
    makefile = open(os.path.join(ROOT, "Makefile")).read()
    for target in re.findall(r"^make ([\w-]+)", "\n".join(lines), re.M):
        check(re.search(r"^%s:" % re.escape(target), makefile, re.M), "README.md:%d: no make %s" % (first, target))
        if target in BUILDS:
            status, got = run("make -s " + target, ROOT, env)
            check(status == 0, "README.md:%d: make %s:\n%s" % (first, target, "\n".join(got)))


def test_tables(text, folder, env):
    for name in sorted(os.listdir(os.path.join(ROOT, "specs"))):
        if name.endswith(".lua"):
            check("| `%s` |" % name[:-4] in text, "README.md: the table of specs lacks %s" % name)
    manual = open(os.path.join(ROOT, "runtime/gram.1")).read().replace("\\-", "-")
    help_ = "\n".join(run("build/gram --help", folder, env)[1])
    for word in re.findall(r"^  gram (\w+)|^  (-[-\w]+)", help_, re.M):
        check("`" + (("gram " + word[0]) if word[0] else word[1]) in text, "README.md lacks %s" % (word[0] or word[1]))
        check((word[0] or word[1]) in manual, "gram.1 lacks %s" % (word[0] or word[1]))
    names = re.findall(r"^env\.(\w+)|^function env\.(\w+)", open(os.path.join(ROOT, "gen/std.lua")).read(), re.M)
    table = open(os.path.join(ROOT, "runtime/ops.def")).read()
    names = {a or b for a, b in names} | set(re.findall(r"^OP\([A-Z0-9]+, ([a-hj-z]\w*), R, R,", table, re.M))
    for name in sorted(names):
        check(name in ("neg", "_TABLE") or re.search(r"\b%s\b" % name, text), "README.md lacks %s" % name)


def main():
    text = open(README).read()
    updates = []
    with tempfile.TemporaryDirectory() as folder:
        env = scratch(folder)
        for kind, name, lines, first in blocks(text):
            if kind == "console":
                test_console(lines, first, folder, env, updates)
            elif kind == "sh":
                test_make(lines, first, env)
            elif name:
                test_file(kind, name, lines, first, folder, env)
        test_tables(text, folder, env)
    if "--update" in sys.argv[1:]:
        lines = text.split("\n")
        for start, end, new in reversed(updates):
            lines[start:end] = new
        open(README, "w").write("\n".join(lines))
    tally.end()


main()
