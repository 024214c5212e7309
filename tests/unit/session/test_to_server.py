"""What reaches the server of a client's messages."""

from collections.abc import Callable

import pytest

from proxy.errors import Refusal
from proxy.session.effects import Analyse, Audit, Find, LoadCatalog, Pause, Resume, Reveal, Tokenise
from proxy.session.limits import Limits
from proxy.session.outgoing import NOBODY
from proxy.session.state import LARGE
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BORN,
    BOUND,
    CLOSED,
    COPY_DONE,
    EMAIL,
    FLUSH,
    ID,
    NOTES,
    PARSED,
    POLICY,
    REACHING,
    SYNC,
    Link,
    bind,
    close,
    columns,
    describe,
    done,
    execute,
    failed,
    kinds,
    parse,
    query,
    ready,
    row,
    world,
)

VALUE = b"s@cret.de"
INSERT = "insert into customers(id, email) values ($1, $2)"


def bound(frame: bytes) -> m.Bind:
    assert frame[:1] == b"B"
    return m.parse_bind(frame, 5, len(frame))


def parsed(frame: bytes) -> m.Parse:
    assert frame[:1] == b"P"
    return m.parse_parse(frame, 5, len(frame))


# ---- Query ----------------------------------------------------------------------------------------------------------


def test_nothing_goes_before_the_value_is_stored() -> None:
    link = Link()
    link.held = (Tokenise,)
    link.client(query("insert into customers(email) values ('s@cret.de')"), query("select 1"))
    assert link.sent() == []
    link.release()
    token = link.vault.token("email", VALUE).decode()
    assert link.sent() == [query(f"insert into customers(email) values ('{token}')"), query("select 1")]
    assert link.vault.stored == [("email", VALUE)]


def test_a_search_stores_nothing() -> None:
    link = Link().client(query("select id from customers where email = 's@cret.de'"))
    assert link.vault.found == [("email", VALUE)] and link.vault.stored == []
    assert link.vault.token("email", VALUE) in link.to_server


def test_the_vault_refuses_and_nothing_is_sent() -> None:
    link = Link()
    link.fail[Tokenise] = Refusal("vault-unavailable", "the vault is not reachable")
    link.client(query("insert into customers(email) values ('s@cret.de')"))
    assert VALUE not in link.to_server and b"refused by pgveil" in link.to_server
    link.server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"57P03" and not link.closed


def test_one_question_of_each_kind_a_message() -> None:
    link = Link().client(query("update customers set email = 'a@b.c', name = 'A' where email = 'x@y.z'"))
    assert [len(request.items) for request in link.asked if isinstance(request, Tokenise)] == [2]
    assert [len(request.items) for request in link.asked if isinstance(request, Find)] == [1]
    assert b"a@b.c" not in link.to_server and b"x@y.z" not in link.to_server


def test_one_of_two_questions_fails() -> None:
    link = Link()
    link.held = (Tokenise, Find)
    link.client(query("update customers set email = 'a@b.c' where email = 'x@y.z'"))
    link.fail[Find] = Refusal("vault-unavailable", "away")
    link.asks.reverse()
    link.release()
    assert kinds(link.sent()) == "Q" and len(link.notes("refusal")) == 1


@pytest.mark.parametrize(
    ("user", "text", "code"),
    [
        ("support", "insert into customers(email) values ('a@b.c')", b"42501"),
        ("viewer", "select id from customers where email = 'a@b.c'", b"42501"),
        ("mixed", "select id from customers where name = 'A'", b""),
        ("purposeful", "select email from customers", b"42501"),
        ("nobody", "insert into customers(email) values ('a@b.c')", b"42501"),
    ],
)
def test_rights(user: str, text: str, code: bytes) -> None:
    link = Link(user).client(query(text))
    assert b"a@b.c" not in link.to_server
    link.server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == (code or b"22P02")


def test_a_purpose_opens_and_a_rollback_closes_again() -> None:
    link = Link("purposeful")
    select = query("select email from customers")
    link.client(query("begin; set pgveil.purpose = 'support case'")).server(done("BEGIN"), done("SET"), ready("T"))
    link.client(select)
    assert link.sent()[-1] == select
    link.server(done("SELECT 0"), ready("T"))
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    link.client(select)
    assert link.sent()[-1] != select


def test_a_statement_that_is_too_large_to_be_read() -> None:
    link = Link(limits=Limits(statement=50))
    link.client(query("select email from customers where id = 1" + " " * 50)).server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"54000"


def test_text_that_is_none_in_its_encoding() -> None:
    link = Link().client(query(b"insert into customers(email) values ('\xff')"))
    assert b"\xff" not in link.to_server
    link.server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"22021"


def test_latin1() -> None:
    link = Link(settings={"client_encoding": "LATIN1"})
    link.client(query("insert into customers(name, note) values ('Zoë', 'é')".encode("latin-1")))
    assert link.vault.stored == [("person", "Zoë".encode())]
    assert link.to_server.endswith(b"'\xe9')\0")


def test_an_encoding_that_cannot_be_read_refuses_what_is_protected_only() -> None:
    link = Link(settings={"client_encoding": "SJIS"})
    plain = query("select 1")
    assert link.client(plain).sent() == [plain]
    link.server(done("SELECT 1"), ready()).got()
    link.client(query("insert into customers(email) values ('a@b.c')")).server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"0A000"


# ---- Parse, Bind, Execute -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("formats", "id_"), [((), b"1"), ((0,), b"1"), ((1, 0), b"\0\0\0\1"), ((1,), b"\0\0\0\1")])
def test_parameters_in_text_and_binary(formats: tuple[int, ...], id_: bytes) -> None:
    link = Link().client(parse(INSERT), bind([id_, VALUE], formats=formats), execute(), SYNC)
    sent = link.sent()
    assert kinds(sent) == "PBES" and parsed(sent[0]).oids == (0, 25)
    assert bound(sent[1]).params == [id_, link.vault.token("email", VALUE)]


def test_null_stays_null() -> None:
    """PEER-FAILURES 13."""
    for params in ([None, VALUE], [b"1", None], [None, None]):
        link = Link().client(parse(INSERT), bind(list(params)), execute(), SYNC)
        expected = link.vault.token("email", VALUE) if params[1] else None
        assert bound(link.sent()[1]).params == [params[0], expected]


def test_a_wrong_number_of_parameters_is_the_servers_to_refuse() -> None:
    link = Link().client(parse(INSERT), bind([VALUE]), execute(), SYNC)
    assert VALUE not in link.to_server
    assert bound(link.sent()[1]).params == [None]
    no = failed("08P01", "bind message supplies 1 parameters")
    link.server(PARSED, no, ready())
    assert link.got() == [PARSED, no, ready()]


@pytest.mark.parametrize("fmt", [0, 1])
def test_arrays(fmt: int) -> None:
    link = Link()
    text = b'{s@cret.de,NULL,"a@b.c"}'
    if fmt:
        items = [len(v).to_bytes(4, "big") + v for v in (VALUE, b"a@b.c")]
        text = b"\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\3\0\0\0\1" + items[0] + b"\xff\xff\xff\xff" + items[1]
    link.client(parse("select id from customers where email = any($1)"), bind([text], formats=(fmt,)), execute(), SYNC)
    one, two = link.vault.token("email", VALUE), link.vault.token("email", b"a@b.c")
    sent = link.sent()
    assert bound(sent[1]).params == [b"{" + one + b",NULL," + two + b"}"]
    assert parsed(sent[0]).oids == (1009,)


def test_a_value_of_the_wrong_form_is_refused_with_the_servers_code_and_without_the_value() -> None:
    link = Link().client(parse("insert into customers(born) values ($1)"), bind([b"no date"]), execute(), SYNC)
    assert b"no date" not in link.to_server
    link.server(PARSED, failed("08P01"), ready())
    told = link.errors()[0]
    assert (told[b"C"], told[b"c"]) == (b"22007", b"born") and b"no date" not in told[b"M"]


def test_literals_of_a_prepared_statement_are_tokens_from_the_start() -> None:
    link = Link().client(parse("select id from customers where email = 's@cret.de'"), bind(), execute(), SYNC)
    assert VALUE not in link.to_server
    token = link.vault.token("email", VALUE)
    assert token in link.sent()[0]
    assert link.vault.found == [("email", VALUE)] * 2, "each execution is a search of its own"


def test_a_refused_parse_fails_in_its_place_and_what_follows_is_skipped() -> None:
    """PEER-FAILURES 48."""
    link = Link().client(close(b"s"), SYNC)
    link.client(parse("select email from customers order by email", b"q"), describe(b"q"), SYNC, bind(name=b"q"), SYNC)
    assert b"customers" not in link.to_server
    link.server(CLOSED, ready(), failed("22P02"), ready(), failed("26000"), ready())
    assert kinds(link.got()) == "3ZEZEZ"


def test_peer_failure_49_two_statements_in_one_flight() -> None:
    link = Link()
    link.client(parse("insert into customers(email) values ($1)", b"1"), bind([VALUE], b"1"), execute())
    link.client(parse("insert into customers(name) values ($1)", b"2"), bind([b"A"], b"2"), execute())
    link.client(bind([b"b@c.d"], b"1"), execute(), SYNC)
    sent = link.sent()
    assert kinds(sent) == "PBEPBEBES"
    wanted = [("email", VALUE), ("person", b"A"), ("email", b"b@c.d")]
    assert [bound(frame).params[0] for frame in sent if frame[:1] == b"B"] == [link.vault.token(*w) for w in wanted]


def test_a_pipeline_waits_for_one_answer_of_the_vault_only() -> None:
    link = Link()
    link.held = (Tokenise,)
    link.client(parse(INSERT, b"s"), *[bind([b"1", b"%d@b.c" % i], b"s") + execute() for i in range(10)], SYNC)
    assert len(link.asks) == 10 and kinds(link.sent()) == "P"
    link.asks.reverse()
    link.release()
    assert kinds(link.sent()) == "BE" * 10 + "S"


def test_more_statements_than_a_link_may_hold() -> None:
    link = Link(limits=Limits(statements=2))
    link.client(parse("select 1", b"a"), parse("select 1", b"b"), parse("select 2", b"b"))
    assert not link.closed
    assert link.client(parse("select 1", b"c")).closed


def test_fetch_from_a_protected_portal_is_revealed() -> None:
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(parse("select email from customers"), bind(portal=b"p"), SYNC).server(PARSED, BOUND, ready("T"))
    link.got(), link.sent()
    token = link.vault.token("email", VALUE)
    link.client(query("fetch all from p")).server(columns(EMAIL), row(token), done("FETCH 1"), ready("T"))
    assert link.got()[1] == row(VALUE)


# ---- cursors


def declared(link: Link, text: str = "declare c cursor for select email from customers") -> Link:
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query(text)).server(done("DECLARE CURSOR"), ready("T"))
    link.got(), link.sent()
    return link


def fetched(link: Link, field: m.Field = EMAIL) -> bool:
    """Whether a token in its row is revealed."""
    token = link.vault.token("email", VALUE)
    link.client(query("fetch c")).server(columns(field), row(token), done("FETCH 1"), ready("T"))
    return link.got()[1] == row(VALUE)


def test_what_a_cursor_gives_is_revealed() -> None:
    assert fetched(declared(Link()))
    assert not fetched(declared(Link(), "declare c cursor for select id from customers"), ID)


@pytest.mark.parametrize(
    ("before", "tag", "status", "shown"),
    [
        ("close c", "CLOSE CURSOR", "T", False),
        ("close all", "CLOSE CURSOR ALL", "T", False),
        ("close d", "CLOSE CURSOR", "T", True),
        ("declare c cursor for select note from customers", "DECLARE CURSOR", "T", False),
        ("declare c cursor for select 1", "DECLARE CURSOR", "T", False),
        ("move c", "MOVE 1", "T", True),
        ("commit", "COMMIT", "I", False),
    ],
)
@pytest.mark.parametrize("hold", [False, True])
def test_until_when_a_cursor_is_ours(before: str, tag: str, status: str, shown: bool, hold: bool) -> None:
    link = declared(Link(), f"declare c cursor {'with hold' if hold else ''} for select email from customers")
    link.client(query(before)).server(done(tag), ready(status))
    link.got()
    shown = shown or (hold and before == "commit")
    assert fetched(link, EMAIL if shown else ID) is shown


def test_a_cursor_that_was_not_made_is_none() -> None:
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query("declare c cursor for select email from customers")).server(failed("42P03"), ready("E"))
    link.got()
    assert not fetched(link, ID)


def test_discard_all_leaves_no_cursor() -> None:
    link = declared(Link(), "declare c cursor with hold for select email from customers")
    link.client(query("commit")).server(done("COMMIT"), ready())
    link.client(query("discard all")).server(done("DISCARD ALL"), ready())
    link.got()
    assert not fetched(link, ID)


def test_declare_and_fetch_in_one_text() -> None:
    link = Link().client(query("begin; declare c cursor for select email from customers; fetch c; close c"))
    token = link.vault.token("email", VALUE)
    link.server(
        done("BEGIN"), done("DECLARE CURSOR"), columns(EMAIL), row(token), done("FETCH 1"), done("CLOSE CURSOR")
    )
    assert row(VALUE) in link.got()


def test_nothing_is_planned_behind_a_declare_before_its_reply() -> None:
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.sent()
    link.client(query("declare c cursor for select email from customers"), query("fetch c"))
    assert kinds(link.sent())[:1] == "Q" and len(link.asks) == 0
    link.server(done("DECLARE CURSOR"), ready("T"))
    link.got()
    token = link.vault.token("email", VALUE)
    link.server(columns(EMAIL), row(token), done("FETCH 1"), ready("T"))
    assert row(VALUE) in link.got()


def test_a_value_that_a_cursor_looks_for_becomes_its_token() -> None:
    link = declared(Link(), "declare c cursor for select id from customers where email = 's@cret.de'")
    assert ("email", VALUE) in link.vault.found


@pytest.mark.parametrize(("user", "refused"), [("nobody", b"42501"), ("shop", b"")])
def test_who_may_declare(user: str, refused: bytes) -> None:
    link = Link(user).client(query("declare c cursor with hold for select email from customers"))
    link.server(failed("22P02") if refused else done("DECLARE CURSOR"), ready())
    assert [told[b"C"] for told in link.errors()] == ([refused] if refused else [])


def test_execute_of_a_protected_statement_by_name_is_refused() -> None:
    link = Link().client(parse("insert into customers(email) values ($1)", b"s"), SYNC).server(PARSED, ready())
    link.got(), link.sent()
    link.client(query("execute s('s@cret.de')"))
    assert VALUE not in link.to_server
    link.server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"0A000"


@pytest.mark.parametrize(("more", "code"), [((25, 25), b"0A000"), ((25,), b"22P02")])
def test_types_of_parameters_that_the_statement_does_not_have(more: tuple[int, ...], code: bytes) -> None:
    """The server's statement has one parameter more: a type for it would be taken for the client's."""
    link = Link().client(parse("insert into customers(email, note) values ($1, $1)", oids=more), SYNC)
    refused = parsed(link.sent()[0])
    assert (b"refused by pgveil" in refused.query) is (code == b"0A000")
    link.server(failed("22P02"), ready())
    assert [told[b"C"] for told in link.errors()] == [code]


def test_more_portals_on_protected_tables_than_a_link_may_hold() -> None:
    link = Link(limits=Limits(statements=2))
    link.client(parse("select email from customers", b"s"))
    for portal in (b"a", b"b", b"b"):
        link.client(bind([], b"s", portal))
    assert not link.closed
    assert link.client(bind([], b"s", b"c")).closed


def test_a_portal_bound_to_something_else_is_no_longer_protected() -> None:
    link = Link().client(parse("select email from customers", b"s"), parse("select 1", b"t"))
    link.client(bind([], b"s", b"p"), describe(b"p", m.PORTAL), bind([], b"t", b"p"), describe(b"p", m.PORTAL))
    assert kinds(link.sent()) == "PPBDBD"
    link.server(PARSED, PARSED, BOUND, columns(BORN), BOUND, columns(m.Field(b"x", 0, 0, 25, -1, -1, 0)))
    assert kinds(link.got()) == "112T2T"


def test_a_closed_portal_is_nothing() -> None:
    link = Link().client(parse("select born from customers"), bind(portal=b"p"), close(b"p", m.PORTAL))
    link.client(describe(b"p", m.PORTAL), SYNC)
    link.server(PARSED, BOUND, CLOSED, failed("34000"), ready())
    assert kinds(link.got()) == "123EZ"
    assert not link.session.state.portals.all()


def test_closing_what_is_not_there_passes() -> None:
    frames = [close(b"x"), close(b"x", m.PORTAL), SYNC]
    assert Link().client(*frames).server(CLOSED, CLOSED, ready()).sent() == frames


@pytest.mark.parametrize("use", [describe(b"p", m.PORTAL), execute(b"p")], ids=["describe", "execute"])
def test_what_a_portal_is_depends_on_an_earlier_batch(use: bytes) -> None:
    """If the Bind fails it is what it was: the message waits, and Flush makes the server answer."""
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(parse("select born from customers", b"s"), bind([], b"s", b"p"), SYNC)
    link.sent()
    link.client(use)
    assert link.sent() == [FLUSH]
    link.server(PARSED, BOUND)
    assert link.sent() == [use]


def test_describe_of_a_statement_tells_its_types() -> None:
    link = Link().client(parse("select born from customers where email = $1", b"s"), describe(b"s"), SYNC)
    link.server(PARSED, m.build_parameter_description([25]), columns(BORN), ready())
    told = link.got()[2]
    assert m.parse_row_description(told, 5, len(told))[0].type_oid == 1082


@pytest.mark.parametrize("text", [query("select 1"), parse("select 1"), bind([], b"s")], ids=["query", "parse", "bind"])
def test_nothing_is_known_not_to_touch_while_ddl_is_under_way(text: bytes) -> None:
    link = Link().client(parse("select 1", b"s"), SYNC).server(PARSED, ready())
    link.sent()
    link.client(parse("create view v as select email from customers"), bind(), execute(), text)
    assert kinds(link.sent()) == "PBEH"
    link.server(PARSED, BOUND, done("CREATE VIEW"))
    assert link.sent() == [text]


# ---- what is held ---------------------------------------------------------------------------------------------------

EITHER = pytest.mark.parametrize("again", [query, parse], ids=["query", "parse"])
ID_OF = "select id from customers"


@EITHER
def test_a_statement_waits_for_a_reply_that_changes_how_it_is_read(again: Callable[[str], bytes]) -> None:
    link = Link().client(query("set search_path = other"), again(ID_OF))
    assert link.sent() == [query("set search_path = other"), FLUSH]
    link.client(query("select 1"))
    assert link.sent() == [], "order is kept"
    link.server(done("SET"), ready())
    assert link.sent() == [again(ID_OF), query("select 1")]


@EITHER
def test_a_statement_waits_for_the_catalog_when_tables_were_made_elsewhere(again: Callable[[str], bytes]) -> None:
    link = Link().client(query("create table t(a int)")).server(done("CREATE TABLE"), ready())
    link.held = (LoadCatalog,)
    link.sent()
    link.client(again(ID_OF))
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True)] and link.sent() == []
    link.world = world(2)
    assert link.release().sent() == [again(ID_OF)]


@EITHER
def test_a_statement_waits_for_its_plan(again: Callable[[str], bytes]) -> None:
    link = Link()
    link.held = (Analyse,)
    link.client(again(ID_OF), SYNC)
    assert link.sent() == []
    assert link.release().sent() == [again(ID_OF), SYNC]


def test_a_transaction_whose_settings_may_be_taken_back_is_waited_for() -> None:
    link = Link().client(query("begin; set local search_path = other")).server(done("BEGIN"), done("SET"), ready("T"))
    link.sent()
    link.client(query("commit"), query(ID_OF))
    assert link.sent() == [query("commit"), FLUSH]
    link.server(done("COMMIT"), ready())
    assert link.sent() == [query(ID_OF)]


def test_what_only_sounds_protected_goes_as_it_came() -> None:
    text = query("select 'customers', 'x'")
    link = Link().client(text)
    assert link.sent() == [text] and not link.vault.found
    assert link.session.state.take_counts() == {}


def test_a_simple_query_has_no_parameters() -> None:
    link = Link().client(query("select id from customers where email = $1"))
    assert b"customers" not in link.to_server
    link.server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"42601"


# ---- the same statement again ---------------------------------------------------------------------------------------

OPEN = "select body from notes where id = $1"


def test_a_statement_that_passed_passes_again_unseen() -> None:
    link, flight = Link(), (parse(OPEN), bind([b"1"]), execute(), SYNC)
    for again in (False, True, True):
        link.client(*flight)
        assert link.sent() == list(flight)
        assert link.session.state.statements.changing(b"") is not again
        link.server(PARSED, BOUND, done("SELECT 0"), ready())
        assert kinds(link.got()) == "12CZ"


def test_it_is_looked_at_again_while_its_first_reply_is_owed_and_when_it_is_another() -> None:
    link = Link().client(parse(OPEN), parse(OPEN), SYNC).server(PARSED, PARSED, ready())
    first = link.session.state.statements.get(b"")
    link.client(parse(OPEN), parse("select 1"), SYNC)
    assert link.session.state.statements.get(b"") is not first
    link.server(failed("42P01"), ready())
    assert link.session.state.statements.get(b"") is first, "as if it had not been sent"


def test_a_new_policy_sees_a_statement_that_passed_before() -> None:
    link = Link().client(parse(OPEN), SYNC).server(PARSED, ready())
    notes = POLICY.replace("protect:\n", "protect:\n  public.notes: {body: free}\n")
    link.world = world(2, notes)
    link.session.renew(link.world)
    link.client(parse(OPEN), bind([b"1"]), describe(b"", m.PORTAL), execute(), SYNC)
    link.server(PARSED, BOUND, columns(m.Field(b"body", NOTES, 2, 25, -1, -1, 0)))
    token = link.vault.token("free", VALUE)
    link.got()
    link.server(row(token), done("SELECT 1"), ready())
    assert link.got()[0] == row(VALUE)


def test_what_was_prepared_again_outlives_a_deallocate_before_it() -> None:
    link = Link().client(parse(OPEN, b"s"), SYNC).server(PARSED, ready())
    link.client(query("deallocate all"))
    link.sent()
    link.client(parse(OPEN, b"s"), SYNC)
    link.server(done("DEALLOCATE ALL"), ready(), PARSED, ready())
    assert link.session.state.statements.get(b"s") is not None


# ---- what changes under a prepared statement ------------------------------------------------------------------------


def renewed(text: str, policy: str) -> Link:
    """A link whose policy changes while `text` is prepared as s."""
    link = Link().client(parse(text, b"s"), SYNC).server(PARSED, ready())
    link.world = world(2, policy)
    link.session.renew(link.world)
    link.sent(), link.got()
    return link


@pytest.mark.parametrize("use", [bind([VALUE], b"s"), describe(b"s")], ids=["bind", "describe"])
def test_a_statement_whose_text_would_be_another_now_has_to_be_prepared_again(use: bytes) -> None:
    link = renewed("insert into customers(email) values ($1)", POLICY.replace("    email: email\n", ""))
    link.client(use, SYNC).server(failed("26000"), ready())
    if use[:1] == b"B":
        assert VALUE not in link.to_server
        assert [(told[b"C"], told[b"M"]) for told in link.errors()] == [
            (b"0A000", b"cached plan must not change result type")
        ]
    else:
        assert kinds(link.sent()) == "DS"


def test_a_statement_whose_text_is_the_same_goes_on() -> None:
    link = renewed("insert into customers(email) values ($1)", POLICY.replace("    name: person\n", ""))
    link.client(bind([VALUE], b"s"), SYNC)
    assert bound(link.sent()[0]).params == [link.vault.token("email", VALUE)]


def test_a_statement_that_nothing_protects_any_more_goes_on_and_shows_what_is_stored() -> None:
    link = renewed("select email from customers", "version: 1\nclasses: {a: {kind: text}}\nprotect: {x.y: {z: a}}\n")
    token = link.vault.token("email", VALUE)
    link.client(bind([], b"s"), execute(), SYNC).server(BOUND, row(token), done("SELECT 1"), ready())
    assert link.got() == [BOUND, row(token), done("SELECT 1"), ready()]
    assert not any(isinstance(request, Reveal) for request in link.asked)


def test_a_statement_is_planned_anew_while_others_wait() -> None:
    link = renewed("insert into customers(email) values ($1)", POLICY.replace("    name: person\n", ""))
    link.held = (Analyse,)
    link.client(bind([VALUE], b"s"), SYNC)
    assert link.sent() == []
    assert kinds(link.release().sent()) == "BS"


def test_a_statement_that_cannot_be_read_any_more_is_refused_at_bind() -> None:
    link = Link().client(parse("select id from customers where note = 'é'", b"s"), SYNC).server(PARSED, ready())
    link.session.state.limits = Limits(statement=10)
    link.world = world(2)
    link.session.renew(link.world)
    link.sent(), link.got()
    link.client(bind([], b"s"), SYNC).server(failed("26000"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"54000"]


def test_a_statement_refused_for_its_policy_stays_so_until_it_is_prepared_again() -> None:
    link = renewed("insert into customers(email) values ($1)", POLICY.replace("    email: email\n", ""))
    for version, policy in ((3, POLICY), (4, POLICY)):
        link.client(bind([VALUE], b"s"), SYNC).server(failed("26000"), ready())
        assert [told[b"C"] for told in link.errors()] == [b"0A000"]
        link.session.renew(world(version, policy))
    link.client(parse("insert into customers(email) values ($1)"), bind([VALUE]), SYNC)
    assert VALUE not in link.to_server and link.vault.token("email", VALUE) in link.to_server


@pytest.mark.parametrize("moved", [False, True])
def test_a_prepared_statement_waits_for_what_its_names_mean(moved: bool) -> None:
    link = Link().client(parse(ID_OF, b"s"), SYNC).server(PARSED, ready())
    link.held = (LoadCatalog,)
    before = query("create table t(a int)" if moved else "set search_path = other")
    link.client(before)
    if moved:
        link.server(done("CREATE TABLE"), ready())
    link.sent()
    link.client(bind([], b"s"))
    assert link.sent() == ([] if moved else [FLUSH])
    if moved:
        link.world = world(2)
        link.release()
    else:
        link.server(done("SET"), ready())
    assert kinds(link.sent()) == "B"


# ---- skipped, paused, mended ----------------------------------------------------------------------------------------


def test_what_the_server_would_skip_is_not_sent_and_changes_no_name() -> None:
    link = Link().client(parse(INSERT, b"s"), SYNC).server(PARSED, ready())
    link.client(execute(b"nowhere"), FLUSH).server(failed("34000"))
    link.sent()
    link.client(close(b"s"), parse("select $1, $2", b"s"), execute())
    assert link.sent() == []
    link.client(SYNC, bind([b"1", VALUE], b"s"))
    assert kinds(link.sent()) == "SB" and VALUE not in link.to_server


def test_what_waited_for_its_tokens_when_the_server_failed_is_not_sent() -> None:
    link = Link().client(parse(INSERT, b"s"), SYNC).server(PARSED, ready())
    link.held = (Tokenise,)
    link.client(execute(b"nowhere"), bind([b"1", VALUE], b"s"), execute(), SYNC)
    link.sent()
    link.server(failed("34000"))
    assert link.release().sent() == [SYNC]


@pytest.mark.parametrize("kind", [Tokenise, Analyse])
def test_a_client_is_paused_while_too_much_of_what_it_sent_waits(kind: type) -> None:
    link = Link(limits=Limits(waiting=200))
    link.held = (kind,)
    link.client(query("insert into customers(email) values ('x@y.z')"))
    assert link.flow() == []
    link.client(query("select 1" + " " * 300))
    assert link.flow() == [Pause("client")]
    link.release()
    assert link.flow() == [Pause("client"), Resume("client")] and kinds(link.sent()) == "QQ"


def test_a_large_message_that_waits_for_nothing_but_its_own_end_pauses_nobody() -> None:
    link = Link(limits=Limits(waiting=200))
    large = query("select 1" + " " * 900)
    link.client(large[:500])
    assert link.flow() == []
    assert link.client(large[500:]).sent() == [large]


def test_what_waited_for_a_failed_reply_to_be_made_up_for_keeps_its_order() -> None:
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query("select email from customers")).server(columns(EMAIL))
    link.fail[Reveal] = Refusal("vault-unavailable", "away")
    link.server(row(link.vault.token("email", VALUE)), done("SELECT 1"), ready("T"))
    link.sent()
    link.client(query("insert into customers(email) values ('a@b.c')"), query("rollback"))
    assert link.sent() == []
    link.server(failed("22P02"), ready("E"))
    assert [b"insert" in frame for frame in link.sent()] == [True, False]


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_peer_failure_67_function_calls() -> None:
    """Large objects are what drivers use them for; set_config (2078) would change what names mean, query_to_xml (2923)
    reads any table, and neither says so in a text."""
    link = Link()
    call = m.build_function_call(954, (), [b"x"], 0)
    assert link.client(call).sent() == [call]
    link.server(m.build_function_result(b"y"), ready()).got()
    for oid in (REACHING.oid, 2078, 2923, 1000):
        link.client(m.build_function_call(oid, (), [b"search_path"], 0))
        assert oid.to_bytes(4, "big") not in link.to_server and b"search_path" not in link.to_server
        link.server(failed("42883"), ready())
        assert link.errors()[0][b"C"] == b"0A000"
    free = Link(protected=False).client(m.build_function_call(1000, (), [], 0))
    assert kinds(free.sent()) == "F", "where nothing is protected it is the server's business"


def test_peer_failure_59_copy_inside_a_pipeline() -> None:
    link = Link()
    link.client(parse("copy notes from stdin"), bind(), execute(), SYNC)
    link.server(PARSED, BOUND, m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.client(m.build_copy_data(b"1\tx\n"), COPY_DONE, SYNC)
    link.server(done("COPY 1"), ready())
    assert kinds(link.sent()) == "PBESdcS" and kinds(link.got()) == "12GCZ"
    link.client(query("select 1")).server(done("SELECT 1"), ready())
    assert kinds(link.got()) == "CZ" and len(link.session.state.ledger) == 0


def test_a_message_that_does_not_belong_into_a_copy_says_nothing_to_the_server() -> None:
    """It ends the connection whatever it says, and it may hold values; so what comes behind it goes nowhere."""
    link = Link().client(query("copy notes from stdin"))
    link.server(m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.sent()
    link.client(query("insert into customers(email) values ('s@cret.de')"), m.build_copy_data(VALUE), COPY_DONE)
    assert kinds(link.sent()) == "Q" and not link.vault.stored


def test_copy_that_fails_half_way_while_data_still_comes() -> None:
    """The server would ignore them."""
    link = Link().client(query("copy notes from stdin"))
    link.server(m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.server(failed("22P04"), ready())
    link.client(m.build_copy_data(b"1\tx\n"), m.build_copy_fail(b"no"), query("select 1"))
    link.server(done("SELECT 1"), ready())
    assert kinds(link.got()) == "GEZCZ" and kinds(link.sent()) == "QfQ"


def test_copy_of_a_protected_table_with_a_file_is_refused() -> None:
    link = Link().client(query("copy customers from '/tmp/x'"))
    link.server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"0A000"


def test_terminate_goes_behind_what_waits() -> None:
    link = Link()
    link.held = (Tokenise,)
    link.client(query("insert into customers(email) values ('a@b.c')"), m.build_terminate())
    assert link.sent() == []
    assert kinds(link.release().sent()) == "QX"


@pytest.mark.parametrize("kind", [0, ord("?"), ord("z"), ord("R"), 0xFF])
def test_a_message_that_no_client_sends_closes_the_link(kind: int) -> None:
    link = Link().client(bytes((kind,)) + b"\0\0\0\4")
    assert link.sent() == [] and link.closed
    assert [told[b"C"] for told in link.errors()] == [b"08P01"]


def test_flush_and_password_pass() -> None:
    frames = [FLUSH, m.build_password(b"x\0")]
    assert Link().client(*frames).sent() == frames


def test_refusals_are_recorded() -> None:
    link = Link().client(query("select email from customers order by email"))
    assert [(request.action, request.outcome) for request in link.asked if isinstance(request, Audit)] == [
        ("refuse", "order-by-protected")
    ]


@pytest.mark.parametrize("parameters", [0, 1, 2])
def test_a_statement_that_a_new_policy_refuses_fails_at_bind_whatever_its_parameters(parameters: int) -> None:
    """The refusal has no plan that says how many there are, and a Bind with the right number would succeed."""
    text = "select id from customers where email in (" + ", ".join(["'a'", "$1", "$2"][: parameters + 1]) + ")"
    link = Link()
    link.client(parse(text, b"s"), SYNC).server(PARSED, ready())
    link.world = world(2, POLICY.replace("    email: email\n", "    nosuch: email\n    email: email\n"))
    link.session.renew(link.world)
    link.sent(), link.got()
    link.client(bind([b"x"] * parameters, b"s"), execute(), SYNC)
    sent = [frame for frame in link.sent() if frame[:1] == b"B"]
    assert [m.parse_bind(frame, 5, len(frame)).statement for frame in sent] == [NOBODY]
    link.server(failed("26000"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"0A000"]


# ---- large messages --------------------------------------------------------------------------------------------------


def test_what_was_not_taken_is_let_go_when_the_link_is_over() -> None:
    link = Link()
    link.held = (Tokenise,)
    link.client(query("insert into customers(email) values ('a@b.c')"), query("select 1"), b"Q\0\1\0\0half")
    link.server(b"D\0\1\0\0half")
    link.session.client_eof()
    link.session.release()
    lanes = link.session._clients, link.session._servers
    assert [lane.frames.pending() for lane in lanes] == [0, 0] and not link.session._clients.holding


def test_a_message_too_large_for_its_values_is_refused_unread() -> None:
    link = Link(limits=Limits(message=LARGE))
    link.client(parse("insert into customers(email) values ($1)", b"s"), SYNC).server(PARSED, ready())
    link.sent(), link.got()
    for portal in (b"", b"p"):
        message = bind([b"x" * (LARGE + 1)], name=b"s", portal=portal)
        link.client(message[:1000])
        assert kinds(link.sent()) == "B"
        link.client(message[1000:])
    link.client(bind([b"x" * 10], name=b"t"))  # none of ours: no matter
    assert link.vault.stored == [] and len(link.notes("refusal")) == 2


def test_a_message_that_came_whole_is_refused_by_its_size_too() -> None:
    link = Link(limits=Limits(message=100))
    link.client(parse("insert into customers(email) values ($1)", b"s"), SYNC).server(PARSED, ready())
    link.client(bind([b"x" * 200], name=b"s"), SYNC)
    link.server(failed("26000"), ready())
    assert link.errors()[0][b"C"] == b"54000" and link.vault.stored == []


# ---- EXECUTE ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again", ["prepare p as select 2", "prepare p as select email from customers where email = $1"]
)
def test_a_portal_that_executes_is_looked_at_again(again: str) -> None:
    link = Link().client(query("prepare p as select 1")).server(done("PREPARE"), ready())
    link.client(query("begin"), parse("execute p"), bind([], b"", b"k"), SYNC)
    link.server(done("BEGIN"), ready("T"), PARSED, BOUND, ready("T"))
    link.client(query("deallocate p")).server(done("DEALLOCATE"), ready("T"))
    link.client(query(again), execute(b"k"), SYNC)
    link.sent()
    link.server(done("PREPARE"), ready("T"))
    assert (execute(b"k") in link.sent()) is (again == "prepare p as select 2")
    link.server(done("SELECT 1") if again == "prepare p as select 2" else failed("34000"), ready("T"))
    assert [told[b"C"] for told in link.errors()] == ([] if again == "prepare p as select 2" else [b"0A000"])


def test_a_bind_of_what_sql_prepared() -> None:
    link = Link().client(query("prepare p as select id from customers where email = $1"), bind([VALUE], b"p"), SYNC)
    assert VALUE not in link.to_server
    link.server(done("PREPARE"), ready()).server(failed("26000"), ready())
    assert VALUE not in link.to_server and [told[b"C"] for told in link.errors()] == [b"0A000"]


@pytest.mark.parametrize("literal", [True, False])
def test_a_value_that_is_written_and_looked_for_is_recorded_as_a_search(literal: bool) -> None:
    link = Link()
    new = "not exists (select from customers c where c.email = v.e)"
    text = f"insert into customers(email) select v.e from (values ({{}})) v(e) where {new}"
    if literal:
        link.client(query(text.format("'a@b.c'")))
    else:
        link.client(parse(text.format("$1"), b"s", (25,)), bind([b"a@b.c"], name=b"s"), SYNC)
    assert link.vault.stored == [("email", b"a@b.c")] and link.vault.found == [("email", b"a@b.c")]
    assert b"a@b.c" not in link.to_server
