"""What a statement's plan says to people."""

import pytest

from proxy.net.explain import explain
from tests.unit.session.driver import world

SNAPSHOT = world().snapshot


def test_nothing_protected_is_in_it() -> None:
    assert explain(b"select body from notes", SNAPSHOT, "shop").lines() == ["passed"]
    assert explain(b"select 'customers'", SNAPSHOT, "shop").outcome == "passed"


def test_inputs_and_outputs_by_place_without_a_value() -> None:
    found = explain(b"select id, email from customers where email = 'ada@b.c' and name = any($1)", SNAPSHOT, "shop")
    assert found.as_json() == {
        "outcome": "protected",
        "inputs": [
            {"use": "search", "column": "public.customers.email", "class": "email", "place": "literal 1"},
            {"use": "search", "column": "public.customers.name", "class": "person", "place": "$1 (an array)"},
        ],
        "outputs": [{"column": "public.customers.email", "class": "email", "place": "2"}],
        "refusal": None,
    }
    assert "ada@" not in "\n".join(found.lines())
    assert "  reveal public.customers.email (class email): result column 2" in found.lines()


def test_outputs_of_several_statements() -> None:
    found = explain(b"select email from customers; select name from customers", SNAPSHOT, "shop")
    assert [row["place"] for row in found.outputs] == ["1.1", "2.1"]


@pytest.mark.parametrize("text", [b"select email from customers order by email", b"select \xff from customers"])
def test_a_refusal(text: bytes) -> None:
    found = explain(text, SNAPSHOT, "shop")
    assert found.outcome == "refused" and found.refusal is not None and found.refusal["sqlstate"]
    assert any(line.startswith("  message: ") for line in found.lines())
