"""CopyData and its like from the client: what is rows of ours, what goes on as it is, what goes nowhere."""

import pytest

from proxy.errors import Refusal
from proxy.session.effects import Tokenise
from proxy.session.limits import Limits
from proxy.session.state import LARGE
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BOUND,
    COPY_DONE,
    FLUSH,
    PARSED,
    SYNC,
    Link,
    bind,
    done,
    execute,
    failed,
    kinds,
    parse,
    query,
    ready,
)  # fmt: skip

VALUE = b"s@cret.de"
STARTED = m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0)))
DATA = m.build_copy_data
COPY = "copy customers (id, email) from stdin"
FAIL = m.build_copy_fail(b"no more")


def copying(**more: Limits) -> Link:
    link = Link(**more)  # type: ignore[arg-type]
    link.client(query(COPY)).server(STARTED)
    link.sent(), link.got()
    return link


def row(link: Link, number: int, value: bytes = VALUE) -> bytes:
    return b"%d\t%s\n" % (number, link.vault.token("email", value))


def test_values_become_tokens() -> None:
    link = copying().client(DATA(b"1\t" + VALUE + b"\n2\t" + VALUE), DATA(b"\n3\t\\N\n"), COPY_DONE)
    assert link.sent() == [DATA(row(link, 1) + row(link, 2) + b"3\t\\N\n"), COPY_DONE]
    assert link.vault.stored == [("email", VALUE)], "equal values of one batch are asked for once"
    link.server(done("COPY 3"), ready())
    assert link.got() == [done("COPY 3"), ready()]


@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_however_it_is_cut(size: int) -> None:
    text = b"1\t" + VALUE + b"\n2\t\xc3\xbc@x\n3\t\\N"
    link = copying()
    for at in range(0, len(text), size):
        link.client(DATA(text[at : at + size]))
    link.client(COPY_DONE)
    sent = b"".join([frame[5:] for frame in link.sent() if frame[:1] == b"d"])
    assert sent == row(link, 1) + row(link, 2, b"\xc3\xbc@x") + b"3\t\\N"


def test_copy_of_another_table_goes_as_it_is() -> None:
    link = Link().client(query("copy notes from stdin"))
    link.server(STARTED).client(DATA(b"1\tx"), DATA(b"\n"), FAIL)
    assert link.sent()[1:] == [DATA(b"1\tx"), DATA(b"\n"), FAIL]


def test_data_that_comes_before_it_is_asked_for_waits() -> None:
    link = Link().client(parse(COPY), bind(), execute(), DATA(b"1\t" + VALUE + b"\n"), COPY_DONE, SYNC)
    assert kinds(link.sent()) == "PBEH" and not link.vault.stored
    link.server(PARSED, BOUND, STARTED)
    assert link.sent() == [DATA(row(link, 1)), COPY_DONE, SYNC]
    link.server(done("COPY 1"), ready())
    assert kinds(link.got()) == "12GCZ"


def test_data_for_a_copy_that_failed_before_it_began() -> None:
    """The server would ignore it; it goes nowhere all the same."""
    link = Link().client(parse(COPY), bind(), execute())
    data = DATA(b"1\t" + VALUE + b"\n")
    link.client(data, data).server(PARSED, BOUND, failed("42501"))
    link.client(data, COPY_DONE, SYNC)
    assert kinds(link.sent()) == "PBEHS"
    link.server(ready())
    assert kinds(link.got()) == "12EZ"


def test_data_for_a_query_that_failed() -> None:
    link = Link().client(query(COPY), DATA(b"1\t" + VALUE + b"\n")).server(failed("42501"), ready())
    link.client(FAIL, query("select 1"))
    assert kinds(link.sent()) == "QHfQ"


def test_data_for_a_copy_that_failed_long_ago() -> None:
    """By a client that has not noticed yet."""
    link = copying().client(DATA(b"1\t" + VALUE + b"\n"))
    link.server(failed("22P02"), ready()).client(COPY_DONE, query("select 1"))
    link.server(done("SELECT 1"), ready())
    link.sent()
    link.client(DATA(b"2\t" + VALUE + b"\n"), query("select 1"))
    assert kinds(link.sent()) == "Q"


def test_data_behind_a_batch_that_is_skipped() -> None:
    """Its Sync waits in the lane, behind tokens: what comes after it will be read."""
    link = Link()
    link.held = (Tokenise,)
    link.client(
        parse("select 1"), bind(), execute(), parse("insert into customers(email) values ($1)"), bind([VALUE]), SYNC
    )
    link.client(query("copy notes from stdin"), DATA(b"1\tx\n"), COPY_DONE)
    link.server(PARSED, BOUND, failed("22012"))
    link.release()
    assert kinds(link.sent()).endswith("SQdc")


def test_data_behind_a_message_that_waits() -> None:
    """Of a COPY of another table, sent in one go with what stands before it."""
    link = Link()
    link.held = (Tokenise,)
    link.client(parse("insert into customers(email) values ($1)"), bind([VALUE]), execute())
    link.client(parse("copy notes from stdin"), bind(), execute(), DATA(b"1\tx\n"), COPY_DONE, SYNC)
    link.release()
    assert kinds(link.sent()) == "PBEPBEdcS"


def test_flush_and_sync_are_part_of_it() -> None:
    link = copying().client(DATA(b"1\t" + VALUE), FLUSH, DATA(b"\n"), COPY_DONE)
    assert kinds(link.sent()) == "Hdc"


def test_copy_fail_ends_it() -> None:
    """Whole rows go before it: the server says in which line it came."""
    link = copying().client(DATA(b"1\t" + VALUE + b"\n2\t" + VALUE), FAIL)
    assert link.sent() == [DATA(row(link, 1)), FAIL]
    link.server(failed("57014"), ready()).client(query("select 1"))
    assert kinds(link.sent()) == "Q"


@pytest.mark.parametrize("table", ["customers (id, email)", "notes"])
def test_a_message_of_another_kind(table: str) -> None:
    """The server ends the connection at it, whatever it says: so it is told nothing."""
    link = Link().client(query(f"copy {table} from stdin")).server(STARTED)
    link.sent()
    link.client(DATA(b"1\t" + VALUE + b"\n"), query("select email from customers where email = 's@cret.de'"))
    link.client(DATA(b"2\tx\n"), parse("select 1"), COPY_DONE)
    if table != "notes":
        link.client(DATA(b"x" * LARGE)[:-1]).client(b"x")
    sent = link.sent()
    assert sent[1:] == [b"Q\0\0\0\4"] and sent[0][:1] == b"d"
    link.server(failed("08P01"))
    assert kinds(link.got()) == "GE"


def test_a_message_of_another_kind_behind_rows_that_are_refused() -> None:
    link = copying().client(DATA(b"1\n"), query("select 1"))
    assert kinds(link.sent()) == "fQ"


def test_a_statement_behind_rows_that_wait() -> None:
    link = copying()
    link.held = (Tokenise,)
    link.client(DATA(b"1\t" + VALUE + b"\n"), COPY_DONE, query("select 1"))
    assert link.sent() == []
    link.release()
    assert kinds(link.sent()) == "dcQ"


def test_a_bad_row_makes_it_fail_and_the_rest_goes_nowhere() -> None:
    link = copying().client(DATA(b"1\t" + VALUE + b"\n"))
    link.sent()
    link.client(DATA(b"2\n"), DATA(b"3\t" + VALUE + b"\n"))
    assert kinds(link.sent()) == "f"
    link.client(DATA(b"4\tx\n"), COPY_DONE, query("select 1"))
    assert kinds(link.sent()) == "Q" and len(link.vault.stored) == 1
    link.server(failed("57014", "COPY from stdin failed"), ready())
    (told,) = link.errors()
    assert told[b"C"] == b"22P04" and b"row 2" in told[b"D"]
    assert [note.facts["code"] for note in link.notes("refusal")] == ["copy-format"]


def test_a_last_line_that_is_bad() -> None:
    link = copying().client(DATA(b"1"), COPY_DONE)
    assert kinds(link.sent()) == "f"


def test_another_message_behind_a_copy_that_failed() -> None:
    """The server has ended it: what comes instead of CopyDone is a message like any other."""
    link = copying().client(DATA(b"1\n"))
    link.server(failed("57014"), ready()).client(query("select 1"))
    assert kinds(link.sent()) == "fQ" and not link.closed


def test_a_value_that_is_none_of_its_type() -> None:
    link = Link().client(query("copy customers (id, born) from stdin")).server(STARTED)
    link.client(DATA(b"1\t2001-01-01\n2\t2001-02-30\n"), COPY_DONE)
    assert kinds(link.sent()) == "Qf"
    link.server(failed("57014"), ready())
    (told,) = link.errors()
    assert told[b"C"] == b"22008" and told[b"c"] == b"born" and b"row 2" in told[b"D"]


def test_the_vault_is_gone() -> None:
    link = copying()
    link.fail[Tokenise] = Refusal("vault-unavailable", "the vault is gone")
    link.client(DATA(b"1\t" + VALUE + b"\n"))
    assert kinds(link.sent()) == "f"
    link.client(DATA(b"2\t" + VALUE + b"\n"))
    link.client(DATA(b"3\t" + VALUE + b"\n"), COPY_DONE).server(failed("57014"), ready())
    assert link.sent() == [] and kinds(link.got()) == "EZ"


def test_a_row_that_does_not_end() -> None:
    link = copying(limits=Limits(message=100))
    link.client(DATA(b"1\t" + b"x" * 60)).client(DATA(b"x" * 60))
    assert kinds(link.sent()) == "f"
    link.server(failed("57014"), ready())
    assert link.errors()[0][b"C"] == b"54000"


def test_many_rows_are_several_batches() -> None:
    link = copying()
    text = b"".join([b"%d\tu%d@x\n" % (i, i) for i in range(9000)])
    link.client(DATA(text[:70_000]), DATA(text[70_000:]), COPY_DONE)
    assert kinds(link.sent()) == "ddc" and len(link.vault.stored) == 9000


def test_binary_rows() -> None:
    link = Link().client(query("copy customers (email) from stdin binary")).server(STARTED)
    link.sent()
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    link.client(DATA(head + b"\0\1\0\0\0\x09" + VALUE + b"\xff\xff"), COPY_DONE)
    token = link.vault.token("email", VALUE)
    assert link.sent() == [DATA(head + b"\0\1\0\0\0\x24" + token + b"\xff\xff"), COPY_DONE]
