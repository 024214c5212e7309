"""Properties of plans over the corpus: equivalent texts have one plan, and a second reader (sqlglot) sees the same
columns in the results."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, to_node
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import ensure_schema

from proxy.sql.analyze import analyse
from proxy.sql.plan import Plan
from proxy.sql.shape import offset, shape
from tests.kit.catalogs import World, world
from tests.kit.corpus import Case, read

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
CASES = [case for path in sorted(CORPUS.glob("*.sql")) for case in read(path) if not shape(case.text, case.scs).fault]


def plan_of(case: Case, text: bytes) -> Plan:
    return analyse(text, case.scs, case.search_path, world(case.policy).snapshot)


BLANKS = st.sampled_from([b" ", b"\n", b"\t ", b" /* x */ ", b" /* a /* b */ */ ", b" -- y\n", b"/**/"])


def joints(case: Case) -> list[int]:
    """Offsets of single blanks outside literals, quotes and comments, where any white space may stand."""
    cut, text = shape(case.text, case.scs), case.text
    if any(mark in text for mark in (b'"', b"--", b"/*")):
        return []
    inside = [range(s, e) for s, e in zip(cut.starts, cut.ends, strict=True)]
    return [i for i, byte in enumerate(text) if byte == 32 and not any(i in r for r in inside)]


@given(st.sampled_from([case for case in CASES if joints(case)]), st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_white_space_and_comments_do_not_matter(case: Case, data: st.DataObject) -> None:
    """Inputs, outputs, effects and refusals stay; edits stay at the same words."""
    text = case.text
    for at in sorted(data.draw(st.sets(st.sampled_from(joints(case)), max_size=4)), reverse=True):
        text = text[:at] + data.draw(BLANKS) + text[at + 1 :]
    before, after = plan_of(case, case.text), plan_of(case, text)
    assert (after.statements, after.inputs, after.params, after.pinned) == (
        before.statements,
        before.inputs,
        before.params,
        before.pinned,
    )
    assert (after.refusal and after.refusal.code) == (before.refusal and before.refusal.code)
    assert [edit.input for edit in after.edits] == [edit.input for edit in before.edits]


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_any_piece_of_a_statement_has_an_answer(case: Case, data: st.DataObject) -> None:
    """Cut, doubled, glued to another: a plan or a refusal, and every literal of a plan with inputs has a role."""
    other = data.draw(st.sampled_from(CASES)).text
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(case.text))] * 2)))
    text = data.draw(
        st.sampled_from(
            [
                case.text[:start],
                case.text[start:],
                case.text[:start] + case.text[end:],
                case.text[:end] + case.text[start:],
                case.text + b" " + other,
                case.text.rstrip(b"; \n") + b";" + other,
            ]
        )
    )
    plan = plan_of(case, text)
    if plan.refusal is not None:
        assert plan.refusal.message
        assert "can't be read (" not in plan.refusal.message
        return
    cut = shape(text, case.scs)
    spans = [(offset(cut, edit.start), offset(cut, edit.end)) for edit in plan.edits]
    assert spans == sorted(spans)
    assert all(0 <= a <= b <= len(text) for a, b in spans)


# ---- a second reader -----------------------------------------------------------------------------------------------


def schema_of(found: World) -> dict[str, dict[str, dict[str, str]]]:
    """The catalog in sqlglot's words; only `public`, which its cases are about."""
    tables = {
        relation.name: {column.name: "text" for column in relation.columns}
        for relation in found.catalog.relations
        if relation.schema == "public"
    }
    return {"public": tables}


def views_of(found: World) -> dict[str, exp.Expression]:
    return {
        relation.name: parse_one(relation.definition, dialect="postgres")
        for relation in found.catalog.relations
        if relation.schema == "public" and relation.definition
    }


def leaves(node: Node) -> tuple[set[tuple[str, str]], bool]:
    """(table, column) of all that a result column is made of, and whether nothing is done to it on the way."""
    found: set[tuple[str, str]] = set()
    pure = True
    for inner in node.walk():
        expression = inner.expression.unalias()
        if isinstance(inner.source, exp.Table) and not inner.downstream:
            found.add((inner.source.name, inner.name.rpartition(".")[2].strip('"')))
        elif not isinstance(expression, exp.Column | exp.Paren | exp.SetOperation | exp.Select | exp.Subquery):
            pure = False
    return found, pure


def known(found: World, table: str, column: str) -> bool:
    relation = found.snapshot.relations.get(("public", table))
    return relation is not None and any(c.name == column for c in relation.columns)


def selects() -> list[Case]:
    return [
        case
        for case in CASES
        if case.policy == "shop"
        and case.search_path == ("public",)
        and (plan := plan_of(case, case.text)).refusal is None
        and [s.tag for s in plan.statements] == ["select"]
        and plan.statements[0].outputs is not None
        and "LATERAL" not in case.statement  # sqlglot takes its columns for those of the table before it
    ]


@pytest.mark.parametrize("case", selects(), ids=lambda case: case.label)
def test_outputs_are_those_a_second_reader_sees(case: Case) -> None:
    found = world(case.policy)
    schema = ensure_schema(schema_of(found), dialect="postgres")
    try:
        tree = exp.expand(parse_one(case.statement, dialect="postgres"), views_of(found), dialect="postgres")
        tree = qualify(tree, schema=schema, db="public", dialect="postgres")
        scope = build_scope(tree)
    except SqlglotError:
        pytest.skip("sqlglot does not read it")
    outputs = plan_of(case, case.text).statements[0].outputs
    assert outputs is not None
    assert scope is not None
    if len(scope.expression.selects) != len(outputs):
        pytest.skip("sqlglot does not count its columns")
    for i, output in enumerate(outputs):
        try:
            sources, pure = leaves(to_node(i, scope, "postgres", schema))
        except (SqlglotError, ValueError, KeyError):
            pytest.skip("sqlglot does not follow it")
        if not all(known(found, *source) for source in sources):
            pytest.skip("sqlglot does not know columns renamed by an alias, and takes WITH … INSERT for a table")
        classes = {
            table[name].class_name
            for source, name in sources
            if (table := found.snapshot.protected_tables.get(("public", source))) is not None and name in table
        }
        if output is not None:
            assert output.column.class_name in classes, f"column {i + 1}: {sources}"
        elif pure:
            assert not classes, f"column {i + 1}: {sources}"
