"""Policy files to a `Policy`, or all that is wrong with them.

Pure: takes texts, opens nothing. Files are taken together in the order in which they are given: classes and tables
from all of them, roles one file after the other.

Invariant: a Policy is sound, or `PolicyFaults` has every fault of every file, with its line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType

from proxy.documents import Fault, Faults, Reader, meant, quote
from proxy.policy.names import is_moment, wider_than_value
from proxy.policy.parse import Parsed, PlacedClass, parse
from proxy.policy.rules import Level, Match, Policy, RecordRule, RoleRule, Rule, ValueClass
from proxy.policy.values import normalize


class PolicyFaults(Faults):
    """All that is wrong with the policy; `faults` in order of file and line. rest: the policy without regard to them if
    they concern what its roles get only, so that its columns can be held against a catalog all the same."""

    def __init__(self, faults: Sequence[Fault], rest: Policy | None) -> None:
        super().__init__(faults)
        self.rest = rest


def load(sources: Sequence[tuple[str, str]]) -> Policy:
    """The policy that (path, text) sources say together; with none, or empty ones, nothing is protected.

    Raises PolicyFaults.
    """
    faults: list[Fault] = []
    whole = Parsed()
    for path, text in sources:
        reader = Reader(path, faults)
        parsed = parse(reader, text)
        whole.classes += parsed.classes
        whole.rules += parsed.rules
        whole.roles += parsed.roles
        whole.records += parsed.records
    classes = _classes(whole.classes, faults)
    _check_rules(whole.rules, classes, faults)
    columns_sound = not faults
    _check_roles(whole.roles, classes, faults)
    _check_masks(whole, classes, faults)
    _check_records(whole.records, faults)
    policy = Policy(MappingProxyType(classes), tuple(whole.rules), tuple(whole.roles), tuple(whole.records))
    if faults:
        order = {path: place for place, (path, _) in enumerate(sources)}
        faults.sort(key=lambda fault: (order[fault.file], fault.line))
        raise PolicyFaults(faults, policy if columns_sound else None)
    return replace(policy, digest=_digest(policy))


def _classes(placed: Iterable[PlacedClass], faults: list[Fault]) -> dict[str, ValueClass]:
    """A class may stand in several files if it says the same in all."""
    first: dict[str, PlacedClass] = {}
    for each in placed:
        other = first.setdefault(each.value.name, each)
        if other.value != each.value:
            message = f"class {quote(each.value.name)} is another one in {other.file}:{other.line}"
            faults.append(Fault(each.file, each.line, message, "keep one, or give one of them another name"))
    return {name: each.value for name, each in first.items()}


def _check_rules(rules: Sequence[Rule], classes: dict[str, ValueClass], faults: list[Fault]) -> None:
    for rule in rules:
        known = classes.get(rule.class_name)
        if known is None:
            message = f"column {quote(rule.column)} has an unknown class {quote(rule.class_name)}"
            faults.append(Fault(rule.file, rule.line, message, meant(rule.class_name, list(classes))))
        elif rule.type is not None and wider_than_value(rule.type) and not known.canonicalize:
            message = (
                f"column {quote(rule.column)} is {rule.type} without a scale: 1.0 and 1.00 are equal but would "
                "get two tokens"
            )
            advice = f"give the type a scale, or class {quote(known.name)} `canonicalize: true`"
            faults.append(Fault(rule.file, rule.line, message, advice))
    _check_twice(rules, faults)


def _check_twice(rules: Sequence[Rule], faults: list[Fault]) -> None:
    seen: dict[tuple[str, str, str], list[Rule]] = {}
    for rule in rules:
        others = seen.setdefault((rule.schema, rule.table, rule.column), [])
        for other in others:
            if rule.database == other.database or None in (rule.database, other.database):
                message = f"column {quote(rule.column)} is protected twice, also in {other.file}:{other.line}"
                advice = "keep one of them; a table without a database is the one of every database"
                faults.append(Fault(rule.file, rule.line, message, advice))
                break
        others.append(rule)


def _check_roles(roles: Sequence[RoleRule], classes: dict[str, ValueClass], faults: list[Fault]) -> None:
    names: dict[str, RoleRule] = {}
    everyone: RoleRule | None = None
    for role in roles:
        other = names.setdefault(role.name, role)
        if other is not role:
            message = f"role {quote(role.name)} stands twice, also in {other.file}:{other.line}"
            faults.append(Fault(role.file, role.line, message, "give one of them another name"))
        elif everyone is not None:
            message = (
                f"role {quote(role.name)} is never reached: role {quote(everyone.name)} before it matches everyone"
            )
            faults.append(Fault(role.file, role.line, message, "the first match wins; move it up"))
        elif role.match == Match():
            everyone = role
        _check_names(role, classes, faults)


def _check_names(role: RoleRule, classes: dict[str, ValueClass], faults: list[Fault]) -> None:
    what = f"role {quote(role.name)}"
    for key, names in (("access", tuple(role.access)), ("search", role.search), ("write", role.write)):
        for name in names if isinstance(names, tuple) else ():
            level: Level = role.access.get(name, role.default)
            if name not in classes:
                message = f"{key} of {what} names an unknown class {quote(name)}"
                faults.append(Fault(role.file, role.line, message, meant(name, list(classes))))
            elif key != "access" and level == "deny":
                message = f"{key} of {what} names class {quote(name)}, which the role is denied"
                faults.append(
                    Fault(role.file, role.line, message, "`deny` is final; a writer without sight is `token`")
                )


def _check_masks(whole: Parsed, classes: dict[str, ValueClass], faults: list[Fault]) -> None:
    """A column that is shown as a date stays one where it is masked; of other types masks are shown as text."""
    for rule in whole.rules:
        known = classes.get(rule.class_name)
        if known is None or not is_moment(rule.type) or _mask_is_date(known):
            continue
        role = next((r for r in whole.roles if r.access.get(known.name, r.default) == "mask"), None)
        if role is not None:
            message = f"column {quote(rule.column)} is shown as {rule.type}, but the mask of its class is no date"
            advice = f"role {quote(role.name)} masks it: give class {quote(known.name)} kind date, or a date as mask"
            faults.append(Fault(rule.file, rule.line, message, advice))


def _mask_is_date(value_class: ValueClass) -> bool:
    if value_class.mask is None:
        return value_class.kind == "date"
    return normalize("date", value_class.mask) is not None


def _check_records(records: Sequence[RecordRule], faults: list[Fault]) -> None:
    names: dict[str, RecordRule] = {}
    for record in records:
        other = names.setdefault(record.name, record)
        if other is not record:
            message = f"record {quote(record.name)} stands twice, also in {other.file}:{other.line}"
            faults.append(Fault(record.file, record.line, message, "keep one of them"))


def _digest(policy: Policy) -> str:
    """Equal for policies that mean the same; the order of roles has a meaning, that of classes and columns has none."""
    digest = sha256()
    for name in sorted(policy.classes):
        digest.update(repr(policy.classes[name]).encode())
    for text in sorted(repr(replace(rule, file="", line=0)) for rule in policy.rules):
        digest.update(text.encode())
    for role in policy.roles:
        access = MappingProxyType(dict(sorted(role.access.items())))
        digest.update(repr(replace(role, access=access, file="", line=0)).encode())
    for text in sorted(repr(replace(record, file="", line=0)) for record in policy.records):
        digest.update(text.encode())
    return digest.hexdigest()
