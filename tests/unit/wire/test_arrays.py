"""arrays: both formats, taken apart and put together. (Against a server: tests/integration.)"""

import pytest

from proxy.wire.arrays import decode_array, encode_array
from proxy.wire.typespec import BadValue

TEXTS = [
    (b"{}", []),
    (b" {\t} ", []),
    (b"{a}", [b"a"]),
    (b'{a,"b c",NULL,"NULL",""}', [b"a", b"b c", None, b"NULL", b""]),
    (rb'{"q\"x","b\\c",d\,e}', [b'q"x', rb"b\c", b"d,e"]),
    (b"{ a b , null }", [b"a b", None]),
    (rb"{a\ , \NULL}", [b"a ", b"NULL"]),
    (b'{ "x" , y}', [b"x", b"y"]),
]


@pytest.mark.parametrize(("text", "items"), TEXTS)
def test_text(text: bytes, items: list[bytes | None]) -> None:
    assert decode_array(text, 0) == items
    assert decode_array(encode_array(25, items, 0), 0) == items
    assert decode_array(encode_array(25, items, 1), 1) == items


def test_text_is_quoted_where_needed_only() -> None:
    items = [b"", b"a", b"null", b"a b", b'"', b"\\", b"{", b"}", b",", b"\n", None]
    assert encode_array(25, items, 0) == rb'{"",a,"null","a b","\"","\\","{","}",",","' + b'\n",NULL}'


@pytest.mark.parametrize(
    "text", [b"", b"x", b"{", b"}", b"{a", b"a}", b"{a,}", b"{,a}", b'{"a"b}', b"{a}}", b'{"a}', b"{a\\}"]
)
def test_malformed_text(text: bytes) -> None:
    with pytest.raises(BadValue, match="malformed array literal") as caught:
        decode_array(text, 0)
    assert caught.value.code == "number-format"


@pytest.mark.parametrize("text", [b"[0:1]={a,b}", b"{{a},{b}}"])
def test_unsupported_text(text: bytes) -> None:
    with pytest.raises(BadValue, match="not supported"):
        decode_array(text, 0)


def test_binary() -> None:
    sent = bytes.fromhex("00000001 00000001 00000019 00000002 00000001 00000001 61 ffffffff")
    assert encode_array(25, [b"a", None], 1) == sent
    assert decode_array(sent, 1) == [b"a", None]
    assert encode_array(25, [], 1) == bytes.fromhex("00000000 00000000 00000019")
    assert encode_array(25, [b"a"], 1)[4:8] == bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "00000000 00000000",
        "00000000 00000000 00000019 00",
        "00000001 00000002 00000019 00000000 00000001",
        "ffffffff 00000000 00000019",
        "00000001 00000000 00000019 000000",
        "00000001 00000000 00000019 00000001 00000001",
        "00000001 00000000 00000019 00000001 00000001 00000002 61",
        "00000001 00000000 00000019 00000001 00000001 fffffffe",
        "00000001 00000000 00000019 00000001 00000001 00000000 61",
    ],
)
def test_malformed_binary(data: str) -> None:
    with pytest.raises(BadValue) as caught:
        decode_array(bytes.fromhex(data), 1)
    assert caught.value.code == "binary-format"


@pytest.mark.parametrize(
    "data",
    [
        "00000002 00000000 00000019 00000001 00000001 00000001 00000001 00000000",
        "00000001 00000000 00000019 00000001 00000000 00000000",
    ],
)
def test_unsupported_binary(data: str) -> None:
    with pytest.raises(BadValue, match="not supported"):
        decode_array(bytes.fromhex(data), 1)
