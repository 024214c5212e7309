"""Looks at a few rows and asks the server a few questions: are there values that are no tokens, what does a CHECK say.

The only part of check that reads rows, and only where the account may. Bounded: a stated number of rows, a stated time.
No value leaves the server: what comes back is a truth value, and tokens, which are no personal data.

Invariant: no code of the application's is run. Row security is off (an account that it would filter reads nothing),
and only expressions of PostgreSQL's own harmless functions are asked (`check_expressions.is_safe`).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import asyncpg

from proxy import tokens
from proxy.net.catalog import PLAINTEXT, TOKEN, quoted
from proxy.net.check_expressions import is_safe, uses
from proxy.net.check_facts import Constraint, Facts
from proxy.net.check_findings import Finding
from proxy.net.check_objects import Verdict
from proxy.net.check_targets import Target, Targets

# A few rows from the start: where values are older than pgveil, they are there.
ROWS: Final = 1000
SAMPLE: Final = 20
SECONDS: Final = 5
FIRST_OWN_OID: Final = 16384  # FirstNormalObjectId (transam.h): types below are PostgreSQL's own

LOOK: Final = """
SELECT coalesce(pg_catalog.bool_or(s.t !~ $1), false) AS plain,
       (pg_catalog.array_agg(s.t) FILTER (WHERE s.t ~ $1))[1:{sample}] AS tokens
FROM (SELECT {column}::pg_catalog.text AS t FROM ONLY {table} WHERE {column} IS NOT NULL LIMIT {rows}) s
"""
# What a CHECK that demands tokens turns away, whatever else it may be meant for.
CONTROLS: Final = ("", "x", "a@example.com", "2000-01-01", "+4930123456789", "A. Person, 12 Some Long Street", "x" * 36)

IsOurs = Callable[[bytes], bool]


async def look_at_rows(
    connection: "asyncpg.Connection[Any]", targets: Targets, facts: Facts, is_ours: IsOurs | None
) -> list[Finding]:
    """is_ours: whether a token was made with the vault's key, None if the vault could not be opened."""
    await connection.execute(f"SET row_security = off; SET statement_timeout = '{SECONDS}s'")
    findings: list[Finding] = []
    for target in targets.all():
        place = (target.relation.oid, target.column.attnum)
        if target.stored is None or target.relation.kind != "r":
            continue
        if place in facts.readable:
            findings += await _look(connection, target, is_ours)
        elif not target.inherited:
            findings += _unseen(target, "the account of `catalog` may not read it")
    return findings


def _unseen(target: Target, why: str) -> list[Finding]:
    """Of columns that are compared: rows without tokens would be missed."""
    if not target.value_class.deterministic:
        return []
    message = (
        f"it is not known whether all values of {target.label} are tokens ({why}); searches miss those that are not"
    )
    todo = "give the account SELECT on the column and run check again, or make sure of it"
    return [target.finding("warning", "rows-unseen", message, todo)]


async def _holds_plaintext(connection: "asyncpg.Connection[Any]", query: str) -> bool | None:
    try:
        return bool(await connection.fetchval(query, TOKEN))
    except (asyncpg.PostgresError, TimeoutError):
        return None


async def _look(connection: "asyncpg.Connection[Any]", target: Target, is_ours: IsOurs | None) -> list[Finding]:
    table = f"{quoted(target.relation.schema)}.{quoted(target.relation.name)}"
    query = LOOK.format(column=quoted(target.column.name), table=table, rows=ROWS, sample=SAMPLE)
    try:
        row = await connection.fetchrow(query, TOKEN)
    except (asyncpg.PostgresError, TimeoutError):
        return _unseen(target, "row security, or rows that take long to read")
    found = [] if is_ours is None else [is_ours(text.encode()) for text in row["tokens"] or ()]
    whole = await _holds_plaintext(connection, PLAINTEXT.format(column=quoted(target.column.name), table=table))
    if row["plain"] or whole or (any(found) and not all(found)):
        message = f"{target.label} holds values that are no tokens, from before pgveil or written around it"
        todo = "write these values again through pgveil, as literals or parameters; until then comparisons are refused"
        return [target.finding("warning", "plaintext-rows", message, todo)]
    if found and not any(found):
        message = f"{target.label} holds tokens of another vault, which this one can't reveal"
        return [
            target.finding("fault", "foreign-tokens", message, "give the vault and keys that they were written with")
        ]
    return [] if whole is not None else _unseen(target, f"no more than {SECONDS} seconds were spent on it")


# ---- CHECK constraints ---------------------------------------------------------------------------------------------


async def ask_checks(
    connection: "asyncpg.Connection[Any]", targets: Targets, constraints: Iterable[Constraint]
) -> dict[int, Verdict]:
    """What each CHECK says to tokens, as the server computes it; by OID. Asked outside a transaction: it may fail."""
    verdicts: dict[int, Verdict] = {}
    for constraint in constraints:
        named = targets.named(constraint.table)
        if constraint.kind == "c" and "value" in uses(constraint.expression, named).values():
            verdicts[constraint.oid] = await _ask(connection, constraint, list(named.values()))
    return verdicts


async def _ask(connection: "asyncpg.Connection[Any]", constraint: Constraint, targets: list[Target]) -> Verdict:
    query = _question(constraint.expression, targets)
    if query is None:
        return "unknown"
    try:
        for number in range(3):
            if await connection.fetchval(query, *[_sample(f"{number} {target.label}") for target in targets]) is False:
                return "rejects"
    except (asyncpg.PostgresError, TimeoutError):
        return "unknown"
    taken = [await _takes(connection, query, [control] * len(targets)) for control in CONTROLS]
    return "accepts" if any(taken) else "demands"


async def _takes(connection: "asyncpg.Connection[Any]", query: str, values: list[str]) -> bool:
    try:
        return await connection.fetchval(query, *values) is not False
    except (asyncpg.PostgresError, TimeoutError):
        return False


def _question(expression: str, targets: list[Target]) -> str | None:
    """A query that gives the expression's value with $1… in protected columns and NULL in others; None if it may not be
    run. A type of the application's own may run its code: a domain's CHECK."""
    relation = targets[0].relation
    read = uses(expression, [column.name for column in relation.columns])
    columns = [column for column in relation.columns if column.name in read]
    if not is_safe(expression) or any(column.type_oid >= FIRST_OWN_OID for column in columns):
        return None
    numbers = {target.column.name: number for number, target in enumerate(targets, 1)}
    given = [
        f"{f'${numbers[column.name]}::pg_catalog.text' if column.name in numbers else 'NULL'}::{column.type_name}"
        f" AS {quoted(column.name)}"
        for column in columns
    ]
    # Parameters that the expression does not read need a type all the same.
    given += [f"${n}::pg_catalog.text" for name, n in numbers.items() if name not in read]
    return f"SELECT ({expression}) FROM (SELECT {', '.join(given)}) AS {quoted(relation.name)}"


def _sample(text: str) -> str:
    """Some token."""
    return tokens.deterministic(b"check", b"check", text.encode()).decode()
