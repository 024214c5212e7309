"""The statements of the page on limits are refused with the code that it gives, or work, as it says."""

import re

import pytest

from proxy.sql.analyze import analyse
from tests.docs.pages import blocks
from tests.kit.catalogs import world
from tests.kit.servers import ROOT

PAGE = ROOT / "docs" / "explain" / "limits-of-today.md"
LINE = re.compile(r"(.*;) +-- ([a-z-]+)")
LINES = [line for language, block in blocks(PAGE) if language == "sql" for line in block.splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_it_is_as_the_page_says(line: str) -> None:
    found = LINE.fullmatch(line)
    assert found is not None, "a statement and behind `-- ` its code, or `works`"
    plan = analyse(found[1].encode(), True, ("public",), world("shop").snapshot)
    assert ("works" if plan.refusal is None else plan.refusal.code) == found[2]
