"""A blocking client that speaks messages, not SQL: what it sends is what the test wrote, whatever the protocol says.

Every read has a time-out; `received` keeps every byte that came, for comparisons frame by frame.
"""

import hashlib
import os
import socket
from collections.abc import Iterable
from types import TracebackType

from tests.kit import messages
from tests.kit.notation import Message, Str, Val, Word, parse
from tests.kit.scram import Scram

Sendable = Message | str | bytes


class WireClient:
    """One connection. Nothing is sent before `start` or `send`."""

    def __init__(self, port: int, host: str = "127.0.0.1", seconds: float = 10) -> None:
        self.socket = socket.create_connection((host, port), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.pid = 0
        self.key = b""
        self.parameters: dict[str, str] = {}
        self._buffer = b""

    @classmethod
    def login(
        cls, port: int, database: str = "postgres", user: str = "postgres", password: str = "", **params: str
    ) -> "WireClient":
        """Connected and ready."""
        client = cls(port)
        client.start(user=user, database=database, password=password, **params)
        return client

    def __enter__(self) -> "WireClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # ---- sending

    def send(self, *what: Sendable) -> None:
        """All in one write. Text is transcript notation, bytes go as they are."""
        self.socket.sendall(b"".join(map(encode, what)))

    def start(self, version: str = "3.0", password: str = "", **params: str) -> list[Message]:
        """Start up and log in; what came from AuthenticationOk to ReadyForQuery. AssertionError on an ErrorResponse."""
        pairs = [Str(text.encode()) for pair in params.items() for text in pair]
        self.send(Message("Startup", (Word(version), *pairs)))
        user = params.get("user", "")
        self._authenticate(user, password or f"secret-{user}")
        came = self.read_until_ready()
        for message in came:
            self._learn(message)
        return came

    def _authenticate(self, user: str, password: str) -> None:
        while (asked := self.read()).name != "AuthenticationOk":
            if asked.name == "NegotiateProtocolVersion":
                continue
            if asked.name == "AuthenticationSASL":
                self._scram(password)
            elif asked.name == "AuthenticationMD5Password":
                self.send(Message("Password", (Str(md5(user, password, data(asked))),)))
            elif asked.name == "AuthenticationCleartextPassword":
                self.send(Message("Password", (Str(password.encode()),)))
            else:
                raise AssertionError(str(asked))

    def _scram(self, password: str) -> None:
        scram = Scram(password, os.urandom(18))
        self.send(Message("SASLInitialResponse", (Str(b"SCRAM-SHA-256"), Val(scram.first()))))
        self.send(Message("SASLResponse", (Val(scram.final(data(self.expect("AuthenticationSASLContinue")))),)))
        scram.check(data(self.expect("AuthenticationSASLFinal")))

    def _learn(self, message: Message) -> None:
        match message:
            case Message("BackendKeyData", (int(pid), Val(key))):
                self.pid, self.key = pid, key
            case Message("ParameterStatus", (Str(name), Str(value))):
                self.parameters[name.decode()] = value.decode(errors="replace")

    # ---- reading

    def read(self, seconds: float | None = None) -> Message:
        """The next message; Message('EOF') where the connection ended, Message('Rest', bytes) before it where it ended
        inside a frame; TimeoutError."""
        one = self.read_frame(seconds)
        if not one:
            return Message("EOF")
        whole = len(one) >= 5 and len(one) == 1 + int.from_bytes(one[1:5], "big")
        return messages.take(one[:1], one[5:], back=True) if whole else Message("Rest", (Val(one),))

    def read_frame(self, seconds: float | None = None) -> bytes:
        """The next frame's bytes, b'' at the end; part of a frame where the end came inside one."""
        self.socket.settimeout(10 if seconds is None else seconds)
        while not (one := self._one()):
            more = self._receive()
            if not more:
                rest, self._buffer = self._buffer, b""
                return rest
            self._buffer += more
        return one

    def _one(self) -> bytes:
        if len(self._buffer) < 5:
            return b""
        end = 1 + int.from_bytes(self._buffer[1:5], "big")
        if len(self._buffer) < end:
            return b""
        one, self._buffer = self._buffer[:end], self._buffer[end:]
        return one

    def _receive(self) -> bytes:
        try:
            more = self.socket.recv(65536)
        except ConnectionError:
            return b""
        self.received += more
        return more

    def read_byte(self) -> bytes:
        """One byte that is no frame: the answer to SSLRequest or GSSENCRequest."""
        assert not self._buffer
        self.socket.settimeout(10)
        one = self.socket.recv(1)
        self.received += one
        return one

    def expect(self, name: str) -> Message:
        """The next message, which must have this name."""
        message = self.read()
        assert message.name == name, str(message)
        return message

    def read_until(self, name: str, count: int = 1) -> list[Message]:
        """Messages up to and with the `count`-th of that name. AssertionError, with what came, at the end."""
        out: list[Message] = []
        while sum(m.name == name for m in out) < count:
            out.append(self.read())
            assert out[-1].name != "EOF", f"ended before {name}:\n" + "\n".join(map(str, out))
        return out

    def read_until_ready(self, count: int = 1) -> list[Message]:
        return self.read_until("ReadyForQuery", count)

    def read_until_quiet(self, seconds: float = 0.3) -> list[Message]:
        """Messages until none came for `seconds`, or the end. For recording; tests name what they wait for."""
        out: list[Message] = []
        try:
            while not out or out[-1].name != "EOF":
                out.append(self.read(seconds))
        except TimeoutError:
            pass
        return out

    def read_to_end(self) -> list[Message]:
        """Messages until the server closes, without the EOF."""
        out: list[Message] = []
        while (message := self.read()).name != "EOF":
            out.append(message)
        return out

    def query(self, sql: str) -> list[Message]:
        """Simple Query and its replies up to ReadyForQuery."""
        self.send(Message("Query", (Str(sql.encode()),)))
        return self.read_until_ready()


def encode(what: Sendable) -> bytes:
    if isinstance(what, bytes):
        return what
    return messages.build(parse(what) if isinstance(what, str) else what, back=False)


def cancel(port: int, pid: int, key: bytes, host: str = "127.0.0.1") -> None:
    """Send a CancelRequest on a connection of its own and wait until the other side closes it."""
    with WireClient(port, host) as client:
        client.send(Message("CancelRequest", (pid, Val(key))))
        assert client.read_to_end() == []


def data(message: Message) -> bytes:
    """The bytes of its first argument."""
    first = message.args[0]
    assert isinstance(first, Str | Val), str(message)
    return first.data


def md5(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5((password + user).encode()).hexdigest().encode()
    return b"md5" + hashlib.md5(inner + salt).hexdigest().encode()


def names(came: Iterable[Message]) -> list[str]:
    return [message.name for message in came]
