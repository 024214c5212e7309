"""The hot modules as C, if the build backend (build_backend.py) says so.

Which modules: [tool.pgveil] in pyproject.toml. Without them this is the plain package, the same code.
`PGVEIL_OPTIMISE=0` makes them in half the time, for tests.
"""

import os
import tomllib
from pathlib import Path

from setuptools import setup


def compiled() -> list[str]:
    settings = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8"))
    return [str(module) for module in settings["tool"]["pgveil"]["compiled"]]


def extensions() -> list[object]:
    if "PGVEIL_COMPILING" not in os.environ:
        return []
    from mypyc.build import mypycify

    return list(mypycify(compiled(), opt_level=os.environ.get("PGVEIL_OPTIMISE", "3")))


setup(ext_modules=extensions())
