"""Cuts a byte stream into PostgreSQL's messages without making an object for each.

Not here: what a message says (`messages`), or which may come when (`session`). Source: protocol chapter, "Message
Format": a type byte, then an Int32 length that counts itself but not the type byte; start-up packets have no type.

Invariants: every byte fed is given out once, in order, in a frame or by `rest()`; the work is linear in the bytes fed
however they are cut (a frame that is still incomplete collects its chunks and joins them once).
"""

from struct import Struct
from typing import Final, final

from proxy.errors import Bug, ProtocolFault, Side

# PQ_LARGE_MESSAGE_LIMIT of libpq/libpq.h: what PostgreSQL itself allows.
MAX_LENGTH: Final = 0x3FFFFFFE
# MAX_STARTUP_PACKET_LENGTH of libpq/pqcomm.h, not counting the length word.
MAX_STARTUP: Final = 10_000
# Bytes of a message's beginning that are put together before the rest is there: names and counts stand in them.
BEGINNING: Final = 1024

_length_at: Final = Struct(">I").unpack_from


@final
class Frames:
    """A queue of bytes that is read a message at a time.

    After `next()` gave True the message is `buf[start:end]`, its type byte's value `kind`, its body `buf[body:end]`.
    These hold until the following call of `next()` or `feed()`; `buf` is immutable and may be kept, and messages that
    follow each other in the same `buf` object are adjacent in it. A message that is not whole yet may be looked at with
    `begun()` and taken with `part()`, as it comes.
    """

    __slots__ = ("_chunks", "_extra", "body", "buf", "end", "kind", "left", "max_length", "side", "start")

    def __init__(self, side: Side, max_length: int = MAX_LENGTH) -> None:
        """side: whom to blame. max_length: largest length word allowed (bytes, type byte not counted)."""
        self.side: Side = side
        self.max_length = max_length
        self.buf: bytes = b""
        self.kind: int = 0
        self.start: int = 0
        self.body: int = 0
        self.end: int = 0
        self.left: int = 0  # bytes still to come of a message that is taken in parts
        self._chunks: list[bytes] = []
        self._extra: int = 0  # bytes in _chunks

    def feed(self, data: bytes) -> None:
        """Bytes came."""
        if not self._chunks and self.end == len(self.buf):
            self.buf = data
            self.start = self.body = self.end = 0
        elif data:
            self._chunks.append(data)
            self._extra += len(data)

    def next(self) -> bool:
        """Go to the next whole message; False (and nothing changes) if it isn't there yet. Raises ProtocolFault."""
        while True:
            buf = self.buf
            at = self.end
            have = len(buf) - at
            need = 5
            if have >= 5:
                length = buf[at + 1] << 24 | buf[at + 2] << 16 | buf[at + 3] << 8 | buf[at + 4]
                if not 4 <= length <= self.max_length:
                    raise ProtocolFault(self.side, f"message length {length} is out of bounds")
                need = length + 1
                if have >= need:
                    self.kind = buf[at]
                    self.start = at
                    self.body = at + 5
                    self.end = at + need
                    return True
            if have + self._extra < need:
                if not have:  # let go of what was given out
                    self.buf = b""
                    self.start = self.body = self.end = 0
                return False
            self._join()

    def more(self) -> None:
        """Go on over whole messages of the same kind that follow: the message is then up to the last one's `end`."""
        buf, kind, at = self.buf, self.kind, self.end
        limit = len(buf) - 5
        while at <= limit and buf[at] == kind:
            need = (buf[at + 1] << 24 | buf[at + 2] << 16 | buf[at + 3] << 8 | buf[at + 4]) + 1
            if not 5 <= need <= len(buf) - at:
                return
            at += need
            self.end = at

    def begun(self, least: int) -> int:
        """Bytes of the message that `next()` waits for, if they are `least` or more; then `kind` is its type byte's
        value, and `buf[body:limit()]` the beginning of its body. Else, or if its head is not here, 0."""
        here = len(self.buf) - self.end
        if here + self._extra < 5:
            return 0
        if here < BEGINNING and self._chunks:
            self._join()
        need: int = _length_at(self.buf, self.end + 1)[0] + 1
        if need < least:
            return 0
        self.kind = self.buf[self.end]
        self.start = self.end
        self.body = self.end + 5
        return need

    def part(self, need: int) -> bytes:
        """Take what is here of a message that has `need` bytes; `left` says how many are to come."""
        self._join()
        taken = self.buf[:need]
        self.buf = self.buf[need:]
        self.left = need - len(taken)
        return taken

    def limit(self) -> int:
        """Where `buf` ends: what follows the message may be looked at up to there, and taken with `skip_to`."""
        return len(self.buf)

    def skip_to(self, offset: int) -> None:
        """Messages up to `offset` of `buf` were taken by the caller. Raises Bug if that is not ahead in `buf`."""
        if not self.end <= offset <= len(self.buf):
            raise Bug("frames can be skipped only forwards")
        self.end = offset

    def pending(self) -> int:
        """How many bytes were fed but not yet given out."""
        return len(self.buf) - self.end + self._extra

    def rest(self) -> bytes:
        """Take all that was not given out, as it came (for a link that goes into pass-through)."""
        self._join()
        left = self.buf
        self.buf = b""
        self.left = 0
        return left

    def _join(self) -> None:
        self._chunks.insert(0, self.buf[self.end :])
        self.buf = b"".join(self._chunks)
        self._chunks = []
        self._extra = 0
        self.start = self.body = self.end = 0


@final
class StartupFrames:
    """The packets before the first typed message, at most 10,004 bytes each; `packet` has the length word too."""

    __slots__ = ("_data", "packet")

    def __init__(self) -> None:
        self._data: bytes = b""
        self.packet: bytes = b""

    def feed(self, data: bytes) -> None:
        """Bytes came."""
        self._data += data

    def first(self) -> int:
        """The first unread byte, -1 if there is none (0x16 opens a TLS handshake, without an SSLRequest)."""
        return self._data[0] if self._data else -1

    def next(self) -> bool:
        """Take the next whole packet into `packet`; False if it isn't there yet. Raises ProtocolFault."""
        data = self._data
        if len(data) < 4:
            return False
        length: int = _length_at(data)[0]
        if not 8 <= length <= MAX_STARTUP + 4:
            raise ProtocolFault("client", f"start-up packet length {length} is out of bounds")
        if len(data) < length:
            return False
        self.packet = data[:length]
        self._data = data[length:]
        return True

    def pending(self) -> int:
        """How many bytes were fed but not yet given out (more than 0 after an SSLRequest is an attack)."""
        return len(self._data)

    def rest(self) -> bytes:
        """Take all that was not given out."""
        left = self._data
        self._data = b""
        return left
