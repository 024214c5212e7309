"""docs/refusals.md has an anchor with the right SQLSTATE for every code, and none that is not in the code."""

import re
from pathlib import Path

from proxy.errors import CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "refusals.md").read_text()
SECTIONS = dict(re.findall(r"^### ([a-z-]+)\n\*\*([0-9A-Z]{5})\.\*\*", PAGE, re.MULTILINE))


def test_every_code_is_explained_with_its_sqlstate() -> None:
    assert SECTIONS == CODES


def test_every_code_is_used() -> None:
    sources = [path.read_text() for path in (ROOT / "proxy").rglob("*.py") if path.name != "errors.py"]
    unused = [code for code in CODES if not any(f'"{code}"' in source for source in sources)]
    assert unused == []
