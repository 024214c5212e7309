import pytest

from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.terms import (
    DEFAULT,
    NULL,
    PLAIN,
    Array,
    Choice,
    Held,
    Row,
    Term,
    Value,
    WholeRow,
    held_in,
    refuse,
    unsupported,
)
from proxy.wire.types import parse_type

TEXT = parse_type("text")
EMAIL = ProtectedColumn("public", "c", "email", "email", True, TEXT, TEXT, 5, 2)
HELD, VALUE = Held(EMAIL), Value(Node("ParamRef", {}))


@pytest.mark.parametrize(
    "term",
    [HELD, WholeRow(EMAIL), Row((PLAIN, HELD)), Array((VALUE, HELD)), Row((PLAIN, Array((Row((WholeRow(EMAIL),)),))))],
)
def test_a_protected_value_is_found_however_deep(term: Term) -> None:
    assert held_in(term) == EMAIL


@pytest.mark.parametrize(
    "term", [PLAIN, NULL, DEFAULT, VALUE, WholeRow(None), Row(()), Row((PLAIN, VALUE)), Array((NULL,))]
)
def test_where_there_is_none(term: Term) -> None:
    assert held_in(term) is None


def test_a_refusal_names_column_construct_and_a_way_out() -> None:
    found = refuse(EMAIL, "COALESCE")
    assert (found.code, found.sqlstate, found.column) == ("unsupported-expression", "0A000", "public.c.email")
    assert found.message == "column public.c.email is protected: COALESCE can't be answered exactly"
    assert found.hint.startswith("Compare it with =")
    other = refuse(EMAIL, "LIKE", "search-not-exact", "Ask =.")
    assert (other.code, other.hint) == ("search-not-exact", "Ask =.")


def test_a_statement_that_is_not_supported() -> None:
    found = unsupported("EXCLUDE is not supported", "Leave it out.", EMAIL.label)
    assert (found.code, found.message, found.hint) == (
        "unsupported-statement",
        "EXCLUDE is not supported",
        "Leave it out.",
    )
    assert (found.column, unsupported("x").hint, unsupported("x").column) == ("public.c.email", "", "")


def test_a_choice_is_of_what_it_has_met() -> None:
    choice = Choice((VALUE, NULL), "VALUES")
    row = WholeRow(None, (choice,))
    assert held_in(choice) is held_in(row) is None
    assert held_in(Choice((VALUE, HELD), "COALESCE")) == EMAIL
    choice.fate.column = EMAIL
    assert held_in(choice) == held_in(row) == EMAIL


def test_the_length_that_values_have_where_their_type_has_none() -> None:
    short = parse_type("varchar(9)")
    assert HELD.source == EMAIL
    assert Held(EMAIL, None, short).source.facade == short
