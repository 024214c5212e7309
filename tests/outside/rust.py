"""tokio-postgres's tests, from its crate; the port that they have written in is changed to the place's."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Needs, Place

SECONDS = 900
VERSION = "0.7.18"
FEATURES = "with-serde_json-1,with-uuid-1,with-chrono-0_4,with-time-0_3,with-bit-vec-0_6"
LINE = re.compile(r"^test (\S+) \.\.\. (ok|FAILED|ignored)", re.MULTILINE)
WORDS = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
# those that the kit's servers have get the passwords of its tests
ACCOUNTS = """\
SET password_encryption = 'scram-sha-256';
CREATE ROLE pass_user PASSWORD 'password' LOGIN;
ALTER ROLE scram_user PASSWORD 'password';
CREATE ROLE ssl_user LOGIN;
SET password_encryption = 'md5';
ALTER ROLE md5_user PASSWORD 'password';
"""


@dataclass(frozen=True)
class TokioPostgres:
    name: str = "tokio-postgres"

    def fetch(self, work: Path) -> None:
        home = work / self.name
        if (home / "original").exists():
            return
        asking = work / "crates"
        (asking / "src").mkdir(parents=True, exist_ok=True)
        (asking / "src" / "lib.rs").write_text("")
        package = '[package]\nname = "asking"\nversion = "0.0.0"\nedition = "2021"\n'
        manifest = f'{package}\n[dependencies]\n{self.name} = "={VERSION}"\n'
        (asking / "Cargo.toml").write_text(manifest)
        suite.call(["cargo", "vendor", "-q", str(work / "vendored")], asking)
        shutil.copytree(work / "vendored" / self.name, home, dirs_exist_ok=True)
        shutil.copytree(home / "tests", home / "original")

    def needs(self, work: Path) -> Needs:
        return Needs("postgres", ACCOUNTS)

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        home = work / self.name
        for source in (home / "original").rglob("*.rs"):
            text = source.read_text()
            if source.name != "parse.rs":
                text = re.sub(r"\b5433\b", str(place.port), text)
            (home / "tests" / source.relative_to(home / "original")).write_text(text)
        argv = ["cargo", "test", "-q", "--features", FEATURES, "--test", "test", "--", "--format=pretty"]
        log = place.file(self.name, "log")
        said = suite.recorded(argv, home, suite.environment(place, {}), log, SECONDS)
        return {name: WORDS[word] for name, word in LINE.findall(said.decode(errors="replace"))}


SUITES = (TokioPostgres(),)
