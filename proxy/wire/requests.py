"""Messages that a client sends: bytes to fields and back.

A parser takes `(buf, body, end)`, the place of a message's body in a buffer, and raises ProtocolFault for anything
malformed; a builder gives a whole frame. Source: protocol chapter, "Message Formats".
Invariant: build(parse(frame)) == frame for every frame that parses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.wire.body import (
    BIND,
    CANCEL_CODE,
    CLOSE,
    COPY_DATA,
    COPY_DONE,
    COPY_FAIL,
    DESCRIBE,
    EXECUTE,
    FLUSH,
    FUNCTION_CALL,
    GSSENC_CODE,
    I16,
    I32,
    KEY_MAX,
    KEY_MIN,
    PARSE,
    PASSWORD,
    PORTAL,
    QUERY,
    S32,
    SSL_CODE,
    STATEMENT,
    SYNC,
    TERMINATE,
    Reader,
    build,
    pack_u16s,
    pack_u32s,
    pack_values,
)

# ---- start-up -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Startup:
    """StartupMessage. version: major << 16 | minor. params: names and values as they came, in order."""

    version: int
    params: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class EncryptionRequest:
    """SSLRequest or GSSENCRequest. code: SSL_CODE or GSSENC_CODE."""

    code: int


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """key: 4 bytes in protocol 3.0, up to 256 in 3.2."""

    pid: int
    key: bytes

    def __repr__(self) -> str:
        return f"CancelRequest(<hidden {len(self.key)} bytes>)"


def parse_startup(packet: bytes) -> Startup | EncryptionRequest | CancelRequest:
    """A whole packet, its length word included. A version that isn't 3.x comes out as a Startup without params."""
    reader = Reader("client", "start-up", packet, 4, len(packet))
    code = reader.u32()
    if code in (SSL_CODE, GSSENC_CODE):
        reader.done()
        return EncryptionRequest(code)
    if code == CANCEL_CODE:
        pid, key = reader.u32(), reader.rest()
        if not KEY_MIN <= len(key) <= KEY_MAX:
            raise reader.fault("has a cancel key of a wrong length")
        return CancelRequest(pid, key)
    if code >> 16 != 3:
        return Startup(code, ())
    params: list[tuple[bytes, bytes]] = []
    while name := reader.text():
        params.append((name, reader.text()))
    reader.done()
    return Startup(code, tuple(params))


def build_startup(version: int, params: Sequence[tuple[bytes, bytes]]) -> bytes:
    body = b"".join([b"%b\0%b\0" % pair for pair in params]) + b"\0"
    return I32.pack(len(body) + 8) + I32.pack(version) + body


def build_encryption_request(code: int) -> bytes:
    return I32.pack(8) + I32.pack(code)


def build_cancel_request(pid: int, key: bytes) -> bytes:
    return I32.pack(12 + len(key)) + I32.pack(CANCEL_CODE) + I32.pack(pid) + key


# ---- from the client ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parse:
    name: bytes
    query: bytes
    oids: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Parse(<hidden {len(self.query)} bytes>)"


@dataclass(frozen=True, slots=True)
class Bind:
    """params: raw, None for NULL. Formats by the 0/1/n rule: see `param_format`, `result_format`."""

    portal: bytes
    statement: bytes
    param_formats: tuple[int, ...]
    params: list[bytes | None]
    result_formats: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Bind(<hidden {len(self.params)} parameters>)"


@dataclass(frozen=True, slots=True)
class FunctionCall:
    oid: int
    arg_formats: tuple[int, ...]
    args: list[bytes | None]
    result_format: int

    def __repr__(self) -> str:
        return f"FunctionCall({self.oid}, <hidden {len(self.args)} arguments>)"


def parse_query(buf: bytes, body: int, end: int) -> bytes:
    if end > body and not buf[end - 1]:  # else the slice is of a negative size, which compiled code does not take
        text = buf[body : end - 1]
        if 0 not in text:
            return text  # this and the like below cost a fifth of a Reader, once compiled
    reader = Reader("client", "Query", buf, body, end)
    text = reader.text()
    reader.done()
    return text


def build_query(text: bytes) -> bytes:
    return build(QUERY, text + b"\0")


def parse_parse(buf: bytes, body: int, end: int) -> Parse:
    return Parse(*parse_fields(buf, body, end))


def parse_fields(buf: bytes, body: int, end: int) -> tuple[bytes, bytes, tuple[int, ...]]:
    """(name, text, types) of a Parse."""
    reader = Reader("client", "Parse", buf, body, end)
    name = reader.text()
    query = reader.last_text(3)
    if query is not None:
        return name, query, ()
    query, oids = reader.text(), reader.oids()
    reader.done()
    return name, query, oids


def build_parse(name: bytes, query: bytes, oids: Sequence[int]) -> bytes:
    return build(PARSE, b"%b\0%b\0%b" % (name, query, pack_u32s(oids)))


def bind_names(buf: bytes, body: int, end: int) -> tuple[bytes, bytes]:
    """(portal, statement) of a Bind, the rest of it unread."""
    reader = Reader("client", "Bind", buf, body, end)
    return reader.text(), reader.text()


def parse_bind(buf: bytes, body: int, end: int) -> Bind:
    reader = Reader("client", "Bind", buf, body, end)
    parts = Bind(reader.text(), reader.text(), reader.formats(), reader.values(), reader.formats())
    reader.done()
    if len(parts.param_formats) > 1 and len(parts.param_formats) != len(parts.params):
        raise reader.fault(f"has {len(parts.param_formats)} parameter formats but {len(parts.params)} parameters")
    return parts


def build_bind(
    portal: bytes,
    statement: bytes,
    param_formats: Sequence[int],
    params: Sequence[bytes | None],
    result_formats: Sequence[int],
) -> bytes:
    head = b"%b\0%b\0%b" % (portal, statement, pack_u16s(param_formats))
    return build(BIND, b"".join((head, pack_values(params), pack_u16s(result_formats))))


def param_format(formats: Sequence[int], index: int) -> int:
    """The format of the parameter at 0-based `index`: none given is text, one is for all, else each has its own."""
    if not formats:
        return 0
    return formats[0] if len(formats) == 1 else formats[index]


def result_format(formats: Sequence[int], column: int) -> int:
    """The format of the result column at 0-based `column`, by the same rule."""
    return param_format(formats, column)


def _parse_target(what: str, buf: bytes, body: int, end: int) -> tuple[int, bytes]:
    if end - body == 2 and not buf[body + 1] and buf[body] in (STATEMENT, PORTAL):
        return buf[body], b""
    reader = Reader("client", what, buf, body, end)
    kind, name = reader.byte(), reader.text()
    if kind not in (STATEMENT, PORTAL):
        raise reader.fault("is for neither a statement nor a portal")
    reader.done()
    return kind, name


def parse_describe(buf: bytes, body: int, end: int) -> tuple[int, bytes]:
    """(STATEMENT or PORTAL, name)."""
    return _parse_target("Describe", buf, body, end)


def build_describe(kind: int, name: bytes) -> bytes:
    return build(DESCRIBE, b"%c%b\0" % (kind, name))


def parse_close(buf: bytes, body: int, end: int) -> tuple[int, bytes]:
    """(STATEMENT or PORTAL, name)."""
    return _parse_target("Close", buf, body, end)


def build_close(kind: int, name: bytes) -> bytes:
    return build(CLOSE, b"%c%b\0" % (kind, name))


def parse_execute(buf: bytes, body: int, end: int) -> tuple[bytes, int]:
    """(portal, largest number of rows; 0 or less: all)."""
    reader = Reader("client", "Execute", buf, body, end)
    portal, rows = reader.text(), reader.s32()
    reader.done()
    return portal, rows


def execute_portal(buf: bytes, body: int, end: int) -> bytes:
    if end - body == 5 and not buf[body]:
        return b""  # as most have it: the unnamed one
    return parse_execute(buf, body, end)[0]


def build_execute(portal: bytes, max_rows: int) -> bytes:
    return build(EXECUTE, b"%b\0%b" % (portal, S32.pack(max_rows)))


def parse_function_call(buf: bytes, body: int, end: int) -> FunctionCall:
    reader = Reader("client", "FunctionCall", buf, body, end)
    parts = FunctionCall(reader.u32(), reader.formats(), reader.values(), reader.u16())
    reader.done()
    return parts


def function_oid(buf: bytes, body: int, end: int) -> int:
    return Reader("client", "FunctionCall", buf, body, end).u32()


def build_function_call(
    oid: int, arg_formats: Sequence[int] = (), args: Sequence[bytes | None] = (), result: int = 0
) -> bytes:
    return build(FUNCTION_CALL, b"".join((I32.pack(oid), pack_u16s(arg_formats), pack_values(args), I16.pack(result))))


def parse_copy_fail(buf: bytes, body: int, end: int) -> bytes:
    """The client's reason."""
    reader = Reader("client", "CopyFail", buf, body, end)
    reason = reader.text()
    reader.done()
    return reason


def build_copy_fail(reason: bytes) -> bytes:
    return build(COPY_FAIL, reason + b"\0")


def build_copy_data(data: bytes) -> bytes:
    return build(COPY_DATA, data)


def build_copy_done() -> bytes:
    return build(COPY_DONE, b"")


def build_flush() -> bytes:
    return build(FLUSH, b"")


def build_sync() -> bytes:
    return build(SYNC, b"")


def build_terminate() -> bytes:
    return build(TERMINATE, b"")


def build_password(data: bytes) -> bytes:
    """data: the body as it is, a password's zero byte included."""
    return build(PASSWORD, data)
