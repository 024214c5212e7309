"""The first hour goes as its page says: every command is run before a demonstration, and prints what stands there."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import blocks, text
from tests.kit import process
from tests.kit.servers import ROOT, find, free_port

PAGE = ROOT / "docs" / "start" / "first-hour.md"
TOKEN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
SECONDS = 120  # of patience: other tests share the machine

pytestmark = pytest.mark.server


def scenes() -> list[tuple[str, str | None]]:
    """Commands, and what they print where the page shows it."""
    found: list[tuple[str, str | None]] = []
    for language, block in blocks(PAGE):
        if language == "sh":
            found.append((block, None))
        elif language == "text":
            found[-1] = (found[-1][0], block)
    return found


@pytest.fixture
def place() -> Iterator[Path]:
    """A TMPDIR that any account can enter: the demonstration's server may run as another."""
    install = find("18")
    if install is None:
        pytest.skip("the `demo` extra is not installed")
    with tempfile.TemporaryDirectory(prefix="first-hour-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def environment(place: Path) -> dict[str, str]:
    install = find("18")
    assert install is not None
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "PGVEIL_"))}
    tools = os.pathsep.join((str(Path(sys.executable).parent), str(install.bindir), kept["PATH"]))
    return kept | {
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(place),
        "PATH": tools,
        "PSQLRC": os.devnull,
        "LC_ALL": "C.UTF-8",
    }


def test_the_first_hour(place: Path) -> None:
    port, admin = free_port(), free_port()
    run = environment(place)
    shown = place / "demo.out"
    argv = [sys.executable, "-m", "proxy.cli", "demo", "--port", str(port), "--admin-port", str(admin)]
    demo = process.launch(argv, shown, env=run | {"COLUMNS": "200"})
    try:
        process.wait_for("the demonstration", lambda: stays(demo, shown), SECONDS)
        run |= ways_in(shown.read_text())
        log = Path(run["CONFIG"]).parent / "pgveil.log"
        for commands, expected in scenes():
            told = play(commands.replace("6432", str(port)).replace("9187", str(admin)), run)
            if expected is not None:
                assert lasting(told) == lasting(expected), commands
            if "sed -i" in commands:
                process.wait_for("the policy", lambda: "policy-loaded" in log.read_text(), SECONDS)
    finally:
        assert process.reap(demo, signal.SIGINT) == 0


def stays(demo: "subprocess.Popen[bytes]", shown: Path) -> bool:
    """It has shown everything and waits for Ctrl-C."""
    assert demo.poll() is None, shown.read_text()
    return "configuration   " in shown.read_text()


def ways_in(shown: str) -> dict[str, str]:
    """The variables that the page asks its readers to set, as the demonstration prints them."""
    found = {
        name: re.search(rf"^ *{line} .*?(\S+)$", shown, re.MULTILINE)
        for name, line in (("DATABASE", "the database"), ("CONFIG", "configuration"))
    }
    assert all(f"export {name}=" in text(PAGE) for name in found)
    return {name: match[1] for name, match in found.items() if match is not None}


def play(commands: str, run: dict[str, str]) -> str:
    """Both streams, in order. A command that is refused does not end the block."""
    done = subprocess.run(
        ["sh", "-c", f"exec 2>&1\n{commands}"], env=run, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert "Traceback" not in done.stdout and "not found" not in done.stdout, done.stdout
    return done.stdout


def lasting(told: str) -> list[str]:
    return [line.rstrip() for line in TOKEN.sub("TOKEN", told).splitlines() if line.strip()]
