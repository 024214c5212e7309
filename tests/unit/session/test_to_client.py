"""What a client sees of results, errors and notices."""

import pytest

from proxy.errors import Bug, Refusal
from proxy.session.copy_in import BATCH
from proxy.session.effects import (
    Audit,
    CatalogMoved,
    DatabasesChanged,
    Failure,
    LoadCatalog,
    Pause,
    Resume,
    Reveal,
    Tokenise,
)
from proxy.session.limits import Limits
from proxy.session.state import LARGE
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BORN,
    BOUND,
    EMAIL,
    ID,
    NAME,
    NO_DATA,
    PARSED,
    REF,
    SUSPENDED,
    SYNC,
    Link,
    bind,
    close,
    columns,
    describe,
    done,
    error,
    execute,
    failed,
    kinds,
    parse,
    query,
    ready,
    row,
    split,
    world,
)

VALUE = b"s@cret.de"


def selecting(link: Link, *fields: m.Field, text: str = "select id, email from customers") -> Link:
    link.client(query(text)).server(columns(*(fields or (ID, EMAIL))))
    link.sent(), link.got()
    return link


# ---- rows -----------------------------------------------------------------------------------------------------------


def test_tokens_become_values_and_the_rest_stays() -> None:
    link = selecting(Link())
    token = link.vault.token("email", VALUE)
    link.server(row(b"1", token), row(b"2", None), row(b"3", token), done("SELECT 3"), ready())
    assert link.got() == [row(b"1", VALUE), row(b"2", None), row(b"3", VALUE), done("SELECT 3"), ready()]


def test_a_chunk_is_one_question_whatever_its_rows() -> None:
    link = selecting(Link())
    tokens = [link.vault.token("email", b"%d@b.c" % i) for i in range(5)]
    link.server(*[row(b"1", token) for token in tokens * 3])
    assert [len(request.tokens) for request in link.asked if isinstance(request, Reveal)] == [5]


def test_order_is_kept_when_answers_come_late() -> None:
    link = selecting(Link())
    one, two = link.vault.token("email", b"1@b.c"), link.vault.token("email", b"2@b.c")
    link.held = (Reveal,)
    link.server(row(b"1", one)).server(row(b"2", two), done("SELECT 2"), ready())
    assert link.got() == []
    first = link.asks.pop(0)
    link.release()
    assert link.got() == []
    link.session.answer(first.ticket, link.reply(first.request))
    assert link.drain().got() == [row(b"1", b"1@b.c"), row(b"2", b"2@b.c"), done("SELECT 2"), ready()]


@pytest.mark.parametrize(
    ("user", "shown"), [("shop", VALUE), ("support", b"s***@cret.de"), ("viewer", None), ("stranger", None)]
)
def test_what_each_role_sees(user: str, shown: bytes | None) -> None:
    link = selecting(Link(user))
    token = link.vault.token("email", VALUE)
    link.server(row(b"1", token))
    got = m.parse_data_row(link.to_client, 5, len(link.to_client))[1]
    if user == "support":
        assert got is not None and got not in (VALUE, token) and b"@" in got
    else:
        assert got == (shown or token)


@pytest.mark.parametrize("user", ["shop", "support", "viewer"])
def test_a_value_that_is_no_token_is_shown_by_its_columns_class(user: str) -> None:
    link = selecting(Link(user))
    link.server(row(b"1", VALUE))
    if user == "shop":
        assert link.got() == [row(b"1", VALUE)]
    else:
        assert VALUE not in link.to_client and link.to_client


def test_deny_refuses_the_statement() -> None:
    link = Link("nobody").client(query("select email from customers"))
    assert b"customers" not in link.to_server
    link.server(failed("22P02"), ready())
    told = link.errors()[0]
    assert (told[b"C"], told[b"c"], told[b"t"]) == (b"42501", b"email", b"customers")


def test_more_values_than_the_role_may_see_at_once() -> None:
    link = selecting(Link("capped"))
    token = link.vault.token("email", VALUE)
    link.server(row(b"1", token), row(b"1", token), row(b"1", token))
    assert kinds(link.got()) == "DDD"
    link.server(row(b"1", token), done("SELECT 4"), ready())
    told = link.errors()[0]
    assert told[b"C"] == b"54000" and told[b"S"] == b"ERROR"


def test_the_vault_fails_in_the_middle_of_a_result() -> None:
    """PEER-FAILURES 94: nothing of the chunk goes out and the client can't take the statement for done."""
    link = selecting(Link())
    token = link.vault.token("email", VALUE)
    link.server(row(b"1", token))
    link.got()
    link.fail[Reveal] = Refusal("vault-unavailable", "the vault is not reachable")
    link.server(row(b"2", token), done("SELECT 2"), ready())
    got = link.got()
    assert kinds(got) == "EZ" and error(got[0])[b"C"] == b"57P03" and error(got[0])[b"S"] == b"ERROR"


def test_a_value_that_the_clients_encoding_cannot_show() -> None:
    link = selecting(Link(settings={"client_encoding": "LATIN1"}), NAME, text="select name from customers")
    link.server(row(link.vault.token("person", "Zoë".encode())))
    assert link.got() == [row(b"Zo\xeb")]
    link.server(row(link.vault.token("person", "Ж".encode())), done("SELECT 2"), ready())
    assert link.errors()[0][b"C"] == b"22P05"


def test_a_date_in_text_and_binary() -> None:
    link = Link()
    token = link.vault.token("birthday", b"2000-01-02")
    link.client(parse("select born from customers"), bind(results=(1,)), execute(), SYNC)
    link.server(PARSED, BOUND, row(token))
    assert link.got()[2] == row((1).to_bytes(4, "big"))


def test_a_uuid_column_in_binary() -> None:
    link = Link()
    token = link.vault.token("free", b"11111111-2222-3333-4444-555555555555")
    link.client(parse("select ref from customers"), bind(results=(1,)), execute(), SYNC)
    link.server(PARSED, BOUND, row(bytes.fromhex(token.replace(b"-", b"").decode())))
    assert link.got()[2] == row(bytes.fromhex("11111111222233334444555555555555"))


def test_formats_of_each_column() -> None:
    """PEER-FAILURES 60."""
    link = Link()
    email, born = link.vault.token("email", VALUE), link.vault.token("birthday", b"2000-01-02")
    link.client(parse("select email, id, born from customers"), bind(results=(0, 1, 1)), execute(), SYNC)
    link.server(PARSED, BOUND, row(email, b"\0\0\0\1", born))
    assert link.got()[2] == row(VALUE, b"\0\0\0\1", (1).to_bytes(4, "big"))


def test_portals_in_turns_keep_their_own_columns() -> None:
    """PEER-FAILURES 58."""
    link = Link()
    token = link.vault.token("email", VALUE)
    link.client(parse("select email from customers", b"s"), bind(name=b"s", portal=b"a"))
    link.client(parse("select id from customers", b"t"), bind(name=b"t", portal=b"b"))
    link.client(execute(b"a", 1), execute(b"b", 1), execute(b"a", 1), SYNC)
    link.server(PARSED, BOUND, PARSED, BOUND)
    link.server(row(token), SUSPENDED, row(b"1"), SUSPENDED, row(token), done("SELECT 1"), ready())
    assert link.got()[4:] == [row(VALUE), SUSPENDED, row(b"1"), SUSPENDED, row(VALUE), done("SELECT 1"), ready()]


def test_several_statements_of_one_query_have_their_own_columns() -> None:
    link = Link().client(query("select id from customers; select email from customers; select 1"))
    token = link.vault.token("email", VALUE)
    link.server(columns(ID), row(b"7"), done("SELECT 1"), columns(EMAIL), row(token), done("SELECT 1"))
    link.server(columns(m.Field(b"x", 0, 0, 23, 4, -1, 0)), row(b"1"), done("SELECT 1"), ready())
    assert [frame for frame in link.got() if frame[:1] == b"D"] == [row(b"7"), row(VALUE), row(b"1")]


def test_a_row_of_another_width_closes_the_link() -> None:
    link = selecting(Link())
    link.server(row(b"1"))
    assert link.closed and link.got() == []


def test_notices_between_rows() -> None:
    link = selecting(Link())
    token = link.vault.token("email", VALUE)
    notice = m.build_notice_response([(b"S", b"NOTICE"), (b"C", b"00000"), (b"M", b"hello")])
    link.server(row(b"1", token), notice, row(b"2", token))
    assert link.got() == [row(b"1", VALUE), notice, row(b"2", VALUE)]


@pytest.mark.parametrize("end", [SYNC, query("select 1")], ids=["extended", "simple"])
def test_copy_that_the_server_ended_does_not_leave_the_link_deaf(end: bytes) -> None:
    """A Sync that seemed to stand in the COPY was read behind its error: its ReadyForQuery comes unexpected."""
    link = Link().client(parse("copy notes from stdin"), bind(), execute())
    link.server(PARSED, BOUND, m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    assert kinds(link.got()) == "12G"
    link.client(m.build_copy_data(b"x\n"), SYNC).server(failed("22P04"), ready())
    assert kinds(link.got()) == "EZ"
    link.sent()
    assert link.client(end).sent() == [end]


@pytest.mark.parametrize("frames", [(parse("select email from customers order by email"),), ()])
def test_a_message_that_was_bound_to_fail_and_did_not_is_a_bug(frames: tuple[bytes, ...]) -> None:
    link = Link().client(*frames or (query("select email from customers order by email"),))
    with pytest.raises(Bug):
        link.server(PARSED if frames else done("SELECT 1"))
    assert link.got() == []


# ---- descriptions ---------------------------------------------------------------------------------------------------


def test_types_are_those_of_a_plaintext_database() -> None:
    link = Link()
    link.client(parse("select born, ref from customers where email = $1"), describe(), SYNC)
    link.server(PARSED, m.build_parameter_description([25]), columns(BORN, REF), ready())
    got = [frame for frame in link.got() if frame[:1] == b"T"][-1]
    fields = m.parse_row_description(got, 5, len(got))
    assert [(field.type_oid, field.size, field.table_oid) for field in fields] == [(1082, 4, 16400), (2950, 16, 16400)]


def test_a_masked_date_is_a_date_and_a_token_is_what_is_stored() -> None:
    for user, oid in (("support", 1082), ("viewer", 25)):
        link = Link(user).client(query("select born from customers")).server(columns(BORN))
        got = link.got()[0]
        assert m.parse_row_description(got, 5, len(got))[0].type_oid == oid


def test_parameter_types_are_the_clients() -> None:
    link = Link()
    link.client(parse("insert into customers(id, born, email) values ($1, $2, $3)"), describe(), SYNC)
    link.server(PARSED, m.build_parameter_description([23, 25, 25]), NO_DATA, ready())
    assert link.got()[1] == m.build_parameter_description([23, 1082, 25])


def test_parameter_types_of_a_statement_that_is_not_ours_are_the_servers() -> None:
    link = Link().client(parse("select $1::int"), describe(), SYNC)
    told = m.build_parameter_description([23])
    assert link.server(PARSED, told, NO_DATA, ready()).got()[1] == told


def test_one_parameter_in_two_roles() -> None:
    """PEER-FAILURES 43: the server has one parameter more, the client does not see it."""
    link = Link()
    link.client(parse("insert into customers(email, note) values ($1, $1)"), describe(), bind([VALUE]), SYNC)
    sent = link.sent()
    if kinds(sent)[0] == "P" and b"customers" in sent[0]:
        parts = m.parse_bind(sent[2], 5, len(sent[2]))
        assert sorted(parts.params, key=str) == sorted([VALUE, link.vault.token("email", VALUE)], key=str)
        link.server(PARSED, m.build_parameter_description([25, 25]), NO_DATA)
        assert link.got()[1] == m.build_parameter_description([25])


def test_a_catalog_that_has_moved_under_the_plan_ends_the_link() -> None:
    for fields in ((ID,), (EMAIL, EMAIL)):
        link = Link().client(query("select id, email from customers"))
        link.server(columns(*fields))
        assert link.errors()[0][b"C"] == b"0A000" and link.closed


# ---- errors and notices ---------------------------------------------------------------------------------------------


def duplicate(link: Link) -> bytes:
    token = link.vault.token("email", VALUE)
    return failed(
        "23505",
        'duplicate key value violates unique constraint "k"',
        D=f"Key (email)=({token.decode()}) already exists.",
    )


@pytest.mark.parametrize(("user", "seen"), [("shop", True), ("viewer", False), ("mixed", False)])
def test_the_detail_of_a_duplicate_shows_the_value_to_whom_may_see_it(user: str, seen: bool) -> None:
    link = Link(user).client(query("insert into customers(email) values ('x@y.z')"))
    link.server(duplicate(link), ready())
    told = link.errors()[0]
    assert (VALUE in told[b"D"]) == seen
    assert told[b"M"] == b'duplicate key value violates unique constraint "k"'


def test_a_row_that_an_error_quotes_is_withheld() -> None:
    """PEER-FAILURES 24."""
    link = Link("support").client(query("select id, email from customers"))
    link.server(failed("22P02", 'invalid input syntax for type integer: "s@cret.de"', D="row (1, s@cret.de)"), ready())
    assert b"s@cret.de" not in link.to_client
    assert link.errors()[0][b"C"] == b"22P02"


def test_errors_go_through_when_the_vault_is_away() -> None:
    link = Link().client(query("insert into customers(email) values ('x@y.z')"))
    link.fail[Reveal] = Refusal("vault-unavailable", "away")
    link.server(duplicate(link), ready())
    got = link.got()
    assert kinds(got) == "EZ" and link.vault.token("email", VALUE) in got[0] and not link.closed


def test_positions_are_the_clients() -> None:
    text = "insert into customers(email, id) values ('s@cret.de', nothing)"
    link = Link().client(query(text))
    sent = link.sent()[0][5:-1].decode()
    link.server(failed("42703", 'column "nothing" does not exist', P=str(sent.index("nothing") + 1)), ready())
    assert int(link.errors()[0][b"P"]) == text.index("nothing") + 1


def test_a_refusal_in_a_failed_transaction_says_what_the_server_says() -> None:
    """PEER-FAILURES 63."""
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query("select email from customers order by email")).server(failed("22P02"), ready("E"))
    assert link.errors()[0][b"C"] == b"0A000"
    link.client(query("select email from customers order by email")).server(failed("25P02"), ready("E"))
    assert link.errors()[0][b"C"] == b"25P02"


def test_a_fatal_error_in_a_refusals_place_passes() -> None:
    link = Link().client(query("select email from customers order by email"))
    last = failed("57P01", "terminating", S="FATAL", V="FATAL")
    assert link.server(last).got() == [last]


def test_a_refusal_names_column_and_what_to_do() -> None:
    link = Link().client(query("select id from customers order by email"))
    assert b"customers" not in link.to_server
    link.server(failed("22P02"), ready())
    told = link.errors()[0]
    assert told[b"C"] == b"0A000" and told[b"H"] and told[b"c"] == b"email"
    assert link.notes("refusal")[0].facts["column"] == "public.customers.email"


def test_asynchronous_messages_at_any_moment() -> None:
    link = Link()
    status, note = m.build_parameter_status(b"TimeZone", b"Europe/Berlin"), m.build_notification(1, b"c", b"p")
    assert link.server(status, note).got() == [status, note]
    assert link.session.state.settings.reading.time_zone == "Europe/Berlin"


@pytest.mark.parametrize("frame", [PARSED, BOUND, done("SELECT 1"), NO_DATA, SUSPENDED])
def test_replies_that_nothing_was_sent_for_close_the_link(frame: bytes) -> None:
    assert Link().server(frame).closed


def test_without_a_catalog_reports_pass_as_they_are() -> None:
    link = Link(protected=False).client(query("insert into customers(email) values ('x@y.z')"))
    no = duplicate(link)
    assert link.server(no, ready()).got() == [no, ready()]
    assert not link.asked


def test_a_failed_statement_counts_as_one_where_a_plan_was_made_for_it() -> None:
    link = Link()
    for text in ("select 1/0", "select id, email from customers where 1/0 = 1"):
        link.client(query(text)).server(failed("22012"), ready())
    counts = link.session.state.take_counts()
    assert counts[("other", "passed")] == 1 and counts[("select", "failed")] == 1
    assert ("other", "failed") not in counts


def bind_params(frame: bytes) -> list[bytes | None]:
    assert frame[:1] == b"B"
    return list(m.parse_bind(frame, 5, len(frame)).params)


@pytest.mark.parametrize(("meant", "code"), [(True, "42P05"), (False, "42P01")])
def test_a_parse_that_failed_leaves_the_name_as_it_was(meant: bool, code: str) -> None:
    """What the name stands for decides what of the Bind is personal data."""
    link = Link()
    if meant:
        link.client(parse("insert into customers(email) values ($1)", b"s"), SYNC).server(PARSED, ready())
    link.client(parse("select id from customers where id = $1", b"s"), describe(b"s"), SYNC)
    link.server(failed(code), ready())
    link.sent(), link.got()
    link.client(bind([VALUE], b"s"), SYNC)
    expected = link.vault.token("email", VALUE) if meant else VALUE
    assert bind_params(link.sent()[0]) == [expected]


def test_what_the_server_skips_is_undone_the_last_first() -> None:
    link = Link().client(parse("insert into customers(email) values ($1)", b"s"), SYNC).server(PARSED, ready())
    link.client(parse("select", b"x"), close(b"s"), parse("select id from customers where note = $1", b"s"), SYNC)
    link.server(failed(), ready())
    link.sent()
    link.client(bind([VALUE], b"s"))
    assert bind_params(link.sent()[0]) == [link.vault.token("email", VALUE)]


# ---- what is failed behind the server's answer: see test_mending -----------------------------------------------------


def failing(link: Link) -> Link:
    """A simple query whose rows can't be shown; its first row has come."""
    selecting(link)
    link.fail[Reveal] = Refusal("vault-unavailable", "away")
    return link.server(row(b"1", link.vault.token("email", VALUE)))


def test_rows_and_an_error_behind_a_failed_row_are_dropped() -> None:
    link = failing(Link())
    link.server(row(b"2", link.vault.token("email", VALUE)), failed("22012"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"57P03"] and not link.closed


def test_the_servers_last_words_behind_a_failed_row_are_not() -> None:
    last = failed("57P01", "terminating", S="FATAL", V="FATAL")
    assert failing(Link()).server(last).got() == [last]


def test_an_open_batch_is_undone_by_an_error_that_the_client_never_sees() -> None:
    link = Link().client(parse("select email from customers"), bind(), execute()).server(PARSED, BOUND)
    link.sent(), link.got()
    link.fail[Reveal] = Refusal("vault-unavailable", "away")
    link.server(row(link.vault.token("email", VALUE)), done("SELECT 1"))
    assert [told[b"C"] for told in link.errors()] == [b"57P03"] and kinds(link.sent()) == "P"
    link.server(failed("22P02"))
    assert link.client(SYNC).server(ready()).got() == [ready()]


def test_rows_that_cannot_be_shown_any_more_when_the_server_is_gone() -> None:
    link = selecting(Link())
    link.held = (Reveal,)
    link.server(row(b"1", link.vault.token("email", VALUE)))
    link.session.server_eof()
    link.fail[Reveal] = Refusal("vault-unavailable", "away")
    told = link.release().errors()[0]
    assert (told[b"S"], told[b"C"]) == (b"FATAL", b"57P03") and link.closed


# ---- flow -----------------------------------------------------------------------------------------------------------


def test_a_result_that_waits_for_the_vault_pauses_the_server() -> None:
    link = selecting(Link(limits=Limits(result=110)))
    token = link.vault.token("email", VALUE)
    link.held = (Reveal,)
    for _ in range(3):
        link.server(row(b"1", token))
    assert link.flow() == [Pause("server")]
    link.release(2)
    assert link.flow() == [Pause("server"), Resume("server")]
    link.release()
    assert kinds(link.got()) == "DDD"


def test_a_client_that_sends_more_than_waits_is_paused() -> None:
    link = Link(limits=Limits(waiting=200))
    link.held = (Tokenise,)
    for _ in range(5):
        link.client(query("insert into customers(email) values ('x@y.z')"), query("select 1" + " " * 50))
    assert link.flow() == [Pause("client")]
    link.release()
    assert link.flow() == [Pause("client"), Resume("client")]
    assert kinds(link.sent()) == "QQ" * 5


def test_the_server_goes_while_rows_wait() -> None:
    link = selecting(Link())
    link.held = (Reveal,)
    last = failed("57P01", "terminating", S="FATAL", V="FATAL")
    link.server(row(b"1", link.vault.token("email", VALUE)), last)
    link.session.server_eof()
    assert not link.drain().closed
    link.release()
    assert link.got() == [row(b"1", VALUE), last] and link.closed


def test_the_client_goes_while_rows_wait() -> None:
    link = selecting(Link())
    link.held = (Reveal,)
    link.server(row(b"1", link.vault.token("email", VALUE)))
    link.session.client_eof()
    link.drain()
    ask = link.asks[0]
    link.session.answer(ask.ticket, link.reply(ask.request))
    assert link.drain().got() == []


def test_what_waits_for_a_client_that_has_enough_goes_on_with_it() -> None:
    link = selecting(Link())
    link.session.client_full(True)
    link.server(row(b"1", link.vault.token("email", VALUE)))
    assert link.got() == [] and not any(isinstance(request, Reveal) for request in link.asked)
    link.session.client_full(False)
    assert link.drain().got() == [row(b"1", VALUE)]


def test_what_had_come_of_a_row_is_let_go_when_the_link_is_over() -> None:
    link = selecting(Link())
    link.server(row(b"1", link.vault.token("email", VALUE))[:-1])
    link.session.client_eof()
    link.session.release()
    assert link.session._servers.frames.pending() == 0 and not link.session._servers.waiting


def test_a_link_that_cannot_be_served_ends_when_the_server_is_ready_for_it() -> None:
    """Before, the server may have a reason of its own to end it, which goes first."""
    link = Link(world_=Failure(Refusal("vault-unavailable", "the catalog is not there")), ready=False)
    link.startup()
    greeting = link.greeting().removesuffix(ready())
    assert not link.server(greeting).closed and link.got()
    told = link.server(ready()).errors()[0]
    assert (told[b"S"], told[b"C"]) == (b"FATAL", b"57P03") and link.closed


def test_frames_are_split_as_they_come() -> None:
    assert split(b"Z\0\0\0\5I" * 2) == [ready(), ready()]


def test_a_value_that_is_no_token_is_reported_with_its_column() -> None:
    """So that comparisons, which would miss its row, can be refused from then on."""
    link = selecting(Link(), ID, EMAIL)
    token = link.vault.token("email", VALUE)
    link.server(row(b"1", token), row(b"1", None))
    link.server(row(b"1", VALUE), row(b"2", b""), row(b"3", token))
    assert [request.mixed for request in link.asked if isinstance(request, Reveal)] == [(), ("public.customers.email",)]


@pytest.mark.parametrize(("user", "shown"), [("shop", True), ("capped", False), ("purposeful", False)])
def test_a_report_is_no_way_round_a_cap_or_a_purpose(user: str, shown: bool) -> None:
    link = Link(user)
    token = link.vault.token("email", VALUE)
    link.client(query("select body::int from notes")).server(failed("22P02", f'invalid: "{token.decode()}"'), ready())
    assert (VALUE in link.errors()[0][b"M"]) is shown


def test_a_cap_that_is_passed_is_recorded() -> None:
    link = selecting(Link("capped"))
    token = link.vault.token("email", VALUE)
    link.server(*[row(b"1", token)] * 4, done("SELECT 4"), ready())
    records = [request for request in link.asked if isinstance(request, Audit)]
    assert [(one.action, one.classes, one.outcome) for one in records] == [("refuse", ("email",), "too-many-rows")]


def test_a_result_that_was_not_planned_has_the_catalog_read_for_the_next() -> None:
    """A column was added by another way: the next link finds it, without waiting for the timer."""
    shared = world()
    link = selecting(Link(world_=shared), ID, EMAIL, text="select * from customers")
    assert link.closed
    after = Link(world_=shared)
    after.held = (LoadCatalog,)
    after.client(query("select * from customers"))
    assert [ask.request for ask in after.asks] == [LoadCatalog("shop", True)]


# ---- large rows -----------------------------------------------------------------------------------------------------

LONG = b"x" * (2 * LARGE)


def in_parts(data: bytes, size: int = 50_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_large_row_with_nothing_protected_passes_as_it_comes() -> None:
    link = Link()
    link.client(query("select body from notes")).server(columns(m.Field(b"body", 0, 0, 25, -1, -1, 0)))
    link.got()
    data = row(LONG)
    parts = in_parts(data)
    for number, part in enumerate(parts, 1):
        link.server(part)
        assert len(link.to_client) == len(b"".join(parts[:number]))
    link.server(row(b"1"), done("SELECT 2"), ready())
    assert link.got() == [data, row(b"1"), done("SELECT 2"), ready()]


def test_copied_out_with_nothing_protected_passes_as_it_comes() -> None:
    link = Link()
    link.client(query("copy notes to stdout")).server(b"H" + bytes((0, 0, 0, 9, 0, 0, 1, 0, 0)))
    link.got()
    first, *rest = in_parts(m.build_copy_data(LONG))
    link.server(first)
    assert link.to_client == first
    link.server(*rest, m.build_copy_done(), done("COPY 1"), ready())
    assert kinds(link.got()) == "dcCZ"


def test_a_large_row_with_a_value_comes_whole() -> None:
    link = selecting(Link(), text="select note, email from customers")
    *most, last = in_parts(row(LONG, link.vault.token("email", VALUE)))
    for part in most:
        assert link.server(part).to_client == b""
    assert link.server(last).got() == [row(LONG, VALUE)]


def test_a_large_row_behind_one_that_waits_comes_whole() -> None:
    link = Link()
    link.client(query("select email from customers; select body from notes"))
    link.held = (Reveal,)
    link.server(columns(EMAIL), row(link.vault.token("email", VALUE)), done("SELECT 1"))
    first, *rest = in_parts(row(LONG))
    link.server(columns(m.Field(b"body", 0, 0, 25, -1, -1, 0)), first)
    assert "D" not in kinds(link.got())
    link.release()
    link.server(*rest)
    assert kinds(link.got())[-1] == "D"


def test_another_large_message_comes_whole() -> None:
    link = Link()
    *most, last = in_parts(failed("XX000", "y" * (2 * LARGE)))
    link.client(query("select 1"))
    for part in most:
        assert link.server(part).to_client == b""
    assert kinds(link.server(last).got()) == "E"


def test_the_end_of_a_link_in_the_middle_of_a_row_is_silent() -> None:
    """What is told there would be read as the rest of the row."""
    link = Link()
    link.client(query("select body from notes")).server(columns(m.Field(b"body", 0, 0, 25, -1, -1, 0)))
    link.got()
    first = in_parts(row(LONG))[0]
    link.server(first)
    link.session.lost(Refusal("vault-unavailable", "the audit"))
    assert link.drain().to_client == first and link.closed


def test_a_large_row_of_a_reply_that_failed_is_dropped() -> None:
    link = Link("capped")
    link.client(parse("select email from customers"), bind(), execute())
    link.server(PARSED, BOUND)
    token = link.vault.token("email", VALUE)
    assert kinds(link.server(*[row(token)] * 4).got()) == "12E"
    for part in in_parts(row(LONG)):
        assert link.server(part).to_client == b""
    link.client(SYNC).server(failed("22P02"), ready())
    assert link.got() == [ready()]


# ---- COPY -----------------------------------------------------------------------------------------------------------

OUT = m.build_copy_response(m.COPY_OUT_RESPONSE, m.CopyResponse(0, (0, 0)))
ENDED = m.build_copy_done()


def copying(link: Link, text: str = "copy customers (id, email) to stdout") -> Link:
    link.client(query(text)).server(OUT)
    assert link.got() == [OUT]
    return link


def copied(*fields: bytes) -> bytes:
    return m.build_copy_data(b"\t".join(fields) + b"\n")


def test_rows_of_copy_are_revealed_by_one_question_what_arrives_together() -> None:
    link = copying(Link())
    one, two = link.vault.token("email", VALUE), link.vault.token("email", b"2@b.c")
    link.server(copied(b"1", one), copied(b"2", two), copied(b"3", rb"\N"), ENDED, done("COPY 3"), ready())
    shown = [copied(b"1", VALUE), copied(b"2", b"2@b.c"), copied(b"3", rb"\N")]
    assert link.got() == [*shown, ENDED, done("COPY 3"), ready()]
    assert [len(request.tokens) for request in link.asked if isinstance(request, Reveal)] == [2]


def test_rows_of_copy_that_hold_no_token_ask_nothing() -> None:
    link = copying(Link())
    link.server(copied(b"1", rb"\N"), ENDED, done("COPY 1"), ready())
    assert link.got() == [copied(b"1", rb"\N"), ENDED, done("COPY 1"), ready()]
    assert not [request for request in link.asked if isinstance(request, Reveal)]


def test_a_row_of_copy_that_is_cut_over_frames_is_one() -> None:
    link = copying(Link())
    whole = b"1\t" + link.vault.token("email", VALUE)
    link.server(m.build_copy_data(whole[:20])).server(m.build_copy_data(whole[20:]))
    link.server(ENDED, done("COPY 1"), ready())
    assert b"".join(frame[5:] for frame in link.got() if frame[:1] == b"d") == b"1\t" + VALUE


def test_many_rows_of_copy_are_asked_for_in_several_questions() -> None:
    """So that none waits for the last of them, and none is held for long."""
    link = copying(Link())
    line = copied(b"1" * 500, link.vault.token("email", VALUE))
    link.server(line * (2 * BATCH // len(line)))
    assert len([request for request in link.asked if isinstance(request, Reveal)]) >= 2
    assert link.got() == [copied(b"1" * 500, VALUE)] * (2 * BATCH // len(line))


def test_an_error_ends_a_copy_and_what_follows_is_read_as_itself() -> None:
    link = copying(Link())
    link.server(copied(b"1", link.vault.token("email", VALUE)), failed("57014"), ready())
    assert kinds(link.got()) == "dEZ"
    copying(link, "copy notes to stdout").server(copied(b"1", b"x"), ENDED, done("COPY 1"), ready())
    assert link.got() == [copied(b"1", b"x"), ENDED, done("COPY 1"), ready()]


def test_more_values_than_the_role_may_see_fail_a_copy_too() -> None:
    link = copying(Link("capped"))
    token = link.vault.token("email", VALUE)
    link.server(*[copied(b"1", token)] * 4).server(copied(b"5", token), ENDED, done("COPY 5"), ready())
    assert VALUE not in link.to_client
    assert [told[b"C"] for told in link.errors()] == [b"54000"] and not link.closed


def test_rows_from_the_client_are_ours_from_the_servers_answer_on() -> None:
    link = Link().client(query("copy customers (id, email) from stdin"))
    link.sent()
    link.server(m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.client(copied(b"1", VALUE), m.build_copy_done())
    assert link.sent() == [copied(b"1", link.vault.token("email", VALUE)), m.build_copy_done()]


def test_rows_for_a_copy_that_the_server_ended_are_not_sent_on() -> None:
    link = Link().client(query("copy customers (id, email) from stdin"))
    link.server(m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.client(copied(b"x", VALUE)).server(failed("22P02"), ready())
    link.sent()
    link.client(copied(b"2", VALUE), m.build_copy_done(), query("select 1"))
    assert link.sent() == [query("select 1")]


# ---- who is told first ----------------------------------------------------------------------------------------------

MADE = "create view v as select id, email from customers"


def test_a_client_learns_that_its_ddl_is_done_when_all_links_know_of_it() -> None:
    """Else one of them could write through the view in clear."""
    link = Link()
    link.held = (LoadCatalog,)
    link.client(query(MADE)).server(done("CREATE VIEW"), ready())
    assert kinds(link.got()) == "C"
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True, changed=True)]
    link.server(m.build_notification(1, b"x", b""))
    assert link.got() == [], "all in order"
    link.release()
    assert kinds(link.got()) == "ZA"


def test_commit_is_held_back_too_as_its_ready_may_come_late_or_say_that_the_next_transaction_has_begun() -> None:
    link = Link()
    link.client(query(f"begin; {MADE}")).server(done("BEGIN"), done("CREATE VIEW"), ready("T"))
    assert kinds(link.got()) == "CCZ"
    link.held = (LoadCatalog,)
    link.client(query("commit and chain")).server(done("COMMIT"))
    assert link.got() == [] and len(link.asks) == 1
    link.server(ready("T"))
    assert link.got() == []
    link.release()
    assert kinds(link.got()) == "CZ" and not link.asks


def test_a_change_while_the_catalog_is_being_read_needs_another_reading() -> None:
    link = Link()
    link.client(query(MADE))
    link.held = (LoadCatalog,)
    link.session._ask_catalog(False)
    link.drain()
    link.server(done("CREATE VIEW"), ready())
    assert kinds(link.got()) == "C" and len(link.asks) == 1
    first = link.asks.pop()
    link.session.answer(first.ticket, link.world)
    link.drain()
    assert link.got() == [] and [ask.request for ask in link.asks] == [LoadCatalog("shop", True, changed=True)]
    link.release()
    assert kinds(link.got()) == "Z"


def test_a_catalog_that_can_not_be_read_behind_ddl_ends_the_link_and_nothing_says_that_it_is_done() -> None:
    link = Link()
    link.held = (LoadCatalog,)
    link.client(query(MADE)).server(done("CREATE VIEW"), ready())
    link.session.answer(link.asks[0].ticket, Failure(Refusal("vault-unavailable", "the catalog is not there")))
    link.drain()
    assert kinds(link.got()) == "CE" and link.closed


@pytest.mark.parametrize("text", ["create table t(a int)", "begin; create table t(a int); commit"])
def test_other_processes_are_told_of_ddl_elsewhere_before_the_client_is(text: str) -> None:
    link = Link()
    link.held = (CatalogMoved,)
    tags = [done(each.strip().upper().partition(" T(")[0]) for each in text.split(";")]
    link.client(query(text)).server(*tags, ready())
    assert [ask.request for ask in link.asks] == [CatalogMoved("shop")]
    before = kinds(link.got())
    link.release()
    assert before + kinds(link.got()) == "C" * len(tags) + "Z" and "Z" not in before


@pytest.mark.parametrize("tag", ["CREATE DATABASE", "DROP DATABASE", "ALTER DATABASE"])
def test_databases_that_changed_are_told_of_before_the_client_knows(tag: str) -> None:
    link = Link(protected=False)  # whatever is protected here
    link.held = (DatabasesChanged,)
    link.client(query(f"{tag} a")).server(done(tag), ready())
    assert [ask.request for ask in link.asks] == [DatabasesChanged("shop")] and link.got() == []
    link.release()
    assert kinds(link.got()) == "CZ"


@pytest.mark.parametrize("lie", [m.build(ord("Z"), b""), m.build(ord("Z"), b"II"), m.build(ord("H"), b"\0\0\0")])
def test_a_server_that_breaks_the_protocol_ends_its_link_only(lie: bytes) -> None:
    """Not with an exception, which would be one of ours: with a line that says which side it was."""
    link = Link().client(query("copy customers (id, email) from stdin"))
    link.server(lie)
    assert [note.facts["side"] for note in link.notes("protocol-fault")] == ["server"] and link.closed
