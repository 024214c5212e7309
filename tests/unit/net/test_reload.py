"""Policy files that change under a running process."""

import os
from pathlib import Path

import pytest

from proxy.config import Settings, read
from proxy.documents import Faults
from proxy.net.reload import PolicyFiles, read_policy
from proxy.observe import REGISTRY
from proxy.policy.rules import Policy
from tests.unit.session.driver import POLICY

MORE = POLICY.replace("    ref: free\n", "    ref: free\n    note: free\n")
BAD = POLICY.replace("kind: email", "kind: mail")


def settings(base: Path, *patterns: str) -> Settings:
    listed = "".join(f"\n  - '{each}'" for each in patterns or ("*.yaml",))
    text = f"upstream: a:1\ncatalog: postgresql://a/b\nvault: sqlite:////v\nkeys: env:K\npolicies:{listed}\n"
    return read(text, str(base / "pgveil.conf"), {})


class Files:
    """A policy file and who reads it again."""

    def __init__(self, base: Path, text: str = POLICY) -> None:
        self.path = base / "p.yaml"
        self.path.write_text(text)
        self.taken: list[Policy] = []
        self.memory: dict[str, str] = {}
        of = settings(base)
        self.files = PolicyFiles(of, *read_policy(of), self.taken.append, self.memory.get)

    def write(self, text: str) -> "Files":
        self.path.write_text(text)
        return self

    def look(self, times: int = 1) -> "Files":
        for _ in range(times):
            self.files.look()
        return self

    @property
    def faults(self) -> str:
        return "\n".join(self.files.faults)


def reloads(outcome: str) -> float:
    return REGISTRY.get_sample_value("pgveil_policy_reloads_total", {"outcome": outcome}) or 0.0


def test_a_change_is_taken_when_it_stands_still(tmp_path: Path) -> None:
    it = Files(tmp_path)
    assert it.look(3).taken == []
    assert it.write(MORE).look().taken == []
    assert len(it.look(3).taken) == 1 and it.files.policy is it.taken[0]


def test_a_half_written_file_is_never_taken(tmp_path: Path) -> None:
    """Half of it is sound and protects half."""
    half = MORE.replace("    name: person\n    born: {class: birthday, type: date}\n", "")
    it = Files(tmp_path).write(half).look().write(MORE).look()
    assert it.taken == [] and len(it.look().taken) == 1
    assert {rule.column for rule in it.taken[0].rules} == {"email", "name", "born", "ref", "note"}


def test_a_hang_up_takes_it_at_once(tmp_path: Path) -> None:
    it = Files(tmp_path).write(MORE)
    it.files.look(True)
    assert len(it.taken) == 1


def test_the_same_policy_again_changes_nothing(tmp_path: Path) -> None:
    it, same = Files(tmp_path), reloads("same")
    it.files.look(True)
    it.write(POLICY + "# a comment\n").look(3)
    assert it.taken == [] and reloads("same") == same + 2


def test_a_bad_policy_keeps_the_one_in_use_and_shouts_once(tmp_path: Path) -> None:
    it, failed = Files(tmp_path), reloads("failed")
    it.write(BAD).look(5)
    assert it.taken == [] and "p.yaml" in it.faults and "mail" in it.faults and reloads("failed") == failed + 1
    it.files.look(True)
    assert reloads("failed") == failed + 1
    it.write(POLICY).look(2)
    assert it.faults == "" and it.taken == []


@pytest.mark.parametrize("nothing", ["", " \n\n"])
def test_an_emptied_file_is_a_fault_not_a_wish(tmp_path: Path, nothing: str) -> None:
    it = Files(tmp_path).write(nothing).look(2)
    assert it.taken == [] and "empty" in it.faults
    it.write("version: 1\n").look(2)
    assert it.faults == "" and [policy.rules for policy in it.taken] == [()]


def test_a_file_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    it = Files(tmp_path)
    it.path.unlink()
    assert "no policy file" in it.look().faults and it.taken == []
    it.write(POLICY).look(2)
    assert it.faults == "" and it.taken == []


def test_a_bad_file_that_vanishes_and_comes_back_is_bad_again(tmp_path: Path) -> None:
    it = Files(tmp_path).write(BAD).look(2)
    it.path.unlink()
    it.look()
    assert "mail" not in it.faults
    assert "mail" in it.write(BAD).look(2).faults


def test_a_file_more(tmp_path: Path) -> None:
    it = Files(tmp_path)
    other = tmp_path / "q.yaml"
    other.write_text("version: 1\nprotect:\n  other.customers: {email: email}\n")
    assert len(it.look(2).taken) == 1 and len(it.taken[0].rules) == 5
    other.write_text("\udce4", errors="surrogateescape")
    assert "UTF-8" in it.look().faults


def test_faults_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Faults, match="mail"):
        Files(tmp_path, BAD)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_policy_is_no_policy_from_the_start(tmp_path: Path, text: str) -> None:
    """It would protect nothing, and values would be stored as they are."""
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(Faults, match="the policy file is empty"):
        read_policy(settings(tmp_path))


def test_a_pipe_is_no_policy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(Faults, match="no regular file"):
        read_policy(settings(tmp_path))


def test_a_class_that_makes_other_tokens_is_a_fault(tmp_path: Path) -> None:
    it = Files(tmp_path)
    it.memory["class email"] = "values as they are"
    wider = POLICY.replace("email: {kind: email}", "email: {kind: email, canonicalize: true}")
    assert it.write(wider).look(3).taken == []
    assert "made from values as they are; now it would be from normal form email.v1" in it.faults
    assert it.write(MORE).look(3).faults == "" and len(it.taken) == 1
