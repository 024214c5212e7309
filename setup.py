"""The hot modules as C, on request: `PGVEIL_COMPILE=1 pip install .` (needs a C compiler; pip fetches mypyc).

Which modules: [tool.pgveil] in pyproject.toml. Without the variable this is the plain package, the same code.
"""

import os
import tomllib
from pathlib import Path

from setuptools import setup

MYPYC = "mypy[mypyc]>=1.13,<3"


def compiled() -> list[str]:
    settings = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8"))
    return [str(module) for module in settings["tool"]["pgveil"]["compiled"]]


if os.environ.get("PGVEIL_COMPILE"):
    try:
        from mypyc.build import mypycify
    except ImportError:  # the first of two runs, in which pip asks what the build needs
        setup(setup_requires=[MYPYC])
    else:
        setup(ext_modules=mypycify(compiled(), opt_level="3"), setup_requires=[MYPYC])
else:
    setup()
