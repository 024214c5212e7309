"""body: the reader looks at nothing outside its message."""

import pytest

from proxy.errors import ProtocolFault
from proxy.wire.body import SHORT, Reader, build, pack_u16s, pack_u32s, pack_values


def test_reads_what_is_there() -> None:
    data = (
        b"??" + bytes.fromhex("07 0102 fffe 80000001 ffffffff") + b"ab\0" + bytes.fromhex("ffffffff 00000001") + b"z!"
    )
    reader = Reader("client", "Test", data + b"??", 2, len(data))
    assert (reader.byte(), reader.u16(), reader.s16(), reader.u32(), reader.s32()) == (7, 258, -2, 0x80000001, -1)
    assert (reader.text(), reader.value(), reader.value(), reader.rest()) == (b"ab", None, b"z", b"!")
    reader.done()


@pytest.mark.parametrize("step", ["byte", "u16", "s16", "u32", "s32", "text", "value"])
def test_never_looks_behind_the_end(step: str) -> None:
    reader = Reader("server", "Test", b"\0" * 20, 4, 4)
    with pytest.raises(ProtocolFault, match="Test message") as caught:
        getattr(reader, step)()
    assert caught.value.side == "server"


def test_a_negative_length_that_is_not_null() -> None:
    with pytest.raises(ProtocolFault, match="too short"):
        Reader("client", "Test", b"\xff\xff\xff\xfe" + b"x" * 9, 0, 13).value()


def test_bytes_left_over() -> None:
    with pytest.raises(ProtocolFault, match="behind its end"):
        Reader("client", "Test", b"x", 0, 1).done()


def test_counted_lists() -> None:
    for packed, step, read in (
        (pack_values([None, b"", b"x"]), "values", [None, b"", b"x"]),
        (pack_u16s([0, 65535]), "formats", (0, 65535)),
        (pack_u32s([0, 4294967295]), "oids", (0, 4294967295)),
    ):
        assert getattr(Reader("client", "Test", packed, 0, len(packed)), step)() == read


def test_build() -> None:
    assert build(ord("Q"), b"x\0") == b"Q\0\0\0\6x\0"


@pytest.mark.parametrize("size", [0, 1, SHORT - 1, SHORT, 3 * SHORT])
def test_strings_of_every_length(size: int) -> None:
    data = b"n" * size + b"\0rest"
    reader = Reader("client", "Test", data, 0, len(data))
    assert (reader.text(), reader.rest()) == (b"n" * size, b"rest")
    with pytest.raises(ProtocolFault, match="without an end"):
        Reader("client", "Test", data, 0, size).text()


@pytest.mark.parametrize(
    ("data", "found"),
    [(b"ab\0\0\0", b"ab"), (b"\0\0\0", b""), (b"a\0b\0\0\0", None), (b"ab\0\0\1", None), (b"\0\0", None)],
)
def test_a_string_and_nothing_behind_it(data: bytes, found: bytes | None) -> None:
    reader = Reader("client", "Test", data, 0, len(data))
    assert reader.last_text(3) == found
    assert reader.rest() == (data if found is None else b"")
