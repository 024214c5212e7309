"""What a suite is: how it's fetched, what it needs in its database, how it's run, and what each of its tests said."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from tests.outside.places import Needs, Place

Outcomes = dict[str, str]  # test -> passed, failed, skipped, refused (failed with a refusal of pgveil's)
REFUSED = re.compile(
    r"column \S+ is protected|, which is protected, |is closed: its policy does not|it is not certain which table"
)


@dataclass(frozen=True, slots=True)
class Patch:
    """In a file of a suite's: `instead` for every `what`."""

    file: str
    what: str
    instead: str


class Suite(Protocol):
    """name: of the command line."""

    @property
    def name(self) -> str: ...

    def fetch(self, work: Path) -> None:
        """Into `work`, unless it's there."""

    def needs(self, work: Path) -> Needs: ...

    def run(self, work: Path, place: Place) -> Outcomes: ...


def call(argv: Sequence[str], cwd: Path) -> None:
    subprocess.run(list(argv), cwd=cwd, check=True)


def source(pip: str, distribution: str, home: Path, *parts: str) -> None:
    """`parts` (patterns of tar's) of a source distribution into `home`, which may hold the archive already."""
    if not list(home.glob("*.tar.gz")):
        call([pip, "download", "-q", "--no-deps", "--no-binary", ":all:", distribution], home)
    archive = next(home.glob("*.tar.gz"))
    call(["tar", "xzf", str(archive), "--strip-components", "1", "--wildcards", *(parts or ("*/tests/*",))], home)


def patch(home: Path, patches: Iterable[Patch]) -> None:
    for each in patches:
        text = (home / each.file).read_text()
        assert each.what in text, f"{each.file} is not what it was"
        (home / each.file).write_text(text.replace(each.what, each.instead))


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


def failed(words: str) -> str:
    return "refused" if REFUSED.search(words) else "failed"


def junit(report: Path) -> Outcomes:
    """Of pytest's --junitxml."""
    outcomes: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        words = " ".join(child.get("message", "") + (child.text or "") for child in case)
        word = failed(words) if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        outcomes[f"{case.get('classname')}.{case.get('name')}"] = word
    return outcomes
