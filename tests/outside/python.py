"""Suites of drivers for Python, from their source distributions, run by pytest in an environment of their own.

psycopg 3's is not among them: its source distribution has no tests.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Place

RUNNER = ("pytest==8.4.2", "pytest-timeout==2.4.0")
SECONDS = 1500  # for a whole suite
ONE = 60  # for a test


@dataclass(frozen=True)
class PythonSuite:
    """source: the distribution with the tests; wheels: what is installed to be tested, and what the tests import."""

    name: str
    source: str
    wheels: tuple[str, ...]
    database: str
    env: dict[str, str]
    sql: str = ""
    left_out: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    def fetch(self, work: Path) -> None:
        home = work / self.name
        if (home / "tests").exists():
            return
        home.mkdir(parents=True, exist_ok=True)
        suite.call([sys.executable, "-m", "venv", str(home / "venv")], home)
        pip = str(home / "venv" / "bin" / "pip")
        suite.call([pip, "install", "-q", *RUNNER, *self.wheels], home)
        if not list(home.glob("*.tar.gz")):
            suite.call([pip, "download", "-q", "--no-deps", "--no-binary", ":all:", self.source], home)
        archive = next(home.glob("*.tar.gz"))
        suite.call(["tar", "xzf", str(archive), "--strip-components", "1", "--wildcards", "*/tests/*"], home)

    def setup(self, work: Path) -> str:
        return self.sql

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        home = work / self.name
        report = work / f"{self.name}-{place.name}.xml"
        argv = [str(home / "venv" / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        argv += [f"--junitxml={report}", f"--timeout={ONE}", *[f"--ignore=tests/{name}" for name in self.left_out]]
        env = suite.environment(place, self.env | {"PGDATABASE": self.database})
        suite.recorded(argv, home, env, work / f"{self.name}-{place.name}.log", SECONDS)
        return suite.junit(report)


SUITES = (
    PythonSuite(
        "asyncpg",
        "asyncpg==0.32.0",
        ("asyncpg==0.32.0", "uvloop==0.23.0", "distro"),
        "postgres",
        {},
        # the first reads its own source with linters, the second starts a cluster of its own for TLS
        left_out=("test__sourcecode.py", "test__environment.py"),
        settings={"log_connections": "on", "jit": "off"},
    ),
    PythonSuite(
        "psycopg2",
        "psycopg2==2.9.13",
        ("psycopg2-binary==2.9.13",),
        "psycopg2_test",
        {"PSYCOPG2_TEST_REPL_DSN": ""},
        sql="CREATE EXTENSION hstore",
    ),
)
