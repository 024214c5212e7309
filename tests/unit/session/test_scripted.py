"""Scripted transcripts on the pure session, in three cuttings, answers at once and at the last legal moment."""

from pathlib import Path

import pytest

from tests.kit.playbook import CUTTINGS, Answerer, Cutting, Playbook, nothing_protected
from tests.kit.transcript import Transcript, load

HERE = Path(__file__).parents[2] / "transcripts"
SCRIPTED = sorted(HERE.glob("session/*.wire"))


def answerer(transcript: Transcript) -> Answerer:
    policy = transcript.header("policy")
    if not policy:
        return nothing_protected
    from tests.kit import scene

    return scene.answerer(HERE / "scenes" / f"{policy[0].removesuffix('.yaml')}.yaml")


@pytest.mark.parametrize("delay", [False, True], ids=["at once", "delayed"])
@pytest.mark.parametrize("how", CUTTINGS)
@pytest.mark.parametrize("path", SCRIPTED, ids=lambda path: path.stem)
def test_scripted(path: Path, how: Cutting, delay: bool) -> None:
    transcript = load(path)
    Playbook(transcript, answerer(transcript), how, delay).play()
