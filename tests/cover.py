"""Is each pure module covered, branch by branch, by the unit file of its own name? Prints those that are not.

    python -m tests.cover                   every pure module: those of the import contract "the pure half …"
    python -m tests.cover session sql.plan  what is named, below proxy/

Exit code 1 if a module is below 100 %, has no file of its own, or its file fails. A module that has no function has
nothing to cover. What other tests run doesn't count: a module that only others' tests reach has its rules nowhere.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
CONTRACT: Final = "the pure half"


@dataclass(frozen=True, slots=True)
class Module:
    """source: proxy/session/names.py; tests: tests/unit/session/test_names.py. Both from the root."""

    source: Path
    tests: Path


def pure() -> list[str]:
    """Names below proxy, as the import contract has them: wire, session, vault.crypto …"""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [found] = [each for each in contracts if each["name"].startswith(CONTRACT)]
    return [name.removeprefix("proxy.") for name in found["source_modules"]]


def modules(name: str) -> list[Module]:
    """Those of a package, or the one of that name, that have a function. Raises SystemExit (2) if there is none."""
    place = Path("proxy", *name.removeprefix("proxy.").split("."))
    sources = sorted((ROOT / place).glob("*.py")) if (ROOT / place).is_dir() else [ROOT / place.with_suffix(".py")]
    if not all(source.is_file() for source in sources) or not sources:
        print(f"there is no {place}", file=sys.stderr)
        raise SystemExit(2)
    return [own(source.relative_to(ROOT)) for source in sources if has_function(source)]


def own(source: Path) -> Module:
    stem = "package" if source.stem == "__init__" else source.stem
    return Module(source, Path("tests", "unit", *source.parent.parts[1:], f"test_{stem}.py"))


def has_function(source: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(ast.parse(source.read_text()))
    )


def lacks(module: Module) -> str:
    """What is not covered, '' if all is."""
    if not (ROOT / module.tests).is_file():
        return f"no {module.tests}"
    with tempfile.TemporaryDirectory() as place:
        data = f"--data-file={place}/data"
        name = ".".join(module.source.with_suffix("").parts).removesuffix(".__init__")
        run = coverage("run", "--branch", data, f"--source={name}", "-m", "pytest", *QUIET, str(module.tests))
        if run.returncode:
            return f"{module.tests} fails:\n{run.stdout}{run.stderr}"
        told = coverage("json", "-q", data, "-o", f"{place}/report.json")
        if told.returncode:
            return f"{module.tests} doesn't import it"
        files = json.loads(Path(place, "report.json").read_text())["files"]
    return missing(files[str(module.source)])


QUIET: Final = ("-q", "-x", "-p", "no:cacheprovider", "--no-header")


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def missing(report: dict) -> str:
    """Lines, and branches (from line to line, '-' the way out) whose first line was run."""
    lines = report["missing_lines"]
    branches = [(a, b) for a, b in report["missing_branches"] if a not in lines]
    parts = [f"lines {', '.join(map(str, lines))}"] if lines else []
    if branches:
        parts.append("branches " + ", ".join(f"{a}>{b if b > 0 else '-'}" for a, b in branches))
    return f"{int(report['summary']['percent_covered'])} %  {'; '.join(parts)}" if parts else ""


def main(names: list[str]) -> int:
    found = list(dict.fromkeys(module for name in names or pure() for module in modules(name)))
    below = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for module, lack in zip(found, pool.map(lacks, found), strict=True):
            if lack:
                below += 1
                print(f"{module.source}  {lack}", flush=True)
    print(f"{len(found) - below} of {len(found)} modules are covered by their own file")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
