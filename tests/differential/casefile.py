"""Case files of the differential test: statements as data.

    -- schema: shop            schemas/shop.sql, shop.data.sql and shop.yaml
    -- run: script             optional: in order on one connection, once in each way; default: each on its own
    -- equal                   optional: nothing of this file may be refused

    -- any other comment
    -- with: ["a@x.org", 3, null, ["a", "b"]]     parameters, as JSON; a list is a text array
    -- refused                                    pgveil may refuse the next statement
    SELECT id FROM customers WHERE email = $1;

A statement ends with a line that ends in `;`. Several on one line are sent as one text.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.kit.differ import Param

HERE: Final = Path(__file__).parent
CASES: Final = HERE / "cases"


@dataclass(frozen=True)
class Case:
    """One text to send. may_refuse: pgveil may answer with a refusal of its own."""

    sql: str
    params: tuple[Param, ...]
    may_refuse: bool
    line: int


@dataclass(frozen=True)
class CaseFile:
    path: Path
    schema: str
    script: bool
    cases: tuple[Case, ...]


def read(path: Path) -> CaseFile:
    """Raises ValueError where the file is not of that form."""
    header: dict[str, str] = {}
    cases: list[Case] = []
    pending: list[str] = []
    params: tuple[Param, ...] = ()
    refused, first = False, 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not pending and line.startswith("--"):
            key, _, value = line[2:].strip().partition(":")
            if key == "with":
                params = tuple(_param(value) for value in json.loads(value))
            elif key == "refused":
                refused = True
            elif key in ("schema", "run", "equal"):
                header[key] = value.strip()
            continue
        if not line and not pending:
            continue
        first = first if pending else number
        pending.append(line)
        if line.endswith(";"):
            cases.append(Case("\n".join(pending), params, refused, first))
            pending, params, refused = [], (), False
    if pending or refused or params or "schema" not in header:
        raise ValueError(f"{path}: no schema, or an unfinished statement at its end")
    if "equal" in header and any(case.may_refuse for case in cases):
        raise ValueError(f"{path}: `equal` and `refused` contradict each other")
    return CaseFile(path, header["schema"], header.get("run") == "script", tuple(cases))


def _param(value: object) -> Param:
    if isinstance(value, list):
        return [None if one is None else str(one) for one in value]
    return None if value is None else str(value)


def files() -> list[Path]:
    return sorted(CASES.glob("*.sql"))
