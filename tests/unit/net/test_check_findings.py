import re
from pathlib import Path

from proxy.net.check import exit_code
from proxy.net.check_findings import CODES, Finding

ROOT = Path(__file__).parents[3]
FAULT = Finding("fault", "default", "shop.yaml", 7, "what is wrong", "what to do", "shop")
WARNING = Finding("warning", "view", "shop.yaml", 0, "what is known", "")


def test_a_finding_reads_as_place_severity_message_advice() -> None:
    assert str(FAULT) == "shop.yaml:7: fault: what is wrong (what to do)"
    assert str(WARNING) == "shop.yaml: warning: what is known"


def test_as_json_has_every_field() -> None:
    assert FAULT.as_json() == {
        "severity": "fault",
        "code": "default",
        "file": "shop.yaml",
        "line": 7,
        "database": "shop",
        "message": "what is wrong",
        "todo": "what to do",
    }


def test_exit_codes() -> None:
    gone = Finding("fault", "unreachable", "configuration", 0, "gone", "")
    assert [exit_code([]), exit_code([WARNING]), exit_code([WARNING, FAULT]), exit_code([FAULT, gone])] == [0, 0, 1, 3]


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    page = (ROOT / "docs/howto/check.md").read_text()
    listed = re.findall(r"^\| `([a-z-]+)` \|", page.partition("## Findings")[2], re.MULTILINE)
    assert listed == list(CODES)


def test_every_code_is_used_and_every_used_code_exists() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "proxy/net").glob("check*.py") if "findings" not in path.name)
    assert {code for code in CODES if f'"{code}"' not in text} == set()
    used = set(re.findall(r'(?:"fault"|"warning"|severity),\s*"([a-z-]+)"', text))
    assert used - {"warning"} <= set(CODES)  # Literal["fault", "warning"]
