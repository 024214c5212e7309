"""The examples that CONTRIBUTING gives to be imitated are right, and the sizes that it asks for hold."""

import ast
from pathlib import Path

from proxy.sql.analyze import analyse
from tests.differential import casefile
from tests.docs.pages import blocks
from tests.kit import corpus
from tests.kit.catalogs import world
from tests.kit.servers import ROOT

BLOCKS = [content for _, content in blocks(ROOT / "CONTRIBUTING.md")]


def test_the_corpus_case() -> None:
    (block,) = [each for each in BLOCKS if "-- case:" in each]
    (case,) = corpus.parse(f"-- policy: shop\n{block}", "CONTRIBUTING.md")
    plan = analyse(case.text, case.scs, case.search_path, world(case.policy).snapshot)
    assert corpus.unmet(case, plan) == ""


def test_the_differential_case(tmp_path: Path) -> None:
    (block,) = [each for each in BLOCKS if "-- with:" in each]
    page = tmp_path / "example.sql"
    page.write_text(f"-- schema: shop\n\n{block}")
    cases = casefile.read(page).cases
    for case in cases:
        plan = analyse(case.sql.encode(), True, ("public",), world("shop").snapshot)
        assert (plan.refusal is not None) == case.may_refuse
    assert [case.params for case in cases] == [("ann@x.org",), ()]


def test_sizes() -> None:
    """As CONTRIBUTING says: in proxy, files under 600 lines, functions under 40."""
    sources = {path.relative_to(ROOT): path.read_text() for path in (ROOT / "proxy").rglob("*.py")}
    assert [str(path) for path, text in sources.items() if text.count("\n") >= 600] == []
    assert [
        f"{path}:{node.lineno}"
        for path, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno + 1 >= 40
    ] == []
