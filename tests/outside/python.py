"""Suites for Python, from source distributions, run by pytest in an environment of their own.

psycopg 3's source distribution has no tests; SQLAlchemy's suite is what tries it here (and others).
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Needs, Place

RUNNER = ("pytest==8.4.2", "pytest-timeout==2.4.0")
SECONDS = 2400  # for a whole suite
ONE = 60  # for a test


@dataclass(frozen=True)
class PythonSuite:
    """source: the distribution with the tests; wheels: what is installed to be tested, and what the tests import.

    tests: what pytest is given, with {port} for the place's. sources: of the archive, what the tests need."""

    name: str
    source: str
    wheels: tuple[str, ...]
    needs_: Needs
    env: dict[str, str] = field(default_factory=dict)
    tests: tuple[str, ...] = ("tests",)
    sources: tuple[str, ...] = ("*/tests/*",)
    patched: tuple[suite.Patch, ...] = ()
    home: str = ""

    def fetch(self, work: Path) -> None:
        home = work / (self.home or self.name)
        if (home / "fetched").exists():
            return
        home.mkdir(parents=True, exist_ok=True)
        suite.call([sys.executable, "-m", "venv", str(home / "venv")], home)
        pip = str(home / "venv" / "bin" / "pip")
        suite.call([pip, "install", "-q", *RUNNER, *self.wheels], home)
        suite.source(pip, self.source, home, *self.sources)
        suite.patch(home, self.patched)
        (home / "fetched").touch()

    def needs(self, work: Path) -> Needs:
        return self.needs_

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        home = work / (self.home or self.name)
        report = place.file(self.name, "xml")
        report.unlink(missing_ok=True)
        argv = [str(home / "venv" / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        argv += [word.replace("{port}", str(place.port)) for word in self.tests]
        argv += [f"--junitxml={report}", f"--timeout={ONE}"]
        env = suite.environment(place, self.env | {"PGDATABASE": self.needs_.database})
        suite.recorded(argv, home, env, place.file(self.name, "log"), SECONDS)
        return suite.junit(report) if report.exists() else {}


SQLALCHEMY = "2.1.9"
SQLALCHEMY_WHEELS = (
    f"sqlalchemy=={SQLALCHEMY}", "greenlet", "pytest-asyncio", "psycopg[binary]==3.3.9", "psycopg2-binary==2.9.13",
    "asyncpg==0.32.0", "pg8000==1.31.6",
)  # fmt: skip
SQLALCHEMY_SQL = """\
CREATE SCHEMA test_schema;
CREATE SCHEMA test_schema_2;
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
ALTER DATABASE test SET default_text_search_config = 'pg_catalog.english';
"""
# a token wants 36 characters
SQLALCHEMY_PROTECTED = (
    "public.users.name",
    "public.addresses.email_address",
    "public.items.description",
    "public.keywords.name",
    "public.orders.description",
    "public.autoinc_pk.data",
    "public.some_table.data",
    "public.manual_pk.data",
    "public.includes_defaults.data",
    "public.plain_pk.data",
    "public.test_table.data",
    "public.foo.data",
)
FIXTURES = "test/orm/_fixtures.py"
# not for a server that has not got them; by a query, as DO would leave its connection with an unknown search_path
AVAILABLE = """\
known = text(f"SELECT 1 FROM pg_available_extensions WHERE name = '{extension}'")
            if conn.execute(known).first():"""
PROVISION = "lib/sqlalchemy/dialects/postgresql/provision.py"


def sqlalchemy(driver: str, *tests: str) -> PythonSuite:
    """Its tests that want a database."""
    return PythonSuite(
        f"sqlalchemy-{driver}",
        f"sqlalchemy=={SQLALCHEMY}",
        SQLALCHEMY_WHEELS,
        Needs("test", SQLALCHEMY_SQL, protected=SQLALCHEMY_PROTECTED),
        tests=("-m", "backend", "--dburi", f"postgresql+{driver}://postgres@127.0.0.1:{{port}}/test", *tests),
        sources=("*/test/*", "*/lib/*", "*/setup.cfg", "*/pyproject.toml"),
        patched=(
            suite.Patch(PROVISION, "if conn.dialect.server_version_info >= min_version:", AVAILABLE),
            suite.Patch(FIXTURES, "String(30)", "String(60)"),
        ),
        home="sqlalchemy",
    )


# the compliance tests of dialects without those that read catalogs, which take most of the time
SUITES_OF_DIALECTS = ("test/dialect/test_suite.py", "-k", "not Reflect and not HasIndex and not HasTable and not Names")
WORK = (
    *SUITES_OF_DIALECTS,
    "test/dialect/postgresql/test_on_conflict.py",
    "test/dialect/postgresql/test_query.py",
    "test/engine/test_transaction.py",
    "test/sql/test_returning.py",
    "test/orm/test_unitofwork.py",
    "test/orm/test_naturalpks.py",
)
SUITES = (
    PythonSuite(
        "asyncpg",
        "asyncpg==0.32.0",
        ("asyncpg==0.32.0", "uvloop==0.23.0", "distro"),
        Needs("postgres", settings=(("log_connections", "on"), ("jit", "off"))),
        # the first reads its own source with linters, the second starts a cluster of its own for TLS
        tests=("tests", "--ignore=tests/test__sourcecode.py", "--ignore=tests/test__environment.py"),
    ),
    PythonSuite(
        "psycopg2",
        "psycopg2==2.9.13",
        ("psycopg2-binary==2.9.13",),
        Needs("psycopg2_test", "CREATE EXTENSION hstore"),
        {"PSYCOPG2_TEST_REPL_DSN": ""},
    ),
    PythonSuite(
        "pg8000",
        "pg8000==1.31.6",
        ("pg8000==1.31.6", "pytest-mock", "pytest-benchmark", "pytz"),
        Needs("postgres", "CREATE EXTENSION hstore"),
        # the first are the documentation's, of TLS to the server, and of 32,767 parameters, which takes a minute
        tests=("test", "--ignore=test/test_readme.py", "--ignore-glob=*ssl*", "-k", "not max_parameters"),
        sources=("*/test/*",),
    ),
    sqlalchemy("psycopg", *WORK),
    sqlalchemy("asyncpg", *WORK),
    sqlalchemy("pg8000", *WORK),
    sqlalchemy("psycopg2", *WORK),
)
