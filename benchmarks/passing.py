"""Where the time of a statement that touches nothing goes, without sockets: a link between two ends that only count.

Each mode is what pgbench -S sends, and what a server answers, cut as it comes from a socket. CPU µs a transaction, the
quickest of several rounds; `link` is all that pgveil does, `session` what the session does of it.

Run: python -m benchmarks.passing (the plain package, or with PYTHONPATH the compiled one)
"""

import time
from collections.abc import Callable
from typing import cast

from benchmarks.protected import POLICY
from proxy.net.answers import Answers
from proxy.net.link import Link
from proxy.net.tasks import Tasks
from proxy.net.upstreams import Upstreams
from proxy.policy.load import load
from proxy.session.session import Session
from proxy.session.world import World
from proxy.sql.catalog import Catalog, Column, Relation, snapshot
from proxy.wire import messages as m
from proxy.wire import requests

SELECT = b"SELECT abalance FROM pgbench_accounts WHERE aid = %b;"
COLUMN = m.build_row_description([m.Field(b"abalance", 16390, 3, 23, 4, -1, 0)])
RESULT = m.build_data_row([b"0"]) + m.build_command_complete(b"SELECT 1") + m.build_ready_for_query(m.IDLE)
BOUND = m.build_bind(b"", b"%b", [], [b"77777"], []) + m.build_describe(m.PORTAL, b"") + m.build_execute(b"", 0)
# (from the client, from the server)
MODES = {
    "simple": (m.build_query(SELECT % b"77777"), COLUMN + RESULT),
    "extended": (
        m.build_parse(b"", SELECT % b"$1", []) + m.build_bind(b"", b"", [], [b"77777"], [])
        + m.build_describe(m.PORTAL, b"") + m.build_execute(b"", 0) + m.build_sync(),
        m.build_parse_complete() + m.build_bind_complete() + COLUMN + RESULT,
    ),
    "prepared": (
        m.build_bind(b"", b"P_0", [], [b"77777"], []) + m.build_describe(m.PORTAL, b"") + m.build_execute(b"", 0)
        + m.build_sync(),
        m.build_bind_complete() + COLUMN + RESULT,
    ),
}  # fmt: skip
PREPARE = (m.build_parse(b"P_0", SELECT % b"$1", []) + m.build_sync(), m.build_parse_complete() + RESULT[-6:])
TURNS, ROUNDS = 5000, 9


class Sink:
    """A transport that takes all."""

    def __init__(self) -> None:
        self.taken = 0

    def write(self, data: bytes) -> None:
        self.taken += len(data)
        self.last = data

    def get_extra_info(self, name: str) -> None:
        return None

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def world() -> World:
    columns = [Column(name, at, 25, "text", -1) for at, name in enumerate(("id", "email", "name", "phone"), 1)]
    policy = load([("bench.yaml", POLICY)])
    guarded = Relation(16400, "public", "guarded", "r", tuple(columns))
    return World(policy, snapshot(Catalog("postgres", 150000, (guarded,), (), {"": "public"}), policy, 1), 1)


class Nobody:
    """Answers, upstreams and tasks of a link that needs none."""

    greets = False

    def leave(self, link: object) -> None:
        pass


def linked() -> tuple[Link, Sink, Sink]:
    """A link whose start is over."""
    session = Session("127.0.0.1")
    nobody = Nobody()
    link = Link(session, cast(Upstreams, nobody), cast(Answers, nobody), cast(Tasks, nobody), lambda _: None)
    client, server = Sink(), Sink()
    link.client.connection_made(cast("object", client))  # type: ignore[arg-type]
    link.server.connection_made(cast("object", server))  # type: ignore[arg-type]
    session.client_bytes(m.build_startup(m.PROTOCOL_3_0, [(b"user", b"postgres")]))
    session.server_bytes(m.build_authentication(m.AUTH_OK))
    effects = session.take_effects()
    ticket = next(getattr(effect, "ticket") for effect in effects if hasattr(effect, "ticket"))  # noqa: B009
    session.answer(ticket, world())
    session.server_bytes(m.build_ready_for_query(m.IDLE))
    session.take_effects()
    return link, client, server


def seconds(step: Callable[[], None]) -> float:
    """CPU seconds of a call, the quickest round's."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(TURNS):
            step()
        best = min(best, time.process_time() - begun)
    return best / TURNS


def through_link(mode: str) -> float:
    link, client, server = linked()
    ask, reply = MODES[mode]
    link.client.data_received(PREPARE[0])
    link.server.data_received(PREPARE[1])

    def turn() -> None:
        link.client.data_received(ask)
        link.server.data_received(reply)

    turn()
    assert (server.last, client.last) == (ask, reply)
    return seconds(turn)


def through_session(mode: str) -> float:
    session = linked()[0].session
    ask, reply = MODES[mode]
    session.client_bytes(PREPARE[0])
    session.server_bytes(PREPARE[1])
    session.take_effects()
    take, state = session.state.take_bytes, session.state

    def turn() -> None:
        session.client_bytes(ask)
        take()
        session.server_bytes(reply)
        take()

    turn()
    assert not state.effects
    return seconds(turn)


def main() -> None:
    build = "compiled" if requests.__file__.endswith(".so") else "plain"
    print(f"CPU µs a transaction in the process, {build}\n{'mode':10}{'session':>10}{'link':>10}")
    for mode in MODES:
        print(f"{mode:10}{through_session(mode) * 1e6:10.2f}{through_link(mode) * 1e6:10.2f}", flush=True)


if __name__ == "__main__":
    main()
