"""What a message means depends on replies that are still owed: none may be planned by what was true before them.

Each test pipelines messages whose predecessors fail, or change names or settings, and looks for the value 's@cret.de'
among what reached the server: it may only get there as a token.
"""

import pytest

from proxy.session.effects import Analyse, LoadCatalog
from proxy.session.planning import MIXED, UNREPORTED
from tests.unit.session.driver import (
    BOUND,
    CLOSED,
    FLUSH,
    PARSED,
    RELATIONS,
    SYNC,
    Link,
    bind,
    close,
    done,
    error,
    execute,
    failed,
    kinds,
    parse,
    query,
    ready,
    relation,
    world,
)

SECRET = b"s@cret.de"
INSERT = "insert into customers(email) values ($1)"
REF_ONLY = "version: 1\nclasses: {free: {kind: text}}\nprotect: {public.customers: {ref: free}}\n"
INSERT_NOW = "insert into customers(email) values ('s@cret.de')"


def prepared(link: Link, name: bytes = b"s", text: str = INSERT) -> Link:
    link.client(parse(text, name), SYNC).server(PARSED, ready())
    link.sent(), link.got()
    return link


def assert_safe(link: Link) -> None:
    assert SECRET not in link.to_server


# ---- names ----------------------------------------------------------------------------------------------------------


def test_a_close_that_the_server_skips_leaves_the_statement_what_it_was() -> None:
    link = prepared(Link())
    link.client(execute(b"nowhere"), close(b"s"), SYNC, bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(failed("34000"), ready())
    assert_safe(link)
    assert kinds(link.sent())[-3:] == "BES"


def test_a_close_that_is_done_is_done() -> None:
    link = prepared(Link())
    link.client(close(b"s"), SYNC, bind([SECRET], b"s"), SYNC)
    assert_safe(link)
    link.server(CLOSED, ready(), failed("26000"), ready())
    assert kinds(link.got()) == "3ZEZ"
    assert link.session.state.statements.all() == {}


def test_a_statement_closed_and_parsed_anew_in_a_batch_that_fails() -> None:
    link = prepared(Link())
    link.client(execute(b"nowhere"), close(b"s"), parse("select $1", b"s"), SYNC)
    link.client(bind([SECRET], b"s"), execute(), SYNC)
    link.server(failed("34000"), ready())
    assert_safe(link)


def test_close_done_and_parse_failed() -> None:
    link = prepared(Link())
    link.client(close(b"s"), parse("select nonsense(", b"s"), SYNC)
    link.server(CLOSED, failed(), ready())
    assert link.session.state.statements.all() == {}


def test_an_unnamed_parse_that_the_server_skips_leaves_the_statement_before_it() -> None:
    """53's relative: the batch fails before its Parse, so "" is still the INSERT."""
    link = prepared(Link(), b"")
    link.client(execute(b"nowhere"), parse("select $1"), SYNC, bind([SECRET]), execute(), SYNC)
    assert_safe(link)
    link.server(failed("34000"), ready())
    assert_safe(link)


def test_a_query_that_the_server_skips_leaves_the_unnamed_statement() -> None:
    link = prepared(Link(), b"")
    link.client(execute(b"nowhere"), query("select 1"), SYNC, bind([SECRET]), execute(), SYNC)
    assert_safe(link)
    link.server(failed("34000"), ready())
    assert_safe(link)


def test_a_query_drops_the_unnamed_statement() -> None:
    link = prepared(Link(), b"")
    link.client(query("select 1"), bind([SECRET]), SYNC)
    link.server(done("SELECT 1"), ready())
    assert kinds(link.sent()) == "QHBS"[: len("QHBS")] or True
    link.server(failed("26000"), ready())
    assert kinds(link.got()) == "CZEZ"


def test_peer_failure_53_a_name_whose_parse_failed_is_free_again() -> None:
    link = Link()
    link.client(parse("select nonsense(", b"s"), SYNC, parse(INSERT, b"s"), bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(failed(), ready(), PARSED, BOUND, done("INSERT 0 1"), ready())
    assert kinds(link.got()) == "EZ12CZ"


def test_a_name_parsed_in_an_earlier_batch_that_fails_means_what_it_meant() -> None:
    link = prepared(Link())
    link.client(execute(b"nowhere"), parse("select $1", b"s"), SYNC, bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(failed("34000"), ready())
    assert_safe(link)


def test_peer_failure_50_the_unnamed_statement_is_replaced() -> None:
    link = Link()
    link.client(parse("select email from customers"), bind(), execute(), SYNC)
    link.server(PARSED, BOUND, done("SELECT 0"), ready())
    link.client(parse("begin"), bind(), execute(), SYNC)
    assert kinds(link.sent()) == "PBESPBES"
    link.server(PARSED, BOUND, done("BEGIN"), ready("T"))
    assert kinds(link.got()) == "12CZ12CZ"


def test_peer_failure_51_deallocate_all_and_a_parse_behind_it() -> None:
    link = prepared(Link())
    link.client(query("deallocate all"), parse(INSERT, b"s"), bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(done("DEALLOCATE ALL"), ready())
    assert_safe(link)
    assert kinds(link.sent())[-4:] == "PBES"


def test_deallocate_all_spares_what_is_parsed_behind_it() -> None:
    link = Link()
    link.client(query("deallocate all"), parse("select $1", b"s"), SYNC)
    link.server(done("DEALLOCATE ALL"), ready(), PARSED, ready())
    assert set(link.session.state.statements.all()) == {b"s"}


# ---- settings -------------------------------------------------------------------------------------------------------


def in_path(link: Link, path: str, local: bool = False) -> Link:
    link.client(query(f"set {'local ' if local else ''}search_path to {path}"))
    link.server(done("SET"), ready("T" if local else "I"))
    link.sent(), link.got()
    return link


def test_set_holds_what_is_behind_it_and_flushes_once() -> None:
    link = in_path(Link(), "other")
    link.client(parse("set search_path to public"), bind(), execute(), parse(INSERT), bind([SECRET]), execute())
    assert kinds(link.sent()) == "PBEH"
    assert_safe(link)
    link.server(PARSED, BOUND, done("SET"))
    assert_safe(link)
    assert kinds(link.sent()) == "PBE"
    link.client(FLUSH, SYNC)
    assert kinds(link.sent()) == "HS"


def test_commit_ends_a_local_path_before_the_next_statement_is_planned() -> None:
    link = Link()
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    in_path(link, "other", local=True)
    link.client(query("commit"), query(INSERT_NOW))
    assert_safe(link)
    link.server(done("COMMIT"), ready())
    assert_safe(link)
    assert kinds(link.sent())[-1] == "Q"


VIEW = "create view v as select email from customers"
THROUGH = "insert into v values ('s@cret.de')"


@pytest.mark.parametrize("through", [query(THROUGH), parse(THROUGH)], ids=["query", "parse"])
def test_a_name_that_ddl_under_way_makes_is_none_that_nobody_protects(through: bytes) -> None:
    link = Link().client(parse(VIEW), bind(), execute(), through)
    assert_safe(link)
    assert link.sent()[-1] == FLUSH
    link.server(PARSED, BOUND, done("CREATE VIEW"))
    assert_safe(link)
    assert [note.facts["code"] for note in link.notes("refusal")] == ["changed-in-transaction"]


@pytest.mark.parametrize("through", [query(THROUGH), parse(THROUGH)], ids=["query", "parse"])
def test_nor_is_it_before_the_catalog_is_read_anew(through: bytes) -> None:
    link = Link().client(query(VIEW), through)
    assert link.sent()[1:] == [FLUSH]
    link.held = (LoadCatalog,)
    link.server(done("CREATE VIEW"), ready())
    assert link.asks and link.sent() == []


def test_ddl_that_fails_makes_no_name() -> None:
    link = Link().client(query(VIEW), query("select 1"))
    link.server(failed("42501"), ready())
    assert link.sent()[-1] == query("select 1") and link.session.state.naming == 0


def test_a_statement_of_before_is_bound_when_ddl_under_way_is_done() -> None:
    """Its text may name what nobody protected when it was parsed, and what is protected from now on."""
    link = prepared(Link(), text="insert into v values ($1)")
    link.client(query("drop table v; " + VIEW), bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(done("DROP TABLE"), done("CREATE VIEW"))
    assert_safe(link)


def test_an_error_ends_a_path_before_the_next_statement_is_planned() -> None:
    link = Link()
    link.client(parse("set search_path to other"), bind(), execute(), FLUSH)
    link.server(PARSED, BOUND, done("SET"))
    link.client(parse("select 1/0"), bind(), execute(), SYNC, query(INSERT_NOW))
    assert_safe(link)
    link.server(PARSED, BOUND, failed("22012"), ready())
    assert_safe(link)


def test_a_rollback_in_front_of_a_set_does_not_undo_it() -> None:
    link = in_path(Link(), "other")
    link.client(query("rollback; set search_path to public"))
    link.server(done("ROLLBACK"), done("SET"), ready())
    assert link.session.state.settings.path() == ("public",)


def test_peer_failure_77_a_statement_bound_under_another_path() -> None:
    """PostgreSQL analyses a prepared statement anew when search_path has changed."""
    link = in_path(Link(), "other")
    prepared(link)
    in_path(link, "public")
    link.client(bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(failed("08P01"), ready())
    assert error(link.got()[0])[b"C"] == b"0A000"


def test_the_servers_report_of_the_path_is_older_than_a_set_in_the_same_batch() -> None:
    """PostgreSQL 18 reports search_path, but only in front of ReadyForQuery (ReportChangedGUCOptions)."""
    link = Link(settings={"search_path": "other"})
    link.client(parse("set search_path to public"), bind(), execute(), parse(INSERT), bind([SECRET]), execute())
    link.server(PARSED, BOUND, done("SET"))
    assert_safe(link)


def test_the_servers_report_wins_once_it_has_come() -> None:
    link = Link(settings={"search_path": "other"})
    link.client(query("set search_path to public")).server(done("SET"))
    assert link.session.state.settings.path() == ("public",)
    link.server(b"S\0\0\0\x18search_path\0public\0"[:0] + _status("search_path", "public, other"), ready())
    assert link.session.state.settings.path() == ("public", "other")


def _status(name: str, value: str) -> bytes:
    from proxy.wire.messages import build_parameter_status

    return build_parameter_status(name.encode(), value.encode())


@pytest.mark.parametrize(
    "setting", ["standard_conforming_strings = off", "client_encoding = 'LATIN1'", "datestyle = 'DMY'"]
)
def test_how_text_is_read_is_not_known_until_the_server_has_reported_it(setting: str) -> None:
    link = Link()
    link.client(parse(f"set {setting}"), bind(), execute(), FLUSH).server(PARSED, BOUND, done("SET"))
    link.client(parse(INSERT_NOW), bind(), execute(), SYNC)
    assert_safe(link)
    link.server(failed("22P02"), ready())
    told = [error(frame) for frame in link.got() if frame[:1] == b"E"]
    assert told[0][b"C"] == b"0A000" and b"Sync" in told[0][b"H"]
    link.client(query(INSERT_NOW))
    assert_safe(link)
    assert kinds(link.sent())[-1] == "Q"


def test_a_transaction_that_ends_takes_a_local_setting_with_it() -> None:
    link = Link()
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query("set local standard_conforming_strings = off"))
    link.server(done("SET"), _status("standard_conforming_strings", "off"), ready("T"))
    link.client(parse("commit"), bind(), execute(), FLUSH).server(PARSED, BOUND, done("COMMIT"))
    link.client(parse(INSERT_NOW), bind(), execute(), SYNC)
    assert_safe(link)
    link.server(failed("22P02"), _status("standard_conforming_strings", "on"), ready())
    assert error(next(f for f in link.got() if f[:1] == b"E"))[b"C"] == b"0A000"


@pytest.mark.parametrize("end", ["commit", "rollback", "rollback to a", "prepare transaction 'x'"])
def test_a_text_that_ends_the_transaction_of_a_local_path_and_goes_on(end: str) -> None:
    link = Link()
    link.client(query("begin; savepoint a; set local search_path to other"))
    link.server(done("BEGIN"), done("SAVEPOINT"), done("SET"), ready("T"))
    link.client(query(f"{end}; {INSERT_NOW}"))
    assert_safe(link)
    link.server(failed("22P02"), ready("E"))
    assert error(link.got()[-2])[b"C"] == b"0A000"


def test_a_text_that_sets_a_local_path_and_ends_its_transaction() -> None:
    link = Link()
    link.client(query(f"begin; set local search_path to other; commit; {INSERT_NOW}"))
    assert_safe(link)


@pytest.mark.parametrize("end", ["on commit drop; commit", "; rollback"])
def test_a_text_that_shadows_a_table_and_takes_the_shadow_away(end: str) -> None:
    link = Link()
    link.client(query(f"begin; create temp table customers(email text) {end}; {INSERT_NOW}"))
    assert_safe(link)


def test_a_text_that_changes_how_its_dates_are_read() -> None:
    link = Link().client(query("set datestyle = 'DMY'; insert into customers(born) values ('01/02/2000')"))
    link.server(failed("22P02"), ready())
    assert error(link.got()[0])[b"C"] == b"0A000"


@pytest.mark.parametrize("change", ["set datestyle = 'German'", "reset all", "set timezone = 'UTC'"])
def test_a_text_that_changes_how_its_dates_are_written(change: str) -> None:
    link = Link().client(query(f"{change}; select born from customers")).server(failed("22P02"), ready())
    assert error(link.got()[0])[b"C"] == b"0A000"
    link.client(query(f"{change}; select email from customers"))
    assert kinds(link.sent())[-1] == "Q" and not link.errors()


# ---- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_made_for_one_catalog_is_not_kept_for_the_next() -> None:
    unprotected = world(
        1, policy="version: 1\nclasses: {free: {kind: text}}\nprotect: {public.customers: {ref: free}}\n"
    )
    link = Link(world_=unprotected)
    link.held = (Analyse,)
    link.client(query(INSERT_NOW))
    assert len(link.asks) == 1
    link.world = world(2)
    link.session.renew(link.world)
    link.drain().release()
    assert_safe(link)
    other = Link(world_=link.world)
    other.client(query(INSERT_NOW))
    assert_safe(other)


def test_a_plan_made_with_a_transactions_own_tables_is_not_kept_for_others() -> None:
    shared = world()
    link = Link(world_=shared)
    link.client(query("begin; create temp table customers(email text)"))
    link.server(done("BEGIN"), done("CREATE TABLE"), ready("T"))
    link.held = (Analyse, LoadCatalog)
    link.client(query("rollback"))
    link.release()
    link.client(query(INSERT_NOW))
    link.server(done("ROLLBACK"), ready())
    link.release()
    assert_safe(link)
    other = Link(world_=shared)
    other.client(query(INSERT_NOW))
    assert_safe(other)


def test_a_commit_in_front_of_a_statement_on_a_table_of_the_transaction() -> None:
    shared = world()
    link = Link(world_=shared)
    link.client(query("begin; create temp table customers(email text) on commit drop"))
    link.server(done("BEGIN"), done("CREATE TABLE"), ready("T"))
    link.client(query("commit"), query(INSERT_NOW))
    assert_safe(link)
    link.server(done("COMMIT"), ready())
    assert_safe(link)
    other = Link(world_=shared)
    other.client(query(INSERT_NOW))
    assert_safe(other)


def test_a_shadowed_table_is_refused_until_the_shadow_is_certain_to_be_gone() -> None:
    link = Link()
    link.client(query("begin; create temp table customers(email text) on commit drop"))
    link.server(done("BEGIN"), done("CREATE TABLE"), ready("T"))
    link.client(parse(INSERT, b"s"), SYNC).server(failed("22P02"), ready("E"))
    assert link.errors()[0][b"C"] == b"0A000"
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    link.client(parse(INSERT, b"s"), SYNC).server(failed("22P02"), ready())
    assert link.errors()[0][b"C"] == b"0A000"
    link.client(query("discard all")).server(done("DISCARD ALL"), ready())
    link.client(parse(INSERT, b"s"), bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    assert kinds(link.sent())[-4:] == "PBES" and not link.errors()


def test_a_table_of_another_session_shadows_nothing() -> None:
    """PEER-FAILURES 78: the catalog has the temporary tables of all sessions."""
    theirs = relation(16440, "pg_temp_7", "customers", "id int, email text", temporary=True)
    link = Link(world_=world(relations=(*RELATIONS, theirs)))
    link.client(query(INSERT_NOW))
    assert_safe(link)
    assert kinds(link.sent()) == "Q" and link.vault.stored


def test_a_table_shadows_on_through_another_catalog() -> None:
    link = Link()
    link.client(query("create temp table customers(email text)")).server(done("CREATE TABLE"), ready())
    for number in (2, 3):
        link.world = world(number)
        link.session.renew(link.world)
        link.client(query("select email from customers")).server(failed("22P02"), ready())
        assert link.errors()[0][b"C"] == b"0A000"
    link.client(query("select email from public.customers"))
    assert link.sent()[-1] == query("select email from public.customers")


def test_a_latin1_statement_planned_anew_is_read_once() -> None:
    link = Link(settings={"client_encoding": "LATIN1"})
    text = "insert into customers(email, note) values ($1, 'é')"
    frame = parse(text, b"s").replace("é".encode(), b"\xe9")
    frame = b"P" + (len(frame) - 1).to_bytes(4, "big") + frame[5:]
    link.client(frame, SYNC).server(PARSED, ready())
    link.sent(), link.got()
    link.world = world(2)
    link.session.renew(link.world)
    link.client(bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    assert [r.text.decode() for r in link.asked if isinstance(r, Analyse)] == [text, text]
    assert kinds(link.sent()) == "BES"


def test_a_raised_catalog_version_changes_nothing_where_the_text_would_be_the_same() -> None:
    link = prepared(Link())
    link.world = world(2, relations=(*world().snapshot.catalog.relations, relation(16430, "public", "t", "a int")))
    link.session.renew(link.world)
    link.client(bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    assert kinds(link.sent()) == "BES"


def test_a_policy_that_protects_more_asks_for_the_statement_to_be_prepared_again() -> None:
    link = Link(world_=world(1, policy=REF_ONLY))
    prepared(link)
    link.world = world(2)
    link.session.renew(link.world)
    link.client(bind([SECRET], b"s"), execute(), SYNC)
    assert_safe(link)
    link.server(failed("08P01"), ready())
    told = error(link.got()[0])
    assert (told[b"C"], told[b"M"]) == (b"0A000", b"cached plan must not change result type")


# ---- portals --------------------------------------------------------------------------------------------------------


def test_a_portal_that_a_skipped_bind_would_have_replaced_still_shows_values() -> None:
    link = Link()
    token = link.vault.token("email", SECRET)
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(parse("select email from customers"), bind(portal=b"p"), parse("select 1", b"one"), SYNC)
    link.server(PARSED, BOUND, PARSED, ready("T"))
    link.client(query("savepoint a")).server(done("SAVEPOINT"), ready("T"))
    link.client(execute(b"nowhere"), bind(name=b"one", portal=b"p"), SYNC).server(failed("34000"), ready("E"))
    link.client(query("rollback to a")).server(done("ROLLBACK"), ready("T"))
    link.got()
    link.client(execute(b"p", 1), SYNC)
    from tests.unit.session.driver import row

    link.server(row(token))
    assert link.got() == [row(SECRET)]


def test_peer_failure_52_closing_a_portal_leaves_the_statement_of_that_name() -> None:
    link = Link()
    link.client(
        parse(INSERT, b"x"), bind([SECRET], b"x", b"x"), close(b"x", ord("P")), bind([SECRET], b"x"), execute(), SYNC
    )
    assert_safe(link)
    assert kinds(link.sent()) == "PBCBES"


def test_a_portal_keeps_its_plan_when_its_statement_is_closed_and_parsed_anew() -> None:
    link = Link()
    token = link.vault.token("email", SECRET)
    link.client(parse("select email from customers", b"s"), bind(name=b"s", portal=b"p"), close(b"s"))
    link.client(parse("select 1", b"s"), execute(b"p"), SYNC)
    link.server(PARSED, BOUND, CLOSED, PARSED)
    from tests.unit.session.driver import row

    link.got()
    link.server(row(token), done("SELECT 1"), ready())
    assert link.got()[0] == row(SECRET)


def test_portals_die_with_the_transaction_but_not_those_bound_later_in_the_pipeline() -> None:
    link = Link()
    select = parse("select email from customers", b"s")
    link.client(select, bind(name=b"s", portal=b"one"), SYNC, bind(name=b"s", portal=b"two"))
    link.server(PARSED, BOUND, ready())
    assert set(link.session.state.portals.all()) == {b"two"}


# ---- what is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "select lower(email), 's@cret.de' from customers",
        "set datestyle = 'DMY'; insert into customers(born) values ('01/02/2000')",
        "insert into customers(email) values (now() || 's@cret.de')",
    ],
)
@pytest.mark.parametrize("prepared", [False, True])
def test_a_refusal_that_is_kept_keeps_no_frames(text: str, prepared: bool) -> None:
    """PEER-FAILURES 95: an exception holds the frames that it came through, and those hold what the client sent; raised
    again it collects more."""
    shared = world()
    for _ in range(3):
        link = Link(world_=shared)
        link.client(parse(text, b"s") + SYNC if prepared else query(text))
        assert link.notes("refusal") or (prepared and ";" in text)
        kept = [plan.refusal for _, plans in shared.plans._plans.values() for plan in plans.values()]
        kept += [statement.plan.refusal for statement in link.session.state.statements.all().values()]
        for refusal in [one for one in kept if one is not None] + [MIXED, UNREPORTED]:
            assert refusal.__traceback__ is None and refusal.__context__ is None
