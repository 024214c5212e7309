"""Bytes for one side: in order, and no copy of what passes as it came."""

from proxy.session.outflow import Outflow

CAME = b"0123456789"


def test_what_came_together_goes_out_as_the_object_that_came() -> None:
    out = Outflow()
    assert not out and out.take() == b""
    for start, end in ((0, 3), (3, 4), (4, 10)):
        out.stretch(CAME, start, end)
    assert out and out.take() is CAME
    assert not out and out.take() == b""


def test_all_keeps_its_order_whoever_wrote_it() -> None:
    out = Outflow()
    out.stretch(CAME, 0, 2)
    out.append(b"a")
    out.stretch(CAME, 2, 4)
    out.stretch(CAME, 5, 6)  # 4 was left out
    out.stretch(bytes(bytearray(CAME)), 6, 8)  # equal, and another
    out.append(b"b")
    assert out.take() == b"01a23567b" and not out


def test_a_part_of_a_buffer() -> None:
    out = Outflow()
    out.stretch(CAME, 2, 4)
    assert out.take() == b"23"
    out.stretch(CAME, 4, 6)
    assert out.take() == b"45", "what was taken is not given again"


def test_one_piece_is_given_as_it_is() -> None:
    out = Outflow()
    out.append(CAME)
    assert out.take() is CAME
