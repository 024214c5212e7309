"""What runs code on the rows of protected tables, or carries them elsewhere: triggers, rules, policies, publications,
views, functions.

Pure: takes facts, gives findings. What code does can't be known from its text; what names a protected column is told.
"""

import re
from collections.abc import Iterator
from typing import Final

from proxy.documents import quote
from proxy.net.check_expressions import assigns, uses
from proxy.net.check_facts import Attached, Facts, Trigger
from proxy.net.check_findings import Finding
from proxy.net.check_objects import read_by
from proxy.net.check_targets import Target, Targets
from proxy.sql.protection import Protection, identifiers
from proxy.sql.relations import Function, Name

# A trigger that hands on the whole row hands on its protected columns too.
WHOLE_ROW: Final = re.compile(r"\b(?:new|old)\s*(?:\)|,|;|\.\s*\*|::)", re.IGNORECASE)
_RETURN: Final = re.compile(r"\breturn\s+(?:new|old)\s*;", re.IGNORECASE)  # every trigger function's end
TEXT_SEARCH: Final = ("tsvector_update_trigger", "tsvector_update_trigger_column")
_WHEN: Final = re.compile(r"\sWHEN\s\((.*)\)\s+EXECUTE\s", re.DOTALL)


def check_programs(targets: Targets, facts: Facts, protection: Protection) -> list[Finding]:
    findings: list[Finding] = []
    for trigger in facts.triggers:
        findings += _trigger(trigger, targets)
    for rule in facts.rules:
        findings += _rule(rule, targets)
    for policy in facts.policies:
        findings += _policy(policy, targets)
    for publication in facts.publications:
        findings += _publication(publication, targets)
    findings += _slots(facts.slots, targets)
    findings += _dependents(targets, protection)
    findings += _callers(targets, facts, protection)
    return findings


# ---- triggers ------------------------------------------------------------------------------------------------------


def _trigger(trigger: Trigger, targets: Targets) -> Iterator[Finding]:
    named = targets.named(trigger.table)
    what = f"trigger {quote(trigger.name)} ({trigger.function})"
    if not named:
        return
    assigned = [target for name, target in named.items() if assigns(trigger.source, name)]
    for target in assigned:
        message = f"{what} writes {target.label}: the database stores what it computes, without a token"
        yield target.finding(
            "fault", "trigger", message, "drop it; let the application compute the value, or canonicalize"
        )
    if trigger.function in TEXT_SEARCH:
        for target in [named[name] for name in trigger.arguments if name in named]:
            message = f"{what} makes a full-text vector of tokens of {target.label}"
            yield target.finding("fault", "trigger", message, "drop it; the server has no values to search")
        return
    for target in _seen(trigger, named):
        if target not in assigned:
            message = f"{what} names {target.label} and sees tokens there"
            yield target.finding(
                "warning", "trigger", message, "see that it only stores or compares tokens for equality"
            )
    if WHOLE_ROW.search(_RETURN.sub("", trigger.source)):
        target = targets.first(trigger.table)
        message = f"{what} hands on whole rows of {target.table}, with tokens in them"
        yield target.finding("warning", "trigger", message, "what it stores elsewhere is not revealed there")


def _seen(trigger: Trigger, named: dict[str, Target]) -> list[Target]:
    """Targets that its function, its arguments or its WHEN name."""
    text = f"{trigger.source} {' '.join(trigger.arguments)}"
    seen = [name for name in named if identifiers({name}).search(text)]
    condition = _WHEN.search(trigger.definition)
    if condition is not None:
        found = uses(condition[1], named)
        seen += [name for name, use in found.items() if use == "value"]
    return [named[name] for name in dict.fromkeys(seen)]


# ---- what else stands on a table -----------------------------------------------------------------------------------


def _rule(rule: Attached, targets: Targets) -> Iterator[Finding]:
    if rule.table in targets.by_table:
        target = targets.first(rule.table)
        message = f"rewrite rule {quote(rule.name)} changes statements on {target.table} after pgveil has read them"
        yield target.finding(
            "warning", "rule", message, "see that it writes no value into a protected column; better a trigger"
        )


def _policy(policy: Attached, targets: Targets) -> Iterator[Finding]:
    """One finding a column, however many expressions name it."""
    found: dict[str, tuple[Target, str]] = {}
    for expression in policy.expressions:
        for target, use in read_by(expression, policy.table, targets):
            if use == "value" or target.label not in found:
                found[target.label] = (target, use)
    for target, use in found.values():
        if use == "value":
            message = f"row security policy {quote(policy.name)} compares {target.label} with a value; it has tokens"
            todo = "decide by another column, such as an id"
            yield target.finding("fault", "row-security", message, todo)
        elif use == "equality":
            message = f"row security policy {quote(policy.name)} compares tokens of {target.label} for equality"
            yield target.finding("warning", "row-security", message, "see that the other column is of the same class")


def _publication(publication: Attached, targets: Targets) -> Iterator[Finding]:
    columns = targets.by_table.get(publication.table, {})
    carried = [target for n, target in columns.items() if not publication.columns or n in publication.columns]
    if carried:
        names = ", ".join(sorted(target.column.name for target in carried))
        message = f"publication {quote(publication.name)} carries {carried[0].table} with tokens in: {names}"
        yield carried[0].finding(
            "warning", "publication", message, "subscribers need pgveil too, or a column list without them"
        )
    for expression in publication.expressions:
        for target, use in read_by(expression, publication.table, targets):
            if use == "value":
                message = f"publication {quote(publication.name)} filters rows by tokens of {target.label}"
                yield target.finding("fault", "publication", message, "filter by another column")


def _slots(slots: tuple[str, ...], targets: Targets) -> Iterator[Finding]:
    target = next(targets.all(), None)
    if slots and target is not None:
        names = ", ".join(quote(slot) for slot in slots)
        message = f"logical replication slots of this database ({names}) carry tokens, and values from before pgveil"
        yield target.finding("warning", "publication", message, "see that whoever reads them expects that")


# ---- what reads a protected table ----------------------------------------------------------------------------------


def _dependents(targets: Targets, protection: Protection) -> Iterator[Finding]:
    """Views, functions and triggers of other tables, at the first rule of a table that they reach."""
    tables: dict[Name, Target] = {}
    for target in targets.all():
        tables.setdefault((target.relation.schema, target.relation.name), target)
    if not tables:
        return
    for name, why in sorted(protection.dependents.items()):
        message = f"{_dotted(name)} is refused through pgveil: {why}"
        yield _place(why, tables).finding(
            "warning", "view", message, "query the table itself; views come with a later version"
        )
    sources: dict[Name, list[Function]] = {}
    for function in targets.catalog.functions:
        sources.setdefault((function.schema, function.name), []).append(function)
    for name, why in sorted(protection.functions.items()):
        text = " ".join(function.source for function in sources.get(name, ()))
        message = f"function {_dotted(name)} is refused through pgveil: {why}"
        yield _place(text, tables).finding("warning", "function", message, "run its statements from the application")
    for name, why in sorted(protection.writes.items()):
        message = f"writing to {_dotted(name)} is refused through pgveil: {why}"
        yield _place(why, tables).finding("warning", "written-by", message, "let the application write to both tables")


def _callers(targets: Targets, facts: Facts, protection: Protection) -> Iterator[Finding]:
    """Operators, casts, DEFAULTs and their like over functions that are refused: a statement that runs one names no
    function, and passes."""
    first = next(targets.all(), None)
    functions = {f.oid: (f.schema, f.name) for f in targets.catalog.functions}
    for oid, caller in facts.callers if first is not None else ():
        name = functions.get(oid, ("", ""))
        if first is not None and oid in protection.reaching and name in protection.functions:
            message = f"{caller} runs function {_dotted(name)} unseen: {protection.functions[name]}"
            yield first.finding("warning", "function", message, "see what it does to protected tables, or drop it")


def _place(text: str, tables: dict[Name, Target]) -> Target:
    """The target of a table that `text` names; some target if none is named."""
    for (_, table), target in tables.items():
        if identifiers({table}).search(text):
            return target
    return next(iter(tables.values()))


def _dotted(name: Name) -> str:
    return f"{name[0]}.{name[1]}"
