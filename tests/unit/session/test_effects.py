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
        Revealed({b"c@nary": Shown("email", "reveal", b"c@nary")}, {}),
        StartTls("client", b"c@nary"),
        Analyse(b"c@nary", True, None, None),
        Prepared(b"", b"c@nary", True, FORWARD, (), 1),
        Bound(FORWARD, Access(), WHO, (), 1),
    ):
        assert "c@nary" not in repr(each)
