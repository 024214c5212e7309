"""Links don't wait for each other's work: one that pipelines thousands of statements leaves the others their turns."""

import threading

from proxy.wire import messages as m
from proxy.wire.frames import Frames
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient, encode

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
# As single requests they would be more than the vault's time-out lets wait.
MANY = 12_000
ROWS = 10
READY = m.build_ready_for_query(m.IDLE)


def test_a_point_read_comes_through_while_another_link_pipelines_thousands(pg18: Server) -> None:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people (id int, email text)", name)
        with Pgveil.before(pg18, name, {"people": POLICY}) as pgveil, pgveil.connect(name) as other:
            other.cursor().executemany("INSERT INTO people VALUES (%s, %s)", [(i, f"u{i}@x.de") for i in range(ROWS)])
            busy = WireClient.login(pgveil.port, name)
            busy.send('Parse "s" "select id, email from people where email = $1" 0', "Sync")
            busy.read_until_ready()
            one = [encode(f'Bind "" "s" [] [\'u{i}@x.de\'] []') + encode('Execute "" 0') for i in range(ROWS)]
            answer = bytearray()

            def drain() -> None:
                busy.socket.settimeout(60)
                while not answer.endswith(READY):
                    answer.extend(busy.socket.recv(1 << 20))

            reading = threading.Thread(target=drain)
            reading.start()
            busy.send(b"".join(one) * (MANY // ROWS), "Sync")
            reads = 0
            while reading.is_alive():
                found = other.execute("SELECT email FROM people WHERE id = %s", (reads % ROWS,)).fetchone()
                assert found == (f"u{reads % ROWS}@x.de",)
                reads += 1
            reading.join()
            busy.close()
            assert kinds(bytes(answer)) == "2DC" * MANY + "Z"
            assert reads > 10


def kinds(data: bytes) -> str:
    frames = Frames("server")
    frames.feed(data)
    found = ""
    while frames.next():
        found += chr(frames.kind)
    return found
