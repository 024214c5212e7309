"""The compiled package passes the tests of the plain one, and links go through it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import compiled
from tests.kit.compiled import ROOT
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(compiled.compiler() is None, reason="no C compiler here"),
]
# What a failing compiler does shows with a module as with all of them, in a tenth of the time.
ONE = "proxy/tokens.py"
POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled.build(tmp_path_factory.mktemp("compiled"), PGVEIL_OPTIMISE="0")


def test_its_modules_are_compiled_and_pass_their_tests(made: Path) -> None:
    for name in ("tests", "pyproject.toml"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, made / name)  # type: ignore[operator]
    where = (
        "import proxy.session.to_server, proxy.wire.frames as f; print(proxy.session.to_server.__file__, f.__file__)"
    )
    env = os.environ | {"PYTHONPATH": str(made)}
    said = subprocess.run([sys.executable, "-c", where], cwd=made, env=env, capture_output=True, text=True, check=True)
    assert all(path.endswith(".so") for path in said.stdout.split())
    suites = ["tests/unit/session", "tests/unit/wire", "tests/unit/test_tokens.py"]
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suites]
    done = subprocess.run(argv, cwd=made, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]


def test_it_serves(made: Path, pg18: Server) -> None:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people (id int, email text)", name)
        pgveil = Pgveil.before(pg18, name, {"people": POLICY})
        pgveil.env["PYTHONPATH"] = str(made)
        with pgveil, pgveil.connect(name) as app:
            app.cursor().executemany("INSERT INTO people VALUES (%s, %s)", [(i, f"u{i}@x.de") for i in range(99)])
            found = app.execute("SELECT id, email FROM people WHERE email = %s", ("u7@x.de",)).fetchall()
            assert found == [(7, "u7@x.de")]
            assert len(app.execute("SELECT email FROM people").fetchall()) == 99


@pytest.mark.parametrize(
    "env", [{"PGVEIL_COMPILE": "0"}, {"PGVEIL_COMPILE": "", "CC": "false"}], ids=["asked", "broken compiler"]
)
def test_without_a_compiler_it_is_the_plain_package(tmp_path: Path, env: dict[str, str]) -> None:
    made = compiled.build(tmp_path, ONE, **env)
    assert not list(made.rglob("*.so")) and (made / "proxy" / "session" / "to_server.py").exists()


def test_a_compiler_that_fails_is_told_where_compiling_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        compiled.build(tmp_path, ONE, PGVEIL_COMPILE="1", CC="false")
