"""From what stands in a statement (a literal, a parameter) to the canonical value that becomes a token.

A value is read as the type that it has in the statement, its casts are applied, then it is assigned to (write) or
compared with (search) the column's facade type, as PostgreSQL would; where that needs more than is certain, refused.
"""

from typing import Final

from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.policy.rules import ValueClass
from proxy.policy.values import Rejected, check
from proxy.session.effects import Item
from proxy.sql.plan import Input
from proxy.wire.types import (
    BadValue,
    Reading,
    TypeSpec,
    apply_cast,
    decode_array,
    element_of,
    equal_value,
    format_type,
    to_canonical,
    value_type,
)

TEXT_FAMILY: Final = frozenset(("text", "varchar", "bpchar", "name"))
VARYING: Final = frozenset(("text", "varchar"))
INTEGERS: Final = frozenset(("int2", "int4", "int8"))
NUMBERS: Final = frozenset(("int2", "int4", "int8", "numeric"))
FLOATS: Final = frozenset(("float4", "float8"))
MOMENTS: Final = frozenset(("date", "timestamp", "timestamptz"))
# What PostgreSQL turns into text by assignment with a text that is the canonical one (1.50 is not: it is 1.5 there).
ASSIGNED_TO_TEXT: Final = frozenset(("int2", "int4", "int8", "uuid", "bool"))
UNKNOWN_OIDS: Final = frozenset((0, 705))
UTF8_ISO: Final = Reading(client_encoding="", date_style="ISO, MDY", time_zone="UTC")


def sent_type(place: Input, oid: int) -> TypeSpec:
    """The type that a parameter has for its client. oid: as declared in Parse, 0 if it was not.

    Raises Refusal (unsupported-type).
    """
    if oid in UNKNOWN_OIDS:
        known = place.undeclared
        return TypeSpec(known.name, known.oid, known.size)  # a parameter has no modifier; a cast's is applied after
    spec = value_type(element_of(oid) if place.array else oid)
    if spec is None or not _in_context(place, spec.name):
        raise Refusal(
            "unsupported-type",
            f"parameter ${place.param} for column {place.column.label} is declared with type OID {oid}",
            "Send it as text, or as the column's own type.",
            column=place.column.label,
        )
    return spec


def _in_context(place: Input, declared: str) -> bool:
    """Whether a declared type leaves the type of the values beside this one (`Input.context`) what it is taken for."""
    if place.context is None:
        return True
    context = place.context.name
    if context in VARYING:
        # another type would be what text literals beside it are read as: they mean the same if it is the column's own
        return declared in VARYING or (declared == place.column.facade.name and declared not in TEXT_FAMILY)
    return declared == context or (declared in INTEGERS and context in INTEGERS)


def read(
    place: Input, source: TypeSpec, data: bytes, fmt: int, reading: Reading, kind: ValueClass
) -> tuple[bytes | None, ...]:
    """The canonical values at `place`: one, or an array's elements (None for NULL). Raises Refusal."""
    try:
        elements = decode_array(data, fmt) if place.array else [data]
        return tuple([None if e is None else _one(place, source, e, fmt, reading, kind) for e in elements])
    except BadValue as bad:
        raise refusal_of(bad, place) from None


def refusal_of(bad: BadValue, place: Input) -> Refusal:
    """The server's own words about a value of a wrong form, with the column named and the value not."""
    return Refusal(bad.code, bad.message, column=place.column.label)


def _one(place: Input, source: TypeSpec, data: bytes, fmt: int, reading: Reading, kind: ValueClass) -> bytes:
    value = to_canonical(source, data, fmt, reading)
    for cast in place.casts:
        value = apply_cast(source, cast, value, reading)
        source = cast
    fitting = _fit(place, source, value, reading)
    if fitting is None:
        return value  # equals none of the column's type; as little does its token
    checked = check(kind, fitting, place.column.facade.name)
    if isinstance(checked, Rejected):
        raise Refusal(
            "value-rejected",
            f"the value for column {place.column.label} is no valid {kind.kind}",
            f"Class {kind.name} has `invalid: reject`: {checked.reason}.",
            column=place.column.label,
        )
    return checked


def _fit(place: Input, source: TypeSpec, value: bytes, reading: Reading) -> bytes | None:
    """The value as the column's type holds it (write: assignment, with its length limit) or compares it (search; None:
    no value of the type is equal to it)."""
    facade = place.column.facade
    if source.name != facade.name and _converted(source.name, facade.name):
        if place.use == "search":
            return equal_value(source, facade, value, reading)
        made = apply_cast(source, facade, value, reading)
        _meant_once(place, source, made, equal_value(source, facade, value, reading) if place.sought else made)
        return made
    bare = TypeSpec(facade.name, facade.oid, facade.size)
    if not _comparable(place, source.name, facade.name):
        raise Refusal(
            "unsupported-type",
            f"column {place.column.label} is of type {facade.name} but the value is of type {source.name}",
            "Give the value as text or cast it to the column's type.",
            column=place.column.label,
        )
    if _compared(place) and facade.name == "bpchar" and source.name != "bpchar" and value.endswith(b" "):
        raise Refusal(
            "unsupported-type",
            f"column {place.column.label} is of type character, and the value is text that ends in blanks",
            "PostgreSQL compares these as text, where the blanks count: send the value without them.",
            column=place.column.label,
        )
    made = to_canonical(bare if place.use == "search" else facade, value, 0, UTF8_ISO)
    _meant_once(place, source, made, to_canonical(bare, value, 0, UTF8_ISO) if place.sought else made)
    return made


def _compared(place: Input) -> bool:
    return place.use == "search" or place.sought


def _meant_once(place: Input, source: TypeSpec, stored: bytes, compared: bytes | None) -> None:
    """A value that is stored and compared has one token for both: raises BadValue where assignment changes it (rounds
    it, cuts blanks off), so that it would not be equal to what it is stored as."""
    if stored != compared:
        both = f"stored as {format_type(place.column.facade)} and compared as {format_type(source)}"
        raise BadValue("unsupported-type", f"a value that is {both}")


def _converted(source: str, facade: str) -> bool:
    """Whether the server compares and assigns across these types of moments or numbers."""
    return (source in MOMENTS and facade in MOMENTS) or (source in NUMBERS | FLOATS and facade in NUMBERS)


def _comparable(place: Input, source: str, facade: str) -> bool:
    if source == facade or (source in TEXT_FAMILY and facade in TEXT_FAMILY):
        return True
    return not _compared(place) and facade in TEXT_FAMILY and source in ASSIGNED_TO_TEXT


def items(place: Input, values: tuple[bytes | None, ...], access: Access) -> tuple[Item, ...]:
    """The values as items to tokenise (NULLs left out)."""
    name = place.column.class_name
    through = place.column.write_tokens or access.writes_tokens(name)
    return tuple([Item(name, value, through) for value in values if value is not None])
