"""Whole conversations: however bytes are cut and answers delayed, each side gets the same, and no value leaves.

The server is a small one that keeps to the protocol: it answers each message, skips to Sync after an error, knows
statements and portals, and sends a token for each protected column that it returns.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.session.effects import Analyse, Find, Reveal, Tokenise
from proxy.wire import messages as m
from tests.unit.session import driver
from tests.unit.session.driver import Link

CANARY = b"c@nary.de"
PROTECTED = [
    ("insert into customers(id, email) values ($1, $2)", [b"1", CANARY]),
    ("select id, email from customers where email = $1", [CANARY]),
    ("select email from customers", []),
    ("select name from customers order by name", []),
]
PLAIN = [("select $1", [b"x"]), ("fail", []), ("select 1", [])]
MOVES = [("set search_path to other", []), ("set search_path to public", []), ("set local search_path to other", [])]
ENDS = [("begin", []), ("commit", []), ("rollback", [])]
QUERIES = [
    "select 1",
    "fail",
    "select email from customers",
    "insert into customers(email) values ('c@nary.de')",
    "update customers set email = 'c@nary.de' where name = 'c@nary.de'; select 1",
    "select email from customers order by email",
    "begin",
    "commit",
    "rollback",
    "set search_path to other",
    "set search_path to public",
    "begin; set local search_path to other",
    "rollback; set search_path to other",
    "commit; insert into customers(email) values ('c@nary.de')",
    "begin; set local search_path to other; commit; insert into customers(email) values ('c@nary.de')",
    "deallocate all",
]


@dataclass
class Server:
    """Answers as postgres.c would, for the statements above. tokens: what it has in its columns."""

    token: bytes
    statements: dict[bytes, bytes] = field(default_factory=dict)
    portals: dict[bytes, bytes] = field(default_factory=dict)
    status: str = "I"
    skipping: bool = False
    data: bytes = b""
    path: bytes = b"public"  # what counts, what a commit leaves, what an abort brings back
    session: bytes = b"public"
    committed: bytes = b"public"

    def feed(self, data: bytes) -> bytes:
        self.data += data
        out = b""
        while len(self.data) >= 5 and len(self.data) > int.from_bytes(self.data[1:5], "big"):
            end = 1 + int.from_bytes(self.data[1:5], "big")
            frame, self.data = self.data[:end], self.data[end:]
            out += self.message(frame)
        return out

    def message(self, frame: bytes) -> bytes:
        kind = frame[:1]
        if kind == b"S":
            self.skipping = False
            return self.ready()
        if self.skipping or kind == b"H":
            return b""
        if kind == b"Q":
            self.statements.pop(b"", None)
            return self.query(frame[5:-1])
        out = self.extended(kind, frame)
        if out is None:
            self.skipping = True
            self.fail()
            return driver.failed("42000")
        return out

    def fail(self) -> None:
        if self.status == "I":
            self.end(False)
        self.status = "E" if self.status != "I" else "I"

    def end(self, committed: bool) -> None:
        if committed:
            self.committed = self.session
        self.path = self.session = self.committed

    def extended(self, kind: bytes, frame: bytes) -> bytes | None:
        if kind == b"P":
            parts = m.parse_parse(frame, 5, len(frame))
            if self.broken(parts.query):
                return None
            self.statements[parts.name] = parts.query
            return driver.PARSED
        if kind == b"B":
            bound = m.parse_bind(frame, 5, len(frame))
            text = self.statements.get(bound.statement)
            if text is None or text.count(b"$") != len(bound.params):
                return None
            self.portals[bound.portal] = text
            return driver.BOUND
        if kind == b"C":
            target, name = m.parse_close(frame, 5, len(frame))
            (self.statements if target == m.STATEMENT else self.portals).pop(name, None)
            return driver.CLOSED
        if kind == b"D":
            target, name = m.parse_describe(frame, 5, len(frame))
            text = (self.statements if target == m.STATEMENT else self.portals).get(name)
            return None if text is None else self.description(text, target)
        text = self.portals.get(m.execute_portal(frame, 5, len(frame)))
        return None if text is None else self.run(text, False)

    def query(self, texts: bytes) -> bytes:
        out = b""
        for text in texts.split(b";"):
            if self.broken(text):
                self.fail()
                return out + driver.failed("42000") + self.ready()
            out += self.run(text.strip(), True)
        return out + self.ready()

    def broken(self, text: bytes) -> bool:
        ends = text.strip() in (b"commit", b"rollback")
        return text.strip() == b"fail" or b"::pg_catalog.int4" in text or (self.status == "E" and not ends)

    def ready(self) -> bytes:
        if self.status == "I":
            self.portals.clear()
            self.end(True)
        return driver.ready(self.status)

    def columns(self, text: bytes) -> list[m.Field]:
        if not text.startswith(b"select"):
            return []
        if b"customers" not in text:
            return [m.Field(b"x", 0, 0, 25, -1, -1, 0)]
        named = text[len(b"select ") : text.index(b" from")].split(b", ")
        return [{b"id": driver.ID, b"email": driver.EMAIL, b"name": driver.NAME}[name] for name in named]

    def description(self, text: bytes, target: int) -> bytes:
        fields = self.columns(text)
        rows = m.build_row_description(fields) if fields else driver.NO_DATA
        params = m.build_parameter_description([25] * text.count(b"$"))
        return (params if target == m.STATEMENT else b"") + rows

    def run(self, text: bytes, describe: bool) -> bytes:
        word = text.split(b" ")[0].decode()
        if word in ("begin", "commit", "rollback"):
            tag = "ROLLBACK" if self.status == "E" else word.upper()
            if word != "begin":
                self.end(tag == "COMMIT")
            self.status = "T" if word == "begin" else "I"
            return driver.done(tag)
        if text.startswith(b"set"):
            self.path = text.split(b" ")[-1]
            self.session = self.session if b"local" in text else self.path
        if word == "deallocate":
            self.statements.clear()
        fields = self.columns(text)
        out = m.build_row_description(fields) if fields and describe else b""
        if fields:
            one = m.build_data_row([b"1" if f.type_oid == 23 or not f.table_oid else self.token for f in fields])
            return out + one * 3 + driver.done("SELECT 3")
        return out + driver.done({"insert": "INSERT 0 1", "update": "UPDATE 1"}.get(word, word.upper()))


names = st.sampled_from([b"", b"s"])


def _parse(name: bytes, text: tuple[str, list[bytes]]) -> bytes:
    return driver.parse(text[0], name)


def _bind(name: bytes, portal: bytes, text: tuple[str, list[bytes]]) -> bytes:
    return driver.bind(list(text[1]), name, portal)


def _prepared(name: bytes, portal: bytes, text: tuple[str, list[bytes]]) -> bytes:
    return _parse(name, text) + _bind(name, portal, text) + driver.describe(portal, m.PORTAL) + driver.execute(portal)


texts = st.sampled_from(PROTECTED + PLAIN + MOVES) | st.sampled_from(PROTECTED + ENDS)
messages = (
    st.builds(_prepared, names, names, texts)
    | st.builds(_parse, names, texts)
    | st.builds(lambda text: driver.query(text), st.sampled_from(QUERIES))
    | st.builds(driver.describe, names)
    | st.builds(driver.close, names, st.sampled_from([m.STATEMENT, m.PORTAL]))
    | st.builds(driver.execute, names)
    | st.sampled_from([driver.SYNC, driver.SYNC, driver.SYNC, driver.FLUSH])
)
queries = st.builds(driver.query, st.sampled_from(QUERIES))
moving = st.builds(_prepared, names, names, st.sampled_from(PROTECTED[:1] + MOVES + ENDS)) | queries
syncs = st.sampled_from([b"", driver.SYNC])
moved = st.builds(bytes.__add__, moving, syncs)
scripts = st.one_of(st.lists(messages, max_size=12), st.lists(moved, max_size=8), st.lists(queries, max_size=6)).map(
    lambda frames: b"".join(frames) + driver.SYNC
)


class Conversation:
    """One run. `steps`: which end goes on next and by how much; when they are used up all goes on as it can."""

    def __init__(self, held: bool, user: str = "shop") -> None:
        self.link = Link(user)
        self.server = Server(self.link.vault.token("email", CANARY))
        self.replies = b""
        self.log = b""
        self.held = held
        self.link.held = (Tokenise, Find, Reveal, Analyse) if held else ()

    def play(self, script: bytes, steps: list[tuple[int, int]]) -> bytes:
        for what, size in steps:
            script = self.step(script, what, size)
        while script or self.replies or self.link.asks or self.link.to_server:
            for what in range(4):
                script = self.step(script, what, 1 << 20)
        return self.link.to_client

    def step(self, script: bytes, what: int, size: int) -> bytes:
        link = self.link
        if what == 0 and script:
            link.client(script[:size])
            script = script[size:]
        elif what == 1:
            data, link.to_server = link.to_server, b""
            self.log += data
            self.replies += self.server.feed(data)
        elif what == 2 and self.replies:
            data, self.replies = self.replies[:size], self.replies[size:]
            link.server(data)
        elif what == 3:
            link.release(min(size, 2))
        return script


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), max_size=80)


def audible(data: bytes) -> list[bytes]:
    return driver.split(data)


@settings(deadline=None, max_examples=150)
@given(scripts, steps, steps)
def test_cuts_and_delays_change_nothing(script: bytes, one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    """The client is told the same, the server runs the same, each ReadyForQuery comes, and nothing is left waiting."""
    whole = Conversation(held=False)
    told = whole.play(script, [])
    for held, pace in ((False, one), (True, two), (True, [])):
        other = Conversation(held=held)
        assert audible(other.play(script, pace)) == audible(told)
        assert _run(other.log) == _run(whole.log)
        assert other.server.statements == whole.server.statements
    assert not whole.link.closed
    assert told.endswith(driver.ready(whole.server.status))
    assert whole.link.session.state.ledger.head() is None
    assert not whole.link.session._clients.stopped


def _run(log: bytes) -> list[bytes]:
    """Messages to the server but Flush, which depends on what was waited for, and what it would have skipped."""
    server, kept = Server(b""), []
    for frame in driver.split(log):
        if frame[:1] != b"H" and (not server.skipping or frame[:1] == b"S"):
            kept.append(frame)
        server.message(frame)
    return kept


@settings(deadline=None, max_examples=150)
@given(scripts, steps, st.booleans(), st.sampled_from(["shop", "viewer", "support", "nobody"]))
def test_a_value_reaches_the_server_only_where_its_column_is_no_protected_one(
    script: bytes, pace: list[tuple[int, int]], held: bool, user: str
) -> None:
    talk = Conversation(held, user)
    told = talk.play(script, pace)
    unprotected = Server(b"")
    for frame in driver.split(talk.log):
        if CANARY in frame:
            assert _harmless(unprotected, frame), frame
        unprotected.message(frame)
    if user in ("support", "nobody", "viewer"):
        assert CANARY not in told


def _harmless(server: Server, frame: bytes) -> bool:
    """Nothing runs it: it is skipped, its statement is not there, or names a table that is not protected."""
    if server.skipping or server.path == b"other":
        return True
    if frame[:1] != b"B":
        return False
    bound = m.parse_bind(frame, 5, len(frame))
    return b"customers" not in server.statements.get(bound.statement, b"")
