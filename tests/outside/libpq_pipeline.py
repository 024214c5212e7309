"""libpq's own test of pipelines, from PostgreSQL's source package, with the traces that the package expects.

A trace has each message with its length, both ways: that it matches says the bytes are the server's own.
"""

import subprocess
from pathlib import Path
from typing import BinaryIO

from tests.outside import suite
from tests.outside.places import Needs, Place

ONE = "60"  # seconds
ROWS = "700"  # as t/001_libpq_pipeline.pl
MODULE = "src/test/modules/libpq_pipeline"
PARTS = (MODULE, "src/include", "src/port", "src/common", "src/backend/catalog")
OURS = ("src/common/fe_memutils.c", "src/common/psprintf.c", "src/port/snprintf.c", "src/port/strerror.c")


class LibpqPipeline:
    """Built against libpq-dev; of PostgreSQL's own libraries only the files it calls."""

    def __init__(self) -> None:
        self.name = "libpq_pipeline"

    def fetch(self, work: Path) -> None:
        """By apt-get, in the version of the libpq-dev that is installed; `work` may hold the archive already."""
        if (work / "libpq_pipeline").exists():
            return
        if not list(work.glob("postgresql-15_*.orig.tar.*")):
            download(work)
        archive = next(work.glob("postgresql-15_*.orig.tar.*"))
        suite.call(["tar", "xf", str(archive), "--wildcards", *[f"*/{part}/*" for part in PARTS]], work)
        source = next(work.glob("postgresql-15.*/"))
        generated = work / "include" / "catalog"  # in the tarball, but not where it is looked for
        generated.mkdir(parents=True, exist_ok=True)
        header = source / "src/backend/catalog/pg_type_d.h"
        (generated / "pg_type_d.h").write_text(header.read_text())
        installed = Path("/usr/include/postgresql")
        places = [generated.parent, installed, installed / "internal", source / "src/include"]
        files = [f"{MODULE}/libpq_pipeline.c", *OURS]
        argv = [
            "cc",
            "-w",
            "-DFRONTEND",
            "-D_GNU_SOURCE",
            "-o",
            str(work / "libpq_pipeline"),
            *[f"-I{place}" for place in places],
        ]
        suite.call([*argv, *[str(source / name) for name in files], "-lpq"], work)

    def needs(self, work: Path) -> Needs:
        return Needs("postgres")

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        names = subprocess.check_output([str(work / "libpq_pipeline"), "tests"], text=True).split()
        outcomes: suite.Outcomes = {}
        with place.file(self.name, "log").open("wb") as log:
            for name in names:
                log.write(f"=== {name}\n".encode())
                log.flush()
                self._one(work, place, name, log, outcomes)
        return outcomes

    @staticmethod
    def _one(work: Path, place: Place, name: str, log: BinaryIO, outcomes: suite.Outcomes) -> None:
        expected = next(work.glob("postgresql-15.*/")) / MODULE / "traces" / f"{name}.trace"
        trace = place.file(name, "trace")
        trace.write_text("")
        traced = ["-t", str(trace)] if expected.exists() else []
        argv = ["timeout", ONE, str(work / "libpq_pipeline"), "-r", ROWS, *traced, name, "dbname=postgres"]
        ended = subprocess.run(argv, env=suite.environment(place, {}), stdout=log, stderr=log, check=False)
        outcomes[name] = "passed" if ended.returncode == 0 else "failed"
        if traced:
            outcomes[f"{name} trace"] = "passed" if trace.read_text() == expected.read_text() else "failed"


def download(work: Path) -> None:
    """The machine's own list of packages is left alone: most have none of sources."""
    parts, lists = work / "apt" / "parts", work / "apt" / "lists"
    for place in (parts, lists / "partial"):
        place.mkdir(parents=True, exist_ok=True)
    lines = Path("/etc/apt/sources.list.d/debian.sources").read_text().splitlines(keepends=True)
    sources = [line.replace("deb", "deb-src") if line.startswith("Types:") else line for line in lines]
    (parts / "sources.sources").write_text("".join(sources))
    options = [f"Dir::Etc::sourceparts={parts}", f"Dir::State::Lists={lists}", "Dir::Etc::sourcelist=/dev/null"]
    apt = ["apt-get", "-q", *[word for option in options for word in ("-o", option)]]
    version = subprocess.check_output(["dpkg-query", "-W", "-f", "${Version}", "libpq-dev"], text=True)
    suite.call([*apt, "update"], work)
    suite.call([*apt, "source", "--download-only", f"postgresql-15={version}"], work)


SUITES = (LibpqPipeline(),)
