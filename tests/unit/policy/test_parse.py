"""One policy file: what it holds, and every way in which it can be wrong by itself."""

import pytest

from proxy.documents import Fault, Reader
from proxy.policy.parse import Parsed, network_fault, parse
from proxy.policy.rules import Match, RecordKey, ValueClass
from tests.unit.policy.cases import HEAD, WHOLE, WRONG


def parsed(text: str) -> tuple[Parsed, list[Fault]]:
    faults: list[Fault] = []
    return parse(Reader("p", faults), text), faults


def test_all_that_a_file_holds_in_its_order() -> None:
    found, faults = parsed(WHOLE)
    assert not faults
    assert [(each.value.name, each.file, each.line) for each in found.classes][:2] == [
        ("email", "p", 3),
        ("phone", "p", 4),
    ]
    assert found.classes[1].value == ValueClass("phone", "phone", region="DE", search=("normalized",), invalid="reject")
    assert [(rule.column, rule.type, rule.line) for rule in found.rules][1:4] == [
        ("born", "date", 11),
        ("paid", "numeric", 12),
        ("due", "timestamptz(3)", 13),
    ]
    assert [role.name for role in found.roles] == ["shop", "support", "rest"]
    assert found.roles[0].match == Match(user=("shop", "shop-*"), client=("10.0.0.0/8", "unix"))
    assert found.records[0].keys == (RecordKey("email", "email", True), RecordKey("login", "login"))


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "version: 1", HEAD])
def test_a_file_may_protect_nothing(text: str) -> None:
    found, faults = parsed(text)
    assert not faults and not found.rules and not found.roles


@pytest.mark.parametrize(("seen_by", "text", "line", "says"), WRONG, ids=[f"{w[2]}-{w[3]}" for w in WRONG])
def test_one_fault(seen_by: str, text: str, line: int, says: str) -> None:
    faults = parsed(text)[1]
    assert [fault.line for fault in faults] == [line]
    assert says in f"{faults[0].message} ({faults[0].advice})"


def test_a_part_with_a_fault_brings_no_others() -> None:
    found, faults = parsed(HEAD + "protect:\n  s.t: {a: {class: e, type: box}, b: e}\nroles: [{name: x, match: []}]")
    assert len(faults) == 2
    assert [(rule.column, rule.type) for rule in found.rules] == [("a", None), ("b", None)]


def test_networks() -> None:
    assert network_fault("unix") is None and network_fault("2001:db8::/32") is None
    assert "10.0.0.0/8" in (network_fault("10.0.0.1/8") or "") and "CIDR" in (network_fault("here") or "")
