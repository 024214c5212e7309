"""replies: each message as the protocol chapter writes it down, both ways, and every way to spoil it."""

from collections.abc import Callable

import pytest

from proxy.errors import ProtocolFault
from proxy.wire import messages as m

Parser = Callable[[bytes, int, int], object]

FIELD = m.Field(b"email", 16384, 2, 1043, -1, 54, 0)
REPORT = [(b"S", b"ERROR"), (b"C", b"22001"), (b"M", b"")]
MESSAGES: list[tuple[bytes, bytes, Parser, object]] = [
    (
        b"T\0\0\0\x1e\0\1email\0\0\0\x40\0\0\2\0\0\4\x13\xff\xff\0\0\0\x36\0\0",
        m.build_row_description([FIELD]),
        m.parse_row_description,
        [FIELD],
    ),
    (b"t\0\0\0\x0a\0\1\0\0\0\x19", m.build_parameter_description((25,)), m.parse_parameter_description, (25,)),
    (
        b"D\0\0\0\x0f\0\2\0\0\0\1x\xff\xff\xff\xff",
        m.build_data_row([b"x", None]),
        m.parse_data_row,
        [b"x", None],
    ),
    (b"C\0\0\0\x0fINSERT 0 1\0", m.build_command_complete(b"INSERT 0 1"), m.parse_command_complete, b"INSERT 0 1"),
    (
        b"G\0\0\0\x0b\1\0\2\0\1\0\1",
        m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(1, (1, 1))),
        m.parse_copy_response,
        m.CopyResponse(1, (1, 1)),
    ),
    (b"V\0\0\0\x09\0\0\0\1x", m.build_function_result(b"x"), m.parse_function_result, b"x"),
    (b"V\0\0\0\x08\xff\xff\xff\xff", m.build_function_result(None), m.parse_function_result, None),
    (b"E\0\0\0\x15SERROR\0C22001\0M\0\0", m.build_error_response(REPORT), m.parse_report, REPORT),
    (b"N\0\0\0\x05\0", m.build_notice_response([]), m.parse_report, []),
    (b"Z\0\0\0\x05T", m.build_ready_for_query(m.IN_TRANSACTION), m.parse_ready_for_query, ord("T")),
    (
        b"S\0\0\0\x11TimeZone\0UTC\0",
        m.build_parameter_status(b"TimeZone", b"UTC"),
        m.parse_parameter_status,
        (b"TimeZone", b"UTC"),
    ),
    (b"A\0\0\0\x0d\0\0\0\7ch\0x\0", m.build_notification(7, b"ch", b"x"), m.parse_notification, (7, b"ch", b"x")),
    (
        b"v\0\0\0\x13\0\3\0\0\0\0\0\1_pq_.x\0",
        m.build_negotiate_version(3 << 16, [b"_pq_.x"]),
        m.parse_negotiate_version,
        (3 << 16, (b"_pq_.x",)),
    ),
    (
        b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
        m.build_sasl_mechanisms([b"SCRAM-SHA-256"]),
        m.parse_sasl_mechanisms,
        [b"SCRAM-SHA-256"],
    ),
]
OPEN_ENDED: list[tuple[bytes, bytes, Parser, object]] = [
    (b"K\0\0\0\x0c\0\0\0\7abcd", m.build_backend_key_data(7, b"abcd"), m.parse_backend_key_data, (7, b"abcd")),
    (b"R\0\0\0\x08\0\0\0\0", m.build_authentication(m.AUTH_OK), m.parse_authentication, (0, b"")),
    (b"R\0\0\0\x0c\0\0\0\5salt", m.build_authentication(m.AUTH_MD5, b"salt"), m.parse_authentication, (5, b"salt")),
]


@pytest.mark.parametrize(("frame", "built", "parse", "fields"), MESSAGES + OPEN_ENDED)
def test_both_ways(frame: bytes, built: bytes, parse: Parser, fields: object) -> None:
    assert built == frame
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 1
    assert parse(b"??" + frame + b"\0\0\0", 7, 2 + len(frame)) == fields


@pytest.mark.parametrize(("frame", "built", "parse", "fields"), MESSAGES)
def test_cut_short_or_too_long(frame: bytes, built: bytes, parse: Parser, fields: object) -> None:
    for end in range(5, len(frame)):
        with pytest.raises(ProtocolFault) as caught:
            parse(frame + b"\0" * 50, 5, end)
        assert caught.value.side == "server"
    with pytest.raises(ProtocolFault, match="behind its end"):
        parse(frame + b"\0", 5, len(frame) + 1)


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (m.parse_ready_for_query, b"X"),
        (m.parse_backend_key_data, b"\0\0\0\7abc"),
        (m.parse_backend_key_data, b"\0\0\0\7" + b"k" * 257),
        (m.parse_authentication, b"\0\0\0\0x"),
        (m.parse_authentication, b"\0\0\0"),
        (m.parse_sasl_mechanisms, b"\0\0\0\5\0"),
    ],
)
def test_malformed(parse: Parser, body: bytes) -> None:
    with pytest.raises(ProtocolFault):
        parse(body, 0, len(body))


def test_messages_without_fields() -> None:
    assert m.build_parse_complete() == b"1\0\0\0\4"
    assert m.build_bind_complete() == b"2\0\0\0\4"
    assert m.build_close_complete() == b"3\0\0\0\4"
    assert m.build_no_data() == b"n\0\0\0\4"
    assert m.build_empty_query() == b"I\0\0\0\4"
    assert m.build_portal_suspended() == b"s\0\0\0\4"
