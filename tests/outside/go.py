"""Suites of drivers for Go, whose modules hold their tests."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Place

SECONDS = 1500  # for a whole suite
TEMPORARY = re.compile(r"/tmp/\w+/")  # directories, in names of subtests
WORDS = {"pass": "passed", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True)
class GoSuite:
    """dsn: of which environment variables hold where to connect. packages: of the module."""

    name: str
    module: str
    version: str
    database: str
    dsn: tuple[str, ...]
    packages: tuple[str, ...]
    sql_file: str = ""
    sql: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def fetch(self, work: Path) -> None:
        home = work / self.name
        if home.exists():
            return
        asked = subprocess.run(
            ["go", "mod", "download", "-json", f"{self.module}@{self.version}"],
            cwd=work, check=True, capture_output=True, env=os.environ | {"GO111MODULE": "on"},
        )  # fmt: skip
        shutil.copytree(json.loads(asked.stdout)["Dir"], home)
        suite.call(["chmod", "-R", "u+w", str(home)], work)

    def setup(self, work: Path) -> str:
        return (work / self.name / self.sql_file).read_text() if self.sql_file else self.sql

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        dsn = f"host=127.0.0.1 port={place.port} user=postgres database={self.database} sslmode=disable"
        env = suite.environment(place, dict.fromkeys(self.dsn, dsn) | {"PGDATABASE": self.database})
        argv = ["go", "test", "-mod=mod", "-json", "-count=1", "-vet=off", "-p=1", "-timeout=300s", *self.packages]
        log = work / f"{self.name}-{place.name}.log"
        outcomes: suite.Outcomes = {}
        for line in suite.recorded(argv, work / self.name, env, log, SECONDS).splitlines():
            if not line.startswith(b"{"):
                continue
            event = json.loads(line)
            if event.get("Test") and event.get("Action") in WORDS:
                package = event["Package"].removeprefix(self.module)
                test = TEMPORARY.sub("/tmp/…/", event["Test"])
                outcomes[f"{package}.{test}"] = WORDS[event["Action"]]
        return outcomes


SUITES = (
    GoSuite(
        "pgx",
        "github.com/jackc/pgx/v5",
        "v5.12.0",
        "pgx_test",
        ("PGX_TEST_DATABASE", "PGX_TEST_TCP_CONN_STRING"),
        (".", "./pgconn/...", "./pgxpool/...", "./stdlib/...", "./pgtype/...", "./pgproto3/...", "./tracelog/..."),
        sql_file="testsetup/postgresql_setup.sql",
    ),
)
