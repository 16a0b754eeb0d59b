"""Builds a wheel that carries libgram: pip install ./runtime/python, from a checkout.

The repository's Makefile compiles the library and the module; this only calls it and puts the result into the wheel.
"""
import os
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("GRAM_BUILD", os.path.join(ROOT, "build"))
SCRATCH = os.path.join(BUILD, "wheel")     # nothing is left in the source tree
LIMITED = sys.version_info >= (3, 11)      # the limited API has the buffer protocol from here on


class Make(build_ext):
    def build_extension(self, extension):
        if not os.path.exists(os.path.join(ROOT, "Makefile")):
            sys.exit("gram: build the wheel from a checkout: pip install ./runtime/python")
        made = os.path.join(BUILD, "python", "gram", "_gram.abi3.so")
        subprocess.check_call(["make", "-C", ROOT, "B=" + BUILD, "PYTHON=" + sys.executable, made])
        target = self.get_ext_fullpath(extension.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(made, target)


os.makedirs(SCRATCH, exist_ok=True)
setup(
    ext_modules=[Extension("gram._gram", [], py_limited_api=LIMITED)],
    cmdclass={"build_ext": Make},
    options={
        "egg_info": {"egg_base": SCRATCH},
        "build": {"build_base": SCRATCH},
        "bdist_wheel": {"py_limited_api": "cp311"} if LIMITED else {},
    },
)
