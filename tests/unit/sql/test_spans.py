import pytest

from proxy.sql.referee import Json, Node, parse, walk
from proxy.sql.spans import Tokens, Unclear, cast_marks, cast_span, name_end, quoted_name, signed_span, type_end


def span(text: bytes) -> bytes:
    """The text of the value with its casts in `SELECT <value>, 1`."""
    (statement,) = parse(text)
    casts = [n for n in walk(statement.node) if n.kind == "TypeCast"]
    by_depth = sorted(casts, key=lambda n: sum(1 for inner in walk(n) if inner.kind == "TypeCast"))
    start = text.index(b"'pgv0'")
    first, last = cast_span(Tokens(text), start, start + 6, tuple(by_depth))
    return text[first:last]


@pytest.mark.parametrize(
    "value",
    [
        b"'pgv0'::text",
        b"'pgv0' :: /* c */ text",
        b"'pgv0'::varchar(50)",
        b"'pgv0'::character varying (50)",
        b"'pgv0'::national character varying(5)",
        b"'pgv0'::text::varchar(50)::char(3)",
        b"('pgv0')::text",
        b"(('pgv0'))::text",
        b"('pgv0'::text)::varchar",
        b"cast('pgv0' as text)",
        b"CAST ( ('pgv0') AS text )",
        b"cast('pgv0'::text as varchar(9))::char(2)",
        b"cast(cast('pgv0' as text) as varchar)",
        b"date 'pgv0'",
        b"timestamp with time zone 'pgv0'",
        b"varchar(5) 'pgv0'::text",
        b"'pgv0'::timestamp(3) with time zone",
        b"'pgv0'::timestamp without time zone",
        b"'pgv0'::pg_catalog.text",
        b"'pgv0'::pg_catalog . \"text\"",
        b"'pgv0'::double precision",
        b"'pgv0'::text[]",
        b"'pgv0'::text [3] []",
        b"'pgv0'::text array",
        b"'pgv0'::text array[4]",
        b"'pgv0' -- c\n :: text",
    ],
)
def test_span_of_a_value_with_casts(value: bytes) -> None:
    assert span(b"select " + value + b", 1") == value
    assert span(b"select (" + value + b") , 1") == value
    assert span(b"select f(" + value + b")") == value


@pytest.mark.parametrize("value", [b"'pgv0'::interval day", b"'pgv0'::foo.bar%type", b"'pgv0'::setof text"])
def test_what_is_not_followed(value: bytes) -> None:
    with pytest.raises(Unclear):
        span(b"select " + value)


@pytest.mark.parametrize("value", [b"s.p0", b"1e-5", b".5"])
def test_a_value_of_several_tokens(value: bytes) -> None:
    text = b"select cast(" + value + b"::text as varchar)"
    (statement,) = parse(text)
    casts = sorted((n for n in walk(statement.node) if n.kind == "TypeCast"), key=lambda n: -n.location)
    start = text.index(value)
    assert cast_span(Tokens(text), start, start + len(value), tuple(casts)) == (7, len(text))


def cast(text: bytes, **places: int) -> tuple[int, int]:
    """The span of the literal at 7 in `text` with a cast around it whose nodes stand at `mark` and `type`."""
    fields = {"location": places["mark"], "typeName": {"location": places["type"]}}
    return cast_span(Tokens(text), 7, 13, (Node("TypeCast", {**fields}),))


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (b"select 'pgv0' text", {"mark": 14, "type": 14}),
        (b"select 'pgv0' text", {"mark": -1, "type": 3}),
        (b"select 'pgv0', ::text", {"mark": 15, "type": 17}),
        (b"select 'pgv0')::text", {"mark": 14, "type": 16}),
        (b"select 'pgv0':: x text", {"mark": 13, "type": 18}),
        (b"select 'pgv0', cast(1)", {"mark": 15, "type": 20}),
        (b"cast ()'pgv0' as text)", {"mark": 0, "type": 17}),
        (b"castin('pgv0' as text)", {"mark": 0, "type": 17}),
    ],
    ids=["no cast", "type inside a token", "something between", "one bracket", "not its type", "cast behind", "cast "
         "closed before", "another function"],
)  # fmt: skip
def test_a_tree_that_is_not_of_the_text(text: bytes, places: dict[str, int]) -> None:
    with pytest.raises(Unclear):
        cast(text, **places)


@pytest.mark.parametrize(
    ("before", "number", "behind"),
    [(b"-", b"5", b""), (b"- /* ( */ ", b"5", b""), (b"-(", b"1e-5", b")"), (b"-(- ((", b".5", b" )))")],
)
def test_a_negative_number_with_its_brackets(before: bytes, number: bytes, behind: bytes) -> None:
    text, start = b"(" + before + number + behind + b")", len(before) + 1
    assert signed_span(Tokens(text), 1, start, start + len(number)) == (1, len(text) - 1)


def test_brackets_of_a_negative_number_that_do_not_close() -> None:
    with pytest.raises(Unclear):
        signed_span(Tokens(b"select -(5"), 7, 9, 10)


def test_a_cast_without_a_type() -> None:
    with pytest.raises(Unclear):
        cast_span(Tokens(b"select 'pgv0'"), 7, 13, (Node("TypeCast", {"location": 7}),))


def test_tokens() -> None:
    tokens = Tokens(b"a/* /* */ */b -- c\n\"x y\".U&\"z\" $1 'pgv0' E'pgv1' $$pgv2$$ 1.5e3 <> ::")
    assert [tokens.text[s:e] for s, e in zip(tokens.starts, tokens.ends, strict=True)] == [
        b"a", b"b", b'"x y"', b".", b'U&"z"', b"$1", b"'pgv0'", b"E'pgv1'", b"$$pgv2$$", b"1.5e3", b"<>", b"::",
    ]  # fmt: skip
    assert tokens.get(99) == tokens.get(-1) == b""
    assert [tokens.is_name(i) for i in (0, 2, 4, 5, 6, 7)] == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b"a=-5", [b"a", b"=", b"-", b"5"]),
        (b"2*-+5", [b"2", b"*", b"-", b"+", b"5"]),
        (b"+-5", [b"+", b"-", b"5"]),
        (b"a=-*5", [b"a", b"=-*", b"5"]),
        (b"a@-5", [b"a", b"@-", b"5"]),
        (b"a=-@-5", [b"a", b"=-@-", b"5"]),
        (b"a=--=\n-5", [b"a", b"=", b"-", b"5"]),
        (b"a*/* = */-5", [b"a", b"*", b"-", b"5"]),
        (b"a->>b", [b"a", b"->>", b"b"]),
    ],
)
def test_operators_end_before_signs_and_comments(text: bytes, tokens: list[bytes]) -> None:
    """scan.l: PostgreSQL 15 and 18 read 2*-+5 as -10, and say that there is no operator =-* or @-."""
    cut = Tokens(text)
    assert [cut.get(i) for i in range(len(cut.starts))] == tokens


@pytest.mark.parametrize("text", [b"( [ ]", b"(", b"/* x"])
def test_brackets_and_comments_that_do_not_close(text: bytes) -> None:
    with pytest.raises(Unclear):
        Tokens(text).closing(0)


def test_name_end() -> None:
    tokens = Tokens(b'into "a" . b as x')
    assert tokens.get(name_end(tokens, 5)) == b"b"
    with pytest.raises(Unclear):
        name_end(tokens, 1)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("(a)::varchar(3) b", "(a) b"),
        ("cast((a) as pg_catalog.text[]) b", "((a) ) b"),
        ("a :: date", "a "),
    ],
)
def test_what_makes_a_cast(text: str, kept: str) -> None:
    target = next(node for node in walk(parse(f"select {text}".encode())[0].node) if node.kind == "TypeCast")
    tokens = Tokens(f"select {text}".encode())
    left = tokens.text
    for start, end in reversed(cast_marks(tokens, target)):
        left = left[:start] + left[end:]
    assert left.decode() == f"select {kept}"


@pytest.mark.parametrize(
    ("text", "cast", "type_name"),
    [(b"date 'a'", -1, 0), (b"a = b", 2, 4), (b"cast(a b)", 0, 7), (b"cast(a as b c)", 0, 10), (b"x", 0, None)],
)
def test_what_is_no_cast_that_can_fall_away(text: bytes, cast: int, type_name: int | None) -> None:
    fields: dict[str, Json] = {"location": cast}
    if type_name is not None:
        fields["typeName"] = {"location": type_name}
    with pytest.raises(Unclear):
        cast_marks(Tokens(text), Node("TypeCast", fields))


def test_type_end_of_no_type() -> None:
    with pytest.raises(Unclear):
        type_end(Tokens(b"1"), 0)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("x a.b", "b"),
        ('x a . "B".c d', "c"),
        ('x u&"a" y', 'u&"a"'),
        ("x U&\"a\" uescape '!' y", "'!'"),
        ("x U&\"a\" UESCAPE '!' . U&\"b\" UESCAPE '?' y", "'?'"),
        ("x a uescape '!'", "a"),
    ],
)
def test_a_name_ends_behind_its_escape(text: str, end: str) -> None:
    tokens = Tokens(text.encode())
    assert tokens.get(name_end(tokens, 2)).decode() == end.lower()


def test_quoted_name() -> None:
    assert [quoted_name(n) for n in ("a_1", "Name", "select", "with", "a b", 'a"b', "id", "é", "1a")] == [
        "a_1", '"Name"', '"select"', '"with"', '"a b"', '"a""b"', "id", '"é"', '"1a"',
    ]  # fmt: skip
