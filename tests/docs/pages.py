"""Our documents as tests see them: files, headings, links, blocks of code, commands."""

import re
from pathlib import Path

from tests.kit.servers import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?) *$", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|[`/ ])pgveil ((?:[a-z|]+ ?)+|[a-z]+)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, content) of each fenced block, '' for none."""
    return [(found[1], found[2]) for found in _FENCE.finditer(text(page))]


def prose(page: Path) -> str:
    return _FENCE.sub("", text(page))


def links(page: Path) -> list[str]:
    """Targets within the repository, as written."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them: lower case, blanks to hyphens, other signs left out."""
    made: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        plain = re.sub(r"[^\w\- ]", "", _LINK.sub("", heading).lower()).replace(" ", "-")
        number, anchor = 0, plain
        while anchor in made:
            number += 1
            anchor = f"{plain}-{number}"
        made.add(anchor)
    return made


def code(page: Path) -> str:
    """Everything that is set as code: blocks and spans."""
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    return "\n".join([content for _, content in blocks(page)] + spans)
