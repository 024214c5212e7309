"""PostgreSQL's messages (protocol 3.0 and 3.2), bytes and `notation.Message` both ways; written from the manual's
"Message Formats", on purpose without a line of proxy/wire: the two check each other.

Builds malformed messages too: `Raw 5000000004` is these bytes, `Frame P x'00'` a message of that type whose length is
right and whose body is as given. What can't be taken apart comes out as Frame.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from tests.kit.notation import Arg, Message, Str, Val, Word

T = TypeVar("T")
SSL, GSSENC, CANCEL = 80877103, 80877104, 80877102


class Reader:
    """Takes a message body apart; struct.error or IndexError where it is too short."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def num(self, size: int) -> int:
        value = int.from_bytes(self.raw(size), "big", signed=True)
        return value

    def oid(self) -> int:
        return int.from_bytes(self.raw(4), "big")

    def raw(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise IndexError(size)
        self.at += size
        return self.data[self.at - size : self.at]

    def cstr(self) -> Str:
        end = self.data.index(0, self.at)
        text, self.at = self.data[self.at : end], end + 1
        return Str(text)

    def word(self) -> Word:
        return Word(self.raw(1).decode("ascii"))

    def value(self) -> Arg:
        size = self.num(4)
        return None if size == -1 else Val(self.raw(size))

    def rest(self) -> Val:
        return Val(self.raw(len(self.data) - self.at))

    def many(self, read: Callable[[], T], size: int = 2) -> tuple[T, ...]:
        return tuple(read() for _ in range(self.num(size)))


# ---- arguments to bytes -------------------------------------------------------------------------------------------


def cstr(arg: Arg) -> bytes:
    assert isinstance(arg, Str | Val), arg
    return arg.data + b"\0"


def raw(arg: Arg) -> bytes:
    assert isinstance(arg, Str | Val), arg
    return arg.data


def word(arg: Arg) -> bytes:
    assert isinstance(arg, Word), arg
    return arg.name.encode()


def i16(arg: Arg) -> bytes:
    assert isinstance(arg, int), arg
    return struct.pack("!H", arg & 0xFFFF)


def i32(arg: Arg) -> bytes:
    assert isinstance(arg, int), arg
    return struct.pack("!I", arg & 0xFFFFFFFF)


def value(arg: Arg) -> bytes:
    return b"\xff\xff\xff\xff" if arg is None else struct.pack("!I", len(raw(arg))) + raw(arg)


def items(arg: Arg, item: Callable[[Arg], bytes], count: Callable[[Arg], bytes] = i16) -> bytes:
    assert isinstance(arg, tuple), arg
    return count(len(arg)) + b"".join(map(item, arg))


Args = Sequence[Arg]


def build_parse(a: Args) -> bytes:
    count = a[2]
    assert isinstance(count, int), "Parse NAME SQL COUNT OID…"
    return cstr(a[0]) + cstr(a[1]) + i16(count) + b"".join(map(i32, a[3:]))


def build_bind(a: Args) -> bytes:
    return cstr(a[0]) + cstr(a[1]) + items(a[2], i16) + items(a[3], value) + items(a[4], i16)


def build_call(a: Args) -> bytes:
    return i32(a[0]) + items(a[1], i16) + items(a[2], value) + i16(a[3])


def build_fields(a: Args) -> bytes:
    return b"".join(word(a[i]) + cstr(a[i + 1]) for i in range(0, len(a), 2)) + b"\0"


def build_column(arg: Arg) -> bytes:
    assert isinstance(arg, tuple), arg
    name, table, attnum, oid, size, typmod, form = arg
    return cstr(name) + i32(table) + i16(attnum) + i32(oid) + i16(size) + i32(typmod) + i16(form)


def read_column(r: Reader) -> Arg:
    return (r.cstr(), r.oid(), r.num(2), r.oid(), r.num(2), r.num(4), r.num(2))


def read_fields(r: Reader) -> Args:
    out: list[Arg] = []
    while r.data[r.at]:
        out += [r.word(), r.cstr()]
    r.raw(1)
    return out


def read_parse(r: Reader) -> Args:
    name, sql, oids = r.cstr(), r.cstr(), r.many(r.oid)
    return (name, sql, len(oids), *oids)


def read_bind(r: Reader) -> Args:
    return (r.cstr(), r.cstr(), r.many(lambda: r.num(2)), r.many(r.value), r.many(lambda: r.num(2)))


def read_call(r: Reader) -> Args:
    return (r.oid(), r.many(lambda: r.num(2)), r.many(r.value), r.num(2))


def read_sasl(r: Reader) -> Args:
    out = []
    while r.data[r.at]:
        out.append(r.cstr())
    r.raw(1)
    return (tuple(out),)


# ---- the table ----------------------------------------------------------------------------------------------------

Build = Callable[[Args], bytes]
Read = Callable[[Reader], Args]


def nothing(_: Args) -> bytes:
    return b""


def no_args(_: Reader) -> Args:
    return ()


def one_str(a: Args) -> bytes:
    return cstr(a[0])


def copy_response(a: Args) -> bytes:
    kind = a[0]
    assert isinstance(kind, int)
    return bytes([kind]) + items(a[1], i16)


def read_copy_response(r: Reader) -> Args:
    return (r.num(1), r.many(lambda: r.num(2)))


FRONT: Final[dict[str, tuple[bytes, Build, Read]]] = {
    "Bind": (b"B", build_bind, read_bind),
    "Close": (b"C", lambda a: word(a[0]) + cstr(a[1]), lambda r: (r.word(), r.cstr())),
    "CopyData": (b"d", lambda a: raw(a[0]), lambda r: (r.rest(),)),
    "CopyDone": (b"c", nothing, no_args),
    "CopyFail": (b"f", one_str, lambda r: (r.cstr(),)),
    "Describe": (b"D", lambda a: word(a[0]) + cstr(a[1]), lambda r: (r.word(), r.cstr())),
    "Execute": (b"E", lambda a: cstr(a[0]) + i32(a[1]), lambda r: (r.cstr(), r.num(4))),
    "Flush": (b"H", nothing, no_args),
    "FunctionCall": (b"F", build_call, read_call),
    "Parse": (b"P", build_parse, read_parse),
    "Query": (b"Q", one_str, lambda r: (r.cstr(),)),
    "Sync": (b"S", nothing, no_args),
    "Terminate": (b"X", nothing, no_args),
    # 'p' is four messages; which one depends on the state, so it is read as its bytes.
    "PasswordBytes": (b"p", lambda a: raw(a[0]), lambda r: (r.rest(),)),
    "Password": (b"p", one_str, no_args),
    "SASLInitialResponse": (b"p", lambda a: cstr(a[0]) + value(a[1]), no_args),
    "SASLResponse": (b"p", lambda a: raw(a[0]), no_args),
}
BACK: Final[dict[str, tuple[bytes, Build, Read]]] = {
    "BackendKeyData": (b"K", lambda a: i32(a[0]) + raw(a[1]), lambda r: (r.num(4), r.rest())),
    "BindComplete": (b"2", nothing, no_args),
    "CloseComplete": (b"3", nothing, no_args),
    "CommandComplete": (b"C", one_str, lambda r: (r.cstr(),)),
    "CopyBothResponse": (b"W", copy_response, read_copy_response),
    "CopyData": (b"d", lambda a: raw(a[0]), lambda r: (r.rest(),)),
    "CopyDone": (b"c", nothing, no_args),
    "CopyInResponse": (b"G", copy_response, read_copy_response),
    "CopyOutResponse": (b"H", copy_response, read_copy_response),
    "DataRow": (b"D", lambda a: items(a[0], value), lambda r: (r.many(r.value),)),
    "EmptyQueryResponse": (b"I", nothing, no_args),
    "ErrorResponse": (b"E", build_fields, read_fields),
    "FunctionCallResponse": (b"V", lambda a: value(a[0]), lambda r: (r.value(),)),
    "NegotiateProtocolVersion": (
        b"v",
        lambda a: i32(a[0]) + items(a[1], cstr, i32),
        lambda r: (r.num(4), r.many(r.cstr, 4)),
    ),
    "NoData": (b"n", nothing, no_args),
    "NoticeResponse": (b"N", build_fields, read_fields),
    "NotificationResponse": (
        b"A",
        lambda a: i32(a[0]) + cstr(a[1]) + cstr(a[2]),
        lambda r: (r.num(4), r.cstr(), r.cstr()),
    ),
    "ParameterDescription": (b"t", lambda a: items(a[0], i32), lambda r: (r.many(r.oid),)),
    "ParameterStatus": (b"S", lambda a: cstr(a[0]) + cstr(a[1]), lambda r: (r.cstr(), r.cstr())),
    "ParseComplete": (b"1", nothing, no_args),
    "PortalSuspended": (b"s", nothing, no_args),
    "ReadyForQuery": (b"Z", lambda a: word(a[0]), lambda r: (r.word(),)),
    "RowDescription": (b"T", lambda a: items(tuple(a), build_column), lambda r: r.many(lambda: read_column(r))),
}
AUTH: Final[dict[int, tuple[str, Build, Read]]] = {
    0: ("AuthenticationOk", nothing, no_args),
    3: ("AuthenticationCleartextPassword", nothing, no_args),
    5: ("AuthenticationMD5Password", lambda a: raw(a[0]), lambda r: (r.rest(),)),
    10: (
        "AuthenticationSASL",
        lambda a: b"".join(map(cstr, a[0] if isinstance(a[0], tuple) else ())) + b"\0",
        read_sasl,
    ),
    11: ("AuthenticationSASLContinue", lambda a: raw(a[0]), lambda r: (r.rest(),)),
    12: ("AuthenticationSASLFinal", lambda a: raw(a[0]), lambda r: (r.rest(),)),
}


def _by_type(table: dict[str, tuple[bytes, Build, Read]]) -> dict[bytes, tuple[str, Read]]:
    out: dict[bytes, tuple[str, Read]] = {}
    for name, (kind, _, read) in table.items():
        out.setdefault(kind, (name, read))
    return out


FRONT_TYPES: Final = _by_type(FRONT)
BACK_TYPES: Final = _by_type(BACK)


def frame(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def build(message: Message, back: bool) -> bytes:
    """The bytes of a message of the client, or (`back`) of the server. KeyError for a name it doesn't have."""
    name, args = message.name, message.args
    if name == "Raw":
        return b"".join(bytes.fromhex(a.name if isinstance(a, Word) else str(a)) for a in args)
    if name == "Frame":
        return frame(word(args[0]), raw(args[1]) if len(args) > 1 else b"")
    if not back and name in UNTYPED:
        return build_untyped(name, args)
    if back and name.startswith("Authentication"):
        return _build_auth(name, args)
    if back and name in ("SSLAnswer", "GSSAnswer"):
        return word(args[0])
    kind, make, _ = (BACK if back else FRONT)[name]
    return frame(kind, make(args))


def _build_auth(name: str, args: Args) -> bytes:
    for code, (known, make, _) in AUTH.items():
        if known == name:
            return frame(b"R", i32(code) + make(args))
    raise KeyError(name)


UNTYPED: Final = ("Startup", "SSLRequest", "GSSENCRequest", "CancelRequest")


def build_untyped(name: str, args: Args) -> bytes:
    """Startup MAJOR.MINOR "name" "value"… · SSLRequest · GSSENCRequest · CancelRequest pid key."""
    if name == "Startup":
        major, minor = word(args[0]).split(b".")
        body = struct.pack("!HH", int(major), int(minor)) + b"".join(map(cstr, args[1:])) + b"\0"
    elif name == "CancelRequest":
        body = i32(CANCEL) + i32(args[0]) + raw(args[1])
    else:
        body = i32(SSL if name == "SSLRequest" else GSSENC)
    return struct.pack("!I", len(body) + 4) + body


def take(kind: bytes, body: bytes, back: bool) -> Message:
    """The message with that type byte and body (length left out)."""
    reader = Reader(body)
    try:
        name, args = _take(kind, reader, back)
    except (KeyError, IndexError, ValueError, struct.error):
        return Message("Frame", (Word(kind.decode("latin-1")), Val(body)))
    return Message(name, tuple(args)) if reader.at == len(body) else Message("Frame", (Word(kind.decode()), Val(body)))


def _take(kind: bytes, reader: Reader, back: bool) -> tuple[str, Args]:
    if back and kind == b"R":
        name, _, read = AUTH[reader.num(4)]
    else:
        name, read = (BACK_TYPES if back else FRONT_TYPES)[kind]
    return name, read(reader)


def take_untyped(body: bytes) -> Message:
    """A start-up packet (length left out)."""
    reader = Reader(body)
    code = reader.num(4)
    if code in (SSL, GSSENC):
        return Message("SSLRequest" if code == SSL else "GSSENCRequest")
    if code == CANCEL:
        return Message("CancelRequest", (reader.num(4), reader.rest()))
    pairs: list[Arg] = []
    while reader.data[reader.at]:
        pairs += [reader.cstr(), reader.cstr()]
    return Message("Startup", (Word(f"{code >> 16}.{code & 0xFFFF}"), *pairs))


def split(data: bytes, back: bool) -> tuple[list[Message], bytes]:
    """The whole messages at the start of `data`, and what remains."""
    frames, rest = split_frames(data)
    return [take(one[:1], one[5:], back) for one in frames], rest


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames (type, length, body) at the start of `data`, and what remains."""
    out, at = [], 0
    while len(data) - at >= 5:
        end = at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")
        if end > len(data):
            break
        out.append(data[at:end])
        at = end
    return out, data[at:]
