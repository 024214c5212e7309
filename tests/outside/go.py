"""Suites of drivers for Go, whose modules hold their tests."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Needs, Place

SECONDS = 1500  # for a whole suite
TEMPORARY = re.compile(r"/tmp/\w+/")  # directories, in names of subtests
WORDS = {"pass": "passed", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True)
class GoSuite:
    """dsn: of which environment variables hold where to connect. packages: of the module."""

    name: str
    module: str
    version: str
    needs_: Needs
    packages: tuple[str, ...]
    dsn: tuple[str, ...] = ()
    sql_file: str = ""
    user: str = "postgres"
    patched: tuple[suite.Patch, ...] = ()

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
        suite.patch(home, self.patched)

    def needs(self, work: Path) -> Needs:
        more = (work / self.name / self.sql_file).read_text() if self.sql_file else ""
        return replace(self.needs_, sql=self.needs_.sql + more)

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        database = self.needs_.database
        dsn = f"host=127.0.0.1 port={place.port} user=postgres database={database} sslmode=disable"
        more = {"PGDATABASE": database, "PGUSER": self.user, "PGSSLMODE": "disable"}
        env = suite.environment(place, dict.fromkeys(self.dsn, dsn) | more)
        argv = ["go", "test", "-mod=mod", "-json", "-count=1", "-vet=off", "-p=1", "-timeout=300s", *self.packages]
        log = place.file(self.name, "log")
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


PQ_SQL = """\
CREATE ROLE pqgo SUPERUSER LOGIN;
SET password_encryption = 'scram-sha-256';
CREATE ROLE pqgossl LOGIN;
CREATE ROLE pqgosslcert LOGIN;
CREATE ROLE pqgopassword LOGIN PASSWORD 'wordpass';
CREATE ROLE pqgoscram LOGIN PASSWORD 'wordpass';
SET password_encryption = 'md5';
CREATE ROLE pqgomd5 LOGIN PASSWORD 'wordpass';
"""
# a panic ends the run: the machine may be slower than that
PQ_PATCHED = (suite.Patch("notify_test.go", "time.After(100 * time.Millisecond)", "time.After(2 * time.Second)"),)
SUITES = (
    GoSuite(
        "pgx",
        "github.com/jackc/pgx/v5",
        "v5.12.0",
        Needs("pgx_test"),
        (".", "./pgconn/...", "./pgxpool/...", "./stdlib/...", "./pgtype/...", "./pgproto3/...", "./tracelog/..."),
        dsn=("PGX_TEST_DATABASE", "PGX_TEST_TCP_CONN_STRING"),
        sql_file="testsetup/postgresql_setup.sql",
    ),
    GoSuite("pq", "github.com/lib/pq", "v1.12.3", Needs("pqgo", PQ_SQL), ("./...",), user="pqgo", patched=PQ_PATCHED),
)
