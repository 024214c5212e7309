"""The role of each literal and parameter, and what is sent in its place.

Protected are: customers' email (text), phone (varchar(50)), born (text, shown as date) and street (random tokens),
accounts' balance (text, shown as numeric(10,2)) and code (char(40)).
"""

from collections.abc import Callable

import pytest

from proxy.errors import Refusal
from proxy.sql.analyze import analyse
from proxy.sql.findings import MOST_PARAMETERS, Findings
from proxy.sql.plan import Plan, render
from proxy.sql.referee import Node, parse, walk
from proxy.sql.relations import ProtectedColumn
from proxy.sql.shape import analysis_text, shape
from proxy.sql.spans import Unclear
from proxy.sql.terms import Value
from proxy.wire.types import format_type, parse_type
from tests.kit.catalogs import world

SHOP = world("shop").snapshot
TEXT = parse_type("text")
EMAIL = ProtectedColumn("public", "c", "email", "email", True, TEXT, TEXT, 5, 2)


def plan(text: str) -> Plan:
    return analyse(text.encode(), True, ("public",), SHOP)


def sent(text: str) -> str:
    """What goes to the server, ‹n› for input n; or the refusal and what it is about."""
    found = plan(text)
    if found.refusal is not None:
        return f"{found.refusal.code}: {found.refusal.message.partition('protected: ')[2].partition(' can')[0]}"
    marks = [f"‹{i}›".encode() for i in range(len(found.inputs))]
    return render(found, text.encode(), shape(text.encode(), True), marks).text.decode()


def read(text: bytes) -> tuple[Findings, list[Node]]:
    """Findings on a text of which nothing has been read yet, and its nodes."""
    cut = shape(text, True)
    findings = Findings(text, cut, analysis_text(text, cut), True)
    return findings, [node for statement in parse(findings.analysis.text) for node in walk(statement.node)]


def constants(text: bytes) -> tuple[Findings, list[Node]]:
    """The same, A_Consts by their place."""
    findings, nodes = read(text)
    return findings, sorted((n for n in nodes if n.kind == "A_Const"), key=lambda n: n.location)


# ---- numbers


@pytest.mark.parametrize(
    ("value", "replaced", "negative"),
    [
        ("5", " ‹0›", False),
        ("-5", " ‹0›", True),
        ("- 5.50", " ‹0›", True),
        ("- -5", " ‹0›", False),
        ("-(5)", " ‹0›", True),
        ("-((1e-5))", " ‹0›", True),
        ("(-(-(-5)))", "(‹0›)", True),
        ("-0.0", " ‹0›", False),
        ("(-5)::numeric", " ‹0›", True),
        ("cast(-(5) as numeric(5, 1))", " ‹0›", True),
        ("-/* ( */5", " ‹0›", True),
        ("0x1F", "‹0›", False),
    ],
)
def test_a_number_goes_with_its_sign_and_brackets(value: str, replaced: str, negative: bool) -> None:
    text = f"update accounts set balance={value}"
    assert sent(text).replace("= ", "=") == f"update accounts set balance={replaced.strip()}"
    assert [place.negative for place in plan(text).inputs] == [negative]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("update customers set email = 5", "update customers set email = ‹0›"),
        ("update customers set email = 5::text", "update customers set email = ‹0›"),
        ("select id from customers where email = 5", "unsupported-expression: a number as its value"),
        ("select id from customers where email = 5::text", "select id from customers where email = ‹0›"),
        ("update customers set born = 20000101", "unsupported-expression: a number as its value"),
        ("update accounts set balance = 5::int4", "update accounts set balance = ‹0›"),
        ("update accounts set balance = 5::date", "unsupported-expression: a cast of its value to another type"),
        ("update customers set email = b'1'", "unsupported-expression: a computed value for public.customers.email"),
        ("select id from customers where email = any (5)", "unsupported-expression: a number or bits as its value"),
    ],
)
def test_numbers_for_other_types(text: str, answer: str) -> None:
    """Assigned to a text they are cast, compared with one they are an error (no operator text = integer)."""
    assert sent(text) == answer


# ---- casts


@pytest.mark.parametrize(
    ("value", "casts"),
    [
        ("'a'::text", ["text"]),
        ("'a'::varchar(5)::text", ["character varying(5)", "text"]),
        ("'a'::pg_catalog.text", ["text"]),
        ("'a'::char", ["character(1)"]),
        ("'a'::bpchar", ["bpchar"]),
        ("'a'::\"varchar\"", ["character varying"]),
        ("cast('a' as national character varying(7))", ["character varying(7)"]),
        ("varchar(3) 'a'", ["character varying(3)"]),
    ],
)
def test_casts_go_with_their_value(value: str, casts: list[str]) -> None:
    text = f"update customers set email = {value} where id = 1"
    assert sent(text) == "update customers set email = ‹0› where id = 1"
    assert [format_type(cast) for cast in plan(text).inputs[0].casts] == casts


@pytest.mark.parametrize(
    "type_name",
    ['"char"', "bit", "name", "date", "public.text", "setof text", "text[]", "citext", "interval day", "text(a)",
     "varchar(0)", "other.public.text"],
)  # fmt: skip
def test_casts_that_are_not_followed(type_name: str) -> None:
    answer = sent(f"update customers set email = 'a'::{type_name}")
    assert answer == "unsupported-expression: a cast of its value to another type"


def test_a_cast_of_a_name_falls_away_where_a_token_stands_for_its_value() -> None:
    text = "insert into customers (born) select cast(s . b as date) from (values ('2000-01-01')) s(b)"
    assert sent(text) == "insert into customers (born) select (s . b ) from (values (‹0›)) s(b)"


def test_a_type_is_read_where_its_words_are() -> None:
    assert sent("update customers set email = N'a'") == "unsupported-expression: a cast around its value"
    assert sent("update customers set born = '2000-01-01'::date") == "update customers set born = ‹0›"


def test_a_type_of_a_column_is_no_type_of_a_value() -> None:
    """customers.email%TYPE is for functions' arguments."""
    findings, _ = read(b"select 1")
    name = Node("TypeName", {"names": [{"String": {"sval": "text"}}], "pct_type": True})
    assert findings.type_of(name) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("select 1 from accounts where code = 'a'::text", "unsupported-expression: comparing bpchar with text"),
        ("select 1 from accounts where code = 'a'::char(2)", "select 1 from accounts where code = ‹0›"),
        ("update accounts set code = 'a'::text", "update accounts set code = ‹0›"),
        ("select 1 from customers where phone = 'a'::bpchar", "unsupported-expression: comparing varchar with bpchar"),
        ("select 1 from customers where email = 'a'::bpchar", "select 1 from customers where email = ‹0›"),
    ],
)
def test_text_types_that_disagree_on_trailing_blanks(text: str, answer: str) -> None:
    """On a plaintext table char = text compares as text, varchar = char as char (PostgreSQL 15 and 18)."""
    assert sent(text) == answer


@pytest.mark.parametrize(
    ("value", "casts"),
    [("'{a,b}'", []), ("'{a}'::varchar(3)[]", ["character varying(3)"]), ("'{a}'::text[]", ["text"])],
)
def test_arrays(value: str, casts: list[str]) -> None:
    text = f"select 1 from customers where email = any ({value})"
    assert sent(text) == "select 1 from customers where email = any (‹0›)"
    (place,) = plan(text).inputs
    assert place.array
    assert [format_type(cast) for cast in place.casts] == casts
    assert sent("select 1 from customers where email = any ('a'::text)").startswith("unsupported-expression: a cast")


def test_values_in_a_list_have_one_type() -> None:
    """IN ($1, $2) makes them varchar as the column is, = $1 text (PostgreSQL 15 and 18)."""
    found = plan("select 1 from customers where phone = 'a' and phone in ('b', $1) and phone in ('c')").inputs
    assert [place.listed for place in found] == [False, True, True, False]


# ---- parameters


@pytest.mark.parametrize(
    ("condition", "answer", "params"),
    [
        ("note = $1 and city = $1", "note = $1 and city = $1", None),
        ("email = $1 and email <> $1", "email = $1 and email <> $1", [(1, 0)]),
        ("note = $1 and email = $1", "note = $1 and email = $2", [(1, None), (1, 0)]),
        ("email = $1 and note = $1", "email = $1 and note = $2", [(1, 0), (1, None)]),
        ("email = $01", "email = $1", [(1, 0)]),
        ("email = $3", "email = $3", [(1, None), (2, None), (3, 0)]),
        ("email = $1 and full_name = $1", "email = $1 and full_name = $2", [(1, 0), (1, 1)]),
        ("email = $1 and email = $1::varchar(3)", "email = $1 and email = $2", [(1, 0), (1, 1)]),
        ("email = cast(($2) as text) and id = $1", "email = $2 and id = $1", [(1, None), (2, 0)]),
        ("email = any ($1) and email = $1", "email = any ($1) and email = $2", [(1, 0), (1, 1)]),
    ],
)
def test_a_number_has_one_role(condition: str, answer: str, params: list[tuple[int, int | None]] | None) -> None:
    """A parameter has one type for the server, and its token is not its value."""
    text = f"select 1 from customers where {condition}"
    assert sent(text) == f"select 1 from customers where {answer}"
    found = plan(text).params
    assert (None if found is None else [(use.source, use.input) for use in found]) == params


def test_random_tokens_are_new_at_each_place() -> None:
    text = "update customers set street = $1 where id = 1; update customers set street = $1 where id = 2"
    assert sent(text) == text.replace("$1 where id = 2", "$2 where id = 2")


@pytest.mark.parametrize(("highest", "refused"), [(MOST_PARAMETERS - 1, False), (MOST_PARAMETERS, True)])
def test_numbers_run_out(highest: int, refused: bool) -> None:
    """Bind's count of parameters has 16 bits."""
    found = plan(f"select 1 from customers where email = $1 and note = $1 and city = ${highest}")
    assert (found.refusal is not None and found.refusal.code == "statement-too-large") == refused
    if not refused:
        assert found.params is not None and len(found.params) == MOST_PARAMETERS


# ---- roles


def test_a_place_has_one_role() -> None:
    findings, (first, second) = constants(b"select 'a', 5")
    findings.place(Value(first), EMAIL, "write")
    findings.plain(second)
    findings.plain(second)
    for call in (lambda: findings.plain(first), lambda: findings.place(Value(first), EMAIL, "write")):
        assert _refused(call) == "unsupported-statement"
    assert _refused(lambda: findings.place(Value(second), EMAIL, "write")) == "unsupported-statement"


def test_a_parameters_place_has_one_role() -> None:
    findings, nodes = read(b"select $1, $1")
    first, second = sorted((n for n in nodes if n.kind == "ParamRef"), key=lambda n: n.location)
    findings.place(Value(first), EMAIL, "write")
    findings.plain(second)
    assert _refused(lambda: findings.plain(first)) == "unsupported-statement"
    assert _refused(lambda: findings.place(Value(second), EMAIL, "write")) == "unsupported-statement"


def test_a_literal_without_a_role_is_told() -> None:
    findings, (first, _, third) = constants(b"select 'a', 5, 'c'")
    assert findings.unclassified() == 0
    findings.plain(first)
    findings.pin(third)
    assert findings.unclassified() == 1
    findings.within(0, 999, False)
    assert findings.unclassified() is None
    assert (findings.literals, findings.pinned) == ({0: "plain", 1: "plain", 2: "pinned"}, {2})


def test_all_in_a_stretch_may_be_pinned() -> None:
    findings, _ = read(b"select 'a'; select 'b', 2")
    start = findings.analysis.text.index(b";")
    assert findings.strings_within(start, 999) == [b"b"]
    assert (findings.literals, findings.pinned) == ({1: "pinned", 2: "pinned"}, {1, 2})


def test_what_a_string_says_is_pinned() -> None:
    findings, (text, number, bits) = constants(rb"select E'it\'s', 5, b'01'")
    assert findings.string(text) == "it's"
    assert findings.string(number) is findings.string(bits) is findings.string(Node("ColumnRef", {})) is None
    assert findings.pinned == {0}


@pytest.mark.parametrize(
    ("word", "written", "pinned"),
    [("pgv0", b"it's", {0}), ("pgv1", b"pgv1", set()), ("pgv7", b"pgv7", set()), ("csv", b"csv", set())],
)
def test_a_word_of_the_tree_that_is_a_literal(word: str, written: bytes, pinned: set[int]) -> None:
    """DELIMITER '|' stands in the tree as a string without a place."""
    findings, _ = read(b"select 'it''s', 5")
    assert findings.written(word) == written
    assert findings.pinned == pinned


def test_what_the_grammar_made_up_is_no_literal() -> None:
    """char without a length is char(1)."""
    findings, _ = read(b"select a::char")
    made = Node("A_Const", {"ival": {"ival": 1}, "location": -1})
    assert findings.literal(made) is None
    findings.plain(made)
    findings.pin(made)
    assert (findings.literals, findings.pinned) == ({}, set())
    assert _refused(lambda: findings.place(Value(made), EMAIL, "write")) == "unsupported-expression"


def test_a_tree_of_another_text() -> None:
    text = b"select a -"
    cut = shape(text, True)
    findings = Findings(text, cut, analysis_text(text, cut), True)
    assert findings.literal(Node("A_Const", {"location": 9})) is None
    assert _refused(lambda: findings.plain(Node("ParamRef", {"number": 1, "location": 7}))) == "unsupported-statement"
    with pytest.raises(Unclear):
        findings.uncast(Node("TypeCast", {"location": 7, "typeName": {"location": 8}}))


def test_refusals_of_values_name_the_column_and_no_value() -> None:
    found = plan("update customers set email = 'secret'::citext").refusal
    assert found is not None
    assert found.column == "public.customers.email"
    assert "secret" not in repr(found)


def _refused(call: Callable[[], None]) -> str:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "server", "sources"),
    [
        ("select id from customers where ($1::text is null or email = $1)", "($1 is null or email = $1)", [(1, 0)]),
        ("select id from customers where email = $1 or $1::varchar(9) is not null", "$1 is not null", [(1, 0)]),
        ("select id from customers where ($1::text[] is null or email = any($1))", "($1 is null or", [(1, 0)]),
        ("select id from customers where ($1 is null or note = $1) and email = $1", "note = $2)", [(1, 0), (1, None)]),
    ],
)
def test_a_parameter_that_is_only_asked_for_null_takes_the_token(
    text: str, server: str, sources: list[tuple[int, int | None]]
) -> None:
    made, cut = plan(text), shape(text.encode(), True)
    assert made.params is not None and [(use.source, use.input) for use in made.params] == sources
    assert server in render(made, text.encode(), cut, [b""] * len(made.inputs)).text.decode()


def test_a_parameter_that_is_nowhere_compared_stays_as_it_is() -> None:
    assert plan("select id from customers where $1::text is null").params is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select id from customers where 'a' is null or email is null", "'' is null or"),
        ("select id from customers where 'a'::varchar(3) is null or email is null", "''::varchar(3) is null or"),
        ("select id from customers where cast('a' as text) is null or email is null", "cast('' as text) is null or"),
        ("select id from customers where text 'a' is null or email is null", "text 'a' is null or"),
        ("select id from customers where 'a'::date is null or email is null", "'a'::date is null or"),
        ("select id from customers where 'a'::citext is null or email is null", "'a'::citext is null or"),
        ("select id from customers where 5 is null or email is null", "5 is null or"),
    ],
)
def test_a_literal_that_is_only_asked_for_null_does_not_go(text: str, expected: str) -> None:
    assert expected in sent(text)


@pytest.mark.parametrize(
    ("number", "name"),
    [("5", "int4"), ("-5000000000", "int8"), ("99999999999999999999", "numeric"), ("5.5", "numeric")],
)
def test_the_type_of_a_number(number: str, name: str) -> None:
    findings, nodes = constants(f"select {number}, 'a'".encode())
    found = findings.number_type(nodes[0])
    assert found is not None and found.name == name
    assert findings.number_type(nodes[1]) is findings.number_type(Node("ParamRef", {})) is None


def test_a_cast_falls_away_once() -> None:
    text = (
        "select id from customers c, (values ('a')) v(e) where case v.e::text when email then 1 when 'b' then 2 end = 1"
    )
    expected = "(values (‹0›)) v(e) where case v.e when email then 1 when ‹1› then 2 end = 1"
    assert sent(text) == "select id from customers c, " + expected


def test_a_value_that_is_used_twice() -> None:
    text = "update customers c set email = v.e from (values ('a')) v(e) where c.email = v.e and v.e <> c.email"
    assert [(value.use, value.sought) for value in plan(text).inputs] == [("write", True)]


def test_a_token_says_its_type_where_a_string_would_be_text() -> None:
    array = "select id from accounts where holder in (select unnest('{a}'::uuid[]))"
    assert sent(array) == "select id from accounts where holder in (select unnest(‹0›::uuid[]))"
    array = "select id from customers where email in (select unnest('{a}'::varchar[]))"
    assert sent(array) == "select id from customers where email in (select unnest(‹0›::text[]))"


def test_a_parameter_whose_place_is_not_clear_goes_as_it_is() -> None:
    findings, nodes = read(b"select $1 is null")
    parameter = next(node for node in nodes if node.kind == "ParamRef")
    cast = Node("TypeCast", {"location": 3, "typeName": {"location": 5}})
    findings.asked_for_null(Value(parameter, (cast,)))
    assert findings.nulls == {}


def test_nobody_waits_any_more() -> None:
    cut = shape(b"", True)
    waiting = [False]
    findings = Findings(b"", cut, analysis_text(b"", cut), True, lambda: waiting[0])
    findings.go_on()
    waiting[0] = True
    with pytest.raises(Refusal) as caught:
        findings.go_on()
    assert caught.value.code == "statement-too-large"
