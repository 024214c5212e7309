"""What is compiled on request: a name that stands twice, or is of nothing, stops the whole build."""

import tomllib

from tests.kit.compiled import ROOT


def test_each_module_is_there_and_named_once() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pgveil"]["compiled"]
    assert sorted(named) == sorted(set(named))
    assert all((ROOT / name).is_file() for name in named)
