"""Transcripts are read, compared and explained."""

import pytest

from tests.kit.notation import Message, parse
from tests.kit.replay import merge, rewrite, symbolic
from tests.kit.transcript import Bindings, Mismatch, explain, groups, matches, normal, read

TOKEN = "0190b5d0-0000-8000-8000-000000000001"
OTHER = "0190b5d0-0000-8000-8000-000000000002"
TEXT = """\
# bind: the e-mail parameter becomes its token
policy shop.yaml
c> Sync

>s Sync
ask tokenise email ['a@b.c']
answer [T1]
s>@15 ReadyForQuery I
"""


def test_reading() -> None:
    transcript = read(TEXT, "x.wire")
    assert (transcript.title, transcript.header("policy")) == (
        "bind: the e-mail parameter becomes its token",
        ["shop.yaml"],
    )
    assert [(s.line, s.side, str(s.message)) for s in transcript.steps] == [
        (3, "c>", "Sync"),
        (5, ">s", "Sync"),
        (6, "ask", "tokenise email ['a@b.c']"),
        (7, "answer", "answer [T1]"),
        (8, "s>", "ReadyForQuery I"),
    ]
    assert len(transcript.of("18")) == 4
    assert len(transcript.of("15")) == 5
    assert not transcript.plain
    assert read("c> Sync\ns> ReadyForQuery I").plain


@pytest.mark.parametrize("text", ["x> Sync", "c> 'Sync'", "policies x"])
def test_a_bad_line_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"x\.wire:2:"):
        read(f"# title\n{text}", "x.wire")


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        ("DataRow ['a', NULL]", "DataRow ['a', NULL]", True),
        ("DataRow ['a']", "DataRow ['b']", False),
        ("DataRow ['a']", "DataRow ['a', 'a']", False),
        ("DataRow ['a']", "Sync", False),
        ("DataRow [NULL]", "DataRow ['']", False),
        ("DataRow [_]", "DataRow [NULL]", True),
        ("DataRow ['a']", 'DataRow ["a"]', False),
        ('ErrorResponse S "ERROR" ...', 'ErrorResponse S "ERROR" C "1"', True),
        ('ErrorResponse S "ERROR" ...', 'ErrorResponse S "FATAL" C "1"', False),
        (f"DataRow [T1, '{TOKEN}', T1]", f"DataRow ['{TOKEN}', '{TOKEN}', '{TOKEN}']", True),
        ("DataRow [T1, T1]", f"DataRow ['{TOKEN}', '{OTHER}']", False),
        ("DataRow [T1, T2]", f"DataRow ['{TOKEN}', '{TOKEN}']", False),
        ("DataRow [T1, T1]", f"DataRow ['{TOKEN}', x'{TOKEN.replace('-', '')}']", True),
        ("DataRow [T1]", "DataRow ['a@b.c']", False),
        ("DataRow [T1, '(‹T1›)=']", f"DataRow ['{TOKEN}', '({TOKEN})=']", True),
        ("DataRow [T1, '(‹T1›)=']", f"DataRow ['{TOKEN}', '({OTHER})=']", False),
        ("X #1 #1 #2", "X 7 7 8", True),
        ("X #1 #1", "X 7 8", False),
    ],
)
def test_matching(expected: str, seen: str, same: bool) -> None:
    assert matches(parse(expected), parse(seen), Bindings()) is same


def test_names_that_are_bound_can_be_sent() -> None:
    names = Bindings()
    assert matches(parse("X T1 #1"), parse(f"X '{TOKEN}' 5"), names)
    assert names.fill(parse("X [T1, '<‹T1›>'] #1 NULL")) == parse(f"X ['{TOKEN}', '<{TOKEN}>'] 5 NULL")
    with pytest.raises(KeyError):
        names.fill(parse("X T9"))


def test_what_varies_from_build_to_build_is_dropped_and_statuses_are_put_in_order() -> None:
    lines = [
        "ReadyForQuery I",
        'ParameterStatus "b" "1"',
        'ParameterStatus "a" "1"',
        'ErrorResponse S "ERROR" F "x.c" L "7" R "f"',
    ]
    assert [str(m) for m in normal(map(parse, lines))] == [
        "ReadyForQuery I",
        'ParameterStatus "a" "1"',
        'ParameterStatus "b" "1"',
        'ErrorResponse S "ERROR"',
    ]


def test_a_mismatch_says_how_far_all_was_as_written() -> None:
    transcript = read(TEXT, "x.wire")
    error = explain(transcript, transcript.steps[1], [Message("Flush")], [Message("Sync")])
    assert isinstance(error, Mismatch)
    assert str(error).splitlines()[1:] == [
        "x.wire:5: bind: the e-mail parameter becomes its token",
        "    c> Sync",
        "    ---- asserted until here",
        "  - Sync",
        "  + Flush",
    ]


def test_groups_are_what_is_written_at_once() -> None:
    steps = read("c> Sync\nc> Flush\ns> A\ns> B\nc> Sync\ns> C").steps
    assert [(len(sent), len(expected)) for sent, expected in groups(steps)] == [(2, 2), (1, 1)]


def test_recording_replaces_replies_and_keeps_the_rest() -> None:
    text = "# t\nc> A\ns> old\n# why\nc> B\nc> C\ns>\nc> D\n"
    assert rewrite(text, [["s> 1", "s> 2"], ["s> 3"], ["s> 4"]]) == (
        "# t\nc> A\ns> 1\ns> 2\n# why\nc> B\nc> C\ns> 3\nc> D\ns> 4\n"
    )


def test_versions_are_marked_where_they_differ() -> None:
    assert merge(["a", "b", "c"], ["a", "x", "c"], ("18", "15")) == ["s> a", "s>@18 b", "s>@15 x", "s> c"]
    assert merge([], [], ("18", "15")) == ["s> Nothing"]


def test_numbers_of_this_database_become_names() -> None:
    symbols: dict[int, str] = {}
    line = parse('RowDescription ["a", 16384, 1, 23, 4, -1, 0] ["b", 16384, 2, 16399, 4, -1, 0]')
    assert str(symbolic(line, symbols)) == 'RowDescription ["a", #1, 1, 23, 4, -1, 0] ["b", #1, 2, #2, 4, -1, 0]'
    assert str(symbolic(parse('NotificationResponse 77 "c" ""'), symbols)) == 'NotificationResponse #pid "c" ""'


def test_a_scripted_transcript_as_its_client_sees_it() -> None:
    scripted = read(
        """# title
        policy shop
        live pgveil
        c> Query "SELECT 1"
        >s Query "SELECT 1"
        ask find email ['a']
        answer [T1]
        s> DataRow [T1]
        >c RowDescription ["a", 16400, 1, 23, 4, -1, 0] ["b", 16400, 2, 23, 4, -1, 0]
        >c Close
        """
    )
    assert not scripted.plain and scripted.header("live") == ["pgveil"]
    seen = scripted.client_view()
    assert seen.plain
    assert [str(step) for step in seen.steps] == [
        'c> Query "SELECT 1"',
        's> RowDescription ["a", #1, 1, 23, 4, -1, 0] ["b", #1, 2, 23, 4, -1, 0]',
        "s> EOF",
    ]
