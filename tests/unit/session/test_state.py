"""What a link knows, and how the statements that the server has done change it."""

import pytest

from proxy.errors import Bug, Refusal
from proxy.policy.access import Access
from proxy.session import ledger
from proxy.session.effects import Again, Ask, Audit, Close, Note, Principal, ToClient, ToServer
from proxy.session.ledger import Owed
from proxy.session.limits import DEFAULTS
from proxy.session.settings import UNKNOWN
from proxy.session.state import CLOSED, IGNORE, READY, TURN, State, error_response
from proxy.session.statements import Prepared
from proxy.sql.analyze import analyse
from proxy.sql.plan import FORWARD, SessionEffect, StatementPlan
from proxy.wire import messages as m
from tests.unit.session.driver import POLICY, bound, error, plan, world

VIEW = "create view v as select id, email from customers"
ALTER = "alter table customers add x int"
TEMPORARY = "create temp table customers(a int)"


def fresh() -> State:
    """A link of the shop, as it is when statements may come."""
    one = State("10.0.0.1", "CN=x", DEFAULTS)
    one.params = {"user": "shop", "database": "shop", "application_name": "web"}
    one.authenticate()
    one.ledger.ready_for_query(m.IDLE)
    one.renew(world())
    one.phase = READY
    one.settings.search_path.report('"$user", public')
    return one


def followed(one: State, *texts: str) -> State:
    for text in texts:
        for statement in plan(text)[1].statements:
            one.follow(statement, one.next_serial())
    return one


def prepared(one: State, name: bytes, text: str = "select id from customers") -> Prepared:
    made = Prepared(name, text.encode(), True, plan(text)[1], (), one.next_serial())
    change = one.statements.change(name, made, 0)
    assert change is not None
    change.done()
    return made


def test_a_link_that_replicates_sees_tokens() -> None:
    one = fresh()
    assert one.access is not None and one.access.level("email") == "reveal"
    one.replicates = True
    one.renew(world(2))
    assert one.access.level("email") == "token"


# ---- effects ----------------------------------------------------------------------------------------------------


class Asker:
    """Notes its answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, object]] = []

    def answer(self, ticket: int, result: object) -> None:
        self.answers.append((ticket, result))


def audit(one: State) -> Audit:
    return Audit("refuse", (), one.context("", ""), "syntax")


def test_effects_come_in_the_order_in_which_they_were_put() -> None:
    one, job = fresh(), Asker()
    one.to_server.append(b"a")
    one.to_server.append(b"b")
    one.to_client.append(b"c")
    ticket = one.ask(audit(one), job)
    one.to_client.append(b"d")
    one.to_client.append(b"e")
    one.flush()
    one.flush()
    assert one.effects == [ToServer(b"ab"), ToClient(b"c"), Ask(ticket, audit(one)), ToClient(b"de")]


def test_an_answer_goes_to_who_asked_once() -> None:
    one, jobs = fresh(), [Asker(), Asker()]
    tickets = [one.ask(audit(one), job) for job in jobs]
    one.answered(tickets[1], "late")
    assert [job.answers for job in jobs] == [[], [(tickets[1], "late")]]
    for ticket in (tickets[1], 99):
        with pytest.raises(Bug):
            one.answered(ticket, "again")


def test_counts_are_taken_once() -> None:
    one = fresh()
    one.count("select", "passed")
    one.count("select", "passed")
    one.plain_statements = 3
    assert one.take_counts() == {("select", "passed"): 2, ("other", "passed"): 3}
    assert one.take_counts() == {}


def test_the_end_comes_once_and_after_all_that_was_written() -> None:
    one = fresh()
    one.ask(audit(one), Asker())
    one.effects.clear()
    one.to_server.append(b"x")
    one.close_both("done")
    one.close_both("again")
    one.fatal(Refusal("shutdown", "too late"))
    assert one.effects == [ToServer(b"x"), Close("client", "done"), Close("server", "done")]
    assert (one.phase, one.jobs, one.outcome) == (CLOSED, {}, "closed")


@pytest.mark.parametrize(("code", "outcome"), [("shutdown", "drained"), ("idle", "idle"), ("protocol", "failed")])
def test_a_fatal_error_is_told_noted_and_the_end(code: str, outcome: str) -> None:
    one = fresh()
    one.fatal(Refusal(code, "it is over"))
    note, told, *closes = one.effects
    assert isinstance(note, Note) and note.facts["code"] == code
    assert isinstance(told, ToClient) and error(told.data)[b"S"] == b"FATAL"
    assert closes == [Close("client", code), Close("server", code)] and one.outcome == outcome


@pytest.mark.parametrize(
    ("refusal", "fields"),
    [
        (Refusal("syntax", "no"), {}),
        (Refusal("syntax", "no", hint="h", detail="d", position=7), {b"H": b"h", b"D": b"d", b"P": b"7"}),
        (Refusal("may-not-see", "no", column="s.t.c"), {b"C": b"42501", b"s": b"s", b"t": b"t", b"c": b"c"}),
    ],
)
def test_a_refusal_on_the_wire(refusal: Refusal, fields: dict[bytes, bytes]) -> None:
    always = {b"S": b"ERROR", b"V": b"ERROR", b"C": b"42601", b"M": b"no", b"R": b"pgveil"}
    assert error(error_response("ERROR", refusal)) == always | fields


# ---- replies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("well", [True, False])
def test_a_reply_counts_its_barrier_once_and_settles_its_name(well: bool) -> None:
    one = fresh()
    owed = Owed(ledger.PARSE)
    statement = Prepared(b"s", b"", True, FORWARD, (), 1)
    owed.change = one.statements.change(b"s", statement, 0)
    owed.barrier = True
    one.barriers = 1
    if well:
        one.settle(owed)
    else:
        one.undo(owed)
    assert one.barriers == 0 and one.statements.get(b"s") is (statement if well else None)
    one.settle(ledger.PLAIN_SYNC)
    one.undo(ledger.PLAIN_SYNC)
    assert one.barriers == 0


# ---- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "purpose", "unreported"),
    [
        ("set search_path to a", ("a",), "p", False),
        ("set pgveil.purpose = 'x'", ("shop", "public"), "x", False),
        ("set datestyle = german", ("shop", "public"), "p", True),
        ("set role other", ("other", "public"), "p", False),
        ("set role none", ("shop", "public"), "p", False),
        ("set session authorization other", ("other", "public"), "p", False),
        ("set session authorization other; set role none", None, "p", False),
        ("set session authorization other; set role none; set search_path to a", ("a",), "p", False),
        ("set role other; reset role", ("shop", "public"), "p", False),
        ("commit prepared 'x'", ("shop", "public"), "p", False),
        ("do $$ begin set search_path to other; end $$", None, "", True),
        ("select set_tenant('other')", None, "", True),
        ("call outer_tenant()", None, "", True),
        ("reset all", None, "", True),
        ("discard all", None, "", True),
        ("select set_config('search_path', note, false) from notes", None, "", True),
        ("rollback to a", ("shop", "public"), "p", False),
        ("set pgveil.purpose = 'x'; rollback to a", None, "", True),
        ("begin", ("shop", "public"), "p", False),
    ],
)
def test_what_a_statement_sets(text: str, path: tuple[str, ...] | None, purpose: str, unreported: bool) -> None:
    one = fresh()
    one.settings.user = "shop"
    one.settings.purpose.report("p")
    followed(one, text)
    assert (one.settings.path(), one.settings.declared_purpose) == (path, purpose)
    assert one.settings.unreported is unreported


def test_another_role_changes_a_path_that_depends_on_it_only() -> None:
    assert followed(fresh(), "set search_path to a", "set role x").settings.path() == ("a",)


@pytest.mark.parametrize(
    ("tag", "text", "kept"),
    [
        (b"COMMIT", "commit", True),
        (b"PREPARE TRANSACTION", "prepare transaction 'x'", True),
        (b"ROLLBACK", "rollback", False),
        (b"ROLLBACK", "commit", False),
        (b"ROLLBACK", "", False),
    ],
)
def test_the_tag_says_how_a_transaction_ended(tag: bytes, text: str, kept: bool) -> None:
    """Not the statement: COMMIT of a failed transaction is a ROLLBACK. Without one, by a plan that is not known."""
    one = followed(fresh(), "set search_path to a", VIEW)
    one.undone = True
    one.completed(tag, plan(text)[1].statements[0] if text else None)
    assert (one.settings.search_path.value == '"a"') is kept
    assert (one.overlay is not None) is kept, "with a commit, until ReadyForQuery"
    assert not one.undone and one.passing is kept


@pytest.mark.parametrize(
    ("tag", "text"), [(b"ROLLBACK", "rollback to a"), (b"SELECT 1", "select 1"), (b"BEGIN", "begin")]
)
def test_what_ends_no_transaction(tag: bytes, text: str) -> None:
    one = followed(fresh(), "set search_path to a", VIEW)
    one.undone = True
    one.completed(tag, plan(text)[1].statements[0])
    assert one.settings.search_path.value == '"a"' and one.overlay is not None and one.undone


# ---- a transaction's own tables ---------------------------------------------------------------------------------


def test_ddl_is_seen_by_this_link_before_its_end() -> None:
    one = fresh()
    epoch, base = one.epoch, one.base
    assert not one.passing
    followed(one, VIEW)
    assert one.overlay is one.snapshot and one.base is base and one.snapshot is not None
    assert ("public", "v") in one.snapshot.closed and one.snapshot.touches(b"select * from v")
    assert one.passing and one.epoch == epoch + 1
    one.drop_overlay()
    assert one.snapshot is base and one.epoch == epoch + 2
    one.drop_overlay()
    assert one.epoch == epoch + 2


@pytest.mark.parametrize(
    ("text", "ddl", "elsewhere"),
    [
        (VIEW, True, False),
        ("alter role r set x = 1", True, False),
        ("create table t(a int)", False, True),
        ("select 1", False, False),
    ],
)
def test_which_ddl_is_read_back_when(text: str, ddl: bool, elsewhere: bool) -> None:
    one = fresh()
    assert one.follow(plan(text)[1].statements[0], 1) is ddl
    assert one.elsewhere is elsewhere
    assert (one.overlay is not None) is (text == VIEW), "only where something of ours is another now"


def test_ddl_elsewhere_is_told_when_its_transaction_ends() -> None:
    one = followed(fresh(), "create table t(a int)")
    assert one.world is not None and not one.world.moved and not one.outdated
    assert one.tell_elsewhere()
    assert one.world.moved and one.outdated and not one.elsewhere
    one.world.moved = False
    assert not one.tell_elsewhere()
    assert not one.world.moved
    one.world.moved = True
    followed(one, VIEW)
    assert not one.outdated, "the overlay holds for the catalog as it was read"


def test_a_temporary_table_shadows_from_then_on() -> None:
    one = fresh()
    epoch = one.epoch
    followed(one, TEMPORARY)
    assert one.overlay is not None and one.base is not None and one.epoch > epoch
    assert "customers" in one.overlay.shadowed and "customers" in one.base.shadowed
    one.drop_overlay()
    one.renew(world(2))
    assert one.snapshot is not None and one.snapshot.shadowed == {"customers"} and one.snapshot.version == 2
    followed(one, "discard all")
    assert one.snapshot.shadowed == frozenset()


def test_a_name_may_be_shadowed_without_a_table_that_is_known() -> None:
    shadow = StatementPlan("utility", effects=(SessionEffect("shadow", "customers"),))
    one = fresh()
    one.follow(shadow, 1)
    assert one.overlay is None and one.snapshot is not None and one.snapshot.shadowed == {"customers"}


def test_a_new_catalog_does_not_make_a_transactions_own_tables_vanish() -> None:
    one = followed(fresh(), VIEW, TEMPORARY)
    one.renew(world(2))
    assert one.overlay is not None and one.overlay.version == 2
    assert ("public", "v") in one.overlay.closed and ("pg_temp", "customers") in one.overlay.relations


def test_back_to_a_savepoint_what_was_closed_stays_so_and_nothing_made_is_sure() -> None:
    one = followed(fresh(), VIEW, ALTER, TEMPORARY)
    epoch = one.epoch
    followed(one, "rollback to a")
    assert one.overlay is not None and one.epoch > epoch
    assert set(one.overlay.closed) == {("public", "v"), ("public", "customers")}
    assert ("pg_temp", "customers") not in one.overlay.relations and "customers" in one.overlay.shadowed
    plain = followed(fresh(), "rollback to a")
    assert plain.overlay is None


def test_back_to_a_savepoint_a_table_that_the_policy_waits_for_may_be_there() -> None:
    waits = [world(n, POLICY.replace("protect:", "protect:\n  public.later: {email: email}")) for n in (1, 2)]
    later = ("public", "later")
    create = analyse(b"create table later(email text)", True, ("public",), waits[0].snapshot).statements[0]
    one = fresh()
    one.renew(waits[0])
    one.follow(create, 1)
    assert one.overlay is not None and not one.overlay.closed
    followed(one, "rollback to a")
    for known in waits:
        one.renew(known)
        assert set(one.overlay.closed) == {later}
    one.follow(create, 2)
    assert not one.overlay.closed and "email" in one.overlay.protected_tables[later]


@pytest.mark.parametrize("text", [VIEW, TEMPORARY, "create table t(a int)", "discard all", "rollback to a"])
def test_where_nothing_is_protected_ddl_is_of_no_matter(text: str) -> None:
    one = State("", "", DEFAULTS)
    followed(one, text)
    one.tell_elsewhere()
    assert one.snapshot is None and not one.outdated


# ---- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left", "by_sql"),
    [
        ("deallocate a", {b"b", b"new"}, {b"q"}),
        ("deallocate q", {b"a", b"b", b"new"}, set()),
        ("deallocate all", {b"new"}, set()),
        ("discard all", {b"new"}, set()),
        ("prepare z as select 1", {b"a", b"b", b"new"}, {b"q", b"z"}),
        ("rollback to a", {b"a", b"b", b"new"}, {b"q"}),
    ],
)
def test_names_that_a_statement_drops(text: str, left: set[bytes], by_sql: set[bytes]) -> None:
    """What was parsed behind the statement stays."""
    one = followed(fresh(), "prepare q as select 1")
    prepared(one, b"a")
    prepared(one, b"b")
    serial = one.next_serial()
    prepared(one, b"new")
    one.follow(plan(text)[1].statements[0], serial)
    assert set(one.statements.all()) == left and set(one.prepared) == by_sql


# ---- who asks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "user", "database", "name"),
    [
        ({"user": "u"}, "u", "u", ""),
        ({"user": "u", "database": ""}, "u", "u", ""),
        ({"user": "u", "database": "d", "application_name": "n"}, "u", "d", "n"),
        ({}, "", "", ""),
    ],
)
def test_the_principal_is_whom_the_server_let_in(params: dict[str, str], user: str, database: str, name: str) -> None:
    one = State("10.0.0.1", "CN=x", DEFAULTS)
    one.params = params
    one.authenticate()
    assert one.principal == Principal(user, database, name, "10.0.0.1", "CN=x", "")
    assert len(one.ledger) == 1, "a ReadyForQuery is owed"


def test_an_audit_row_says_the_purpose_of_its_moment() -> None:
    one = fresh()
    before = one.context("ff", "select")
    followed(one, "set pgveil.purpose = 'ticket'")
    after = one.context("ff", "select")
    assert (before.principal.purpose, after.principal.purpose) == ("", "ticket")
    assert after.principal is one.context("ff", "select").principal
    assert after.access.role == "shop" and (after.fingerprint, after.statement) == ("ff", "select")
    followed(one, "select set_config('pgveil.purpose', note, false) from notes")
    assert one.settings.purpose.value == UNKNOWN and one.context("", "").principal.purpose == ""
    assert State("", "", DEFAULTS).context("", "").access == Access()


def test_ddl_seen_while_a_world_was_being_read_is_not_forgotten() -> None:
    one, next_ = fresh(), world(2)
    assert one.world is not None
    one.world.moved = True
    one.renew(one.world)
    one.renew(next_)
    assert next_.moved and one.world is next_


# ---- cursors --------------------------------------------------------------------------------------------------------


def cursors(*texts: str) -> State:
    one = fresh()
    for text in texts:
        made = bound(plan(text)[1])
        for statement in made.plan.statements:
            one.declared(made, statement)
    return one


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["declare c cursor for select email from customers"], True),
        (["declare c cursor for select id from customers"], False),
        (["declare c cursor for select 1"], False),
        (["declare c cursor for select email from customers", "close c"], False),
        (["declare c cursor for select email from customers", "close d"], True),
        (["declare c cursor for select email from customers", "close all"], False),
        (["declare c cursor for select email from customers", "declare c cursor for select 1"], False),
        (["close all", "select 1"], False),
        (["close d"], False),
        (["declare c cursor for select email from customers", "close d", "fetch c"], True),
    ],
)
def test_which_cursors_are_ours(texts: list[str], left: bool) -> None:
    assert (b"c" in cursors(*texts).portals) is left


@pytest.mark.parametrize("hold", ["", "with hold"])
def test_the_end_of_a_transaction_leaves_cursors_with_hold(hold: str) -> None:
    one = cursors(f"declare c cursor {hold} for select email from customers")
    one.portals.forget(None, one.serial)
    assert (b"c" in one.portals) is bool(hold)
    followed(one, "discard all")
    assert b"c" not in one.portals


def test_a_turn_is_over_once() -> None:
    state = State("", "", DEFAULTS)
    state.worked(TURN - 1)
    assert not state.yielding
    state.worked(1)
    state.worked(TURN)
    assert state.yielding and [type(effect) for effect in state.effects] == [Again]


def test_nothing_is_told_in_the_middle_of_a_message() -> None:
    state = State("", "", DEFAULTS)
    state.midway = True
    state.tell_last(Refusal("shutdown", "bye"))
    assert not state.to_client
    state.midway = False
    state.tell_last(Refusal("shutdown", "bye"))
    assert state.to_client.take() == error_response("FATAL", Refusal("shutdown", "bye"))


def test_what_becomes_of_a_record_of_a_refusal_is_of_no_matter() -> None:
    state = State("", "", DEFAULTS)
    IGNORE.answer(1, None)
    assert state.take_counts() == {} and state.effects == []


# ---- what plans are made for ------------------------------------------------------------------------------------


def test_the_basis_of_plans_is_equal_while_names_and_policy_mean_the_same() -> None:
    one = fresh()
    before = one.basis()
    one.renew(world(2))
    assert one.basis() == before
    one.renew(world(3, POLICY.replace("protect:\n", "protect:\n  public.notes: {body: free}\n")))
    assert one.basis() != before
    assert State("", "", DEFAULTS).basis() is None


def test_bytes_are_taken_once() -> None:
    state = State("", "", DEFAULTS)
    state.to_server.append(b"a")
    state.to_server.append(b"b")
    state.to_client.append(b"c")
    assert state.take_bytes() == (b"ab", b"c")
    assert state.take_bytes() == (b"", b"")


def test_after_a_transaction_that_may_have_moved_anything_no_setting_is_known() -> None:
    one = fresh()
    followed(one, "set search_path = public", "do 'begin alter schema x rename to y; end'")
    assert one.snapshot is not None and one.snapshot.moved and one.path is None
    one.drop_overlay()
    assert one.settings.search_path.value == UNKNOWN and one.path is None


def test_a_schema_made_is_known_at_once() -> None:
    one = followed(fresh(), "create schema x")
    assert one.elsewhere and one.snapshot is not None and "x" in one.snapshot.schemas
