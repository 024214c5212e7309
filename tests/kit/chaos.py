"""A TCP proxy that misbehaves on order: cuts, resets, delays or stalls a direction after so many bytes.

    with Chaos(server.port, Plan("to_server", after=100, do="cut")) as chaos: connect to chaos.port

One plan holds for every connection through it; `plan` may be changed for those to come. Bytes before `after` go
through unchanged, cut exactly there, whatever the chunks were.
"""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal

Way = Literal["to_server", "to_client"]
POLL: Final = 0.02  # seconds between looks at `release`


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to direction `way` once `after` bytes have gone through.

    cut: both sides see an orderly end. reset: both see ECONNRESET. stall: nothing more goes this way until `release`.
    dribble: from there on byte by byte. nothing: a plain proxy.
    """

    way: Way = "to_server"
    after: int = 0
    do: Literal["nothing", "cut", "reset", "stall", "dribble"] = "nothing"


class Chaos:
    """Listens on `port`; every thread is a daemon and ends with `close`."""

    def __init__(self, upstream: int, plan: Plan | None = None) -> None:
        self.upstream = upstream
        self.plan = plan or Plan()
        self.counts: dict[Way, int] = {"to_server": 0, "to_client": 0}
        self.reached = threading.Event()
        self._released = threading.Event()
        self._open: list[socket.socket] = []
        self._relays: list[_Relay] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept)

    def __enter__(self) -> "Chaos":
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def release(self) -> None:
        """Let stalled directions go on, as if nothing had been."""
        self._released.set()

    def close(self) -> None:
        self.release()
        # shutdown first: close alone does not wake a thread that sits in accept or recv.
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def sending(self, way: Way) -> frozenset[tuple[int, int]]:
        """(number, bytes so far) of every connection whose receiver has not yet taken what is being sent that way.

        What is in here twice was not read by its receiver in between.
        """
        return frozenset((i, relay.moved) for i, relay in enumerate(self._relays) if relay.sending == way)

    @property
    def released(self) -> bool:
        return self._released.is_set()

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.upstream))
                except OSError:
                    client.close()
                    continue
                self._open += [client, server]
                self._relays.append(_Relay(self, client, server))
                self._spawn(self._relays[-1].run)


class _Relay:
    """One connection, in one thread: so a close takes effect at once, nobody else sits in recv.

    Invariant: when `run` is over, for whatever reason, both sockets are closed: a side that is gone takes the other
    with it, as its own kernel would have told it.
    """

    def __init__(self, owner: Chaos, client: socket.socket, server: socket.socket) -> None:
        self.owner, self.plan = owner, owner.plan
        self.ways: dict[socket.socket, tuple[Way, socket.socket]] = {
            client: ("to_server", server),
            server: ("to_client", client),
        }
        self.left = self.plan.after
        self.moved = 0
        self.sending: Way | None = None
        self._sockets = (client, server)
        for one in self._sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        try:
            self._relay()
        except (OSError, ValueError):  # a side is gone; or `close` took the sockets away
            pass
        finally:
            self.sending = None
            for one in self._sockets:
                one.close()

    def _relay(self) -> None:
        while self.ways:
            self._due()
            ready, _, _ = select.select([s for s in self.ways if not self._stalled(s)], [], [], POLL)
            for source in ready:
                self._move(source)

    def _mine(self, source: socket.socket) -> bool:
        return self.plan.do != "nothing" and self.ways[source][0] == self.plan.way

    def _stalled(self, source: socket.socket) -> bool:
        return self._mine(source) and self.left == 0 and self.plan.do == "stall" and not self.owner.released

    def _due(self) -> None:
        if self.plan.do == "nothing" or self.left > 0:
            return
        self.owner.reached.set()
        if self.plan.do in ("cut", "reset"):
            for one in self.ways:
                self._end(one)
            self.ways = {}

    def _end(self, one: socket.socket) -> None:
        if self.plan.do == "reset":
            # Linger of zero: close sends RST (socket(7)).
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()

    def _move(self, source: socket.socket) -> None:
        if source not in self.ways:
            return
        way, target = self.ways[source]
        counted = self._mine(source) and self.left > 0
        data = source.recv(min(65536, self.left) if counted else 65536)
        if not data:
            del self.ways[source]
            target.shutdown(socket.SHUT_WR)
            return
        size = 1 if self._mine(source) and self.left == 0 and self.plan.do == "dribble" else len(data)
        self.owner.counts[way] += len(data)  # before anybody can have seen them
        self.moved += len(data)
        self.sending = way
        for at in range(0, len(data), size):
            target.sendall(data[at : at + size])
        self.sending = None
        if counted:
            self.left -= len(data)
            self._due()
