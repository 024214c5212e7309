"""The README's tour is what `pgveil demo --once` printed: `python -m tests.docs.readme` writes it anew."""

import os
import re
import sys
from pathlib import Path

from tests.kit import process
from tests.kit.servers import ROOT

README = ROOT / "README.md"
TOUR = re.compile(r"(?<=<!-- tour -->\n```text\n).*?(?=```\n<!-- end of tour -->)", re.DOTALL)
# What differs from one run to the next: tokens are of fresh keys, cut where the column ends.
VARIES = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[-0-9a-f]*…?"), "TOKEN"),
    (re.compile(r"\d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"up in \d+\.\d s"), "up in N s"),
    (re.compile(r"\d+ MB"), "N MB"),
)


def tour() -> str:
    """What the demonstration prints now."""
    environment = os.environ | {"COLUMNS": "110", "PYTHONPATH": str(ROOT)}
    return process.run([sys.executable, "-m", "proxy.cli", "demo", "--once"], env=environment)


def lasting(text: str) -> str:
    """Without what varies."""
    for pattern, name in VARIES:
        text = pattern.sub(name, text)
    return text


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def write(path: Path = README) -> None:
    now = tour()
    path.write_text(TOUR.sub(lambda _: now, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
