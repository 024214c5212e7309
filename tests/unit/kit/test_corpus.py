"""The reader of corpus files says where a file is wrong, and the words of a plan are those of a case."""

from pathlib import Path

import pytest

from proxy.errors import Refusal
from proxy.sql.plan import Edit, Input, Output, ParamUse, Plan, SessionEffect, StatementPlan
from proxy.sql.relations import ProtectedColumn
from proxy.wire.types import TypeSpec
from tests.kit.catalogs import build, column_type
from tests.kit.corpus import BadCorpus, described, parse, read, unmet
from tests.kit.rewrites import canonical, respelled, spliced, tree, with_other_literals, with_parameters

TEXT = TypeSpec("text", 25, -1)
EMAIL = ProtectedColumn("public", "customers", "email", "email", True, TEXT, TEXT, 16384, 2)
GOOD = """\
-- policy: shop
-- Words about the file.

-- case: first
SELECT 'a'
  -- a comment of the statement
  FROM t;
-- sends
SELECT ‹email a›
  -- a comment of the statement
  FROM t;
-- out: 1=email

-- case: second
-- scs: off
-- search_path: sales, public
-- policy: other
SELECT 1
-- forwards

-- case: third
-- search_path: unknown
SELECT 1
-- sends: same
-- effects: set search_path
"""
FIRST = Plan(
    statements=(StatementPlan("select", outputs=(Output(EMAIL),)),),
    inputs=(Input(EMAIL, "search", literal=0),),
    edits=(Edit((1, 0), (2, 0), input=0),),
)


def test_cases_are_read() -> None:
    first, second, third = parse(GOOD, "x.sql")
    assert first.text == b"SELECT 'a'\n  -- a comment of the statement\n  FROM t;"
    assert (first.label, first.policy, first.scs, first.search_path) == ("x:4 first", "shop", True, ("public",))
    assert first.expected == {
        "sends": ["SELECT ‹email a›\n  -- a comment of the statement\n  FROM t;"],
        "out": ["1=email"],
    }
    assert (second.policy, second.scs, second.search_path, second.outcome) == (
        "other",
        False,
        ("sales", "public"),
        "forwards",
    )
    assert third.search_path is None
    assert third.expected == {"sends": ["SELECT 1"], "effects": ["set search_path"]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT 1", 1),
        ("-- case: a\n-- policy: p\nSELECT 1", 1),
        ("-- case: a\nSELECT 1\n-- forwards", 1),
        ("-- policy: p\n-- case: a\n-- forwards", 3),
        ("-- policy: p\n-- case: a\nSELECT 1\n-- scs: off", 4),
        ("-- policy: p\n-- case: a\nSELECT 1\n-- out: 1=x", 4),
        ("-- policy: p\n-- case: a\nSELECT 1\n-- forwards\n-- refused: syntax", 5),
        ("-- policy: p\n-- case: a\nSELECT 1\n-- forwards\nSELECT 2", 5),
        ("-- case:\n", 1),
    ],
)
def test_faults_have_a_line(text: str, line: int) -> None:
    with pytest.raises(BadCorpus, match=f"^x.sql:{line}: "):
        parse(text, "x.sql")


def test_names_are_unique() -> None:
    with pytest.raises(BadCorpus, match="twice"):
        parse("-- policy: p\n" + "-- case: a\nSELECT 1\n-- forwards\n" * 2, "x.sql")


def test_all_files_can_be_read() -> None:
    for path in (Path(__file__).parents[2] / "corpus").glob("*.sql"):
        assert read(path)


def test_a_plan_in_the_words_of_a_case() -> None:
    case = parse(GOOD, "x.sql")[0]
    assert unmet(case, FIRST) == ""
    assert described(FIRST, case)["in"] == ["email search"]
    assert "‹email a›" in unmet(case, Plan()) and "(none)" in unmet(case, Plan())
    refused = Plan(refusal=Refusal("order-by-protected", "no", column="public.customers.email"))
    assert "order-by-protected public.customers.email" in unmet(case, refused)
    assert described(Plan(), case) == {"forwards": [""]}


def test_parameters_effects_and_pins() -> None:
    case = parse(GOOD, "x.sql")[0]
    varchar = TypeSpec("varchar", 1043, -1, 24)
    plan = Plan(
        statements=(StatementPlan("set", effects=(SessionEffect("set", "search_path"), SessionEffect("ddl"))),),
        inputs=(Input(EMAIL, "write", param=1, casts=(varchar,)), Input(EMAIL, "search", param=2, array=True)),
        pinned=(0,),
        barrier=True,
    )
    said = described(plan, case)
    assert said["params"] == ["1=email write ::varchar(20), 2=email search[]"]
    assert (said["effects"], said["pinned"], said["barrier"]) == (["set search_path, ddl"], ["0"], [""])
    renumbered = Plan(inputs=plan.inputs, params=(ParamUse(1, 0), ParamUse(2), ParamUse(2, 1)))
    assert described(renumbered, case)["params"] == ["1=email write ::varchar(20), 3=$2 email search[]"]


def test_catalog_columns() -> None:
    catalog = build({"relations": {"a.t": ["id int4 not null", "-", "\"E-Mail\" varchar(50) default 'x'"]}})
    columns = catalog.relations[0].columns
    assert [(c.name, c.attnum, c.not_null, c.default) for c in columns] == [
        ("id", 1, True, None),
        ("E-Mail", 3, False, "'x'"),
    ]
    assert column_type("varchar(50)") == (1043, "character varying(50)", 54)
    assert column_type("numeric(10,2)") == (1700, "numeric(10,2)", (10 << 16 | 2) + 4)
    with pytest.raises(ValueError, match="no type"):
        column_type("frob")


def test_rewrites_keep_the_meaning() -> None:
    text = b"SELECT \"A\", 'x' FROM t -- c\nWHERE a IN (1, $$y$$)"
    other = respelled(text)
    assert other != text and b"select" in other and b'"A"' in other and b"'x'" in other
    assert canonical(other) == canonical(text)
    assert tree(other) == tree(text)
    changed = with_other_literals(text, True, (0,))
    assert b"'x'" in changed and b"$$y$$" not in changed and b"(1," not in changed
    assert tree(changed) == tree(text)


def test_splicing() -> None:
    text = b"SELECT 'a' FROM t"
    assert tree(spliced(text, FIRST, True)) == tree(text)
    assert with_parameters(text, FIRST, True) == b"SELECT  $1  FROM t"
    assert with_parameters(text, Plan(inputs=(Input(EMAIL, "write", param=1),)), True) is None
