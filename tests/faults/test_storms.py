"""A slice of `tests.faults.storms`: PGVEIL_STORM_RUNS runs a test (20), PGVEIL_STORM_SEED repeats them."""

import os
import random
from typing import Final

import pytest

from tests.faults.storms import staged
from tests.kit.servers import Server

pytestmark = pytest.mark.server

RUNS: Final = int(os.environ.get("PGVEIL_STORM_RUNS", "20"))
SEED: Final = os.environ.get("PGVEIL_STORM_SEED") or str(random.SystemRandom().randrange(10**9))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_in_a_storm_no_hang_no_leak_no_wrong_reply(pg18: Server, part: int) -> None:
    with staged(pg18) as stage:
        for number in range(part * RUNS + 1, (part + 1) * RUNS + 1):
            stage.run(number, SEED)
        assert "whole" in stage.pgveil.command("audit", "verify")
        assert stage.tally.runs == RUNS and stage.tally.frames
