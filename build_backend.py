"""setuptools' build backend, which compiles the hot modules into the wheel where a C compiler is there.

`PGVEIL_COMPILE=0` builds the plain package, `=1` fails where it can't compile; without it, what can't be compiled is
plain: the same code, slower. An editable install is plain. Hooks: PEP 517.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks that are not replaced here

ASKED = os.environ.get("PGVEIL_COMPILE", "")
# What setup.py goes by; it runs in other hooks too, which need no modules.
COMPILING = "PGVEIL_COMPILING"
MYPYC = "mypy[mypyc]>=1.13,<3"


def compiles() -> bool:
    """Whether to try."""
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    return ASKED != "0" and (bool(ASKED) or shutil.which(compiler.split()[0]) is not None)


@contextmanager
def compiling() -> Iterator[None]:
    os.environ[COMPILING] = "1"
    try:
        yield
    finally:
        del os.environ[COMPILING]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), *([MYPYC] if compiles() else [])]


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    if compiles():
        try:
            with compiling():
                return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
        except (Exception, SystemExit):
            if ASKED:
                raise
            print("pgveil: it can't be compiled here; building the plain package", file=sys.stderr)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
