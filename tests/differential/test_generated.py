"""Statements at random, on a plaintext database and through pgveil: equal or refused, never wrong.

PGVEIL_DIFF_STATEMENTS is how many, PGVEIL_DIFF_SEED which; a failure prints the seed and the statements.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from tests.differential.generate import Generator
from tests.differential.stage import Stage
from tests.differential.wider import Wider
from tests.kit.differ import WAYS, Pair, Step

pytestmark = pytest.mark.server

STATEMENTS: Final = int(os.environ.get("PGVEIL_DIFF_STATEMENTS", "1500"))
SEED: Final = os.environ.get("PGVEIL_DIFF_SEED")
SHOWN: Final = 10
BROKEN: Final = frozenset(("23502", "23505"))
UNTYPED: Final = frozenset(("42883", "42804", "26000"))


@pytest.mark.parametrize("grammar", [Generator, Wider])
def test_equal_or_refused(
    shop: Stage, grammar: type[Generator] | type[Wider], record_property: Callable[[str, object], None]
) -> None:
    seed = int(SEED) if SEED else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    with shop.databases() as names:
        pair = shop.pair(names)
        steps = _run(pair, grammar(seed), seed)
        pair.close()
        faults = shop.faults(names)
    counts = Counter(step.verdict for step in steps)
    told = f"equal {counts['equal']} refused {counts['refused']} wrong {counts['wrong']}"
    record_property("counted", f"seed {seed}: {told}")
    wrong = [str(step) for step in steps if step.verdict == "wrong"]
    assert not wrong, "\n\n".join([f"seed {seed}: {len(wrong)} wrong", *wrong[:SHOWN]])
    assert not faults, "\n".join([f"seed {seed}", *faults])
    assert counts["equal"] > STATEMENTS // 2


def _run(pair: Pair, generator: Generator | Wider, seed: int) -> list[Step]:
    choice = random.Random(seed)
    steps = []
    for _ in range(STATEMENTS):
        made = generator.next()
        way = choice.choice(WAYS[1:] if made.params else WAYS)
        steps.append(pair.step(made.sql, made.params, way))
    return [replace(step, verdict="equal") if _lax(step) else step for step in steps]


def _lax(step: Step) -> bool:
    """What is no answer on one side at least, and may be told in another way or order: which of several rows is met
    first that breaks a constraint, which of several types does not fit, and what follows of a PREPARE that failed."""
    codes = {found[-1].sqlstate for found in (step.direct, step.through) if found}
    return (len(codes) == 1 and codes <= BROKEN) or not codes.isdisjoint(UNTYPED)
