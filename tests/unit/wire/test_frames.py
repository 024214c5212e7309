"""frames: cutting, however the bytes come."""

import pytest

from proxy.errors import Bug, ProtocolFault
from proxy.wire.frames import MAX_STARTUP, Frames, StartupFrames


def frame(kind: str, body: bytes) -> bytes:
    return kind.encode() + (len(body) + 4).to_bytes(4, "big") + body


STREAM = frame("Q", b"select 1\0") + frame("S", b"") + frame("d", b"x" * 300) + frame("X", b"")


def take(frames: Frames) -> list[bytes]:
    found = []
    while frames.next():
        assert frames.buf[frames.start] == frames.kind
        assert frames.body == frames.start + 5
        found.append(frames.buf[frames.start : frames.end])
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 64, 299, len(STREAM)])
def test_pieces_of_every_size_give_the_same_frames(size: int) -> None:
    frames, found = Frames("client"), []
    for at in range(0, len(STREAM), size):
        frames.feed(STREAM[at : at + size])
        found += take(frames)
    assert found == [frame("Q", b"select 1\0"), frame("S", b""), frame("d", b"x" * 300), frame("X", b"")]
    assert frames.pending() == 0


def test_feeding_ahead_of_reading() -> None:
    frames = Frames("client")
    for at in range(0, len(STREAM), 7):
        frames.feed(STREAM[at : at + 7])
        frames.feed(b"")
    assert frames.pending() == len(STREAM)
    assert b"".join(take(frames)) == STREAM


def test_adjacent_messages_share_a_buffer() -> None:
    frames = Frames("server")
    frames.feed(STREAM)
    assert frames.next()
    first = frames.buf
    assert frames.next()
    assert frames.buf is first is STREAM


def test_a_large_message_is_joined_once() -> None:
    """Linear: what is kept meanwhile are the very chunks that came, not copies of them joined over and over."""
    frames = Frames("server")
    chunk = b"y" * 65536
    frames.feed(b"d" + (4 + 64 * 65536).to_bytes(4, "big"))
    for _ in range(63):
        frames.feed(chunk)
        assert not frames.next()
    assert len(frames.buf) <= 5 + 65536
    frames.feed(chunk)
    assert frames.next()
    assert frames.end - frames.body == 64 * 65536


@pytest.mark.parametrize("length", [0, 3, 101, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_lengths_out_of_bounds(length: int) -> None:
    frames = Frames("server", 100)
    frames.feed(b"D" + length.to_bytes(4, "big"))
    with pytest.raises(ProtocolFault) as caught:
        frames.next()
    assert caught.value.side == "server"


def test_the_largest_length_allowed() -> None:
    frames = Frames("client", 100)
    frames.feed(frame("d", b"x" * 96))
    assert frames.next()


def test_rest_is_all_that_was_not_given_out() -> None:
    frames = Frames("client")
    frames.feed(STREAM[:20])
    assert frames.next()
    frames.feed(STREAM[20:])
    assert frames.pending() == len(STREAM) - 14
    assert frames.rest() == STREAM[14:]
    assert frames.pending() == 0
    assert frames.rest() == b""
    frames.feed(frame("S", b""))
    assert take(frames) == [frame("S", b"")]


def test_looking_ahead_and_skipping() -> None:
    frames = Frames("server")
    frames.feed(STREAM)
    assert frames.next()
    assert frames.limit() == len(STREAM)
    frames.skip_to(frames.end + 5)
    assert frames.next()
    assert frames.kind == ord("d")
    for wrong in (frames.end - 1, frames.limit() + 1):
        with pytest.raises(Bug):
            frames.skip_to(wrong)


def startup(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + body


def test_startup_packets() -> None:
    one, two = startup(bytes.fromhex("04d2162f")), startup(b"\0\3\0\0user\0a\0\0")
    frames = StartupFrames()
    assert frames.first() == -1
    assert not frames.next()
    found = []
    for byte in one + two + b"Q!":
        frames.feed(bytes([byte]))
        if frames.pending() and len(found) < 2 and frames.next():
            found.append(frames.packet)
    assert found == [one, two]
    assert frames.first() == ord("Q")
    assert frames.pending() == 2
    assert frames.rest() == b"Q!"
    assert frames.pending() == 0


@pytest.mark.parametrize("length", [0, 7, MAX_STARTUP + 5, 0x16030100, 0xFFFFFFFF])
def test_startup_lengths_out_of_bounds(length: int) -> None:
    frames = StartupFrames()
    frames.feed(length.to_bytes(4, "big"))
    with pytest.raises(ProtocolFault):
        frames.next()


def test_the_largest_startup_packet() -> None:
    frames = StartupFrames()
    frames.feed(startup(b"x" * MAX_STARTUP))
    assert frames.next()


def test_a_message_that_is_taken_in_parts() -> None:
    frames, whole = Frames("server"), frame("D", b"x" * 5000)
    frames.feed(STREAM + whole[:3])
    assert take(frames) and frames.begun(1000) == 0  # its head is not here
    frames.feed(whole[3:100])
    assert frames.begun(5006) == 0  # it is smaller
    assert frames.begun(5005) == 5005 and (frames.kind, frames.buf[frames.body : frames.limit()]) == (68, b"x" * 95)
    frames.feed(whole[100:2000])
    assert frames.begun(5005) == 5005
    assert frames.part(5005) == whole[:2000] and frames.left == 3005
    frames.feed(whole[2000:] + STREAM)
    assert frames.part(frames.left) == whole[2000:] and frames.left == 0
    assert len(take(frames)) == 4


def test_the_beginning_of_a_long_one_is_not_put_together_each_time() -> None:
    frames = Frames("client")
    whole = frame("B", b"x" * 100_000)
    frames.feed(whole[:2000])
    frames.begun(1)
    beginning = frames.buf
    for at in range(2000, 90_000, 1000):
        frames.feed(whole[at : at + 1000])
        assert frames.begun(1) == len(whole) and frames.buf is beginning
    assert not frames.next()


def test_what_was_given_out_is_let_go() -> None:
    frames = Frames("client")
    frames.feed(STREAM)
    take(frames)
    assert frames.buf == b"" and frames.pending() == 0
    frames.feed(STREAM)
    assert len(take(frames)) == 4


def test_the_rest_of_a_message_in_parts_is_forgotten() -> None:
    frames = Frames("client")
    frames.feed(frame("D", b"x" * 100)[:50])
    frames.begun(1)
    frames.part(105)
    frames.feed(b"yz")
    assert frames.rest() == b"yz" and frames.left == 0


def test_messages_of_a_kind_are_taken_together() -> None:
    row, end = frame("D", b"row"), frame("C", b"x\0")
    frames = Frames("server")
    frames.feed(row * 3 + end + row + row[:-1])
    assert frames.next()
    frames.more()
    assert frames.buf[frames.start : frames.end] == row * 3
    assert frames.next() and frames.kind == ord("C")
    frames.more()
    assert frames.buf[frames.start : frames.end] == end
    assert frames.next()
    frames.more()
    assert frames.buf[frames.start : frames.end] == row and not frames.next(), "half a message is none"


def test_a_length_out_of_bounds_is_next_s_to_find() -> None:
    frames = Frames("server")
    frames.feed(frame("D", b"") + b"D\0\0\0\1")
    assert frames.next()
    frames.more()
    assert frames.end == 5
    with pytest.raises(ProtocolFault):
        frames.next()
