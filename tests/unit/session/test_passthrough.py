"""Where nothing is protected, each side gets the other's bytes: every recorded conversation, in every cutting."""

from pathlib import Path

import pytest

from tests.kit.playbook import CUTTINGS, Cutting, nothing_protected, passthrough
from tests.kit.transcript import load

PLAIN = sorted((Path(__file__).parents[2] / "transcripts" / "plain").glob("*.wire"))
# A server never sees an SSLRequest, or what is no start-up packet: scripted transcripts say what becomes of it.
OURS = ("c> SSLRequest", "c> Raw 5800000004")
THROUGH = [
    path for path in PLAIN if not load(path).header("direct") and not any(mark in path.read_text() for mark in OURS)
]


@pytest.mark.parametrize("version", ["18", "15"])
@pytest.mark.parametrize("how", CUTTINGS)
@pytest.mark.parametrize("path", THROUGH, ids=lambda path: path.stem)
def test_nothing_protected(path: Path, how: Cutting, version: str) -> None:
    passthrough(load(path), version, how, nothing_protected)
