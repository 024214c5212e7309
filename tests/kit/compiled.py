"""The package with its hot modules compiled (setup.py), beside the plain one of the checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def compiler() -> str | None:
    """Whether modules can be compiled here."""
    return shutil.which("cc") or shutil.which("gcc")


def build(base: Path, one: str = "", **env: str) -> Path:
    """A directory to put on PYTHONPATH. one: the only module to be compiled, '' for all. env: beside this process's; it
    is compiled unless that says otherwise. RuntimeError with pip's words where it can't be built."""
    source = base / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "build_backend.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "proxy", source / "proxy", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    if one:
        settings = source / "pyproject.toml"
        listed = re.compile(r"^compiled = \[.*?^\]", re.MULTILINE | re.DOTALL)
        settings.write_text(listed.sub(f'compiled = ["{one}"]', settings.read_text()))
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(base), str(source)]
    done = subprocess.run(argv, env=os.environ | {"PGVEIL_COMPILE": "1"} | env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    (wheel,) = base.glob("*.whl")
    made = base / "made"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made)
    return made
