"""Nothing that holds a value shows it in its repr."""

from proxy.policy.access import Access
from proxy.session.effects import Analyse, Context, Find, Item, Principal, Reveal, Revealed, Shown, StartTls, Tokenise
from proxy.session.statements import Bound, Prepared
from proxy.sql.plan import FORWARD

WHO = Context(Principal("u", "d", "", "", "", ""), Access(), "00", "select")


def test_reprs() -> None:
    item = Item("email", b"c@nary")
    for each in (
        item,
        Tokenise((item,), WHO),
        Find((item,), WHO),
        Reveal((("email", b"c@nary"),), (("email", b"c@nary"),), WHO),
        Shown("email", "reveal", b"c@nary"),
        Revealed({b"c@nary": Shown("email", "reveal", b"c@nary")}, {}, {b"c@nary": b"c@nary"}),
        StartTls("client", b"c@nary"),
        Analyse(b"c@nary", True, None, None),
        Prepared(b"", b"c@nary", True, FORWARD, (), 1),
        Bound(FORWARD, Access(), WHO, (), 1),
    ):
        assert "c@nary" not in repr(each)


def test_what_stands_in_a_tokens_place() -> None:
    masked = Shown("email", "mask", b"a***")
    answer = Revealed({b"1": masked}, {}, {b"2": b"ann"})
    assert answer.of(b"1") == masked and answer.of(b"3") is None
    shown = answer.of(b"2")
    assert shown is not None and (shown.level, shown.value) == ("reveal", b"ann")
