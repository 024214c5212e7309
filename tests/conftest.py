"""What every test gets: the servers, and for tests/unit a world without sockets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.kit")

from tests.kit import process  # noqa: E402
from tests.kit.servers import database, database15, database18, pg, pg15, pg18  # noqa: E402

__all__ = ["database", "database15", "database18", "pg", "pg15", "pg18"]

UNIT = Path(__file__).parent / "unit"


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if UNIT in request.path.parents:
        for name in ("connect", "connect_ex", "bind"):
            monkeypatch.setattr(socket.socket, name, _refuse)


def _refuse(*_: object) -> None:
    raise AssertionError("a unit test opens no sockets")


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Set up first, so torn down after every server: what still runs then has leaked."""
    yield
    assert process.alive() == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests counted with record_property("counted", …): with xdist their own output is not seen."""
    for category in ("passed", "failed"):
        for report in terminalreporter.stats.get(category, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "counted":
                    terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")
