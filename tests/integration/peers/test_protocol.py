"""C: the protocol. Most of it is in tests/transcripts."""

import pytest
import yaml

from tests.integration.peers.world import POLICY, Peer, add
from tests.kit.notation import Message, Str, Word
from tests.kit.pgveil import Pgveil
from tests.kit.wireclient import WireClient, cancel, names

pytestmark = pytest.mark.server


def test_049_two_statements_in_one_flight(peer: Peer) -> None:
    with peer.link.pipeline():
        one = peer.link.execute("INSERT INTO c(id,email) VALUES (1,%s) RETURNING email", [peer.mail])
        two = peer.link.execute("INSERT INTO c(id,name) VALUES (2,%s) RETURNING name, id", [peer.word])
        three = peer.link.execute("SELECT email, name FROM c WHERE email=%s", [peer.mail])
    assert (one.fetchall(), two.fetchall(), three.fetchall()) == ([(peer.mail,)], [(peer.word, 2)], [(peer.mail, None)])


def test_050_unnamed_statement_bound_to_something_else(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    for text in ("SELECT email FROM c", "BEGIN", "SELECT email FROM c", "COMMIT", "SELECT 1"):
        answer = peer.ask(text, way="text")
        assert answer == {"SELECT email FROM c": [(mail,)], "SELECT 1": [("1",)]}.get(text, [])


def test_063_a_refusal_fails_the_transaction(peer: Peer) -> None:
    peer.ask("BEGIN")
    assert peer.ask("INSERT INTO c(id,email) VALUES (1,$1)", [peer.mail]) == []
    peer.refused("SELECT upper(email) FROM c")
    assert peer.ask("SELECT 1") == "25P02"
    assert peer.outcome("COMMIT").tag == "ROLLBACK"
    assert peer.stored() == []


def test_051_discard_all_takes_the_purpose_along(peer: Peer) -> None:
    add(peer)
    link = peer.connect("careful", options="-c pgveil.purpose=")
    for end in ("DISCARD ALL", "RESET ALL", "RESET pgveil.purpose", "SET SESSION AUTHORIZATION DEFAULT; RESET ALL"):
        peer.ask("SET pgveil.purpose = 'ticket 1'", link=link)
        assert peer.ask("SELECT email FROM c", link=link) == [(f"{peer.word}1@x.org",)]
        assert peer.ask(end, link=link) == []
        assert peer.ask("SELECT email FROM c", link=link) == "42501", end


def test_053_failed_parses_leave_nothing_behind(peer: Peer) -> None:
    """20,000 names whose Parse the server refused: pgveil does not grow with them."""

    def fail(count: int) -> None:
        with WireClient.login(peer.pgveil.port, peer.database) as client:
            for i in range(0, count, 100):
                for j in range(i, i + 100):
                    client.send(f'Parse "s{j}" "SELECT nosuch{j} FROM p" 0', "Sync")
                for _ in range(100):
                    assert [m.name for m in client.read_until_ready()] == ["ErrorResponse", "ReadyForQuery"]

    fail(5000)
    before = peer.pgveil.rss
    fail(15000)
    assert peer.pgveil.rss - before < 10_000_000


def test_065_a_backend_that_is_terminated_in_the_middle_of_rows(peer: Peer) -> None:
    """What the server said last, once, and the end; nobody else notices."""
    add(peer)
    with WireClient.login(peer.pgveil.port, peer.database) as client:
        sleeping = "CASE g WHEN 1 THEN repeat('x', 50000) ELSE pg_sleep(60)::text END"
        client.send(f'Query "SELECT email, {sleeping} FROM c, generate_series(1, 2) g"')
        assert [client.read().name for _ in range(2)] == ["RowDescription", "DataRow"]
        peer.raw.execute("SELECT pg_terminate_backend(%s)", [client.pid])
        seen = client.read_to_end()
    assert [m.name for m in seen][:1] == ["ErrorResponse"] and len(seen) == 1, [m.name for m in seen]
    assert "57P01" in str(seen[0])
    assert peer.ask("SELECT email FROM c") == [(f"{peer.word}1@x.org",)]


def test_071_a_cancel_behind_the_end_hits_nobody(peer: Peer) -> None:
    """Just after the statement's end, over both lengths of key, then Terminate: the next statement runs."""
    add(peer)
    for version in ("3.0", "3.2"):
        with WireClient(peer.pgveil.port) as client:
            client.start(version, user="postgres", database=peer.database)
            assert names(client.query("SELECT email FROM c"))[-1] == "ReadyForQuery"
            cancel(peer.pgveil.port, client.pid, client.key)
            heard = names(client.query("SELECT email FROM c"))
            assert heard[-1] == "ReadyForQuery" and heard.count("ReadyForQuery") == 1
            client.send("Terminate")
            assert client.read_to_end() == []
            cancel(peer.pgveil.port, client.pid, client.key)
        assert peer.ask("SELECT 1") == [("1",)]


def test_072_versions_and_unknown_options(peer: Peer) -> None:
    """The server negotiates, once; pgveil says what the server says."""
    for version in ("3.0", "3.1", "3.2", "3.9999"):
        for option in ((), ("_pq_.test_protocol_negotiation", "")):
            came = []
            for port in (peer.server.port, peer.pgveil.port):
                with WireClient(port) as client:
                    pairs = ("user", "postgres", "database", peer.database, *option)
                    client.send(Message("Startup", (Word(version), *(Str(text.encode()) for text in pairs))))
                    seen = [client.read()]
                    while seen[-1].name not in ("ReadyForQuery", "ErrorResponse", "EOF"):
                        seen.append(client.read())
                    came.append([(m.name, m.args if m.name[:9] == "Negotiate" else ()) for m in seen])
                    key = [m for m in seen if m.name == "BackendKeyData"]
                    came[-1].append((str(len(key)), ()))
            assert came[0] == came[1], version
            assert sum(name == "NegotiateProtocolVersion" for name, _ in came[1]) <= 1


def test_073_values_in_start_up_options(peer: Peer) -> None:
    add(peer)
    for options, purpose in (
        (r"-c pgveil.purpose=a\ b", "a b"),
        (r"--pgveil.purpose=a\\\\b", r"a\\b"),
        ('-c pgveil.purpose="q" -c application_name=x+y', '"q"'),
    ):
        link = peer.connect("careful", options=options)
        assert peer.ask("SHOW pgveil.purpose", link=link) == [(purpose,)], options
        assert peer.ask("SELECT email FROM c", link=link) == [(f"{peer.word}1@x.org",)]
        assert purpose in {row["purpose"] for row in peer.pgveil.json("audit", "tail", "-n", "3")}  # type: ignore[attr-defined]
    link = peer.connect("careful", options="-c pgveil.purpose=", application_name="")
    assert peer.ask("SELECT email FROM c", link=link) == "42501"
    peer.ask("SET pgveil.purpose = 'it''s'", link=link)
    assert peer.ask("SELECT email FROM c", link=link) == [(f"{peer.word}1@x.org",)]


def test_074_command_tags(peer: Peer) -> None:
    for sql, tag in (
        ("INSERT INTO c(id,email) VALUES (1,'x'),(2,'y')", "INSERT 0 2"), ("UPDATE c SET name='z'", "UPDATE 2"),
        ("SELECT email FROM c WHERE name='z'", "SELECT 2"), ("DELETE FROM c WHERE id=1 RETURNING email", "DELETE 1"),
        ("WITH x AS (DELETE FROM c RETURNING email) SELECT * FROM x", "SELECT 1"),
    ):  # fmt: skip
        assert peer.outcome(sql).tag == tag


def test_092_two_principals_over_one_pool(peer: Peer) -> None:
    """Whoever uses the connection, pgveil goes by who logged in, whatever was set, reset or discarded since."""
    add(peer)
    value, (token,) = f"{peer.word}1@x.org", peer.stored()
    for user, wanted in (("postgres", value), ("stranger", token)):
        link = peer.connect(user)
        for text in ("SELECT 1", "RESET ALL", "RESET ROLE", "DISCARD ALL", "RESET SESSION AUTHORIZATION",
                     "SET application_name = 'x'", "DEALLOCATE ALL"):  # fmt: skip
            assert isinstance(peer.ask(text, link=link), list)
            assert peer.ask("SELECT email FROM c", link=link) == [(wanted,)], text
            assert peer.ask("SELECT email FROM c", (), "prepared", link) == [(wanted,)], text
    for role in ("stranger", "masked"):
        peer.ask(f"SET ROLE {role}")
        assert peer.ask("SELECT email FROM c") in ([(value,)], [(token,)], [("***@***.org",)], "0A000")
        peer.ask("RESET ROLE")
    assert peer.ask("SELECT email FROM c", link=peer.connect("stranger")) == [(token,)]


EVIL = "x'; DROP TABLE p; --"


def test_093_policy_text_never_becomes_sql(peer: Peer) -> None:
    """Names with quotes, semicolons and comments in them: at worst a table that is not there."""
    policy = yaml.safe_load(POLICY)
    policy["protect"][f"public.{EVIL}"] = {EVIL: "email"}
    policy["protect"]["public.p"] = {EVIL: "email"}
    policy["roles"].append({"name": "evil", "match": {"user": EVIL}, "access": {"default": "reveal"}})
    other = Pgveil.before(peer.server, peer.database, {"peers": yaml.safe_dump(policy)})
    with other, other.connect(peer.database) as link:
        assert peer.ask("SELECT id FROM c", link=link) in ([], "0A000")
        assert peer.ask("SELECT id FROM p", link=link) in ([], "0A000")
    assert peer.raw.execute("SELECT count(*) FROM p").fetchone() == (0,)
