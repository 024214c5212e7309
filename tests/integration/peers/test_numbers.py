"""Every scenario of the list has a test, or an issue that it waits for."""

import re
from pathlib import Path

from tests.integration import peers

TESTS = Path(__file__).parents[2]
SCENARIOS = set(range(1, 115))
IN_PYTHON = re.compile(r"def test_(?:peer_(?:failure_)?)?((?:\d{2,3}_)+)")
IN_CORPUS = re.compile(r"^-- case: .*\(peer ([\d, ]+)\)$", re.MULTILINE)
IN_TITLE = re.compile(r"^# .*\(peer failures? ([\d, ]+)\)$", re.MULTILINE)
IN_TABLE = re.compile(r"^    [5-9] +((?:\d+ )+)", re.MULTILINE)


def numbers(pattern: "re.Pattern[str]", text: str) -> set[int]:
    return {int(number) for found in pattern.findall(text) for number in re.findall(r"\d+", found)}


def shown() -> set[int]:
    found: set[int] = set()
    for pattern, glob in (
        (IN_PYTHON, "**/test_*.py"),
        (IN_CORPUS, "corpus/*.sql"),
        (IN_TITLE, "transcripts/**/*.wire"),
    ):
        for path in TESTS.glob(glob):
            found |= numbers(pattern, path.read_text())
    return found & SCENARIOS


def test_every_scenario_is_tested_or_waits_for_an_issue() -> None:
    assert peers.__doc__ is not None
    later = numbers(IN_TABLE, peers.__doc__)
    assert sorted(SCENARIOS - shown() - later) == []


def test_what_waits_is_not_tested_already() -> None:
    assert peers.__doc__ is not None
    assert sorted(numbers(IN_TABLE, peers.__doc__) & shown()) == []
