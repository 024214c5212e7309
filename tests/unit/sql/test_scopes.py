"""Ranges and levels by themselves; what names mean in them is in test_names.py."""

import pytest

from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import Ctes, OutColumn, Outputs, Range, Scope
from proxy.sql.terms import NULL, PLAIN, Choice, Held, WholeRow
from proxy.wire.types import parse_type

TEXT = parse_type("text")
EMAIL = ProtectedColumn("public", "c", "email", "email", True, TEXT, TEXT, 5, 2)
HELD = Held(EMAIL)
ID, MAIL, HIDDEN = OutColumn("id", PLAIN), OutColumn("email", HELD), OutColumn(None, PLAIN)


class Known:
    """A WITH query that has been read."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    def read(self) -> Outputs:
        return self.outputs


@pytest.mark.parametrize("columns", [(ID, MAIL, ID), (ID, OutColumn("id", HELD)), (OutColumn("id", HELD), ID)])
def test_the_protected_one_of_several_columns_counts(columns: tuple[OutColumn, ...]) -> None:
    """The server calls such a name ambiguous; that it might be the protected one is the safe side."""
    name = "email" if MAIL in columns else "id"
    assert Range("c", columns).find(name) == HELD
    assert Range("c", columns).find("other") is None
    assert Range("c", columns).whole() == WholeRow(EMAIL)
    assert Outputs(columns).held() == HELD


def test_nothing_protected() -> None:
    assert Range("c", (ID,)).find("id") == PLAIN
    assert Range("c", (ID,)).whole() == WholeRow(None)
    assert Outputs((ID,)).held() is None


@pytest.mark.parametrize(
    ("columns", "opaque", "vague"), [((ID,), False, False), ((ID,), True, True), ((ID, HIDDEN), False, True)]
)
def test_a_range_is_vague_if_not_all_its_names_are_known(
    columns: tuple[OutColumn, ...], opaque: bool, vague: bool
) -> None:
    assert Range("c", columns, opaque).vague == vague


def test_in_a_join_a_range_is_the_same_but_for_names_alone() -> None:
    joined = Range("c", (ID, MAIL), True, "public", True, "public.c").unlisted()
    assert not joined.listed
    assert (joined.name, joined.columns, joined.opaque, joined.schema, joined.table) == (
        "c", (ID, MAIL), True, "public", "public.c",
    )  # fmt: skip


def test_the_innermost_with_query_of_a_name() -> None:
    outer, inner = Known(Outputs((MAIL,))), Known(Outputs((ID,)))
    queries: Ctes = {"a": outer, "b": outer}
    scope = Scope(ctes=queries).inner((Range("t", (ID,)),)).inner(ctes={"a": inner}).inner()
    assert scope.cte("a") is inner
    assert scope.cte("b") is outer
    assert scope.cte("t") is None
    assert scope.parent is not None and scope.parent.parent is not None
    assert [r.name for r in scope.parent.parent.ranges] == ["t"]


def test_values_that_have_met_nothing_yet() -> None:
    """They are not protected until something makes them so."""
    choice = Choice((PLAIN,), "VALUES", raw=True)
    columns = (ID, OutColumn("v", choice), OutColumn("w", NULL))
    assert Outputs(columns).held() is None
    assert Range("v", columns).whole() == WholeRow(None, (choice,))
    typed = Outputs(columns).typed().columns[1].term
    assert isinstance(typed, Choice) and not typed.raw and typed.fate is choice.fate
    assert Outputs((ID,)).typed() == Outputs((ID,))
    choice.fate.column = EMAIL
    assert Outputs(columns).held() == Held(EMAIL, choice.fate)


def test_a_range_finds_a_name_as_often_as_it_is_asked() -> None:
    held = Held(EMAIL)
    found = Range("t", (OutColumn("a", PLAIN), OutColumn("a", held), OutColumn("a", PLAIN), OutColumn(None, NULL)))
    assert [found.find("a"), found.find("a"), found.find("b"), found.find("")] == [held, held, None, None]
