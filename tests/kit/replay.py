"""Plain transcripts against something that speaks PostgreSQL: a server, or pgveil before one; and their recording.

    python -m tests.kit.replay record tests/transcripts/plain/*.wire

sends each run of `c>` lines in one write, asks the 18 (and the 15, whose different lines get `s>@15`) what they reply
and writes it into the files. Read the diff: a recording is a claim about PostgreSQL from then on. In a new file a bare
`s>` stands where replies are waited for; `s> Nothing` says that none are due before the next write.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, Literal

from tests.kit import messages
from tests.kit.notation import Message, Word
from tests.kit.servers import Server, create, find, fresh_database
from tests.kit.transcript import Bindings, Step, Transcript, explain, groups, load, matches, normal, symbolic
from tests.kit.twins import LOADER, ddl, load_scene, make
from tests.kit.wireclient import WireClient

# Requests that are answered with one byte that is no message.
ANSWERS: Final = {"SSLRequest": "SSLAnswer", "GSSENCRequest": "GSSAnswer"}
Cut = Literal["whole", "message", "byte"]


def replay(transcript: Transcript, port: int, database: str, version: str, cut: Cut = "whole") -> bytes:
    """Play it, Mismatch where a reply differs; all bytes that came. The set-up was done (`prepare`)."""
    names = Bindings()
    with _connected(transcript, port, database) as client:
        for sent, expected in groups(transcript.of(version)):
            _send(client, sent, cut, names)
            _check(transcript, expected, client, names)
        _check_end(transcript, client)
        return bytes(client.received)


def prepare(transcript: Transcript, server: Server, database: str) -> None:
    """Run its `setup` lines, on the server itself."""
    with server.connect(database) as connection:
        for sql in transcript.header("setup"):
            connection.execute(sql.encode())


@contextlib.contextmanager
def _connected(transcript: Transcript, port: int, database: str) -> Iterator[WireClient]:
    with WireClient(port) as client:
        if "raw" not in transcript.header("startup"):
            client.start(user=(transcript.header("user") or ["postgres"])[0], database=database)
        client.received.clear()
        yield client


def _send(client: WireClient, sent: list[Step], cut: Cut, names: Bindings) -> None:
    parts = [messages.build(names.fill(step.message), back=False) for step in sent]
    if cut == "whole":
        client.send(*parts)
    for part in parts if cut == "message" else ():
        client.send(part)
    for byte in b"".join(parts) if cut == "byte" else ():
        client.send(bytes([byte]))


def _check(transcript: Transcript, expected: list[Step], client: WireClient, names: Bindings) -> None:
    came: list[Message] = []
    expected = [step for step in expected if step.message.name != "Nothing"]
    with contextlib.suppress(TimeoutError):
        while len(came) < len(expected) and (not came or came[-1].name != "EOF"):
            wanted = expected[len(came)].message.name
            came.append(_one_byte(client, wanted) if wanted in ANSWERS.values() else client.read())
    came = normal(came)
    for at, step in enumerate(expected):
        if at >= len(came) or not matches(step.message, came[at], names):
            raise explain(transcript, step, came[at:], expected[at:])


def _one_byte(client: WireClient, name: str) -> Message:
    return Message(name, (Word(client.read_byte().decode("latin-1")),))


def _check_end(transcript: Transcript, client: WireClient) -> None:
    """Nothing is left over: Terminate, then the end."""
    with contextlib.suppress(ConnectionError):
        client.send(Message("Terminate"))
    left = client.read_to_end()
    if left:
        raise explain(transcript, None, left, [])


@contextlib.contextmanager
def prepared(transcript: Transcript, server: Server) -> Iterator[str]:
    """A fresh database, plaintext where it has a policy, set up on the server itself."""
    with fresh_database(server) as database:
        if transcript.header("policy"):
            server.accounts(LOADER, *transcript.header("user"))
            make(server, database, ddl(load_scene(transcript.header("policy")[0]), plain=True))
        prepare(transcript, server, database)
        yield database


# ---- recording ----------------------------------------------------------------------------------------------------


def record(transcript: Transcript, port: int, database: str) -> list[list[str]]:
    """The server's replies to each group, as notation."""
    symbols: dict[int, str] = {}
    out = []
    with _connected(transcript, port, database) as client:
        for sent, _ in groups(transcript.steps):
            _send(client, sent, "whole", Bindings())
            answer = ANSWERS.get(sent[-1].message.name)
            came = [_one_byte(client, answer)] if answer else normal(client.read_until_quiet())
            out.append([str(symbolic(message, symbols)) for message in came])
    return out


def merge(first: list[str], second: list[str], names: tuple[str, str]) -> list[str]:
    """`s>` lines for two versions; what only one says is marked with it."""
    out = [] if first or second else ["s> Nothing"]
    for kind, a0, a1, b0, b1 in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            out += [f"s> {line}" for line in first[a0:a1]]
        else:
            out += [f"s>@{names[0]} {line}" for line in first[a0:a1]]
            out += [f"s>@{names[1]} {line}" for line in second[b0:b1]]
    return out


def rewrite(text: str, replies: list[list[str]]) -> str:
    """The file's text with the `s>` lines after each group of `c>` lines replaced."""
    out: list[str] = []
    pending = iter(replies)
    owed = False
    for line in text.splitlines():
        if line.startswith("s>"):
            out += next(pending) if owed else []
            owed = False
            continue
        owed = owed or line.startswith("c>")
        out.append(line)
    return "\n".join([*out, *(next(pending) if owed else [])]) + "\n"


def _record_all(paths: list[Path]) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_running(version)) for version in ("18", "15")]
        for path in paths:
            _record_one(path, servers)


def _record_one(path: Path, servers: list[Server]) -> None:
    transcript = load(path)
    assert transcript.plain, f"{path}: has pgveil's lines"
    runs = []
    for server in servers:
        with prepared(transcript, server) as database:
            runs.append(record(transcript, server.port, database))
    versions = (servers[0].version, servers[1].version)
    merged = [merge(first, second, versions) for first, second in zip(*runs, strict=True)]
    path.write_text(rewrite(path.read_text(), merged))
    print(path, sum(map(len, merged)), "replies")


@contextlib.contextmanager
def _running(version: str) -> Iterator[Server]:
    install = find(version)
    assert install is not None, f"PostgreSQL {version} is not installed"
    server = create(install)
    try:
        server.start()
        yield server
    finally:
        server.close()


COMMANDS: dict[str, Callable[[list[Path]], None]] = {"record": _record_all}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]]([Path(name) for name in sys.argv[2:]])
