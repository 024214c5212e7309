"""PREPARE of statements on protected tables, and the arguments of EXECUTE. What is sent is in the corpus."""

import pytest

from proxy.errors import Refusal
from proxy.sql.plan import Execution, PreparedPlan
from proxy.sql.prepare import bound_to
from tests.kit.plans import planned, sent


def prepared(text: str) -> PreparedPlan:
    plan = planned(text)
    found = plan.statements[0].prepared
    assert found is not None and plan.refusal is None and plan.params is None and plan.param_count == 0
    return found


def execution(text: str) -> Execution | None:
    plan = planned(text)
    assert plan.refusal is None
    return plan.statements[-1].execution


def test_what_execute_has_to_know() -> None:
    found = prepared("prepare p(int, text) as update customers set email = $2 where id = $1 returning email, id")
    assert (found.touches, found.tag, found.tables, found.reads) == (True, "update", ("public.customers",), False)
    assert [(place.param, place.use) for place in found.inputs] == [(2, "write")]
    assert [column.name for column in found.written] == ["email"]
    assert found.outputs is not None and [output is not None for output in found.outputs] == [True, False]
    assert prepared("prepare p as select id from customers").reads


def test_literals_alone_stay_in_the_plan() -> None:
    plan = planned(
        "prepare p as insert into customers(email, full_name, note) values ($1, 'Ann', 'x'), ('a@x', $2, $3)"
    )
    assert [(place.literal, place.column.name) for place in plan.inputs] == [(0, "full_name"), (2, "email")]
    assert [edit.input for edit in plan.edits] == [0, 1]


def test_of_what_touches_nothing_there_is_no_more_to_know() -> None:
    assert prepared("prepare p as select * from orders where id = $1") == PreparedPlan()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prepare p(unknown) as select id from customers where email = $1", "same"),
        ("prepare p(text) as select id from customers where email = $1 and full_name = $2", "same"),
        ("prepare p(varchar) as select id from customers where email = $1 or email = $1", "same"),
        ("prepare p(text[]) as select id from customers where email = any($1)", "same"),
        ("prepare p(text) as select id from customers where email = any($1)", "unsupported-expression"),
        ("prepare p(box) as select id from customers where email = $1", "unsupported-expression"),
        ("prepare p(text) as select id from customers where born = $1", "unsupported-expression"),
        ("prepare p as select *, email from customers, nosuch", "unsupported-expression"),
        (
            "prepare p(date) as select id from customers where born = $1",
            "prepare p(text) as select id from customers where born = $1",
        ),
        (
            "prepare p(date[]) as delete from customers where born = any($1)",
            "prepare p(text[]) as delete from customers where born = any($1)",
        ),
        ("prepare p as select id from customers where email = $1 or note = $1", "unsupported-statement"),
        ("prepare p as select id from customers where email = 'a@x'", "unsupported-expression"),
        ("prepare p(numeric(10, 2)) as select id from customers where id = $1 and email is null", "same"),
    ],
)
def test_types_of_parameters(text: str, expected: str) -> None:
    assert sent(text) == expected


def test_arguments() -> None:
    assert execution("execute p") == Execution("p")
    assert execution("execute p('a', 1, null, E'b', 'c'::text, -2, $$d$$)") == Execution(
        "p", (0, None, -1, 2, None, None, 5)
    )
    assert execution("explain execute p('a')") == Execution("p", (0,), False)
    assert execution("explain select 1") is None
    assert not planned("execute p('a')").pinned


def test_arguments_in_the_places_of_parameters() -> None:
    found = prepared(
        "prepare p as select id from customers where email = $2 or email = $2 or full_name = $3 or phone = $9"
    )
    inputs, edits = bound_to(found, Execution("p", (None, 4, -1)))
    assert [(place.literal, place.param, place.column.name) for place in inputs] == [
        (4, None, "email"), (4, None, "email"),
    ]  # fmt: skip
    assert [(edit.start, edit.end, edit.input) for edit in edits] == [((9, 0), (10, 0), 0)]
    with pytest.raises(Refusal) as refused:
        bound_to(found, Execution("p", (None, None, -1)))
    assert (refused.value.code, refused.value.column) == ("unsupported-expression", "public.customers.email")
