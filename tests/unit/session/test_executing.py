"""EXECUTE of what SQL PREPARE made: tokens for its arguments, values in its result, and what has changed since."""

import pytest

from proxy.errors import Refusal
from proxy.session import executing
from proxy.session.effects import Audit
from proxy.session.limits import Limits
from proxy.sql.plan import FORWARD
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BOUND,
    EMAIL,
    ID,
    PARSED,
    POLICY,
    SYNC,
    Link,
    bind,
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
SEARCH = "prepare p(text, int) as select id, email from customers where email = $1 or id = $2"
PLAIN = "prepare p(text) as select id from notes where body = $1"
RUN = "execute p('s@cret.de', 1)"


def prepared(text: str = SEARCH, user: str = "shop") -> Link:
    """A link on which the server has taken the PREPARE."""
    link = Link(user).client(query(text)).server(done("PREPARE"), ready())
    assert kinds(link.got()) == "CZ" and len(link.sent()) == 1
    link.events.clear()
    link.asked.clear()
    return link


def code(link: Link) -> str:
    found = [str(note.facts["code"]) for note in link.notes("refusal")]
    link.events.clear()
    return " ".join(found)


def test_the_arguments_are_tokens_and_the_rows_values() -> None:
    link = prepared().client(query(RUN))
    token = link.vault.token("email", VALUE)
    (sent,) = link.sent()
    assert sent == query(b"execute p('" + token + b"', 1)")
    assert link.vault.found == [("email", VALUE)] and not link.vault.stored
    link.server(columns(ID, EMAIL), row(b"1", token), done("SELECT 1"), ready())
    assert b"".join(link.got()) == columns(ID, EMAIL) + row(b"1", VALUE) + done("SELECT 1") + ready()


def test_it_takes_the_rights_of_its_statement() -> None:
    link = prepared("prepare p as insert into customers(id, email) values ($2, $1)")
    link.client(query("execute p('s@cret.de', 1)"))
    assert link.vault.stored == [("email", VALUE)]
    link = prepared(user="nobody")
    link.client(query(RUN))
    assert code(link) == "may-not-search" and VALUE not in link.to_server
    link.server(failed("22P02"), ready())
    assert [(a.action, a.context.statement) for a in link.asked if isinstance(a, Audit)] == [("refuse", "select")]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("execute p(null, 1)", b"execute p(null, 1)"),
        ("execute p", b"execute p"),
        ("explain execute p('s@cret.de', 1)", b"explain execute p('TOKEN', 1)"),
        ("execute p('s@cret.de', 1); execute p('s@cret.de', 2)", b"execute p('TOKEN', 1); execute p('TOKEN', 2)"),
        ("deallocate p; execute p('s@cret.de', 1)", b"deallocate p; execute p('TOKEN', 1)"),
    ],
)
def test_what_goes_to_the_server(text: str, sent: bytes) -> None:
    link = prepared()
    link.client(query(text))
    assert link.sent() == [query(sent.replace(b"TOKEN", link.vault.token("email", VALUE)))]


def test_explain_shows_what_the_server_says() -> None:
    link = prepared().client(query("explain execute p('s@cret.de', 1)"))
    link.server(columns(m.Field(b"QUERY PLAN", 0, 0, 25, -1, -1, 0)), row(link.vault.token("email", VALUE)))
    assert link.got()[1] == row(link.vault.token("email", VALUE))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("execute p('s@cret.de'::text, 1)", "unsupported-expression"),
        ("create table t as execute p('s@cret.de', 1)", "unsupported-statement"),
        ("execute q('s@cret.de', 1)", "unknown-statement"),
        ("deallocate p; prepare p as select id from notes where body = $1; execute p('s@cret.de')", ""),
    ],
)
def test_what_is_refused(text: str, refused: str) -> None:
    link = prepared().client(query(text))
    assert code(link) == refused and (VALUE in link.to_server) is (refused == "")


def test_messages_run_it_too() -> None:
    link = prepared().client(parse(RUN), bind(), describe(b"", m.PORTAL), execute(), SYNC)
    token = link.vault.token("email", VALUE)
    assert link.sent()[0] == parse(f"execute p('{token.decode()}', 1)")
    link.server(PARSED, BOUND, columns(ID, EMAIL), row(b"1", token), done("SELECT 1"), ready())
    assert row(b"1", VALUE) in link.got()


def test_a_portal_runs_what_it_was_bound_to_or_nothing() -> None:
    """A transaction keeps it while the name comes to stand for another statement."""
    link = prepared(PLAIN).client(query("begin"), parse("execute p('s@cret.de')"), bind([], b"", b"k"), SYNC)
    link.server(done("BEGIN"), ready("T"), PARSED, BOUND, ready("T"))
    link.client(query("deallocate p")).server(done("DEALLOCATE"), ready("T"))
    link.client(query(SEARCH), execute(b"k"), SYNC)
    assert kinds(link.sent())[-2:] == "QH"  # it waits for the reply to PREPARE
    link.server(done("PREPARE"), ready("T"))
    assert code(link) == "unsupported-statement" and b"k\0" not in b"".join(link.sent())
    link.server(failed("34000"), ready("E"))
    assert link.errors()[0][b"C"] == b"0A000"


def test_a_statement_bound_to_a_name_that_has_changed_is_refused() -> None:
    link = prepared().client(parse(RUN, b"s"), SYNC).server(PARSED, ready())
    link.client(query("deallocate p")).server(done("DEALLOCATE"), ready())
    link.client(query(SEARCH)).server(done("PREPARE"), ready())
    link.client(bind([], b"s"), execute(), SYNC)
    assert code(link) == "plan-changed"
    link.server(failed("26000"), ready())
    link.client(query("deallocate p")).server(done("DEALLOCATE"), ready())
    link.client(bind([], b"s"), execute(), SYNC)
    assert code(link) == "unknown-statement"


def test_a_bind_message_for_it_is_refused() -> None:
    link = prepared().client(bind([VALUE, b"1"], b"p"), execute(), SYNC)
    assert code(link) == "unsupported-statement" and VALUE not in link.to_server
    link = prepared(PLAIN).client(bind([VALUE], b"p"), execute(), SYNC)
    assert code(link) == "" and VALUE in link.to_server


def test_a_bind_message_waits_for_a_prepare() -> None:
    link = Link().client(query(SEARCH), bind([VALUE, b"1"], b"p"), execute(), SYNC)
    assert VALUE not in link.to_server
    link.server(done("PREPARE"), ready())
    assert code(link) == "unsupported-statement" and VALUE not in link.to_server


def test_a_name_of_the_protocol_in_the_way() -> None:
    """The server will say that the name is taken: until then neither is run."""
    link = prepared().client(parse("select 1", b"p"), SYNC, query(RUN))
    assert code(link) == "unsupported-statement" and VALUE not in link.to_server


@pytest.mark.parametrize("text", [SEARCH, PLAIN])
def test_it_holds_for_its_policy_and_path(text: str) -> None:
    link = prepared(text)
    link.session.renew(world(2))
    link.client(query("execute p('s@cret.de')"))
    assert code(link) == ""  # the same is protected
    link = prepared(text)
    link.session.renew(world(2, POLICY + "  - {name: more, match: {user: more}, access: {default: mask}}\n"))
    link.client(query("execute p('s@cret.de')"))
    assert code(link) == ""
    link = prepared(text)
    link.session.renew(world(2, POLICY.replace("protect:\n", "protect:\n  public.notes: {body: free}\n")))
    link.client(query("execute p('s@cret.de')"))
    assert code(link) == "plan-changed"
    link = prepared(text).client(query("set search_path = other")).server(done("SET"), ready())
    link.client(query("execute p('s@cret.de')"), bind([VALUE], b"p"), SYNC)
    assert code(link) in ("plan-changed plan-changed", "plan-changed unsupported-statement")


def test_plans_that_run_nothing_by_name_are_let_be() -> None:
    state = Link().session.state
    assert executing.resolved(state, FORWARD) is FORWARD and executing.based(state, FORWARD) is FORWARD
    assert isinstance(executing.stale(), Refusal)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("execute plain", ""),
        ("begin; execute plain", ""),
        ("execute ours('s@cret.de')", "unsupported-statement"),
        ("prepare a as select 1", "statement-too-large"),
    ],
)
def test_what_messages_have_made(text: str, refused: str) -> None:
    link = Link(limits=Limits(statements=2))
    link.client(parse("select 1", b"plain"), parse("select email from customers", b"ours"), SYNC)
    link.server(PARSED, PARSED, ready())
    for name in ("x", "y"):
        link.client(query(f"prepare {name} as select 1")).server(done("PREPARE"), ready())
    link.client(query(text))
    assert code(link) == refused


def test_a_portal_waits_while_a_name_is_given_away() -> None:
    link = prepared(PLAIN).client(query("begin"), parse("execute p('x')"), bind([], b"", b"k"), SYNC)
    link.server(done("BEGIN"), ready("T"), PARSED, BOUND, ready("T"))
    link.client(query("prepare other as select 1"), execute(b"k"))
    assert execute(b"k") not in link.sent()
    link.server(done("PREPARE"), ready("T"))
    assert execute(b"k") in link.sent()
    link.client(parse("select email from customers"), bind(), execute())
    assert link.sent()[-1] == execute()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("default: reveal}}", "default: deny}}", "may-not-see"),
        ("default: reveal}}", "default: mask}}", "plan-changed"),
        ("default: reveal}}", "default: reveal}, rows: 9}", "plan-changed"),
        ("default: reveal}}", "email: reveal, default: deny}}", ""),
        ("default: reveal}}", "default: reveal}, require_purpose: true}", "purpose-required"),
    ],
)
@pytest.mark.parametrize("declared", [False, True])
def test_a_portal_shows_what_may_be_seen_when_it_is_run(before: str, after: str, expected: str, declared: bool) -> None:
    """A cursor WITH HOLD lives as long as its connection."""
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    if declared:
        link.client(query("declare k cursor with hold for select email from customers"))
        link.server(done("DECLARE CURSOR"), ready("T"))
    else:
        link.client(parse("select email from customers"), bind([], b"", b"k"), SYNC).server(PARSED, BOUND, ready("T"))
    link.session.renew(
        world(2, POLICY.replace(f"{{user: shop}}, access: {{{before}", f"{{user: shop}}, access: {{{after}"))
    )
    link.client(execute(b"k"), SYNC)
    assert code(link) == expected and (execute(b"k") in link.sent()) is (not expected)


def test_a_portal_takes_the_purpose_that_it_was_bound_with_no_further() -> None:
    link = Link(user="purposeful").client(query("set pgveil.purpose = 'x'")).server(done("SET"), ready())
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(parse("select email from customers"), bind([], b"", b"k"), SYNC).server(PARSED, BOUND, ready("T"))
    link.client(execute(b"k", 1), SYNC)
    assert code(link) == ""
    link.server(done("SELECT 0"), ready("T")).client(query("reset pgveil.purpose")).server(done("RESET"), ready("T"))
    link.client(execute(b"k"), SYNC)
    assert code(link) == "purpose-required"
