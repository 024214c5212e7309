"""Django's own tests, of what talks to a database, through psycopg 3; it makes its databases itself."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.outside import suite
from tests.outside.places import Needs, Place

SECONDS = 2400
VERSION = "5.2.19"
WHEELS = ("psycopg[binary]==3.3.9", "psycopg-pool", "tblib", "jinja2", "Pillow", "docutils", "PyYAML", "tzdata")
LABELS = """
auth_tests.test_basic auth_tests.test_models basic bulk_create get_or_create update many_to_one prefetch_related
transactions lookup aggregation annotations backends raw_query select_for_update queries.tests transaction_hooks
"""
# a token wants 36 characters
PROTECTED = (
    "public.auth_user.email",
    "public.auth_user.first_name",
    "public.auth_user.last_name",
    "public.queries_note.note",
    "public.queries_extrainfo.info",
    "public.lookup_author.name",
    "public.lookup_article.headline",
    "public.basic_article.headline",
    "public.aggregation_author.name",
    "public.aggregation_book.name",
    "public.get_or_create_person.first_name",
    "public.get_or_create_person.last_name",
    "public.bulk_create_country.name",
    "public.prefetch_related_author.name",
    "public.prefetch_related_book.title",
    "public.transactions_reporter.email",
    "public.many_to_one_reporter.email",
    "public.many_to_one_article.headline",
    "public.annotations_author.name",
)
SETTINGS = """\
import os
CONNECTION = {
    "ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
    "USER": "postgres", "NAME": "django", "TEST": {"NAME": "test_django"},
}
DATABASES = {"default": CONNECTION, "other": CONNECTION | {"NAME": "other", "TEST": {"NAME": "test_other"}}}
SECRET_KEY = "unused"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "recording.Runner"
"""
RECORDING = """\
import json, os, unittest
from django.test.runner import DiscoverRunner

class Result(unittest.TextTestResult):
    kept = {}

    def startTest(self, test):
        super().startTest(test)
        self.kept[test.id()] = ["passed", ""]

    def _keep(self, test, word, text):
        name = getattr(test, "test_case", test).id()
        self.kept[name] = [word, self.kept.get(name, ["", ""])[1] + text]

    def addError(self, test, err):
        super().addError(test, err)
        self._keep(test, "failed", self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._keep(test, "failed", self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._keep(test, "failed", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._keep(test, "skipped", reason)

class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Result

    def suite_result(self, *args, **kwargs):
        with open(os.environ["OUTCOMES"], "w") as out:
            json.dump(Result.kept, out)
        return super().suite_result(*args, **kwargs)
"""


@dataclass(frozen=True)
class Django:
    name: str = "django"

    def fetch(self, work: Path) -> None:
        home = work / self.name
        if (home / "tests" / "recording.py").exists():
            return
        home.mkdir(parents=True, exist_ok=True)
        suite.call([sys.executable, "-m", "venv", str(home / "venv")], home)
        pip = str(home / "venv" / "bin" / "pip")
        suite.call([pip, "install", "-q", f"django=={VERSION}", *WHEELS], home)
        suite.source(pip, f"django=={VERSION}", home)
        (home / "tests" / "through.py").write_text(SETTINGS)
        (home / "tests" / "recording.py").write_text(RECORDING)

    def needs(self, work: Path) -> Needs:
        sql = "CREATE DATABASE django;\nCREATE DATABASE other;\n"
        return Needs("postgres", sql, protected=PROTECTED)

    def run(self, work: Path, place: Place) -> suite.Outcomes:
        home = work / self.name
        outcomes = place.file(self.name, "outcomes")
        outcomes.unlink(missing_ok=True)
        argv = [
            str(home / "venv/bin/python"),
            "runtests.py",
            "--settings=through",
            "--parallel=1",
            "--noinput",
            *LABELS.split(),
        ]
        env = suite.environment(place, {"OUTCOMES": str(outcomes), "PYTHONPATH": str(home / "tests")})
        suite.recorded(argv, home / "tests", env, place.file(self.name, "log"), SECONDS)
        found = json.loads(outcomes.read_text()) if outcomes.exists() else {}
        return {test: suite.failed(text) if word == "failed" else word for test, (word, text) in found.items()}


SUITES = (Django(),)
