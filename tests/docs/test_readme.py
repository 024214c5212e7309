"""What the README says can be done as it says: its tour is what is printed, commands run, links lead somewhere."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.readme import README, TOUR, blocks, lasting, tour
from tests.kit import process
from tests.kit.servers import ROOT, Server, free_port, fresh_database

TEXT = README.read_text(encoding="utf-8")
NOT_HERE = ("make ",)  # they would run this test again; tests/integration/test_demo.py has the demonstration


@pytest.mark.server
def test_the_tour_is_what_is_printed(pg18: Server) -> None:
    shown = TOUR.search(TEXT)
    assert shown is not None
    assert lasting(shown[0]).split() == lasting(tour()).split(), "run: python -m tests.docs.readme"


@pytest.fixture
def own_database(pg18: Server) -> Iterator[str]:
    """What the README takes for given: a database with a table, and accounts."""
    made = pg18.accounts("app", "reader", "support")
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE users (id int, email text, full_name text); GRANT ALL ON users TO app", name)
        yield name
    for account in made:
        pg18.psql(f"DROP ROLE {account}")


@pytest.mark.server
def test_its_commands_run(pg18: Server, own_database: str, tmp_path: Path) -> None:
    places = {
        ":5432": f":{pg18.port}",
        ":6432": f":{free_port()}",
        ":9187": f":{free_port()}",
        "/shop": f"/{own_database}",
    }
    for block in blocks(TEXT, "yaml"):
        name = block.split("\n", 1)[0].removeprefix("# ")
        (tmp_path / name).write_text(moved(block, places))
    told, running = "", None
    try:
        for line in "".join(blocks(TEXT, "sh")).splitlines():
            if line == "pgveil run":
                running = start(tmp_path)
            elif not line.startswith(NOT_HERE):
                told += do(moved(line, places), tmp_path, pg18)
    finally:
        if running is not None:
            assert process.reap(running, signal.SIGTERM) == 0
    assert "ada.quill@example.com | Ada Quill" in told  # through pgveil
    assert re.search(r"1 \| [0-9a-f]{8}-[-0-9a-f]{27} \| [0-9a-f]{8}-", told)  # in the database
    assert "whole" in told


def moved(text: str, places: dict[str, str]) -> str:
    for old, new in places.items():
        text = text.replace(old, new)
    return text


def argv(line: str, server: Server) -> list[str]:
    words = shlex.split(line)
    return (
        [sys.executable, "-m", "proxy.cli", *words[1:]]
        if words[0] == "pgveil"
        else [server.install.tool(words[0]), *words[1:]]
    )


def do(line: str, place: Path, server: Server) -> str:
    done = subprocess.run(argv(line, server), cwd=place, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


def start(place: Path) -> "subprocess.Popen[bytes]":
    log = place / "log"
    config = str(place / "pgveil.yaml")
    running = process.launch([sys.executable, "-m", "proxy.cli", "run", "-c", config], log, env=environment())
    process.wait_for("the ready line", lambda: "ready: " in log.read_text(), 30)
    return running


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PGVEIL_"))}
    return kept | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT))))
def test_its_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert "Security" in headings
    assert all(re.fullmatch(r"\[.*\].*|Added|Changed|Deprecated|Removed|Fixed|Security", each) for each in headings)
