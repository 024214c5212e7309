"""Frames of COPY TO STDOUT: their rows, tokens and what is shown; a server that breaks the format is a fault."""

import pytest

from proxy.errors import ProtocolFault
from proxy.session.copy_out import CopyOut
from proxy.session.settings import Settings
from proxy.wire import messages as m
from tests.unit.session.driver import bound, plan

TOKEN = b"0190a1b2-c3d4-8e5f-9a6b-7c8d9e0f1a2b"


def copying(options: str = "", columns: str = "id, email", **reported: str) -> CopyOut:
    made = plan(f"copy customers ({columns}) to stdout {options}")[1]
    copy = made.statements[0].copy
    assert copy is not None
    settings = Settings()
    for name, value in reported.items():
        settings.report(name, value)
    return CopyOut(bound(made), copy, settings)


def test_frames_stay_frames_and_headers_stay() -> None:
    copy = copying("csv header")
    frames = [copy.take(b"id,email\n"), copy.take(b"1," + TOKEN + b"\n"), copy.take(b"2,\n"), copy.take(b"3")]
    assert copy.tokens(frames) == [TOKEN, None]
    assert copy.build(frames, [b"a,b", None]) == b"".join(
        [m.build_copy_data(data) for data in (b"id,email\n", b'1,"a,b"\n', b"2,\n")]
    )


def test_what_is_left_at_the_end() -> None:
    copy = copying()
    assert copy.take(b"1\t" + TOKEN) == []
    assert copy.tokens([copy.rest()]) == [TOKEN]


def test_null_is_written_in_the_streams_encoding() -> None:
    copy = copying("(null '\u00fc')", client_encoding="LATIN1")
    frames = [copy.take(b"1\t\xfc\n")]
    assert copy.tokens(frames) == [None]
    assert copy.build(frames, [None]) == m.build_copy_data(b"1\t\xfc\n")


def test_binary_columns_are_binary() -> None:
    assert copying("binary").columns.formats == (1,) and copying().columns.formats == (0,)


def test_what_no_server_sends() -> None:
    with pytest.raises(ProtocolFault):
        copying("binary").take(b"no signature at all")
    copy = copying("binary")
    copy.take(b"PGCOPY")
    with pytest.raises(ProtocolFault):
        copy.rest()
    copy = copying()
    with pytest.raises(ProtocolFault):
        copy.tokens([copy.take(b"1\t2\t3\n")])
    copy = copying("csv")
    copy.take(b'1,"a')
    with pytest.raises(ProtocolFault):
        copy.tokens([copy.rest()])
