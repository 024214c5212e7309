import pytest

from proxy.errors import Refusal
from proxy.sql.referee import MAX_CHAIN, Node, parse, walk, without_comments, wrapped


def refusal(text: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(text)
    return caught.value


def test_statements_and_where_they_stand() -> None:
    text = b"select 1; /* c */ update t set a = 2 ;"
    first, second = parse(text)
    assert (first.node.kind, text[first.start : first.end]) == ("SelectStmt", b"select 1")
    assert (second.node.kind, text[second.start : second.end].strip()) == ("UpdateStmt", b"update t set a = 2")
    assert parse(b" -- nothing") == []


def test_fields() -> None:
    (statement,) = parse(b"insert into a.b (c, d) values ($2, 'pgv0')")
    node = statement.node
    relation = node.part("relation", "RangeVar")
    assert relation is not None
    assert (relation.text("schemaname"), relation.text("relname"), relation.flag("inh")) == ("a", "b", True)
    assert [column.text("name") for column in node.nodes("cols")] == ["c", "d"]
    select = node.node("selectStmt")
    assert select is not None
    assert select.node("whereClause") is None
    assert select.nodes("whereClause") == []
    assert select.part("whereClause", "x") is None
    assert select.strings("targetList") == []
    parameter = next(n for n in walk(node) if n.kind == "ParamRef")
    assert (parameter.number("number"), parameter.location) == (2, 31)
    assert repr(parameter) == "Node(ParamRef)"


def test_wrapped_is_one_kind_with_fields() -> None:
    found = wrapped({"String": {"sval": "x"}})
    assert found is not None
    assert found.text("sval") == "x"
    for value in ({}, {"a": {}, "b": {}}, {"a": 1}, None, [], "x"):
        assert wrapped(value) is None


def test_walk_finds_all() -> None:
    (statement,) = parse(b"select a from b where c in (select d from e)")
    assert sorted(n.text("relname") for n in walk(statement.node) if "relname" in n.fields) == ["b", "e"]
    assert [n.kind for n in walk(Node("Empty", {}))] == ["Empty"]
    nested = Node("Nested", {"a": [[{"RangeVar": {"relname": "x"}}, 1]], "b": None})
    assert [n.kind for n in walk(nested)] == ["Nested", "RangeVar"]


def test_syntax_errors_are_the_grammars_own() -> None:
    found = refusal(b"select from where")
    assert (found.code, found.sqlstate) == ("syntax", "42601")
    assert found.message == 'syntax error at or near "where"'
    assert found.position == 13
    assert refusal(b"select 1 +").message == "syntax error at end of input"


def test_positions_are_characters() -> None:
    assert refusal('select "é" from where'.encode()).position == 17


def test_an_error_never_quotes_a_placeholder() -> None:
    assert refusal(b"select 1 'pgv0'").message == "syntax error at or near a literal"


def test_nul() -> None:
    assert refusal(b"select 1\0").code == "syntax"


@pytest.mark.parametrize(
    "link",
    [b"+1", b"::int", b"[1]", b" union select 1", b"<<1", b" >> 1", b"==1", b"<=>1", b" operator(pg_catalog.=) 1"],
)
def test_chains_that_would_run_the_c_stack_over(link: bytes) -> None:
    assert refusal(b"select 1" + link * 2 * MAX_CHAIN).code == "statement-too-large"


def test_too_deep_a_tree_is_a_recursion_error() -> None:
    with pytest.raises(RecursionError):
        parse(b"select 1" + b"+1" * 5000)


@pytest.mark.parametrize("condition", [b"a = 1", b"a <= 1", b"a <> 1", b"a=>1", b"a < 1"])
def test_many_comparisons_are_no_chain(condition: bytes) -> None:
    """f(a => 1) is no operator."""
    assert len(parse(b"select f(" + condition + b")" + (b", f(" + condition + b")") * 2 * MAX_CHAIN)) == 1


def test_a_long_flat_list_is_fine() -> None:
    assert len(parse(b"select 1 in (" + b"2," * 20000 + b"3)")) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"select 1 where a not /* x */ in (1)",
        b"select 1 where a not -- x\n between 1 and 2",
        b"select a from b order by a nulls /* x /* y */ */ first",
        b"with /**/ time as (select 1) select 1",
    ],
)
def test_comments_behind_words_that_look_ahead(text: bytes) -> None:
    assert len(parse(text)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a--b\nc", b"a   \nc"),
        (b"a/* /* */ */b", b"a           b"),
        (b"'--' \"/*\" $$--$$ U&\"--\" x'' -- y", b"'--' \"/*\" $$--$$ U&\"--\" x''     "),
        (b"a +--b", b"a +   "),
        (b"a */* b */ c", b"a *        c"),
        (b"a - - b / c", b"a - - b / c"),
        (b"a /* b", b"a     "),
    ],
)
def test_without_comments(text: bytes, expected: bytes) -> None:
    assert without_comments(text) == expected
