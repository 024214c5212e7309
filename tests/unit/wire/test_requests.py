"""requests: each message as the protocol chapter writes it down, both ways, and every way to spoil it."""

from collections.abc import Callable

import pytest

from proxy.errors import ProtocolFault
from proxy.wire import requests as r

Parser = Callable[[bytes, int, int], object]

MESSAGES: list[tuple[bytes, bytes, Parser, object]] = [
    (b"Q\0\0\0\x0dselect 1\0", r.build_query(b"select 1"), r.parse_query, b"select 1"),
    (
        b"P\0\0\0\x1as\0select $1\0\0\2\0\0\0\x19\xff\xff\xff\xff",
        r.build_parse(b"s", b"select $1", (25, 4294967295)),
        r.parse_parse,
        r.Parse(b"s", b"select $1", (25, 4294967295)),
    ),
    (
        b"B\0\0\0\x1ep\0s\0\0\2\0\1\0\0\0\2\0\0\0\2hi\xff\xff\xff\xff\0\1\0\1",
        r.build_bind(b"p", b"s", (1, 0), [b"hi", None], (1,)),
        r.parse_bind,
        r.Bind(b"p", b"s", (1, 0), [b"hi", None], (1,)),
    ),
    (b"D\0\0\0\x07Ss\0", r.build_describe(r.STATEMENT, b"s"), r.parse_describe, (ord("S"), b"s")),
    (b"D\0\0\0\x06P\0", r.build_describe(r.PORTAL, b""), r.parse_describe, (ord("P"), b"")),
    (b"C\0\0\0\x07Pp\0", r.build_close(r.PORTAL, b"p"), r.parse_close, (ord("P"), b"p")),
    (b"E\0\0\0\x0ap\0\0\0\0\5", r.build_execute(b"p", 5), r.parse_execute, (b"p", 5)),
    (b"E\0\0\0\x09\0\xff\xff\xff\xff", r.build_execute(b"", -1), r.parse_execute, (b"", -1)),
    (
        b"F\0\0\0\x15\0\0\0\7\0\1\0\1\0\1\0\0\0\1x\0\0",
        r.build_function_call(7, (1,), [b"x"], 0),
        r.parse_function_call,
        r.FunctionCall(7, (1,), [b"x"], 0),
    ),
    (b"f\0\0\0\x08why\0", r.build_copy_fail(b"why"), r.parse_copy_fail, b"why"),
]


@pytest.mark.parametrize(("frame", "built", "parse", "fields"), MESSAGES)
def test_both_ways(frame: bytes, built: bytes, parse: Parser, fields: object) -> None:
    assert built == frame
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 1
    assert parse(b"??" + frame + b"\0\0\0", 7, 2 + len(frame)) == fields


@pytest.mark.parametrize(("frame", "built", "parse", "fields"), MESSAGES)
def test_cut_short_or_too_long(frame: bytes, built: bytes, parse: Parser, fields: object) -> None:
    for end in range(5, len(frame)):
        with pytest.raises(ProtocolFault) as caught:
            parse(frame + b"\0" * 50, 5, end)
        assert caught.value.side == "client"
    with pytest.raises(ProtocolFault, match="behind its end"):
        parse(frame + b"\0", 5, len(frame) + 1)


def test_messages_without_fields() -> None:
    assert r.build_flush() == b"H\0\0\0\4"
    assert r.build_sync() == b"S\0\0\0\4"
    assert r.build_terminate() == b"X\0\0\0\4"
    assert r.build_copy_done() == b"c\0\0\0\4"
    assert r.build_copy_data(b"x\n") == b"d\0\0\0\6x\n"
    assert r.build_password(b"secret\0") == b"p\0\0\0\x0bsecret\0"


def test_quick_looks() -> None:
    bind = r.build_bind(b"p", b"s", (), [b"x"], ())
    assert r.bind_names(bind, 5, len(bind)) == (b"p", b"s")
    execute = r.build_execute(b"p", 0)
    assert r.execute_portal(execute, 5, len(execute)) == b"p"
    call = r.build_function_call(99)
    assert r.function_oid(call, 5, len(call)) == 99


def test_formats_rule() -> None:
    assert [r.param_format((), i) for i in range(2)] == [0, 0]
    assert [r.param_format((1,), i) for i in range(2)] == [1, 1]
    assert [r.result_format((0, 1), i) for i in range(2)] == [0, 1]


def test_formats_that_do_not_fit_the_parameters() -> None:
    bind = r.build_bind(b"", b"", (0, 1), [b"x"] * 3, ())
    with pytest.raises(ProtocolFault, match="2 parameter formats but 3 parameters"):
        r.parse_bind(bind, 5, len(bind))


def test_65535_parameters() -> None:
    bind = r.build_bind(b"", b"", (1,), [None] * 65535, ())
    assert len(r.parse_bind(bind, 5, len(bind)).params) == 65535


def test_describe_of_neither() -> None:
    for build, parse in ((r.build_describe, r.parse_describe), (r.build_close, r.parse_close)):
        frame = build(ord("X"), b"")
        with pytest.raises(ProtocolFault, match="neither"):
            parse(frame, 5, len(frame))


# ---- start-up


def test_startup_message() -> None:
    packet = b"\0\0\0\x15\0\3\0\2user\0ada\0x\0\0\0"
    params = ((b"user", b"ada"), (b"x", b""))
    assert r.build_startup(3 << 16 | 2, params) == packet
    assert r.parse_startup(packet) == r.Startup(3 << 16 | 2, params)


def test_request_packets() -> None:
    assert r.build_encryption_request(r.SSL_CODE) == bytes.fromhex("00000008 04d2162f")
    assert r.parse_startup(bytes.fromhex("00000008 04d2162f")) == r.EncryptionRequest(r.SSL_CODE)
    assert r.parse_startup(bytes.fromhex("00000008 04d21630")) == r.EncryptionRequest(r.GSSENC_CODE)
    cancel = bytes.fromhex("00000010 04d2162e 00000007 01020304")
    assert r.build_cancel_request(7, b"\1\2\3\4") == cancel
    assert r.parse_startup(cancel) == r.CancelRequest(7, b"\1\2\3\4")
    assert r.parse_startup(r.build_cancel_request(7, b"k" * 256)) == r.CancelRequest(7, b"k" * 256)


def test_another_major_version() -> None:
    assert r.parse_startup(bytes.fromhex("00000008 00020000")) == r.Startup(2 << 16, ())


@pytest.mark.parametrize(
    "packet",
    [
        r.build_cancel_request(7, b"k" * 3),
        r.build_cancel_request(7, b"k" * 257),
        r.build_encryption_request(r.SSL_CODE) + b"x",
        b"\0\0\0\x07\0\3\0",
        b"\0\0\0\x08\0\3\0\0",
        b"\0\0\0\x0d\0\3\0\0user\0",
        b"\0\0\0\x0d\0\3\0\0user\0ada",
        r.build_startup(3 << 16, ()) + b"x",
    ],
)
def test_malformed_packets(packet: bytes) -> None:
    with pytest.raises(ProtocolFault):
        r.parse_startup(packet)


def test_nothing_personal_in_reprs() -> None:
    for value in (
        r.Parse(b"", b"select 'ada'", ()),
        r.Bind(b"", b"", (), [b"ada"], ()),
        r.FunctionCall(1, (), [b"ada"], 0),
        r.CancelRequest(1, b"adaada"),
    ):
        assert "ada" not in repr(value)
        assert "hidden" in repr(value)
