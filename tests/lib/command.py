"""What the tests in Python share: gram as a command on numpy arrays, and a count of what held."""
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
GRAM = os.path.join(BUILD, "gram")
ALL = os.environ.get("GRAM_TEST") == "long"


def gram(*words, **options):
    return subprocess.run([GRAM, *map(str, words)], capture_output=True, text=True, timeout=600, **options)


def spec_path(spec, folder):
    """The path of a shipped spec (a name), or of a text, written out."""
    if "\n" not in spec:
        return os.path.join(ROOT, "specs", spec + ".lua")
    path = os.path.join(folder, "spec.lua")
    with open(path, "w") as out:
        out.write(spec)
    return path


def run(spec, arrays, outputs, *words):
    """The outputs named, as arrays, of a shipped spec or a spec's text; a RuntimeError with gram's message if it
    fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = spec_path(spec, folder)
        for name, array in arrays.items():
            np.save(os.path.join(folder, name + ".npy"), array)
        files = [f"{n}={n}.npy" for n in arrays] + [f"{n}={n}.out.npy" for n in outputs]
        result = gram("run", path, *files, *words, cwd=folder)
        if result.returncode != 0:
            raise RuntimeError(f"status {result.returncode}: {result.stderr.strip()}")
        return [np.load(os.path.join(folder, n + ".out.npy")) for n in outputs]


def check(spec, *words):
    """gram check's faults, '' for none."""
    with tempfile.TemporaryDirectory() as folder:
        result = gram("check", spec_path(spec, folder), *words)
        return "" if result.returncode == 0 else f"status {result.returncode}: {result.stdout}{result.stderr}"


def distance(got, want):
    """Relative to the norm of what is wanted."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape:
        return np.inf
    norm = np.linalg.norm(want.ravel())
    error = np.linalg.norm((got - want).ravel())
    return 0.0 if error == 0 else error / norm if norm else np.inf


class Tally:
    """passed and failed; a failure prints what did not hold."""

    def __init__(self):
        self.passed = self.failed = 0

    def expect(self, holds, what):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print("failed: " + str(what), flush=True)

    def faultless(self, faults, what):
        self.expect(not faults, f"{what}: {faults}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(self.failed > 0)
