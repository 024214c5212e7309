"""Messages that a server sends: bytes to fields and back.

Parsers and builders as in `requests`. Source: protocol chapter, "Message Formats" and "Error and Notice Message
Fields". Rows in bulk are in `rows`; here is their slow, plain form.
Invariant: build(parse(frame)) == frame for every frame that parses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from proxy.wire.body import (
    AUTH_OK,
    AUTH_SASL,
    AUTHENTICATION,
    BACKEND_KEY_DATA,
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    COMMAND_COMPLETE,
    DATA_ROW,
    EMPTY_QUERY,
    ERROR_RESPONSE,
    FAILED,
    FUNCTION_RESULT,
    I16,
    I32,
    IDLE,
    IN_TRANSACTION,
    KEY_MAX,
    KEY_MIN,
    NEGOTIATE_VERSION,
    NO_DATA,
    NOTICE_RESPONSE,
    NOTIFICATION,
    PARAMETER_DESCRIPTION,
    PARAMETER_STATUS,
    PARSE_COMPLETE,
    PORTAL_SUSPENDED,
    READY_FOR_QUERY,
    ROW_DESCRIPTION,
    Reader,
    build,
    pack_u16s,
    pack_u32s,
    pack_values,
)

# table OID, attribute number, type OID, typlen, typmod, format
_field_tail: Final = Struct(">IhIhiH")


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a RowDescription. table_oid and attnum: 0 if it is no plain column. size: typlen (-1 varlena).
    format: 0 text (always, where the formats aren't known yet), 1 binary."""

    name: bytes
    table_oid: int
    attnum: int
    type_oid: int
    size: int
    typmod: int
    format: int


@dataclass(frozen=True, slots=True)
class CopyResponse:
    """CopyIn-, CopyOut- or CopyBothResponse. format: 0 textual, 1 binary, as are the columns' formats."""

    format: int
    column_formats: tuple[int, ...]


def _reader(what: str, buf: bytes, body: int, end: int) -> Reader:
    return Reader("server", what, buf, body, end)


# ---- results ------------------------------------------------------------------------------------------------------


def parse_row_description(buf: bytes, body: int, end: int) -> list[Field]:
    reader = _reader("RowDescription", buf, body, end)
    fields = [
        Field(
            reader.text(), reader.u32(), reader.s16(), reader.u32(), reader.s16(), reader.s32(), reader.u16()
        )  # evaluated left to right, as they come
        for _ in range(reader.u16())
    ]
    reader.done()
    return fields


def build_row_description(fields: Sequence[Field]) -> bytes:
    parts = [I16.pack(len(fields))]
    for f in fields:
        parts += (f.name, b"\0", _field_tail.pack(f.table_oid, f.attnum, f.type_oid, f.size, f.typmod, f.format))
    return build(ROW_DESCRIPTION, b"".join(parts))


def parse_parameter_description(buf: bytes, body: int, end: int) -> tuple[int, ...]:
    """The parameters' type OIDs."""
    reader = _reader("ParameterDescription", buf, body, end)
    oids = reader.oids()
    reader.done()
    return oids


def build_parameter_description(oids: Sequence[int]) -> bytes:
    return build(PARAMETER_DESCRIPTION, pack_u32s(oids))


def parse_data_row(buf: bytes, body: int, end: int) -> list[bytes | None]:
    reader = _reader("DataRow", buf, body, end)
    fields = reader.values()
    reader.done()
    return fields


def build_data_row(fields: Sequence[bytes | None]) -> bytes:
    return build(DATA_ROW, pack_values(fields))


def parse_command_complete(buf: bytes, body: int, end: int) -> bytes:
    """The tag: b'INSERT 0 1'."""
    reader = _reader("CommandComplete", buf, body, end)
    tag = reader.text()
    reader.done()
    return tag


def build_command_complete(tag: bytes) -> bytes:
    return build(COMMAND_COMPLETE, tag + b"\0")


def parse_copy_response(buf: bytes, body: int, end: int) -> CopyResponse:
    reader = _reader("CopyResponse", buf, body, end)
    parts = CopyResponse(reader.byte(), reader.formats())
    reader.done()
    return parts


def build_copy_response(kind: int, response: CopyResponse) -> bytes:
    """kind: COPY_IN_RESPONSE, COPY_OUT_RESPONSE or COPY_BOTH_RESPONSE."""
    return build(kind, b"%c%b" % (response.format, pack_u16s(response.column_formats)))


def parse_function_result(buf: bytes, body: int, end: int) -> bytes | None:
    reader = _reader("FunctionCallResponse", buf, body, end)
    value = reader.value()
    reader.done()
    return value


def build_function_result(value: bytes | None) -> bytes:
    return build(FUNCTION_RESULT, pack_values([value])[2:])


# ---- errors and notices -------------------------------------------------------------------------------------------


def parse_report(buf: bytes, body: int, end: int) -> list[tuple[bytes, bytes]]:
    """The fields of an ErrorResponse or NoticeResponse, in order: (code, one byte; text)."""
    reader = _reader("ErrorResponse", buf, body, end)
    fields: list[tuple[bytes, bytes]] = []
    while code := reader.byte():
        fields.append((b"%c" % code, reader.text()))
    reader.done()
    return fields


def build_report(kind: int, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """kind: ERROR_RESPONSE or NOTICE_RESPONSE."""
    return build(kind, b"".join([b"%b%b\0" % field for field in fields]) + b"\0")


def build_error_response(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    return build_report(ERROR_RESPONSE, fields)


def build_notice_response(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    return build_report(NOTICE_RESPONSE, fields)


# ---- state --------------------------------------------------------------------------------------------------------


def parse_ready_for_query(buf: bytes, body: int, end: int) -> int:
    """IDLE, IN_TRANSACTION or FAILED."""
    reader = _reader("ReadyForQuery", buf, body, end)
    status = reader.byte()
    if status not in (IDLE, IN_TRANSACTION, FAILED):
        raise reader.fault("has an unknown transaction status")
    reader.done()
    return status


def build_ready_for_query(status: int) -> bytes:
    return build(READY_FOR_QUERY, b"%c" % status)


def parse_parameter_status(buf: bytes, body: int, end: int) -> tuple[bytes, bytes]:
    """(name, value)."""
    reader = _reader("ParameterStatus", buf, body, end)
    name, value = reader.text(), reader.text()
    reader.done()
    return name, value


def build_parameter_status(name: bytes, value: bytes) -> bytes:
    return build(PARAMETER_STATUS, b"%b\0%b\0" % (name, value))


def parse_notification(buf: bytes, body: int, end: int) -> tuple[int, bytes, bytes]:
    """(process ID, channel, payload)."""
    reader = _reader("NotificationResponse", buf, body, end)
    pid, channel, payload = reader.u32(), reader.text(), reader.text()
    reader.done()
    return pid, channel, payload


def build_notification(pid: int, channel: bytes, payload: bytes) -> bytes:
    return build(NOTIFICATION, b"%b%b\0%b\0" % (I32.pack(pid), channel, payload))


def parse_backend_key_data(buf: bytes, body: int, end: int) -> tuple[int, bytes]:
    """(process ID, cancel key: 4 bytes in protocol 3.0, up to 256 in 3.2)."""
    reader = _reader("BackendKeyData", buf, body, end)
    pid, key = reader.u32(), reader.rest()
    if not KEY_MIN <= len(key) <= KEY_MAX:
        raise reader.fault("has a cancel key of a wrong length")
    return pid, key


def build_backend_key_data(pid: int, key: bytes) -> bytes:
    return build(BACKEND_KEY_DATA, I32.pack(pid) + key)


def parse_negotiate_version(buf: bytes, body: int, end: int) -> tuple[int, tuple[bytes, ...]]:
    """(newest protocol version that the server speaks, options it doesn't know).

    Servers before 18 sent only the minor part in that field; it comes out as it came.
    """
    reader = _reader("NegotiateProtocolVersion", buf, body, end)
    version = reader.u32()
    options = tuple([reader.text() for _ in range(reader.u32())])
    reader.done()
    return version, options


def build_negotiate_version(version: int, options: Sequence[bytes]) -> bytes:
    names = b"".join([option + b"\0" for option in options])
    return build(NEGOTIATE_VERSION, b"".join((I32.pack(version), I32.pack(len(options)), names)))


def build_parse_complete() -> bytes:
    return build(PARSE_COMPLETE, b"")


def build_bind_complete() -> bytes:
    return build(BIND_COMPLETE, b"")


def build_close_complete() -> bytes:
    return build(CLOSE_COMPLETE, b"")


def build_no_data() -> bytes:
    return build(NO_DATA, b"")


def build_empty_query() -> bytes:
    return build(EMPTY_QUERY, b"")


def build_portal_suspended() -> bytes:
    return build(PORTAL_SUSPENDED, b"")


# ---- authentication -----------------------------------------------------------------------------------------------


def parse_authentication(buf: bytes, body: int, end: int) -> tuple[int, bytes]:
    """(AUTH_… kind, what follows: salt, mechanisms, challenge; opaque here)."""
    reader = _reader("Authentication", buf, body, end)
    kind, data = reader.u32(), reader.rest()
    if kind == AUTH_OK and data:
        raise reader.fault("has bytes behind its end")
    return kind, data


def build_authentication(kind: int, data: bytes = b"") -> bytes:
    return build(AUTHENTICATION, I32.pack(kind) + data)


def parse_sasl_mechanisms(buf: bytes, body: int, end: int) -> list[bytes]:
    """Names that an AuthenticationSASL offers, in the server's order of preference. Another kind is a fault."""
    reader = _reader("AuthenticationSASL", buf, body, end)
    if reader.u32() != AUTH_SASL:
        raise reader.fault("is of another kind")
    names: list[bytes] = []
    while name := reader.text():
        names.append(name)
    reader.done()
    return names


def build_sasl_mechanisms(names: Sequence[bytes]) -> bytes:
    return build_authentication(AUTH_SASL, b"".join([name + b"\0" for name in names]) + b"\0")
