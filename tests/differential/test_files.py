"""Every statement of the case files, on a plaintext database and through pgveil: equal, or refused where the file says
so; never wrong. Then both databases hold the same, and protected columns tokens only."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.differential import casefile
from tests.differential.casefile import Case, CaseFile
from tests.differential.stage import Stage
from tests.kit.differ import WAYS, Pair, Step, Way

pytestmark = pytest.mark.server

Record = Callable[[str, object], None]
FILES = casefile.files()


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_equal_or_refused(shop: Stage, path: Path, record_property: Record) -> None:
    play_all(shop, casefile.read(path), record_property)


SCRIPTS = [path for path in FILES if casefile.read(path).script]


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_scripts_on_15(shop15: Stage, path: Path, record_property: Record) -> None:
    play_all(shop15, casefile.read(path), record_property)


def play_all(stage: Stage, file: CaseFile, record_property: Record) -> None:
    steps, faults = scripts(stage, file) if file.script else each(stage, file)
    counts = Counter(step.verdict for _, step in steps)
    record_property("counted", f"equal {counts['equal']} refused {counts['refused']} wrong {counts['wrong']}")
    bad = [f"{file.path.name}:{case.line}: {step}" for case, step in steps if not _fine(case, step)]
    assert not bad, "\n\n".join([f"{len(bad)} of {len(steps)}", *bad])
    assert not faults, "\n".join(faults)


def _fine(case: Case, step: Step) -> bool:
    return step.verdict == "equal" or (step.verdict == "refused" and case.may_refuse)


Steps = tuple[list[tuple[Case, Step]], list[str]]


def each(stage: Stage, file: CaseFile) -> Steps:
    """Every statement in every way, undone; then once for good, in the ways by turns."""
    steps = []
    with stage.databases() as names:
        pair = stage.pair(names)
        for number, case in enumerate(file.cases):
            ways = _ways(case)
            steps += [(case, pair.undone(case.sql, case.params, way)) for way in ways]
            steps.append((case, pair.step(case.sql, case.params, ways[number % len(ways)])))
        pair.close()
        return steps, stage.faults(names)


def scripts(stage: Stage, file: CaseFile) -> Steps:
    """The whole file in order, once in each way, each time on databases of its own."""
    steps, faults = [], []
    for way in WAYS:
        with stage.databases() as names:
            pair = stage.pair(names)
            steps += [(case, _scripted(pair, case, way)) for case in file.cases]
            pair.close()
            faults += stage.faults(names)
    return steps, faults


def _scripted(pair: Pair, case: Case, way: Way) -> Step:
    return pair.step(case.sql, case.params, "text" if way == "simple" and case.params else way)


def _ways(case: Case) -> tuple[Way, ...]:
    return WAYS[1:] if case.params else WAYS
