"""Every corpus case, and what must hold of each whatever it expects (CONVENTIONS: the free checks)."""

from pathlib import Path

import pytest

from proxy.sql.analyze import analyse
from proxy.sql.plan import Plan
from proxy.sql.shape import offset, pieces, shape
from tests.kit.catalogs import world
from tests.kit.corpus import Case, described, read, unmet
from tests.kit.rewrites import canonical, respelled, spliced, tree, with_other_literals, with_parameters

CASES = [case for path in sorted(Path(__file__).parent.glob("*.sql")) for case in read(path)]
NO_FAULT = [case for case in CASES if not shape(case.text, case.scs).fault]
every_case = pytest.mark.parametrize("case", CASES, ids=[case.label for case in CASES])
every_sound_case = pytest.mark.parametrize("case", NO_FAULT, ids=[case.label for case in NO_FAULT])


def plan_of(case: Case, text: bytes | None = None) -> Plan:
    return analyse(case.text if text is None else text, case.scs, case.search_path, world(case.policy).snapshot)


def meaning(case: Case, plan: Plan) -> dict[str, list[str]]:
    """What of a plan does not depend on how the statement is laid out."""
    return {word: lines for word, lines in described(plan, case).items() if word != "sends"}


@every_case
def test_case(case: Case) -> None:
    difference = unmet(case, plan_of(case))
    if difference:
        pytest.fail(difference, pytrace=False)


@every_case
def test_nothing_lost_in_the_shape(case: Case) -> None:
    assert b"".join(pieces(case.text, shape(case.text, case.scs))) == case.text


@every_case
def test_edits_lie_in_order_inside_the_text(case: Case) -> None:
    plan, cut = plan_of(case), shape(case.text, case.scs)
    at = 0
    for edit in plan.edits:
        start, end = offset(cut, edit.start), offset(cut, edit.end)
        assert at <= start <= end <= len(case.text)
        assert edit.input is None or edit.text == b""
        at = end
    edited = [edit.input for edit in plan.edits if edit.input is not None]
    assert sorted(edited) == [i for i, value in enumerate(plan.inputs) if value.literal is not None]


@every_sound_case
def test_other_literals_have_the_same_plan(case: Case) -> None:
    plan = plan_of(case)
    other = with_other_literals(case.text, case.scs, plan.pinned)
    assert shape(other, case.scs).key == shape(case.text, case.scs).key
    if plan.refusal is None:
        assert plan_of(case, other) == plan
    else:
        assert meaning(case, plan_of(case, other)) == meaning(case, plan)


@every_sound_case
def test_layout_and_case_do_not_matter(case: Case) -> None:
    plan, other = plan_of(case), respelled(case.text, case.scs)
    assert canonical(other, case.scs) == canonical(case.text, case.scs)
    again = plan_of(case, other)
    twin = Case(case.path, case.line, case.name, case.policy, case.scs, case.search_path, other.decode())
    assert meaning(twin, again) == meaning(case, plan)
    if plan.refusal is None:
        sent, sent_again = spliced(case.text, plan, case.scs), spliced(other, again, case.scs)
        assert canonical(sent_again, case.scs) == canonical(sent, case.scs)


@every_sound_case
def test_what_is_sent_parses_to_the_same_tree(case: Case) -> None:
    plan = plan_of(case)
    if plan.refusal is not None:
        return
    sent, before = tree(spliced(case.text, plan, case.scs), case.scs), tree(case.text, case.scs)
    cut = shape(case.text, case.scs)
    if all(e.input is not None and offset(cut, e.start) in cut.starts and e.end[1] == 0 for e in plan.edits):
        assert sent == before
    assert len(sent) == len(before)


@every_sound_case
def test_values_as_parameters_have_the_same_inputs(case: Case) -> None:
    plan = plan_of(case)
    if plan.refusal is not None or plan.params is not None or not plan.inputs or len(plan.statements) > 1:
        return
    if plan.statements[0].prepared is not None:
        return  # its parameters are those of EXECUTE
    other = with_parameters(case.text, plan, case.scs)
    if other is None:
        return
    again = plan_of(case, other)
    assert again.refusal is None, again.refusal
    assert [(v.column, v.use, v.array, v.param) for v in again.inputs] == [
        (v.column, v.use, v.array, number) for number, v in enumerate(plan.inputs, 1)
    ]
    assert again.statements == plan.statements


@every_sound_case
def test_a_select_in_a_cte_has_the_same_outputs(case: Case) -> None:
    plan = plan_of(case)
    if plan.refusal is not None or [s.tag for s in plan.statements] != ["select"] or plan.statements[0].effects:
        return
    inner = case.text.decode().rstrip(" \n;")
    again = plan_of(case, f"WITH pgv_outer AS ({inner}\n) SELECT * FROM pgv_outer".encode())
    assert again.refusal is None, again.refusal
    assert again.statements == plan.statements
    assert again.inputs == plan.inputs
