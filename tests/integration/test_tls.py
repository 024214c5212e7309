"""TLS to clients, with libpq and with OpenSSL by hand: modes, client certificates, direct TLS, new certificates, SCRAM
with TLS on both sides, and what misbehaves in and around a handshake."""

import os
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.kit.certificates import Authority
from tests.kit.chaos import Chaos, Plan
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, create, find, fresh_database
from tests.kit.wireclient import WireClient, cancel, names

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles:
  - {name: known, match: {tls_subject: "CN=shop,O=Example"}, access: {default: reveal}}
  - {name: owner, match: {user: postgres, application_name: owner}, access: {default: reveal}}
"""
ADA = "ada@example.com"
MB = 1 << 20


@dataclass
class Papers:
    """Who has which certificate."""

    authority: Authority
    server: tuple[str, str]
    shop: tuple[str, str]

    def as_shop(self) -> dict[str, str]:
        return {"sslmode": "require", "sslcert": self.shop[0], "sslkey": self.shop[1]}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    return Papers(authority, authority.issue("pgveil"), authority.issue("shop", O="Example", CN="shop"))


@pytest.fixture(scope="module")
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int PRIMARY KEY, email text)", name)
        yield name


def before(pg: Server, shop: str, papers: Papers, **more: object) -> Pgveil:
    client = {"cert": papers.server[0], "key": papers.server[1], "ca": str(papers.authority.ca)}
    client |= more.pop("client", {})  # type: ignore[call-overload]
    return Pgveil.before(pg, shop, {"people": POLICY}, tls={"client": client}, policy_poll="0.1s", **more)


@pytest.fixture(scope="module")
def chaos(pg18: Server) -> Iterator[Chaos]:
    with Chaos(pg18.port) as between:
        yield between


@pytest.fixture(scope="module")
def pgveil(pg18: Server, shop: str, papers: Papers, chaos: Chaos) -> Iterator[Pgveil]:
    with before(pg18, shop, papers, upstream=f"127.0.0.1:{chaos.port}") as running:
        with running.connect(shop, application_name="owner") as link:
            link.execute("INSERT INTO people VALUES (1, %s)", (ADA,))
        yield running


def one(link: "psycopg.Connection", sql: str) -> object:
    row = link.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def shake(port: int, alpn: str = "", direct: bool = False, **versions: ssl.TLSVersion) -> WireClient:
    """A wire client that has TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, version in versions.items():
        setattr(context, name, version)
    if alpn:
        context.set_alpn_protocols([alpn])
    client = WireClient(port)
    try:
        if not direct:
            client.send("SSLRequest")
            assert client.read_byte() == b"S"
        client.socket = context.wrap_socket(client.socket)
    except BaseException:
        client.close()
        raise
    return client


def goes_on(pgveil: Pgveil, shop: str) -> None:
    with pgveil.connect(shop, sslmode="require", application_name="owner") as link:
        assert one(link, "SELECT email FROM people WHERE id = 1") == ADA


# ---- modes


@pytest.mark.parametrize(
    ("mode", "encrypted"),
    [
        ("disable", False),
        ("allow", False),
        ("prefer", True),
        ("require", True),
        ("verify-ca", True),
        ("verify-full", True),
    ],
)
def test_every_sslmode(pgveil: Pgveil, shop: str, papers: Papers, mode: str, encrypted: bool) -> None:
    root = {"sslrootcert": str(papers.authority.ca)} if mode.startswith("verify") else {}
    with pgveil.connect(shop, sslmode=mode, **root, application_name="owner") as link:
        assert link.pgconn.ssl_in_use == encrypted
        assert one(link, "SELECT email FROM people WHERE id = 1") == ADA


def test_a_client_that_verifies_and_another_authority(pgveil: Pgveil, shop: str, tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        pgveil.connect(shop, sslmode="verify-ca", sslrootcert=str(Authority(tmp_path, "stranger").ca))
    goes_on(pgveil, shop)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(pgveil: Pgveil, shop: str, version: ssl.TLSVersion) -> None:
    with shake(pgveil.port, maximum_version=version) as client:
        client.start(user="postgres", database=shop)
        assert names(client.query("SELECT 1"))[-1] == "ReadyForQuery"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_before_1_2_is_refused(pgveil: Pgveil) -> None:
    with pytest.raises(ssl.SSLError):
        shake(pgveil.port, minimum_version=ssl.TLSVersion.TLSv1_1, maximum_version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_passwords_pass_through(pgveil: Pgveil, shop: str, user: str) -> None:
    with pgveil.connect(shop, user, sslmode="require") as link:
        assert one(link, "SELECT current_user::text") == user
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pgveil.connect(shop, user, sslmode="require", password="wrong")


def test_peer_70_gssapi_is_declined_then_tls(pgveil: Pgveil, shop: str) -> None:
    with WireClient(pgveil.port) as client:
        client.send("GSSENCRequest")
        assert client.read_byte() == b"N"
        client.send("SSLRequest")
        assert client.read_byte() == b"S"


def test_all_that_a_link_does(pgveil: Pgveil, shop: str) -> None:
    with pgveil.connect(shop, sslmode="require", application_name="owner") as link:
        assert one(link, "SELECT sum(length(repeat('x', 1000000))) FROM generate_series(1, 3)") == 3_000_000
        big = link.execute("SELECT repeat('x', 30000000), email FROM people WHERE id = 1").fetchone()
        assert big is not None and len(big[0]) == 30_000_000 and big[1] == ADA
        with link.pipeline():
            cursors = [
                link.execute("SELECT email, %s::text FROM people WHERE id = 1", ("y" * 50_000,)) for _ in range(50)
            ]
        assert {cursor.fetchone() for cursor in cursors} == {(ADA, "y" * 50_000)}
        with link.cursor().copy(
            "COPY (SELECT repeat('z', 1000), g FROM generate_series(1, 20000) g) TO STDOUT"
        ) as rows:
            assert sum(1 for _ in rows.rows()) == 20_000


# ---- require


@pytest.fixture(scope="module")
def strict(pg18: Server, shop: str, papers: Papers) -> Iterator[Pgveil]:
    pgveil = before(pg18, shop, papers, client={"require": True})
    pgveil.write_config(listen=[f"127.0.0.1:{pgveil.port}", f"unix:{pgveil.base}:{pgveil.port}"])
    with pgveil:
        yield pgveil


def test_require_refuses_plaintext_and_says_what_to_do(strict: Pgveil, shop: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="sslmode=require") as told:
        strict.connect(shop, sslmode="disable")
    assert "connections without TLS are not accepted here" in str(told.value)
    with strict.connect(shop, sslmode="allow") as link:  # libpq tries again with TLS
        assert link.pgconn.ssl_in_use
    with strict.connect(shop, sslmode="require") as link:
        assert one(link, "SELECT 1") == 1


def test_require_does_not_ask_unix_sockets(strict: Pgveil, shop: str) -> None:
    where = f"host={strict.base} port={strict.port} user=postgres dbname={shop}"
    with psycopg.connect(where, sslmode="prefer") as link:
        assert not link.pgconn.ssl_in_use and one(link, "SELECT 1") == 1


def running(server: Server, sql: str) -> bool:
    with server.connect() as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
        return connection.execute(asked, (sql,)).fetchone() == (1,)


@pytest.mark.parametrize("how", ["with TLS", "without TLS"])
def test_peer_71_cancel(strict: Pgveil, pg18: Server, shop: str, how: str) -> None:
    """libpq 17 and later cancel with TLS, those before never do."""
    sql = f"SELECT pg_sleep(600), '{how}'"
    with shake(strict.port) as client:
        client.start(user="postgres", database=shop)
        client.send(f'Query "{sql}"')
        wait_for("the statement to run", lambda: running(pg18, sql))
        if how == "with TLS":
            with shake(strict.port) as canceller:
                canceller.send(b"\0\0\0\x10\x04\xd2\x16\x2e" + client.pid.to_bytes(4, "big") + client.key)
                assert canceller.read_to_end() == []
        else:
            cancel(strict.port, client.pid, client.key)
        assert "57014" in str(client.read_until("ErrorResponse")[-1])


def test_a_driver_cancels(strict: Pgveil, pg18: Server, shop: str) -> None:
    with strict.connect(shop, sslmode="require") as link:
        timer = threading.Thread(
            target=lambda: (wait_for("it to run", lambda: running(pg18, "SELECT pg_sleep(601)")), link.cancel_safe())
        )
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            link.execute("SELECT pg_sleep(601)")
        timer.join()
        assert one(link, "SELECT 1") == 1


# ---- direct TLS


def test_libpq_with_direct_tls(pgveil: Pgveil, shop: str, papers: Papers) -> None:
    with pgveil.connect(shop, **papers.as_shop(), sslnegotiation="direct") as link:
        assert link.pgconn.ssl_in_use and one(link, "SELECT email FROM people WHERE id = 1") == ADA


@pytest.mark.parametrize("alpn", ["", "http/1.1"])
def test_direct_tls_for_another_protocol_ends(pgveil: Pgveil, shop: str, alpn: str) -> None:
    """Without a word, as on the server."""
    with pgveil.log_contains("direct TLS without ALPN"), shake(pgveil.port, alpn, direct=True) as client:
        assert client.read_to_end() == []
    goes_on(pgveil, shop)


def test_direct_tls_byte_by_byte(pgveil: Pgveil, shop: str) -> None:
    """The handshake by hand: what came before TLS was begun, and what comes while it begins, is one stream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(inside, outside)
    with WireClient(pgveil.port) as client:
        for _ in range(20):
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outside.read():
                    client.socket.send(bytes([byte]))
                inside.write(client.socket.recv(65536))
        assert tls.selected_alpn_protocol() == "postgresql"
        startup = b"user\0postgres\0database\0" + shop.encode() + b"\0\0"
        tls.write((len(startup) + 8).to_bytes(4, "big") + b"\0\3\0\0" + startup)
        client.socket.sendall(outside.read())  # with the last of the handshake, in one
        answer = b""
        while not answer.endswith(b"Z\0\0\0\5I"):
            try:
                answer += tls.read(65536)
            except ssl.SSLWantReadError:
                inside.write(client.socket.recv(65536))
    assert answer.startswith(b"R\0\0\0\x08\0\0\0\0")


# ---- client certificates


def test_a_subject_is_who_somebody_is(pgveil: Pgveil, shop: str, papers: Papers) -> None:
    with pgveil.connect(shop, **papers.as_shop()) as link:
        assert one(link, "SELECT email FROM people WHERE id = 1") == ADA
    with pgveil.connect(shop, sslmode="require") as link:
        assert one(link, "SELECT email FROM people WHERE id = 1") != ADA
    cert, key = papers.authority.issue("other", O="Example", CN="other")
    with pgveil.connect(shop, sslmode="require", sslcert=cert, sslkey=key) as link:
        assert one(link, "SELECT email FROM people WHERE id = 1") != ADA
    rows = pgveil.json("audit", "tail", "-n", "50")
    assert isinstance(rows, list)
    assert {row["tls_subject"] for row in rows if row["role"] == "known"} == {"CN=shop,O=Example"}


def test_certificates_that_are_not_accepted(pgveil: Pgveil, shop: str, papers: Papers, tmp_path: Path) -> None:
    """One that claims a subject, signed by somebody else; one that has expired."""
    stranger = Authority(tmp_path, "another").issue("stranger", O="Example", CN="shop")
    expired = papers.authority.issue("expired", days=-1, O="Example", CN="shop")
    for (cert, key), why in ((stranger, "unknown ca"), (expired, "expired")):
        with (
            pgveil.log_contains("reason=CERTIFICATE_VERIFY_FAILED"),
            pytest.raises(psycopg.OperationalError, match=f"certificate {why}|{why}"),
        ):
            pgveil.connect(shop, sslmode="require", sslcert=cert, sslkey=key)
    goes_on(pgveil, shop)


@pytest.mark.parametrize(
    ("subject", "known"),
    [
        ({"O": "Example", "CN": "shop"}, True),
        ({"CN": "shop", "O": "Example"}, False),
        ({"CN": "shop,O=Example"}, False),
        ({"O": "Example,CN=shop"}, False),
        ({"O": "Example", "CN": "shop\n"}, False),
        ({"O": "Example", "CN": " shop"}, False),
        ({"O": "Example", "CN": "SHOP"}, False),
        ({"O": "Example", "CN": "*"}, False),
        ({"O": "Example", "OU": "x", "CN": "shop"}, False),
        ({"O": "Ex\u00e4mple", "CN": "sh\u00f6p\u202e"}, False),
    ],
    ids=str,
)
def test_subjects_that_look_like_another(
    pgveil: Pgveil, shop: str, papers: Papers, subject: dict[str, str], known: bool
) -> None:
    """The order of its parts and every character count; what would be a part of the subject is escaped in one."""
    cert, key = papers.authority.issue("odd", **subject)
    with pgveil.connect(shop, sslmode="require", sslcert=cert, sslkey=key) as link:
        assert (one(link, "SELECT email FROM people WHERE id = 1") == ADA) == known


def test_a_certificate_by_way_of_another_authority(pgveil: Pgveil, shop: str, papers: Papers, tmp_path: Path) -> None:
    """The client shows the chain that leads to the authority; without it, nobody knows who signed its certificate."""
    middle = papers.authority.issue_authority(tmp_path, "middle")
    cert, key = middle.issue("chained", O="Example", CN="shop")
    with pytest.raises(psycopg.OperationalError, match="unknown ca"):
        pgveil.connect(shop, sslmode="require", sslcert=cert, sslkey=key)
    Path(cert).write_bytes(Path(cert).read_bytes() + middle.ca.read_bytes())
    with pgveil.connect(shop, sslmode="require", sslcert=cert, sslkey=key) as link:
        assert one(link, "SELECT email FROM people WHERE id = 1") == ADA


# ---- new certificates


def shown(port: int) -> bytes:
    with shake(port) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        certificate = client.socket.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


@pytest.mark.parametrize("hangup", [True, False], ids=["SIGHUP", "file change"])
def test_new_certificates_while_links_go_on(pg18: Server, shop: str, tmp_path: Path, hangup: bool) -> None:
    authority = Authority(tmp_path)
    own = Papers(authority, authority.issue("own"), authority.issue("shop", O="Example", CN="shop"))
    with before(pg18, shop, own) as pgveil, pgveil.connect(shop, sslmode="require") as link:
        backend, first = link.info.backend_pid, shown(pgveil.port)
        with pgveil.log_contains("certificates-loaded"):
            authority.issue("own")
            if hangup:
                pgveil.hangup()
        second = shown(pgveil.port)
        assert second != first
        with pgveil.log_contains("certificate-fault"):
            Path(own.server[0]).write_text("rubbish")
            if hangup:
                pgveil.hangup()
        assert shown(pgveil.port) == second and "holds no certificate" in pgveil.page("/readyz")[1]
        assert one(link, "SELECT 1") == 1 and link.info.backend_pid == backend
        with pgveil.log_contains("certificates-loaded"):
            authority.issue("own")
            if hangup:
                pgveil.hangup()
        assert shown(pgveil.port) != second and "holds no certificate" not in pgveil.page("/readyz")[1]


def test_faults_of_certificates_are_told_at_once(pg18: Server, shop: str, papers: Papers) -> None:
    pgveil = before(pg18, shop, papers, client={"key": papers.shop[1], "ca": "/nosuch"})
    try:
        with pytest.raises(RuntimeError, match="exit 2") as told:
            pgveil.start()
        assert "KEY_VALUES_MISMATCH" in str(told.value) and "/nosuch: 'tls.client.ca' can't be read" in str(told.value)
        with pytest.raises(RuntimeError, match="KEY_VALUES_MISMATCH") as told:
            pgveil.command("check")
        assert "/nosuch: fault: 'tls.client.ca' can't be read" in str(told.value)
    finally:
        pgveil.close()


# ---- TLS on both sides


@pytest.fixture(scope="module")
def secure_server(papers: Papers) -> Iterator[tuple[Server, tuple[str, str]]]:
    """A server with TLS (the wheel's is built without), and its certificate and key."""
    install = find("15")
    if install is None:
        pytest.skip("PostgreSQL 15 is not installed (sh tests/kit/install-system.sh)")
    server = create(install)
    pair = papers.authority.issue("database")
    try:
        for name, path in zip(("server.crt", "server.key"), pair, strict=True):
            shutil.copy(path, server.data / name)
            os.chmod(server.data / name, 0o600)
            if install.owner is not None:
                os.chown(server.data / name, install.owner.pw_uid, install.owner.pw_gid)
        server.start(ssl="on")
        server.psql("CREATE TABLE people(id int PRIMARY KEY, email text); ALTER ROLE scram_user REPLICATION")
        yield server, pair
    finally:
        server.close()


@pytest.fixture(scope="module", params=["own certificate", "server's certificate"])
def both(
    secure_server: tuple[Server, tuple[str, str]], papers: Papers, request: pytest.FixtureRequest
) -> Iterator[tuple[Pgveil, bool]]:
    """pgveil between, and whether it shows the server's certificate."""
    server, pair = secure_server
    same = request.param == "server's certificate"
    client = {"cert": pair[0], "key": pair[1]} if same else {}
    pgveil = before(server, "postgres", papers, client=client)
    pgveil.write_config(tls={**pgveil.config["tls"], "server": {"mode": "verify-full", "ca": str(papers.authority.ca)}})  # type: ignore[dict-item]
    with pgveil:
        yield pgveil, same


@pytest.mark.parametrize(
    ("mode", "authority", "tls"),
    [
        ("disable", "right", False),
        ("prefer", "", True),
        ("require", "", True),
        ("verify-ca", "right", True),
        ("verify-full", "right", True),
        ("require", "wrong", None),
        ("verify-ca", "wrong", None),
        ("verify-full", "wrong", None),
    ],
)
def test_tls_to_the_server(
    secure_server: tuple[Server, object], papers: Papers, tmp_path: Path, mode: str, authority: str, tls: bool | None
) -> None:
    """As libpq's sslmode: a root certificate that is given is checked from `require` on."""
    server, _ = secure_server
    root = {"right": papers.authority.ca, "wrong": Authority(tmp_path, "wrong").ca}.get(authority)
    given = {"mode": mode} | ({} if root is None else {"ca": str(root)})
    with Pgveil.before(server, "postgres", {"people": POLICY}, tls={"server": given}) as pgveil:
        if tls is None:
            with pytest.raises(psycopg.OperationalError, match="not reachable"):
                pgveil.connect()
            return
        with pgveil.connect(application_name="owner") as link:
            assert one(link, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is tls
            assert one(link, "SELECT count(*) FROM people WHERE email = 'x'") == 0


def test_tls_to_a_server_that_has_none(pg18: Server, papers: Papers) -> None:
    """`prefer` goes on without."""
    root = {"ca": str(papers.authority.ca)}
    for upstream, mode, goes in (
        (f"127.0.0.1:{pg18.port}", "prefer", True),
        (f"127.0.0.1:{pg18.port}", "require", False),
        (f"127.0.0.1:{pg18.port}", "verify-full", False),
    ):
        given = {"server": {"mode": mode} | ({} if mode == "prefer" else root)}
        with Pgveil.before(pg18, "postgres", None, upstream=upstream, tls=given) as pgveil:
            if goes:
                pgveil.connect().close()
            else:
                with pytest.raises(psycopg.OperationalError, match="not reachable"):
                    pgveil.connect()


def test_scram_with_tls_on_both_sides(both: tuple[Pgveil, bool]) -> None:
    pgveil, same = both
    for mode in ("disable", "prefer", "require"):
        given = {"user": "scram_user", "sslmode": "require", "channel_binding": mode}
        if same or mode == "disable":
            with pgveil.connect(**given) as link:
                inside = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                assert link.pgconn.ssl_in_use and one(link, inside) is True
            continue
        told = "channel_binding=disable" if mode == "prefer" else "server did not offer"
        with pytest.raises(psycopg.OperationalError, match=told):
            pgveil.connect(**given)


def test_scram_without_tls_to_the_client(both: tuple[Pgveil, bool]) -> None:
    pgveil, _ = both
    with pgveil.connect(user="scram_user", sslmode="disable") as link:
        assert one(link, "SELECT current_user::text") == "scram_user"


def test_cancel_with_tls_on_both_sides(both: tuple[Pgveil, bool], secure_server: tuple[Server, object]) -> None:
    pgveil, _ = both
    with shake(pgveil.port) as client:
        client.start(user="postgres", database="postgres")
        client.send('Query "SELECT pg_sleep(602)"')
        wait_for("it to run", lambda: running(secure_server[0], "SELECT pg_sleep(602)"))
        cancel(pgveil.port, client.pid, client.key)
        assert "57014" in str(client.read_until("ErrorResponse")[-1])


# ---- what misbehaves


def test_peer_69_bytes_behind_the_request_are_not_taken_for_safe_ones(pgveil: Pgveil, shop: str) -> None:
    """CVE-2021-23222."""
    with WireClient(pgveil.port) as client:
        client.send("SSLRequest", f'Startup 3.0 "user" "postgres" "database" "{shop}"')
        assert b"S" not in client.socket.recv(1)
        client.read_to_end()
    goes_on(pgveil, shop)


RUBBISH = {
    "rubbish": bytes(range(256)) * 10,
    "a StartupMessage": b"\0\0\0\x17\0\3\0\0user\0postgres\0\0\0",
    "half a record": bytes.fromhex("16030100c8010000c40303"),
    "nothing": b"",
}


@pytest.mark.parametrize("asked", [True, False], ids=["SSLRequest", "direct"])
@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH.keys())
def test_a_handshake_that_is_none(pgveil: Pgveil, shop: str, rubbish: bytes, asked: bool) -> None:
    with pgveil.log_contains("tls-failed"), WireClient(pgveil.port) as client:
        if asked:
            client.send("SSLRequest")
            assert client.read_byte() == b"S"
        else:
            client.send(b"\x16")
        client.send(rubbish)
        client.close()
    goes_on(pgveil, shop)
    wait_for("the link to be gone", lambda: pgveil.metric("pgveil_open_links") == 0)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"], ids=["SSLRequest", "direct"])
def test_a_handshake_that_never_ends(pg18: Server, shop: str, papers: Papers, said: bytes) -> None:
    with before(pg18, shop, papers, timeouts={"startup": "1s"}) as pgveil, WireClient(pgveil.port) as slow:
        slow.send(said or "SSLRequest")
        if not said:
            assert slow.read_byte() == b"S"
        assert slow.read_to_end() == []
        wait_for("the link to be gone", lambda: pgveil.metric("pgveil_open_links") == 0)


def test_drain_in_a_handshake(pg18: Server, shop: str, papers: Papers) -> None:
    with before(pg18, shop, papers) as pgveil, WireClient(pgveil.port) as slow:
        slow.send("SSLRequest")
        assert slow.read_byte() == b"S"
        with pgveil.connect(shop, sslmode="require") as idle:
            pgveil.stop()
            with pytest.raises(psycopg.OperationalError, match="administrator command"):
                idle.execute("SELECT 1")
        assert slow.read_to_end() == []


WIDE = "SELECT repeat('x', 100000), {} FROM generate_series(1, 1000) {}"


@pytest.mark.parametrize(
    "sql",
    [WIDE.format("1", ""), WIDE.format("email", "JOIN people ON people.id = 1")],
    ids=["unprotected", "with values"],
)
def test_a_client_that_does_not_read(pgveil: Pgveil, shop: str, chaos: Chaos, sql: str) -> None:
    """100 MB of a result wait in the server, not in pgveil."""
    goes_on(pgveil, shop)
    rss, sent = pgveil.rss, chaos.counts["to_client"]

    def unread() -> bool:
        waiting = chaos.sending("to_client")
        goes_on(pgveil, shop)
        return bool(waiting) and chaos.sending("to_client") == waiting

    with shake(pgveil.port) as slow:
        slow.start(user="postgres", database=shop, application_name="owner")
        slow.send(f'Query "{sql}"')
        wait_for("pgveil to stop reading", unread, 60)
        assert MB < chaos.counts["to_client"] - sent < 60 * MB and pgveil.rss - rss < 100 * MB
        rows = 0
        while (frame := slow.read_frame(30))[:1] != b"Z":
            assert frame[:1] in (b"T", b"D", b"C"), frame[:200]
            rows += frame[:1] == b"D"
            slow.received.clear()
    assert rows == 1000 and pgveil.rss - rss < 100 * MB


def test_a_server_that_does_not_read(pg18: Server, shop: str, papers: Papers) -> None:
    """60 MB of Queries in a pipeline wait in the client, not in pgveil."""
    query = b"SELECT '" + b"y" * 99_991 + b"'\0"
    message = b"Q" + (len(query) + 4).to_bytes(4, "big") + query
    with (
        Chaos(pg18.port, Plan("to_server", 20_000, "stall")) as stalled,
        before(pg18, shop, papers, upstream=f"127.0.0.1:{stalled.port}") as pgveil,
        shake(pgveil.port) as client,
    ):
        client.start(user="postgres", database=shop)
        rss = pgveil.rss
        client.socket.settimeout(3)
        with pytest.raises(TimeoutError):
            for _ in range(600):
                client.socket.sendall(message)
        assert pgveil.rss - rss < 40 * MB
        stalled.release()


def test_a_client_that_leaves_in_the_middle_of_a_result(pgveil: Pgveil, pg18: Server, shop: str) -> None:
    slow = shake(pgveil.port)
    slow.start(user="postgres", database=shop)
    slow.send("Query \"SELECT repeat('x', 100000) FROM generate_series(1, 1003)\"")
    slow.read_frame(30)
    slow.close()
    sql = "SELECT repeat('x', 100000) FROM generate_series(1, 1003)"
    wait_for("the server session to end", lambda: not running(pg18, sql))
    goes_on(pgveil, shop)


def test_psql_goes_through_tls(pgveil: Pgveil, shop: str) -> None:
    install = find("15")
    if install is None:
        pytest.skip("the wheel's psql is built without TLS")
    argv = [install.tool("psql"), "-XAt", "-c", "\\conninfo", pgveil.dsn(shop, sslmode="require")]
    told = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert told.returncode == 0 and "TLSv1.3" in told.stdout, told.stdout + told.stderr


def test_a_signal_in_the_middle(pgveil: Pgveil, shop: str) -> None:
    """SIGHUP with nothing new changes nothing."""
    os.kill(pgveil.pid, signal.SIGHUP)
    goes_on(pgveil, shop)
