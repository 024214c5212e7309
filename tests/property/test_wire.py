"""wire: frames cut anywhere, messages there and back, rows put back together."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ProtocolFault
from proxy.wire import messages as m
from proxy.wire.frames import Frames, StartupFrames
from proxy.wire.rows import collect, rewrite

values = st.none() | st.binary(max_size=20)
names = st.binary(max_size=8).map(lambda b: b.replace(b"\0", b""))
u16s = st.lists(st.integers(0, 65535), max_size=4)
u32s = st.lists(st.integers(0, 2**32 - 1), max_size=4)
s16, s32, u32 = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1)
frames = st.lists(st.builds(m.build, st.integers(1, 255), st.binary(max_size=30)), max_size=8)


@given(frames, st.lists(st.integers(1, 40), min_size=1), st.integers(0, 8))
def test_frames_cut_anywhere(messages: list[bytes], sizes: list[int], stop: int) -> None:
    """However the bytes come, and whether read at once or later, the same messages come out; rest() is what is left."""
    stream, reader, found = b"".join(messages), Frames("client"), []
    at, turn = 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        reader.feed(stream[at : at + size])
        at += size
        turn += 1
        while turn % 3 and len(found) < stop and reader.next():
            found.append(reader.buf[reader.start : reader.end])
    while len(found) < stop and reader.next():
        found.append(reader.buf[reader.start : reader.end])
    assert found == messages[:stop]
    assert reader.pending() == sum(map(len, messages[stop:]))
    assert reader.rest() == b"".join(messages[stop:])
    assert reader.pending() == 0


@given(st.lists(st.binary(min_size=4, max_size=30), max_size=4), st.integers(1, 9))
def test_startup_packets_cut_anywhere(bodies: list[bytes], size: int) -> None:
    packets = [(len(body) + 4).to_bytes(4, "big") + body for body in bodies]
    stream, reader, found = b"".join(packets), StartupFrames(), []
    for at in range(0, len(stream), size):
        reader.feed(stream[at : at + size])
        while reader.next():
            found.append(reader.packet)
    assert found == packets


@given(names, names, st.lists(st.integers(0, 1), max_size=1), st.lists(values, max_size=4), u16s)
def test_bind(portal: bytes, name: bytes, formats: list[int], params: list[bytes | None], results: list[int]) -> None:
    frame = m.build_bind(portal, name, formats, params, results)
    parts = m.parse_bind(frame, 5, len(frame))
    assert parts == m.Bind(portal, name, tuple(formats), params, tuple(results))
    assert m.bind_names(frame, 5, len(frame)) == (portal, name)


@given(names, names, u32s)
def test_parse(name: bytes, query: bytes, oids: list[int]) -> None:
    frame = m.build_parse(name, query, oids)
    assert m.parse_parse(frame, 5, len(frame)) == m.Parse(name, query, tuple(oids))


@given(st.lists(st.builds(m.Field, names, u32, s16, u32, s16, s32, st.integers(0, 1)), max_size=4))
def test_row_description(fields: list[m.Field]) -> None:
    frame = m.build_row_description(fields)
    assert m.parse_row_description(frame, 5, len(frame)) == fields


@given(st.lists(st.tuples(st.sampled_from([b"S", b"C", b"M", b"D"]), names), max_size=5))
def test_reports(fields: list[tuple[bytes, bytes]]) -> None:
    frame = m.build_error_response(fields)
    assert m.parse_report(frame, 5, len(frame)) == fields


PARSERS = [
    m.parse_query, m.parse_parse, m.parse_bind, m.bind_names, m.parse_describe, m.parse_close, m.parse_execute,
    m.parse_function_call, m.parse_copy_fail, m.parse_row_description, m.parse_parameter_description, m.parse_data_row,
    m.parse_command_complete, m.parse_copy_response, m.parse_function_result, m.parse_report, m.parse_ready_for_query,
    m.parse_parameter_status, m.parse_notification, m.parse_backend_key_data, m.parse_negotiate_version,
    m.parse_authentication, m.parse_sasl_mechanisms,
]  # fmt: skip


@given(st.sampled_from(PARSERS), st.binary(max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_parsers_give_fields_or_a_fault(parse: object, data: bytes, a: int, b: int) -> None:
    body, end = sorted((min(a, len(data)), min(b, len(data))))
    assert callable(parse)
    try:
        parse(data, body, end)
    except ProtocolFault:
        return


@given(st.binary(max_size=60))
def test_startup_gives_fields_or_a_fault(packet: bytes) -> None:
    try:
        m.parse_startup(packet)
    except ProtocolFault:
        return


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[bytes | None]], tuple[int, ...]]:
    width = draw(st.integers(1, 5))
    rows = draw(st.lists(st.lists(values, min_size=width, max_size=width), max_size=5))
    return rows, tuple(sorted(draw(st.sets(st.integers(0, width - 1)))))


@given(tables(), st.lists(values, min_size=25, max_size=25))
def test_rows(table: tuple[list[list[bytes | None]], tuple[int, ...]], others: list[bytes | None]) -> None:
    rows, columns = table
    data = b"".join(m.build_data_row(row) for row in rows)
    width = len(rows[0]) if rows else 1
    out: list[bytes | None] = []
    assert collect(data, 0, len(data), columns, width, out) == len(data)
    assert out == [row[c] for row in rows for c in columns]
    assert rewrite(data, 0, len(data), columns, out) == data
    given_values = iter(others)
    expected = [[next(given_values) if c in columns else v for c, v in enumerate(row)] for row in rows]
    changed = rewrite(data, 0, len(data), columns, others[: len(out)])
    assert changed == b"".join(m.build_data_row(row) for row in expected)


@given(st.binary(max_size=60), st.integers(1, 3))
def test_rows_of_anything(data: bytes, width: int) -> None:
    """Either a fault, or what was collected can be written back."""
    out: list[bytes | None] = []
    data = b"D" + data
    try:
        stop = collect(data, 0, len(data), (width - 1,), width, out)
    except ProtocolFault:
        return
    assert rewrite(data, 0, stop, (width - 1,), out) == data[:stop]
