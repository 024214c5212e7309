"""Bytes and messages are the same thing; the bytes here are written down from the manual by hand."""

import pytest

from tests.kit.messages import build, split, split_frames, take_untyped
from tests.kit.notation import Message, Str, Val, Word, parse, show

FRONT = [
    "Bind \"p\" \"s\" [0, 1] ['a', NULL, x'00'] [1]",
    'Close S "s"',
    "CopyData '1\\tx\\n'",
    "CopyDone",
    'CopyFail "why"',
    'Describe P ""',
    'Execute "" 10',
    "Flush",
    "FunctionCall 1598 [1] [x'00'] 1",
    'Parse "s" "select $1" 2 23 0',
    'Query "select 1"',
    "Sync",
    "Terminate",
    "PasswordBytes 'x'",
]
BACK = [
    "AuthenticationOk",
    "AuthenticationCleartextPassword",
    "AuthenticationMD5Password x'00010203'",
    'AuthenticationSASL ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]',
    "AuthenticationSASLContinue 'r=x'",
    "AuthenticationSASLFinal 'v=x'",
    "BackendKeyData 12 x'00010203'",
    "BindComplete",
    "CloseComplete",
    'CommandComplete "SELECT 1"',
    "CopyBothResponse 0 []",
    "CopyData 'x'",
    "CopyDone",
    "CopyInResponse 0 [0, 0]",
    "CopyOutResponse 1 [1]",
    "DataRow ['1', NULL, '']",
    "EmptyQueryResponse",
    'ErrorResponse S "ERROR" C "22012"',
    "FunctionCallResponse NULL",
    'NegotiateProtocolVersion 196608 ["_pq_.x"]',
    "NoData",
    'NoticeResponse S "NOTICE"',
    'NotificationResponse 7 "c" ""',
    "ParameterDescription [25, 4294967295]",
    'ParameterStatus "TimeZone" "UTC"',
    "ParseComplete",
    "PortalSuspended",
    "ReadyForQuery I",
    'RowDescription ["id", 16384, 1, 23, 4, -1, 0] ["x", 0, 0, 25, -1, -1, 1]',
]


@pytest.mark.parametrize(("line", "back"), [(x, False) for x in FRONT] + [(x, True) for x in BACK])
def test_there_and_back(line: str, back: bool) -> None:
    data = build(parse(line), back)
    assert split(data + b"Z", back) == ([parse(line)], b"Z")
    assert [show(m) for m in split(data, back)[0]] == [line]


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ('Query "x"', b"Q\0\0\0\6x\0"),
        ('Parse "" "x" 1 23', b"P\0\0\0\x0d\0x\0\0\1\0\0\0\x17"),
        ('Bind "" "" [] [NULL] [1]', b"B\0\0\0\x12\0\0\0\0\0\1\xff\xff\xff\xff\0\1\0\1"),
        ("Raw 5000000004 51", b"P\0\0\0\4Q"),
        ("Raw 50ff", b"P\xff"),
        ("Frame Z x'0102'", b"Z\0\0\0\6\1\2"),
        ('Password "x"', b"p\0\0\0\6x\0"),
        ("SASLInitialResponse \"m\" 'x'", b"p\0\0\0\x0bm\0\0\0\0\1x"),
        ("SSLRequest", bytes.fromhex("0000000804d2162f")),
        ("GSSENCRequest", bytes.fromhex("0000000804d21630")),
        ("CancelRequest 1 x'02'", bytes.fromhex("0000000d04d2162e0000000102")),
        ('Startup 3.2 "a" "b"', b"\0\0\0\x0d\0\3\0\2a\0b\0\0"),
    ],
)
def test_bytes_of_the_manual(line: str, data: bytes) -> None:
    assert build(parse(line), back=False) == data


@pytest.mark.parametrize(
    "line", ["SSLRequest", "GSSENCRequest", "CancelRequest 1 x'02030405'", 'Startup 3.0 "a" "" "c" "d"']
)
def test_untyped_there_and_back(line: str) -> None:
    assert take_untyped(build(parse(line), back=False)[4:]) == parse(line)


def test_what_cant_be_taken_apart_is_a_frame() -> None:
    assert split(b"D\0\0\0\5\1", back=True)[0] == [Message("Frame", (Word("D"), Val(b"\1")))]
    assert split(b"1\0\0\0\5\1", back=True)[0] == [Message("Frame", (Word("1"), Val(b"\1")))]
    assert split(b"!\0\0\0\4", back=True)[0] == [Message("Frame", (Word("!"), Val(b"")))]


def test_frames_are_cut_where_they_end() -> None:
    whole = build(parse('Query "x"'), back=False)
    assert split_frames(whole + whole[:-1]) == ([whole], whole[:-1])


def test_a_name_of_the_other_side_is_unknown() -> None:
    with pytest.raises(KeyError):
        build(Message("DataRow", ((Str(b""),),)), back=False)
    with pytest.raises(KeyError):
        build(Message("AuthenticationX"), back=True)
