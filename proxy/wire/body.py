"""What all messages are made of: their kinds, and the fields that bodies consist of.

Source: protocol chapter, "Message Data Types" and "Message Formats". Not here: single messages (`requests`, `replies`).
Invariant: a `Reader` never looks outside its message; what does not fit raises ProtocolFault.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final, final

from proxy.errors import ProtocolFault, Side

# ---- kinds: from the client
BIND: Final = ord("B")
CLOSE: Final = ord("C")
DESCRIBE: Final = ord("D")
EXECUTE: Final = ord("E")
FUNCTION_CALL: Final = ord("F")
FLUSH: Final = ord("H")
PARSE: Final = ord("P")
QUERY: Final = ord("Q")
SYNC: Final = ord("S")
TERMINATE: Final = ord("X")
COPY_FAIL: Final = ord("f")
PASSWORD: Final = ord("p")  # also SASLInitialResponse, SASLResponse, GSSResponse: opaque here
# ---- from both
COPY_DONE: Final = ord("c")
COPY_DATA: Final = ord("d")
# ---- from the server
PARSE_COMPLETE: Final = ord("1")
BIND_COMPLETE: Final = ord("2")
CLOSE_COMPLETE: Final = ord("3")
NOTIFICATION: Final = ord("A")
COMMAND_COMPLETE: Final = ord("C")
DATA_ROW: Final = ord("D")
ERROR_RESPONSE: Final = ord("E")
COPY_IN_RESPONSE: Final = ord("G")
COPY_OUT_RESPONSE: Final = ord("H")
EMPTY_QUERY: Final = ord("I")
BACKEND_KEY_DATA: Final = ord("K")
NOTICE_RESPONSE: Final = ord("N")
AUTHENTICATION: Final = ord("R")
PARAMETER_STATUS: Final = ord("S")
ROW_DESCRIPTION: Final = ord("T")
FUNCTION_RESULT: Final = ord("V")
COPY_BOTH_RESPONSE: Final = ord("W")
READY_FOR_QUERY: Final = ord("Z")
NO_DATA: Final = ord("n")
PORTAL_SUSPENDED: Final = ord("s")
PARAMETER_DESCRIPTION: Final = ord("t")
NEGOTIATE_VERSION: Final = ord("v")

# ---- Describe and Close: what of
STATEMENT: Final = ord("S")
PORTAL: Final = ord("P")
# ---- ReadyForQuery: transaction status
IDLE: Final = ord("I")
IN_TRANSACTION: Final = ord("T")
FAILED: Final = ord("E")
# ---- Authentication: kinds
AUTH_OK: Final = 0
AUTH_CLEARTEXT: Final = 3
AUTH_MD5: Final = 5
AUTH_GSS: Final = 7
AUTH_GSS_CONTINUE: Final = 8
AUTH_SSPI: Final = 9
AUTH_SASL: Final = 10
AUTH_SASL_CONTINUE: Final = 11
AUTH_SASL_FINAL: Final = 12
# ---- request codes in a start-up packet's place ("SSLRequest", "GSSENCRequest", "CancelRequest")
SSL_CODE: Final = 80877103
GSSENC_CODE: Final = 80877104
CANCEL_CODE: Final = 80877102
PROTOCOL_3_0: Final = 3 << 16
PROTOCOL_3_2: Final = 3 << 16 | 2
KEY_MIN: Final = 4
KEY_MAX: Final = 256

I16: Final = Struct(">H")
I32: Final = Struct(">I")
S32: Final = Struct(">i")
# Bytes that are looked at one by one for a string's end: names are short, and `find` parses its arguments.
SHORT: Final = 8
_NULL: Final = b"\xff\xff\xff\xff"


@final
class Reader:
    """Takes a message body apart; every step proves that the bytes are there."""

    __slots__ = ("_at", "_buf", "_end", "_side", "_what")

    def __init__(self, side: Side, what: str, buf: bytes, body: int, end: int) -> None:
        self._side: Side = side
        self._what = what
        self._buf = buf
        self._at = body
        self._end = end

    def fault(self, why: str) -> ProtocolFault:
        return ProtocolFault(self._side, f"{self._what} message {why}")

    def _step(self, size: int) -> int:
        at = self._at
        if size < 0 or at + size > self._end:
            raise self.fault("is too short")
        self._at = at + size
        return at

    def byte(self) -> int:
        return self._buf[self._step(1)]

    def u16(self) -> int:
        at, buf = self._step(2), self._buf
        return buf[at] << 8 | buf[at + 1]

    def u32(self) -> int:
        at, buf = self._step(4), self._buf
        return buf[at] << 24 | buf[at + 1] << 16 | buf[at + 2] << 8 | buf[at + 3]

    def s32(self) -> int:
        value: int = S32.unpack_from(self._buf, self._step(4))[0]
        return value

    def s16(self) -> int:
        value = self.u16()
        return value - 0x10000 if value & 0x8000 else value

    def raw(self, size: int) -> bytes:
        at = self._step(size)
        return self._buf[at : at + size]

    def text(self) -> bytes:
        """A zero-terminated string."""
        buf, at = self._buf, self._at
        for zero in range(at, min(at + SHORT, self._end)):
            if not buf[zero]:
                self._at = zero + 1
                return buf[at:zero]
        zero = self._buf.find(0, self._at, self._end)
        if zero < 0:
            raise self.fault("has a string without an end")
        found = self._buf[self._at : zero]
        self._at = zero + 1
        return found

    def last_text(self, zeros: int) -> bytes | None:
        """The string up to the message's end, if it has no other zeros than these `zeros` last bytes."""
        if self._end - self._at < zeros:  # a slice of a negative size is an error in compiled code
            return None
        found = self._buf[self._at : self._end - zeros]
        if 0 in found or any(self._buf[self._end - zeros : self._end]):
            return None
        self._at = self._end
        return found

    def value(self) -> bytes | None:
        """A length and that many bytes; -1 is NULL."""
        size = self.s32()
        return None if size == -1 else self.raw(size)

    def values(self) -> list[bytes | None]:
        return [self.value() for _ in range(self.u16())]

    def formats(self) -> tuple[int, ...]:
        return tuple([self.u16() for _ in range(self.u16())])

    def oids(self) -> tuple[int, ...]:
        count = self.u16()
        return tuple([self.u32() for _ in range(count)]) if count else ()

    def rest(self) -> bytes:
        return self.raw(self._end - self._at)

    def done(self) -> None:
        if self._at != self._end:
            raise self.fault("has bytes behind its end")


def build(kind: int, body: bytes) -> bytes:
    """A frame of any kind."""
    return b"%c%b%b" % (kind, I32.pack(len(body) + 4), body)


def pack_values(values: Sequence[bytes | None]) -> bytes:
    parts = [I16.pack(len(values))]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts += (I32.pack(len(value)), value)
    return b"".join(parts)


def pack_u16s(values: Sequence[int]) -> bytes:
    return b"".join([I16.pack(len(values)), *[I16.pack(v) for v in values]])


def pack_u32s(values: Sequence[int]) -> bytes:
    return b"".join([I16.pack(len(values)), *[I32.pack(v) for v in values]])
