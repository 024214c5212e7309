"""Which modules are measured, by which file, and how what is missing is told."""

from pathlib import Path

import pytest

from tests.cover import Module, missing, modules, own, pure


def test_what_is_pure_is_what_the_import_contract_says() -> None:
    assert {"wire", "policy", "sql", "session", "tokens", "vault.crypto"} <= set(pure())
    assert "net" not in pure()


def test_each_module_has_its_own_file() -> None:
    found = modules("session")
    assert Module(Path("proxy/session/names.py"), Path("tests/unit/session/test_names.py")) in found
    assert modules("proxy.tokens") == [Module(Path("proxy/tokens.py"), Path("tests/unit/test_tokens.py"))]
    assert own(Path("proxy/wire/__init__.py")).tests == Path("tests/unit/wire/test_package.py")


def test_a_module_without_functions_has_nothing_to_cover() -> None:
    assert modules("session.limits") == []


@pytest.mark.parametrize("name", ["nosuch", "session.nosuch"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(SystemExit):
        modules(name)


@pytest.mark.parametrize(
    ("lines", "branches", "told"),
    [
        ([], [], ""),
        ([7], [[6, 7], [7, 9]], "98 %  lines 7; branches 6>7"),
        ([], [[3, -1]], "98 %  branches 3>-"),
    ],
)
def test_what_is_told(lines: list[int], branches: list[list[int]], told: str) -> None:
    report = {"missing_lines": lines, "missing_branches": branches, "summary": {"percent_covered": 98.4}}
    assert missing(report) == told
