"""A link from its first byte to its last: start-up, catalog, end."""

from dataclasses import replace

import pytest

from proxy.errors import Bug, Refusal
from proxy.session.effects import (
    Analyse,
    Ask,
    CancelUpstream,
    Close,
    Failure,
    LoadCatalog,
    Note,
    Reveal,
    StartTls,
    ToClient,
    ToServer,
)
from proxy.session.limits import Limits
from proxy.session.session import Session
from proxy.session.state import AUTHENTICATING, CLOSED, OPAQUE, READY, UNSERVED
from proxy.session.world import Pooling, World
from proxy.sql.catalog import Column
from proxy.wire import messages as m
from tests.unit.session.driver import (
    EMAIL,
    RELATIONS,
    SHOP,
    SYNC,
    Link,
    columns,
    done,
    error,
    failed,
    kinds,
    parse,
    query,
    ready,
    row,
    split,
    world,
)

SSL, GSS = m.build_encryption_request(m.SSL_CODE), m.build_encryption_request(m.GSSENC_CODE)
STARTUP = m.build_startup(m.PROTOCOL_3_0, [(b"user", b"shop"), (b"database", b"shop")])


def fresh() -> Link:
    return Link(ready=False)


# ---- start-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_encryption_is_declined_and_the_client_goes_on_in_clear(request_: bytes) -> None:
    link = fresh().client(request_)
    assert link.to_client == b"N" and not link.closed
    link.client(STARTUP)
    assert link.to_server == STARTUP


def test_gss_then_ssl_then_start() -> None:
    link = fresh().client(GSS).client(SSL).client(STARTUP)
    assert (link.to_client, link.to_server) == (b"NN", STARTUP)


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_bytes_behind_an_encryption_request_close_the_link(request_: bytes) -> None:
    link = fresh().client(request_ + STARTUP)
    assert error(link.to_client)[b"C"] == b"08P01"
    assert link.closed and not link.to_server


def test_tls_where_there_is_a_certificate() -> None:
    session = Session(tls=True)
    session.client_bytes(SSL)
    assert session.take_effects() == [ToClient(b"S"), StartTls("client")]
    session.tls_started("CN=shop")
    session.client_bytes(STARTUP)
    session.server_bytes(m.build_authentication(m.AUTH_OK))
    assert session.state.principal.tls_subject == "CN=shop"
    assert not session.tls


def test_direct_tls_begins_with_its_first_byte() -> None:
    session = Session(tls=True)
    session.client_bytes(b"\x16\x03\x01")
    assert session.take_effects() == [StartTls("client", b"\x16\x03\x01")]
    session.tls_started("", True)
    session.client_bytes(STARTUP)
    assert session.take_effects() == [ToServer(STARTUP)]


def test_direct_tls_for_no_protocol_ends_without_a_word() -> None:
    session = Session(tls=True)
    session.client_bytes(b"\x16")
    session.take_effects()
    session.tls_started("CN=shop", False)
    effects = session.take_effects()
    assert [type(each) for each in effects] == [Note, Close, Close] and session.state.outcome == "fault"


def test_tls_that_is_asked_for_needs_no_alpn() -> None:
    session = Session(tls=True)
    session.client_bytes(SSL)
    session.take_effects()
    session.tls_started("", False)
    assert session.take_effects() == []


@pytest.mark.parametrize("before", [b"", m.build_encryption_request(m.GSSENC_CODE)])
def test_direct_tls_where_it_can_not_be(before: bytes) -> None:
    """Without a certificate, or when the client has spoken before."""
    session = Session(tls=bool(before))
    session.client_bytes(before)
    session.take_effects()
    session.client_bytes(b"\x16\x03\x01\0")
    assert session.state.phase == CLOSED


def test_gssapi_is_declined_and_tls_may_follow() -> None:
    session = Session(tls=True)
    session.client_bytes(m.build_encryption_request(m.GSSENC_CODE))
    session.client_bytes(SSL)
    assert session.take_effects() == [ToClient(b"N"), ToClient(b"S"), StartTls("client")]


def test_bytes_in_a_handshake_are_nobodys() -> None:
    session = Session(tls=True)
    session.client_bytes(SSL)
    session.client_bytes(STARTUP)
    assert session.state.phase == CLOSED
    assert not any(isinstance(each, ToServer) for each in session.take_effects())


def test_a_handshake_that_fails_ends_the_link_once() -> None:
    session = Session(tls=True)
    session.client_bytes(SSL)
    session.take_effects()
    session.tls_failed("WRONG_VERSION_NUMBER")
    session.tls_failed("again")
    notes = [each for each in session.take_effects() if isinstance(each, Note)]
    assert notes == [Note("tls-failed", {"client": "", "reason": "WRONG_VERSION_NUMBER"})]
    assert session.state.phase == CLOSED and session.state.outcome == "fault"


def told(session: Session) -> dict[bytes, bytes]:
    return error(b"".join(each.data for each in session.take_effects() if isinstance(each, ToClient)))


def test_tls_that_is_required() -> None:
    session = Session(tls=True, tls_required=True)
    session.client_bytes(STARTUP)
    fields = told(session)
    assert fields[b"C"] == b"28000" and fields[b"S"] == b"FATAL" and b"sslmode=require" in fields[b"H"]
    session = Session(tls=True, tls_required=True)
    session.client_bytes(SSL)
    session.tls_started("")
    session.client_bytes(STARTUP)
    assert ToServer(STARTUP) in session.take_effects()


def test_a_cancel_request_needs_no_tls() -> None:
    """As on the server: clients before libpq 17 never send it with TLS."""
    session = Session(tls=True, tls_required=True)
    packet = m.build_cancel_request(7, b"1234")
    session.client_bytes(packet)
    assert session.take_effects()[0] == CancelUpstream(packet)


BOTH = [b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"]


def sasl(flag: bytes) -> bytes:
    answer = b"SCRAM-SHA-256\0" + (20).to_bytes(4, "big") + flag + b",,n=,r=abcdefghijk"
    return b"p" + (len(answer) + 4).to_bytes(4, "big") + answer


def secured(bound: bool = False) -> Session:
    session = Session(tls=True)
    session.client_bytes(SSL)
    session.tls_started("")
    session.client_bytes(STARTUP)
    session.bound = bound
    session.take_effects()
    return session


@pytest.mark.parametrize(
    ("offered", "flag", "refused"),
    [(BOTH, b"y", True), (BOTH, b"n", False), (BOTH[1:], b"y", False)],
)
def test_a_channel_that_can_not_be_bound(offered: list[bytes], flag: bytes, refused: bool) -> None:
    session = secured()
    session.server_bytes(m.build_sasl_mechanisms(offered))
    assert session.take_effects() == [ToClient(m.build_sasl_mechanisms(BOTH[1:]))]
    session.client_bytes(sasl(flag))
    if refused:
        fields = told(session)
        assert fields[b"C"] == b"28000" and b"channel_binding=disable" in fields[b"H"]
    else:
        assert session.take_effects() == [ToServer(sasl(flag))]


def test_a_channel_with_the_servers_certificate_is_bound() -> None:
    session = secured(bound=True)
    session.server_bytes(m.build_sasl_mechanisms(BOTH))
    session.client_bytes(sasl(b"y"))
    assert session.take_effects() == [ToServer(sasl(b"y")), ToClient(m.build_sasl_mechanisms(BOTH))]


def test_a_start_tls_shows_nothing_of_the_handshake() -> None:
    assert repr(StartTls("client", b"secret")) == "StartTls(client, <6 bytes>)"


def test_a_second_ssl_request_inside_tls_is_declined() -> None:
    session = Session(tls=True)
    session.client_bytes(SSL)
    session.tls_started("")
    session.take_effects()
    session.client_bytes(SSL)
    assert session.take_effects() == [ToClient(b"N")]


def test_cancel_goes_to_the_server_on_its_own() -> None:
    packet = m.build_cancel_request(7, b"k" * 32)
    link = fresh().client(packet)
    assert link.events == [CancelUpstream(packet), Close("client", "cancel request")]
    assert link.session.state.phase == CLOSED


@pytest.mark.parametrize("size", [0, 3, 7, 2**31 - 1, 10_005])
def test_start_up_lengths_that_cannot_be(size: int) -> None:
    """The server says nothing to them: the client may not speak this protocol."""
    link = fresh().client(size.to_bytes(4, "big") + b"\0\3\0\0")
    assert link.closed and link.to_client == b"" and [note.kind for note in link.notes("protocol-fault")]


@pytest.mark.parametrize("value", ["true", "on", "1", "TRUE", "y", "t", "yes"])
def test_physical_replication_passes_as_it_is(value: str) -> None:
    link = Link(ready=False, params={"replication": value})
    link.startup()
    link.server(m.build_authentication(m.AUTH_OK) + b"anything")
    assert link.session.state.phase == OPAQUE and link.to_client.endswith(b"anything")
    link.to_server = link.to_client = b""
    link.client(b"anything at all").server(b"anything back")
    assert (link.to_server, link.to_client) == (b"anything at all", b"anything back")


def test_replication_logs_in_as_every_link_does() -> None:
    """Where TLS ends here, its channel can't be bound either."""
    link = Link(ready=False, params={"replication": "true"})
    link.startup()
    link.server(m.build_sasl_mechanisms([b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"]))
    assert link.to_client == m.build_sasl_mechanisms([b"SCRAM-SHA-256"])


def test_bytes_behind_a_replication_start_up_are_not_lost() -> None:
    packet = m.build_startup(m.PROTOCOL_3_0, [(b"user", b"x"), (b"replication", b"true")])
    link = fresh().client(packet + b"p\0\0\0\5\0X\0")
    link.server(m.build_authentication(m.AUTH_OK))
    assert link.to_server == packet + b"p\0\0\0\5\0X\0"


@pytest.mark.parametrize("value", ["database", "false", "off", ""])
def test_replication_that_can_run_statements_is_read(value: str) -> None:
    link = Link(ready=False, params={"replication": value})
    link.startup()
    assert link.session.state.phase == AUTHENTICATING


@pytest.mark.parametrize(("value", "passes"), [("database", True), ("false", False)])
def test_a_command_of_replication_may_name_a_protected_table(value: str, passes: bool) -> None:
    link = Link(params={"replication": value})
    link.to_server = b""
    command = query("START_REPLICATION SLOT customers LOGICAL 0/0 (publication_names 'customers')")
    link.client(command)
    assert (link.to_server == command) == passes


def test_who_replicates_a_database_sees_tokens() -> None:
    access = Link(params={"replication": "database"}).session.state.access
    assert access is not None and (access.role, access.level("email")) == ("shop", "token")


@pytest.mark.parametrize("second", [b"true", b"on"])
def test_replication_given_twice_does_not_open_a_way_round(second: bytes) -> None:
    """The server takes `database` as walsender with SQL, and keeps it when `true` follows (ProcessStartupPacket)."""
    params = [(b"user", b"shop"), (b"replication", b"database"), (b"replication", second)]
    link = fresh().client(m.build_startup(m.PROTOCOL_3_0, params))
    assert link.session.state.phase != OPAQUE


def test_a_statement_before_authentication_closes_the_link() -> None:
    link = fresh().client(STARTUP)
    link.to_server = b""
    link.client(query("select 1"))
    assert link.closed and not link.to_server
    assert error(link.to_client)[b"C"] == b"08P01"


def test_a_client_that_is_turned_away_is_told_so_before_the_server_hears_of_it() -> None:
    session = Session(turned_away=Refusal("too-many-connections", "no link is free"))
    session.client_bytes(STARTUP)
    note, told, *closes = session.take_effects()
    assert isinstance(told, ToClient) and error(told.data)[b"S"] == b"FATAL" and error(told.data)[b"C"] == b"53300"
    assert isinstance(note, Note) and note.facts["code"] == "too-many-connections"
    assert closes == [Close("client", "too-many-connections"), Close("server", "too-many-connections")]


def test_a_client_that_is_turned_away_may_cancel() -> None:
    packet = m.build_cancel_request(7, b"k" * 32)
    session = Session(turned_away=Refusal("too-many-connections", "no link is free"))
    session.client_bytes(packet)
    assert session.take_effects() == [CancelUpstream(packet), Close("client", "cancel request")]


def test_what_is_reported_before_authentication_is_done_counts() -> None:
    """Servers report behind AuthenticationOk; the protocol does not say that a pool has to."""
    link = fresh()
    link.startup()
    status = m.build_parameter_status(b"standard_conforming_strings", b"off")
    assert link.server(status).to_client == status
    assert not link.session.state.settings.conforming


def test_passwords_go_through_and_half_of_one_does_not() -> None:
    link = fresh().client(STARTUP)
    link.to_server = b""
    password = m.build_password(b"secret\0")
    link.client(password[:6])
    assert link.to_server == b""
    link.client(password[6:])
    assert link.to_server == password


def test_terminate_while_authenticating() -> None:
    link = fresh().client(STARTUP).client(m.build_terminate())
    assert link.to_server.endswith(m.build_terminate())


def test_channel_binding_is_not_offered() -> None:
    link = fresh().client(STARTUP)
    link.server(m.build_sasl_mechanisms([b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"]))
    assert link.to_client == m.build_sasl_mechanisms([b"SCRAM-SHA-256"])
    challenge = m.build_authentication(m.AUTH_SASL_CONTINUE, b"r=x")
    link.to_client = b""
    assert link.server(challenge).to_client == challenge


def test_the_server_refuses_the_user() -> None:
    link = fresh().client(STARTUP)
    no = failed("28P01", S="FATAL", V="FATAL")
    link.server(no)
    link.session.server_eof()
    link.drain()
    assert link.to_client == no and link.closed


def test_broken_bytes_of_the_server_end_the_link_quietly() -> None:
    link = fresh().client(STARTUP).server(b"\x00\x00\x00\x00\x01")
    assert link.closed and not link.to_client
    assert link.notes("protocol-fault")[0].facts["side"] == "server"


def test_a_client_that_takes_no_more_is_not_sent_more() -> None:
    link = Link()
    link.client(query("select email from customers")).server(columns(EMAIL))
    link.got()
    link.session.client_full(True)
    link.server(row(link.vault.token("email", b"a@b.c")))
    assert link.got() == []
    link.session.client_full(False)
    assert link.drain().got() == [row(b"a@b.c")]
    link.session.client_eof()
    link.session.release()
    link.session.client_full(False)
    assert not any(isinstance(effect, Ask) for effect in link.session.take_effects())


# ---- catalog --------------------------------------------------------------------------------------------------------


def test_the_catalog_is_asked_for_after_authentication_and_statements_wait() -> None:
    link = fresh()
    link.held = (LoadCatalog,)
    link.startup()
    assert not link.asks
    link.server(link.greeting())
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", False)]
    assert kinds(link.got()) == "RSSSSSKZ"
    link.sent()
    link.client(query("select 1"))
    assert link.sent() == []
    link.release()
    assert link.sent() == [query("select 1")]


def test_a_statement_sent_before_the_first_ready_for_query_gets_its_own_reply() -> None:
    link = fresh()
    link.startup()
    greeting = split(link.greeting())
    link.server(*greeting[:-1])
    link.client(query("insert into customers(email) values ('a@b.c')"))
    link.server(greeting[-1])
    link.got()
    assert len(link.session.state.ledger) == 1
    link.server(failed("23505", "dup", D="Key (email)=(x) already exists."), ready())
    assert kinds(link.got()) == "EZ"
    assert len(link.session.state.ledger) == 0


def test_without_a_catalog_nothing_is_forwarded() -> None:
    link = fresh()
    link.fail[LoadCatalog] = Refusal("vault-unavailable", "the catalog is not reachable")
    link.startup()
    link.server(link.greeting())
    told = error(split(link.to_client)[-1])
    assert (told[b"S"], told[b"C"]) == (b"FATAL", b"57P03")
    assert link.closed


def without_a_catalog_yet() -> Link:
    """Authenticated, start-up not over on the server, and the catalog can't be read."""
    link = fresh()
    link.held = (LoadCatalog,)
    link.startup()
    link.server(*split(link.greeting())[:-1])
    link.session.answer(link.asks[0].ticket, Failure(Refusal("vault-unavailable", "the catalog is not reachable")))
    return link.drain()


def test_the_servers_own_reason_not_to_serve_goes_before_a_catalog_that_is_not_there() -> None:
    link = without_a_catalog_yet()
    link.server(failed("3D000", "no such database", S="FATAL", V="FATAL"))
    link.session.server_eof()
    link.drain()
    assert [told[b"C"] for told in link.errors()] == [b"3D000"]
    assert link.closed


def test_without_a_catalog_a_server_that_is_ready_is_not_offered() -> None:
    link = without_a_catalog_yet()
    assert not link.closed
    link.server(ready())
    assert kinds(split(link.to_client))[-1] == "E" and "Z" not in kinds(split(link.to_client))
    assert link.closed


def test_a_database_with_nothing_protected_is_not_read() -> None:
    link = Link(protected=False)
    link.client(query("insert into customers(email) values ('a@b.c')"))
    assert link.sent() == [query("insert into customers(email) values ('a@b.c')")]


def test_a_policy_that_comes_later_protects_from_then_on() -> None:
    link = Link(protected=False)
    link.world = world(2)
    link.session.policy_changed()
    link.drain()
    link.client(query("insert into public.customers(email) values ('a@b.c')"))
    assert b"a@b.c" not in b"".join(link.sent())


def test_a_changed_policy_is_no_matter_to_a_link_with_a_catalog_or_before_it_asked() -> None:
    """It gets the new world by `renew`; before authentication nobody knows which database it is."""
    link, early = Link(), fresh()
    for each in (link, early):
        each.held = (LoadCatalog,)
        each.session.policy_changed()
        assert not each.drain().asks


def test_a_policy_that_changes_while_the_catalog_is_asked_for_asks_once() -> None:
    link = fresh()
    link.held = (LoadCatalog,)
    link.startup()
    link.server(link.greeting())
    link.session.policy_changed()
    assert len(link.drain().asks) == 1


def test_a_path_set_while_nothing_was_protected_is_not_known_later() -> None:
    """SET search_path was not followed then: the default must not be taken for it."""
    link = Link(protected=False)
    link.client(query("set search_path to public")).server(done("SET"), ready())
    link.world = world(2)
    link.session.policy_changed()
    link.drain()
    assert link.session.state.settings.path() is None


def test_the_roles_own_path_comes_from_the_catalog() -> None:
    assert Link().session.state.settings.path() == ("shop", "public")


def test_the_clients_path_wins_over_the_catalogs() -> None:
    link = Link(params={"options": "-c search_path=other"})
    assert link.session.state.settings.path() == ("other",)


def test_a_path_that_was_lost_stays_lost_when_the_catalog_is_read_anew() -> None:
    link = Link()
    link.client(query("select set_config('search_path', note, false) from notes_settings"))
    link.server(done("SELECT 1"), ready())
    assert link.session.state.settings.path() is None
    link.world = world(2)
    link.client(query("alter role r set x = 1")).server(done("ALTER ROLE"), ready())
    assert LoadCatalog("shop", True, changed=True) in link.asked
    assert link.session.state.settings.path() is None


def test_ddl_is_read_back_when_its_transaction_ends_and_not_before() -> None:
    """PEER-FAILURES 75: read before the commit, the catalog does not have it yet."""
    link = Link()
    link.held = (LoadCatalog,)
    link.client(parse("alter role r set x = 1"), m.build_bind(b"", b"", [], [], []), m.build_execute(b"", 0))
    link.client(m.build_flush())
    link.server(m.build_parse_complete(), m.build_bind_complete(), done("ALTER ROLE"))
    assert not link.asks
    link.client(SYNC).server(ready())
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True, changed=True)]
    link.sent()
    link.client(query("select 1"))
    assert link.sent() == []
    link.release()
    assert link.sent() == [query("select 1")]


def elsewhere(link: Link) -> Link:
    """A table made that names nothing protected."""
    return link.client(query("create table t(a int)")).server(done("CREATE TABLE"), ready())


def test_ddl_elsewhere_is_read_back_when_something_protected_is_named_and_not_before() -> None:
    link = elsewhere(Link())
    link.held = (LoadCatalog,)
    link.client(query("select 1 from t"), query("create table u(a int)"))
    link.server(m.build_row_description([]), done("SELECT 0"), ready(), done("CREATE TABLE"), ready())
    assert not link.asks
    link.sent()
    link.client(query("select id from customers, t"))
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True)]
    assert link.sent() == []
    link.world = world(2)
    link.release()
    assert link.sent() == [query("select id from customers, t")]
    link.client(query("select id from customers, t"))
    assert not link.asks


def test_ddl_elsewhere_counts_for_statements_that_are_prepared_already() -> None:
    link = Link()
    link.client(parse("select id from customers, t", b"s"), SYNC).server(m.build_parse_complete(), ready())
    elsewhere(link)
    link.held = (LoadCatalog,)
    link.client(m.build_bind(b"", b"s", [], [], []))
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True)]
    link.world = world(2)
    link.sent()
    link.release()
    assert link.sent() == [m.build_bind(b"", b"s", [], [], [])]


def test_ddl_elsewhere_is_told_to_the_other_links() -> None:
    one, other = Link(), Link()
    other.session.renew(one.world)
    elsewhere(one)
    other.held = (LoadCatalog,)
    other.client(query("select id from customers, t"))
    assert [ask.request for ask in other.asks] == [LoadCatalog("shop", True)]


def test_ddl_elsewhere_seen_while_the_catalog_is_being_read_is_not_forgotten() -> None:
    one, other = Link(), Link()
    other.session.renew(one.world)
    elsewhere(one)
    other.held = (LoadCatalog,)
    other.client(query("select id from customers, t"))
    elsewhere(one)
    other.world = world(2)
    other.release(1)
    assert [ask.request for ask in other.asks] == [LoadCatalog("shop", True)]
    other.world = world(3)
    other.release()
    assert other.sent()[-1] == query("select id from customers, t")


def test_ddl_elsewhere_of_a_transaction_counts_from_its_end_on() -> None:
    link = Link()
    link.client(query("begin; create table t(a int)")).server(done("BEGIN"), done("CREATE TABLE"), ready("T"))
    link.held = (LoadCatalog,)
    link.client(query("select id from customers")).server(m.build_row_description([]), done("SELECT 0"), ready("T"))
    assert not link.asks
    link.client(query("commit")).server(done("COMMIT"), ready())
    link.client(query("select id from customers"))
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True)]


def test_ddl_elsewhere_waits_for_a_transactions_own_tables() -> None:
    """They were laid over the catalog as it was."""
    link = Link()
    link.client(query("begin; create temp table customers(a int)"))
    link.server(done("BEGIN"), done("CREATE TABLE"), ready("T"))
    assert link.session.state.world is not None
    link.session.state.world.moved = True
    link.held = (LoadCatalog,)
    link.client(query("insert into public.customers(id) values (1)"))
    assert not link.asks


def test_ddl_elsewhere_is_not_forgotten_where_the_catalog_cannot_be_read() -> None:
    link = elsewhere(Link())
    link.held = (LoadCatalog,)
    link.client(query("select id from customers"))
    shared = link.session.state.world
    assert shared is not None and not shared.moved
    link.session.answer(link.asks[0].ticket, Failure(Refusal("vault-unavailable", "the catalog is not there")))
    assert shared.moved


def test_ddl_that_was_rolled_back_leaves_the_link_alive() -> None:
    link = Link()
    link.client(query("begin; create table t(a int)")).server(done("BEGIN"), done("CREATE TABLE"), ready("T"))
    assert LoadCatalog("shop", True) not in link.asked
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    link.client(query("select 1"))
    assert link.sent()[-1] == query("select 1")


def test_ddl_while_the_catalog_is_being_read_is_read_back_too() -> None:
    link = Link(protected=False)
    link.client(query("select 1"))
    link.world = world(2)
    link.session.policy_changed()
    link.drain()
    link.server(done("SELECT 1"), ready())
    link.client(query("alter role r set x = 1"))
    link.held = (LoadCatalog,)
    link.session._ask_catalog(False)
    link.drain()
    link.server(done("ALTER ROLE"), ready())
    link.release()
    assert LoadCatalog("shop", True, changed=True) in link.asked


# ---- its end --------------------------------------------------------------------------------------------------------


def test_client_gone() -> None:
    link = Link()
    link.client(query("select 1")[:3])
    link.session.client_eof()
    link.drain()
    assert link.closed and link.sent() == []
    link.server(ready())
    assert link.got() == []


def test_server_gone() -> None:
    link = Link()
    last = failed("57P01", S="FATAL", V="FATAL")
    link.server(last)
    link.session.server_eof()
    link.drain()
    assert link.got() == [last] and link.closed


def test_gone_twice() -> None:
    link = Link()
    link.session.client_eof()
    link.session.server_eof()
    assert len([e for e in link.drain().events if isinstance(e, Close)]) == 2


def test_answers_after_the_end_are_ignored_and_unknown_ones_are_not() -> None:
    link = Link()
    with pytest.raises(Bug):
        link.session.answer(999, None)
    link.session.client_eof()
    link.session.answer(999, None)


def test_the_clock_ends_a_slow_start_and_no_other() -> None:
    session = Session(limits=Link().session.state.limits.__class__(startup_deadline=10.0))
    session.tick(9.9)
    assert session.take_effects() == []
    session.tick(10.0)
    assert session.state.phase == CLOSED
    link = Link(limits=session.state.limits)
    link.session.tick(11.0)
    assert link.session.state.phase == READY


def test_a_client_that_says_nothing_for_too_long() -> None:
    """A statement, a transaction and a reply that is owed are signs of life; what the server tells is none."""
    link = Link(limits=Limits(idle=10.0))
    for now in (1.0, 10.9):
        link.session.tick(now)
    link.client(query("begin")).session.tick(12.0)
    link.server(done("BEGIN"), ready("T")).session.tick(50.0)
    link.client(query("commit")).server(done("COMMIT"), ready())
    for now in (60.0, 69.9):
        link.session.tick(now)
        link.server(m.build_parameter_status(b"TimeZone", b"UTC"))
    assert not link.drain().closed
    link.got()
    link.session.tick(70.0)
    assert [error(frame)[b"C"] for frame in link.drain().got()] == [b"57P05"]
    assert link.closed and link.session.state.outcome == "idle"


def test_nobody_is_sent_away_for_silence_where_that_is_not_asked_for() -> None:
    link = Link()
    for now in (1.0, 1e9):
        link.session.tick(now)
    assert not link.drain().closed


def test_drain_ends_idle_links_only() -> None:
    idle, busy, transaction = Link(), Link(), Link()
    busy.client(query("select 1"))
    transaction.client(query("begin")).server(done("BEGIN"), ready("T"))
    for link in (idle, busy, transaction):
        link.session.drain()
        link.drain()
    assert [link.closed for link in (idle, busy, transaction)] == [True, False, False]
    assert error(idle.got()[0])[b"C"] == b"57P01"


@pytest.mark.parametrize("what", ["unreachable", "lost"])
def test_told_why(what: str) -> None:
    link = Link()
    getattr(link.session, what)(Refusal("server-unreachable", "no server"))
    link.drain()
    assert error(link.got()[0])[b"C"] == b"57P03" and link.closed
    getattr(link.session, what)(Refusal("server-unreachable", "no server"))
    assert link.drain().got() == []


def test_a_renewed_policy_counts_from_the_next_message_on() -> None:
    link = Link()
    link.world = world(2, relations=world().snapshot.catalog.relations)
    link.session.renew(link.world)
    assert link.session.state.world is link.world


@pytest.mark.parametrize("ddl", ["create temp table customers(a int)", "alter table customers add column x int"])
def test_what_a_transaction_made_and_changed_outlives_a_renewal(ddl: str) -> None:
    """Another link's DDL or the timer brings a new catalog, which does not have what is not committed."""
    link = Link()
    link.client(query(f"begin; {ddl}")).server(done("BEGIN"), done("DDL"), ready("T"))
    link.session.renew(world(2))
    link.sent()
    insert = query("insert into customers values (1)")
    link.client(insert)
    assert link.session.state.overlay is not None
    assert link.sent() != [insert]
    link.server(failed(), ready("E"))
    assert link.errors()
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    assert link.session.state.overlay is None


def test_nothing_is_renewed_before_the_catalog_is_there() -> None:
    link = fresh()
    link.session.renew(world())
    assert link.session.state.world is None


def test_unknown_messages_close_the_link() -> None:
    link = Link()
    link.client(b"?\0\0\0\4")
    assert error(link.got()[0])[b"C"] == b"08P01" and link.closed


def test_what_broke_the_protocol_behind_a_message_that_waited_closes_the_link_when_it_is_read() -> None:
    link = Link()
    link.held = (Analyse,)
    link.client(query("select id from customers") + b"?\0\0\0\4")
    assert not link.closed
    link.release()
    assert kinds(link.sent()) == "Q"
    assert error(link.got()[0])[b"C"] == b"08P01" and link.closed


def test_the_server_is_gone_before_what_it_said_could_be_shown() -> None:
    link = Link().client(query("select email from customers"))
    link.held = (Reveal,)
    link.server(columns(EMAIL), row(link.vault.token("email", b"a@b.c")), done("SELECT 1"), ready())
    link.got()
    link.session.server_eof()
    assert not link.drain().closed
    assert link.release().got() == [row(b"a@b.c"), done("SELECT 1"), ready()] and link.closed


def test_what_waited_for_a_failed_reply_to_be_made_up_for_goes_on() -> None:
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(query("select email from customers"))
    link.fail[Reveal] = Refusal("vault-unavailable", "away")
    link.server(columns(EMAIL), row(link.vault.token("email", b"a@b.c")), done("SELECT 1"), ready("T"))
    link.sent()
    assert link.client(query("rollback")).sent() == []
    link.server(failed("22P02"), ready("E"))
    assert link.sent() == [query("rollback")]


# ---- names that are not there ---------------------------------------------------------------------------------------


def wider() -> World:
    """With a column that another made."""
    more = (*RELATIONS[0].columns, Column("nosuch", 7, 25, "text", -1))
    return world(2, relations=(replace(RELATIONS[0], columns=more), *RELATIONS[1:]))


@pytest.mark.parametrize("prepared", [False, True])
def test_the_catalog_is_read_anew_before_something_is_said_not_to_be_there(prepared: bool) -> None:
    link = Link()
    link.held = (LoadCatalog,)
    text = "select nosuch from customers where email = 'a'"
    for found in (False, True, True):
        link.client(parse(text) + SYNC if prepared else query(text))
        if found and not link.asks:
            break  # known by now
        assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True, True)] and link.sent() == []
        link.world = wider() if found else link.world
        link.release()
        sent = link.sent()
        assert (b"nosuch" in sent[0]) is found
        link.server(*([m.build_parse_complete(), ready()] if found else [failed("22P02"), ready()]))
        assert [told[b"C"] for told in link.errors()] == ([] if found else [b"42703"])


def test_nor_is_it_a_guess_in_a_transaction_with_ddl_of_its_own() -> None:
    link = Link()
    link.client(query("begin; create view v as select email from customers"))
    link.server(done("BEGIN"), done("CREATE VIEW"), ready("T"))
    link.held, link.world = (LoadCatalog,), wider()
    link.client(query("select nosuch from customers"))
    assert [ask.request for ask in link.asks] == [LoadCatalog("shop", True, True)]
    link.release()
    assert b"nosuch" in link.sent()[-1]


def test_a_catalog_that_cannot_be_read_for_a_doubt_leaves_what_is_known() -> None:
    link = Link()
    link.fail[LoadCatalog] = Refusal("vault-unavailable", "the catalog is not reachable")
    link.client(query("select nosuch from customers")).server(failed("22P02"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"42703"] and not link.closed
    link.client(query("select id from customers"))
    assert kinds(link.sent())[-1] == "Q"


def test_a_doubt_in_a_catalog_that_has_moved_is_no_mere_doubt() -> None:
    link = elsewhere(Link())
    link.fail[LoadCatalog] = Refusal("vault-unavailable", "the catalog is not reachable")
    link.client(query("select nosuch from customers"))
    assert [told[b"C"] for told in link.errors()] == [b"57P03"] and link.closed


def test_what_a_position_points_at_moves_with_the_values_before_it() -> None:
    """A refusal with a position is not kept for other texts of its shape."""
    link = Link()
    places = []
    for value in ("a", "äöü", ""):
        link.client(query(f"select '{value}', nosuch from customers")).server(failed("22P02"), ready())
        places += [told[b"P"] for told in link.errors()]
    assert places == [b"13", b"15", b"12"]


# ---- turns (more in test_turns.py)

LONG = query("select email from customers") * 100


def test_a_link_with_much_to_do_goes_on_when_it_is_its_turn_again() -> None:
    link = Link()
    link.client(LONG)
    assert kinds(link.sent()) == "Q" * 100
    link.session.client_eof()
    link.session.go_on()
    assert link.sent() == []


def test_a_fault_in_a_later_turn_ends_the_link() -> None:
    link = Link()
    link.client(LONG, b"?\0\0\0\4")
    assert link.closed and kinds(link.sent()) == "Q" * 100


def test_all_that_a_server_said_before_it_went_is_shown() -> None:
    link = Link()
    token = link.vault.token("email", b"a@b.c")
    link.client(LONG)
    link.session.server_bytes((columns(EMAIL) + row(token) + done("SELECT 1") + ready()) * 100)
    for effect in link.session.take_effects():
        if (ask := link.perform(effect)) is not None:
            link.session.answer(ask.ticket, link.reply(ask.request))
    link.session.server_eof()
    assert link.drain().to_client.count(b"a@b.c") == 100 and link.closed


# ---- a pooler before the server ---------------------------------------------------------------------------------

SHARED = Pooling(True, Refusal("pooled-transactions", "shared"))


def behind(pooling: Pooling, version: int = 1) -> World:
    return World(SHOP.policy, SHOP.snapshot, version, pooling=pooling)


def test_a_link_whose_session_is_shared_is_told_when_it_asks() -> None:
    link = Link(world_=behind(SHARED))
    assert link.session.state.phase == UNSERVED and not link.to_client
    link.client(query("select 1"))
    assert error(link.to_client)[b"C"] == b"0A000" and link.closed and not link.to_server


def test_a_client_that_waits_already_is_told_at_once() -> None:
    link = Link(ready=False)
    link.startup()
    link.held = (LoadCatalog,)
    link.server(link.greeting())
    link.client(query("select 1"))
    link.to_client = b""
    link.world = behind(SHARED)
    link.release()
    assert error(link.to_client)[b"C"] == b"0A000" and link.closed


def test_the_server_has_its_say_before() -> None:
    link = Link(ready=False, world_=behind(SHARED))
    link.startup()
    link.server(m.build_authentication(m.AUTH_OK))
    assert not link.closed
    link.to_client = b""
    link.server(m.build_ready_for_query(m.IDLE))
    assert error(link.to_client)[b"C"] == b"0A000" and link.closed


def test_a_pooler_that_is_found_later() -> None:
    for busy in (False, True):
        link = Link()
        if busy:
            link.client(query("select 1"))
        link.session.renew(behind(SHARED, 2))
        link.drain()
        assert link.closed == busy
        link.session.drain()
        link.drain()
        assert link.closed


def test_start_up_settings_behind_a_pooler_are_not_believed() -> None:
    given = {"options": "-c search_path=other"}
    assert Link(params=given).session.state.settings.path() == ("other",)
    assert Link(world_=behind(Pooling(True)), params=given).session.state.settings.path() is None
    assert Link(world_=behind(Pooling(True))).session.state.settings.path() == ("shop", "public")
