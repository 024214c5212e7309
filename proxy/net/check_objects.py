"""What hangs on protected tables and does not go well with tokens: defaults, constraints, indexes, keys, partitions.

Pure: takes facts, gives findings. What runs code on rows or carries them elsewhere is in `check_programs`.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from proxy.documents import quote
from proxy.net.check_expressions import uses
from proxy.net.check_facts import Attached, Constraint, Facts, Index
from proxy.net.check_findings import Finding
from proxy.net.check_targets import Target, Targets

# What a CHECK says to tokens: takes them as it takes values; takes nothing else (a net for plaintext); takes none.
Verdict = Literal["accepts", "demands", "rejects", "unknown"]
# Operator classes and methods that only look for equality, or whose order nobody asks tokens for.
EQUALITY: Final = frozenset({"text_ops", "varchar_ops", "bpchar_ops", "uuid_ops", "name_ops"})
METHODS: Final = ("btree", "hash")
STRATEGIES: Final = {"r": "RANGE", "l": "LIST", "h": "HASH"}


def check_objects(targets: Targets, facts: Facts, verdicts: Mapping[int, Verdict]) -> list[Finding]:
    """verdicts: OID of a CHECK constraint -> what it says to tokens."""
    findings: list[Finding] = []
    for target in targets.all():
        findings += _default(target, targets)
        findings += _computed(target, targets)
    for constraint in facts.constraints:
        if constraint.kind == "c":
            findings += _check(constraint, targets, verdicts.get(constraint.oid, "unknown"))
        elif constraint.kind == "f":
            findings += _foreign_key(constraint, targets)
        else:
            findings += _exclusion(constraint, targets)
    for index in facts.indexes:
        findings += _index(index, targets)
    for statistic in facts.statistics:
        findings += _statistics(statistic, targets)
    for partitioned in facts.partitioning:
        findings += _partitioned(partitioned, targets)
    return findings


def read_by(expression: str, table: int, targets: Targets) -> list[tuple[Target, str]]:
    """The table's targets that an expression reads, with the way in which it does."""
    named = targets.named(table)
    return [(named[name], use) for name, use in sorted(uses(expression, named).items())]


def _default(target: Target, targets: Targets) -> Iterator[Finding]:
    """Also one that only a partition has."""
    default = target.column.default
    if default is None or target.column.generated or _is_null(default):
        return
    parents = [targets.named(parent).get(target.column.name) for parent in target.relation.parents]
    if any(parent is not None and parent.column.default == default for parent in parents):
        return
    todo = "ALTER COLUMN … DROP DEFAULT, and let the application write the value"
    message = f"{target.label} has a DEFAULT, which the database writes as it is, without a token"
    yield target.finding("fault", "default", message, todo)


def _is_null(default: str) -> bool:
    """pg_get_expr of DEFAULT NULL: 'NULL::text'."""
    return default.upper().partition("::")[0].strip("() ") == "NULL"


def _computed(target: Target, targets: Targets) -> Iterator[Finding]:
    """Generated columns that read this one."""
    for column in target.relation.columns:
        if not column.generated or column.default is None or target.inherited:
            continue
        use = uses(column.default, [target.column.name]).get(target.column.name)
        if use == "value" and targets.at(target.relation.oid, column.attnum) is None:
            message = f"{target.table}.{column.name} is generated from {target.label} and would compute on tokens"
            yield target.finding("fault", "generated-column", message, "drop it; compute it in the application")


def _check(constraint: Constraint, targets: Targets, verdict: Verdict) -> Iterator[Finding]:
    for target, use in read_by(constraint.expression, constraint.table, targets):
        if use != "value" or verdict == "demands":
            continue
        what = f"CHECK constraint {quote(constraint.name)} on {target.table}"
        if verdict == "accepts":
            message = f"{what} takes tokens of {target.label} as it takes values, so it checks nothing any more"
            todo = "drop it; `invalid: reject` in the class checks values"
            yield target.finding("warning", "check-constraint", message, todo)
        else:
            does = "rejects" if verdict == "rejects" else "may reject"
            message = f"{what} {does} tokens of {target.label}"
            todo = "drop it, or make it demand a token; `invalid: reject` in the class checks values"
            yield target.finding("fault", "check-constraint", message, todo)


# ---- keys ----------------------------------------------------------------------------------------------------------


def _foreign_key(key: Constraint, targets: Targets) -> Iterator[Finding]:
    for here, there in zip(key.columns, key.ref_columns, strict=True):
        own, other = targets.at(key.table, here), targets.at(key.ref_table, there)
        target = own or other
        if target is None:
            continue
        labels = f"{_label(key.table, here, targets)} and {_label(key.ref_table, there, targets)}"
        what = f"foreign key {quote(key.name)} joins {labels}"
        if own is None or other is None:
            message = f"{what}, of which only {target.label} is protected: their values never match"
            yield target.finding("fault", "foreign-key", message, "protect both with one class, or none")
        elif own.value_class.name != other.value_class.name:
            message = (
                f"{what}, which are of classes {quote(own.value_class.name)} and {quote(other.value_class.name)}: "
                "their tokens never match"
            )
            yield target.finding("fault", "foreign-key", message, "give both one class")
        elif not target.value_class.deterministic:
            message = f"{what}, of class {quote(target.value_class.name)} with random tokens, which never match"
            yield target.finding("fault", "random-unique", message, "use deterministic tokens for the class")


def _label(table: int, attnum: int, targets: Targets) -> str:
    relation = next((r for r in targets.catalog.relations if r.oid == table), None)
    column = next((c for c in relation.columns if c.attnum == attnum), None) if relation is not None else None
    if relation is None or column is None:
        return "a column"
    return f"{relation.schema}.{relation.name}.{column.name}"


def _exclusion(constraint: Constraint, targets: Targets) -> Iterator[Finding]:
    what = f"exclusion constraint {quote(constraint.name)}"
    for attnum, operator, key in zip(constraint.columns, constraint.operators, constraint.keys, strict=True):
        target = targets.at(constraint.table, attnum)
        if target is not None and not target.value_class.deterministic:
            message = f"{what} compares {target.label}, whose class has random tokens: no two are equal"
            yield target.finding("fault", "random-unique", message, "use deterministic tokens for the class")
        elif target is not None and operator != "=":
            message = f"{what} compares tokens of {target.label} with {operator}"
            yield target.finding("fault", "exclusion", message, "drop it; only `=` on tokens is that of their values")
        for reader, use in read_by(key, constraint.table, targets) if attnum == 0 else ():
            if use == "value":
                message = f"{what} computes on tokens of {reader.label}"
                yield reader.finding(
                    "fault", "exclusion", message, "drop it; only `=` on tokens is that of their values"
                )


# ---- indexes and what is like them ---------------------------------------------------------------------------------


def _index(index: Index, targets: Targets) -> Iterator[Finding]:
    what = f"{'unique ' if index.unique else ''}index {quote(index.name)}"
    severity: Literal["fault", "warning"] = "fault" if index.unique else "warning"
    for attnum, opclass, key in zip(index.columns, index.classes, index.keys, strict=True):
        target = targets.at(index.table, attnum)
        if target is not None:
            yield from _plain_key(index, target, opclass)
        elif attnum == 0:
            for reader, use in read_by(key, index.table, targets):
                if use == "value":
                    message = f"{what} computes on tokens of {reader.label}"
                    yield reader.finding(severity, "index", message, _INSTEAD)
    for reader, use in read_by(index.predicate, index.table, targets) if index.predicate else ():
        if use == "value":
            message = f"{what} covers the rows that its WHERE finds by tokens of {reader.label}"
            yield reader.finding(severity, "index", message, "drop it, or index all rows")


_INSTEAD: Final = "drop it; patterns, order and functions of protected columns are refused through pgveil"


def _plain_key(index: Index, target: Target, opclass: str) -> Iterator[Finding]:
    if index.unique and not target.value_class.deterministic:
        name = quote(target.value_class.name)
        message = f"unique index {quote(index.name)} on {target.label}: random tokens of class {name} never clash"
        todo = f"use deterministic tokens for class {name}, or drop the index"
        yield target.finding("fault", "random-unique", message, todo)
    if index.method not in METHODS or (index.method == "btree" and opclass not in EQUALITY):
        message = f"index {quote(index.name)} ({index.method}, {opclass}) on {target.label} orders or splits tokens"
        yield target.finding("warning", "index", message, f"{_INSTEAD}; a plain btree serves equality")


def _statistics(statistic: Attached, targets: Targets) -> Iterator[Finding]:
    covered = [target for n in statistic.columns if (target := targets.at(statistic.table, n)) is not None]
    for expression in statistic.expressions:
        covered += [target for target, _ in read_by(expression, statistic.table, targets)]
    for target in dict.fromkeys(covered):
        message = f"statistics object {quote(statistic.name)} covers {target.label}: it is computed on tokens"
        yield target.finding("warning", "statistics", message, "drop it, or ANALYZE once all values are tokens")


def _partitioned(key: Attached, targets: Targets) -> Iterator[Finding]:
    strategy = STRATEGIES.get(key.name, key.name)
    covered = [target for n in key.columns if (target := targets.at(key.table, n)) is not None]
    for expression in key.expressions:
        covered += [target for target, _ in read_by(expression, key.table, targets)]
    for target in dict.fromkeys(covered):
        severity: Literal["fault", "warning"] = "warning" if strategy == "HASH" and not key.expressions else "fault"
        message = f"{target.table} is partitioned by {strategy} of {target.label}: tokens decide where rows go"
        todo = "partition by another column" + ("; rows from before have to move" if severity == "warning" else "")
        yield target.finding(severity, "partition-key", message, todo)
