"""SQL-level PREPARE and EXECUTE: a name that was never prepared here takes no values to the server."""

from tests.unit.session.driver import Link, done, failed, kinds, query, ready


def refused(link: Link, text: str) -> bytes:
    link.client(query(text)).server(failed("22P02"), ready())
    return link.errors()[0][b"C"]


def test_execute_of_a_name_that_is_not_there() -> None:
    link = Link()
    assert refused(link, "execute b('s@cret.de')") == b"26000"
    assert b"s@cret" not in link.to_server


def test_execute_behind_a_refused_prepare() -> None:
    link = Link()
    assert refused(link, "prepare b as select id from customers where email like $1") == b"0A000"
    assert refused(link, "execute b('s@cret.de')") == b"26000"
    assert b"s@cret" not in link.to_server


def test_execute_of_a_prepared_one_until_it_is_deallocated() -> None:
    link = Link()
    link.client(query("prepare p as select 1")).server(done("PREPARE"), ready())
    link.client(query("execute p")).server(done("SELECT 1"), ready())
    link.client(query("deallocate p")).server(done("DEALLOCATE"), ready())
    assert kinds(link.sent()) == "QQQ"
    assert refused(link, "execute p") == b"26000"


def test_prepare_and_execute_in_one_text_and_in_one_flight() -> None:
    link = Link()
    link.client(query("prepare p as select 1; execute p")).server(done("PREPARE"), done("SELECT 1"), ready())
    assert kinds(link.sent()) == "Q"
    link.client(query("prepare q as select 1"), query("execute q"))
    link.server(done("PREPARE"), ready())
    assert [frame[5:-1] for frame in link.sent() if frame[:1] == b"Q"][-1] == b"execute q"


def test_discard_all_forgets_them_and_a_rollback_does_not() -> None:
    link = Link()
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query("prepare p as select 1")).server(done("PREPARE"), ready("T"))
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    link.client(query("execute p")).server(done("SELECT 1"), ready())
    link.client(query("discard all")).server(done("DISCARD ALL"), ready())
    assert refused(link, "execute p") == b"26000"
