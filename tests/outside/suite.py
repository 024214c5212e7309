"""What a suite is: how it's fetched, what it needs in its database, how it's run, and what each of its tests said."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from tests.outside.places import Place

Outcomes = dict[str, str]  # test -> passed, failed, skipped


class Suite(Protocol):
    """name: of the command line. database: which it uses. settings: of the server, beside those of the kit."""

    @property
    def name(self) -> str: ...

    @property
    def database(self) -> str: ...

    @property
    def settings(self) -> dict[str, str]: ...

    def fetch(self, work: Path) -> None:
        """Into `work`, unless it's there."""

    def setup(self, work: Path) -> str:
        """SQL that the database needs."""

    def run(self, work: Path, place: Place) -> Outcomes: ...


def call(argv: Sequence[str], cwd: Path) -> None:
    subprocess.run(list(argv), cwd=cwd, check=True)


def environment(place: Place, more: Mapping[str, str]) -> dict[str, str]:
    """Ours, with nothing of PostgreSQL's but where to connect."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG", "PYTEST"))}
    return kept | {"PGHOST": "127.0.0.1", "PGPORT": str(place.port), "PGUSER": "postgres", "LC_ALL": "C.UTF-8", **more}


def recorded(argv: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path, seconds: float) -> bytes:
    """What `argv` prints, which is also in `log`; what it printed until then where it takes longer than `seconds`."""
    with log.open("wb") as out:
        try:
            subprocess.run(list(argv), cwd=cwd, env=env, stdout=out, stderr=out, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            out.write(b"\n(timeout)\n")
    return log.read_bytes()


def junit(report: Path) -> Outcomes:
    """Of pytest's --junitxml."""
    outcomes: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        word = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        outcomes[f"{case.get('classname')}.{case.get('name')}"] = word
    return outcomes
