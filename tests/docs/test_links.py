"""What documents name exists: pages, anchors, files, commands, options, settings, policies."""

import argparse
import re
from functools import cache
from pathlib import Path

import pytest

from proxy.cli import _parser
from proxy.observe import METRICS
from proxy.policy.load import load
from tests.docs.pages import PAGES, anchors, blocks, code, links, name, text
from tests.kit.servers import ROOT

every_page = pytest.mark.parametrize("page", PAGES, ids=name)
# Files that documents speak of and that stand nowhere, since their readers make them.
READERS_OWN = ("tests/transcripts/plain/my-case.wire",)


@every_page
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        goal = (page.parent / path) if path else page
        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal), target


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    for path in re.findall(r"(?<![\w/.*])(?:proxy|tests|docs|benchmarks|policies)/[\w/.-]*\w", code(page)):
        assert path in READERS_OWN or (ROOT / path).exists() or path == "policies/shop.yaml", path


def test_every_document_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    missing = [
        name(page)
        for page in PAGES
        if page != index and not any(page == each or each in page.parents for each in listed)
    ]
    assert missing == ["benchmarks/README.md"]  # for those who change it: CONTRIBUTING names it


# ---- commands


@cache
def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command and action, by its words: 'audit tail'."""
    found: dict[str, argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> None:
        inner = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
        if not inner:
            found[" ".join(words)] = parser
        for group in inner:
            for word, child in group.choices.items():
                walk(child, (*words, word))

    walk(_parser(), ())
    return found


def invocations(page: Path) -> list[list[str]]:
    """The words behind `pgveil` on each line of code that runs it."""
    return [
        line.split()
        for line in re.findall(r"(?:^|(?<=/)|(?<=> ))pgveil ([a-z].*)$", code(page), re.MULTILINE)
        if not line.startswith(("exit ",))
    ]


@every_page
def test_commands_and_options_exist(page: Path) -> None:
    groups = {command.split()[0] for command in commands() if " " in command}
    for words in invocations(page):
        if words[0] in groups and len(words) == 1:
            continue  # `pgveil keys`: the group as a whole
        wanted = " ".join(words[: 2 if words[0] in groups else 1])
        assert wanted in commands(), f"pgveil {' '.join(words)}"
        assert commands()[wanted].get_default("later") is None, f"pgveil {wanted} is not in this version"
        known = set(commands()[wanted]._option_string_actions)
        for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", " ".join(words[1:]).partition(" $(")[0]):
            assert option in known, f"pgveil {' '.join(words)}: {option}"


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", code(page), re.MULTILINE)) <= targets


# ---- settings, metrics, policies


def settings() -> set[str]:
    page = text(ROOT / "docs" / "reference" / "configuration.md")
    return set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE))


@every_page
def test_settings_exist(page: Path) -> None:
    groups = {each.split(".")[0] for each in settings() if "." in each}
    named = set(re.findall(rf"(?<![\w./-])(?:{'|'.join(sorted(groups))})\.[a-z_]+(?:\.[a-z_]+)?(?![\w(/])", code(page)))
    whole = {each for each in named if not any(known.startswith(each + ".") for known in settings())}
    files = {each for each in whole if re.search(r"\.(md|py|log|yaml)$", each)}
    assert whole - files <= settings()


@every_page
def test_metrics_exist(page: Path) -> None:
    known = {metric.full_name for metric in METRICS}
    named = set(re.findall(r"\bpgveil_[a-z_]+\b", code(page)))
    assert {each for each in named if not each.startswith(("pgveil_process_", "pgveil_catalog"))} <= known
    assert {each for each in named if each.startswith("pgveil_catalog")} <= known


@every_page
def test_policies_are_sound(page: Path) -> None:
    for number, (language, content) in enumerate(blocks(page)):
        if language == "yaml" and re.search(r"^version: ", content, re.MULTILINE):
            load(((f"{name(page)}, block {number}", content),))
