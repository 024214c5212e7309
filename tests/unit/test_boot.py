"""From settings to a serving process: what is refused, what is opened, what is closed when the rest fails."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from proxy import boot, front
from proxy.admin.app import Admin
from proxy.boot import OpenStore, refuse_unsupported, serve
from proxy.config import Settings, read
from proxy.documents import Faults
from proxy.endpoints import Endpoint
from proxy.errors import Unavailable
from proxy.net.handover import Handover
from proxy.net.listen import Listening
from proxy.vault.faults import KeyFault
from proxy.vault.keys import new_key_document
from proxy.vault.memory import MemoryStore
from tests.kit.certificates import Authority
from tests.unit.net.stage import turns, until
from tests.unit.net.test_listen import Opener
from tests.unit.session.driver import POLICY
from tests.vault.kit import Entropy, asynchronous

CONFIG = """\
listen: 127.0.0.1:6432
upstream: {upstream}
catalog: postgresql://postgres@127.0.0.1:1
policies: [policy.yaml]
vault: sqlite:////v
keys: env:KEY
admin: off
{more}
"""


def settings(base: Path, more: str = "", upstream: str = "db:5432", **environ: str) -> Settings:
    text = CONFIG.format(upstream=upstream, more=more)
    return read(text, str(base / "pgveil.yaml"), {f"PGVEIL_{name}": value for name, value in environ.items()})


class Store(MemoryStore):
    closed = 0

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("KEY", new_key_document(Entropy()))
    return tmp_path


class Sockets:
    """The kernel's part of it. taken: an address that somebody has. opened: what was listened on."""

    def __init__(self) -> None:
        self.taken = ""
        self.opened: list[Listening] = []

    def listen(self, endpoints: Iterable[Endpoint], given: object) -> list[Listening]:
        if self.taken:
            raise Unavailable(f"the address {self.taken}")
        self.opened = [Listening(each, [socket.socket()]) for each in endpoints]
        return self.opened


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    """Nobody else is there whose place could be taken, and nobody comes."""
    made = Sockets()

    async def meet(*_: object) -> None:
        return None

    monkeypatch.setattr(front, "listen", made.listen)
    monkeypatch.setattr(boot, "meet", meet)
    monkeypatch.setattr(Handover, "open", lambda *_: None)
    return made


def opening(store: Store) -> OpenStore:
    async def open_store(settings: Settings, read_only: bool = False, lock: int | None = None) -> Store:
        return store

    return open_store


# ---- what is refused


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ENFORCEMENT": "observe"}, "enforcement"),
        ({"VAULT": "mysql://a/b"}, "vault"),
        ({"VAULT": "postgresql://a/b"}, "vault"),
        ({"KEYS": "awskms:alias/x"}, "keys"),
        ({"KEYS": "transit:https://vault/x"}, "keys"),
        ({"ADMIN": "unix:/run/pgveil"}, "admin"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(given: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(Faults, match=boot.NOT_YET) as told:
        refuse_unsupported(settings(tmp_path, **given))
    (fault,) = told.value.faults
    assert fault.file == named and fault.advice


def test_all_of_them_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(Faults) as told:
        refuse_unsupported(settings(tmp_path, ENFORCEMENT="observe", VAULT="mysql://a/b", KEYS="awskms:x"))
    assert len(told.value.faults) == 3
    refuse_unsupported(settings(tmp_path))


# ---- serving


@asynchronous
async def test_it_serves_and_hears_signals(base: Path, sockets: Sockets, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pgveil")
    loop, store, said = Opener(), Store(), list[str]()
    given = settings(base, "policy_poll: 0.1", NOSUCH="x")
    running = asyncio.get_running_loop().create_task(serve(given, opening(store), said.append))
    await turns(1)
    os.kill(os.getpid(), signal.SIGHUP)  # before it listens
    await until(lambda: said)
    assert said == ["ready: listening on 127.0.0.1:6432"]
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: any(record.msg == "policy-same" for record in caplog.records))
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert store.closed == 1 and loop.opened[0].closed and not sockets.opened[0].sockets
    assert any(record.msg == "setting-warning" for record in caplog.records)


@asynchronous
async def test_a_policy_that_changes_is_taken_over(
    base: Path, sockets: Sockets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pgveil")
    Opener()
    said: list[str] = []
    given = settings(base, "policy_poll: 0.1")
    running = asyncio.get_running_loop().create_task(serve(given, opening(Store()), said.append))
    await until(lambda: said)
    (base / "policy.yaml").write_text("version: 1\n")
    async with asyncio.timeout(10):
        while not any(record.msg == "policy-loaded" for record in caplog.records):
            await turns()
    os.kill(os.getpid(), signal.SIGTERM)
    await running


@asynchronous
async def test_keys_that_are_not_the_vaults_close_it(
    base: Path, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opener()
    store, said = Store(), list[str]()
    monkeypatch.setenv("KEY", "{}")
    with pytest.raises(KeyFault):
        await serve(settings(base), opening(store), said.append)
    assert store.closed == 1 and not said


@asynchronous
async def test_an_address_that_is_taken_closes_all(base: Path, sockets: Sockets) -> None:
    sockets.taken = "127.0.0.1:6432"
    store = Store()
    with pytest.raises(Unavailable, match="6432"):
        await serve(settings(base), opening(store), lambda _: None)
    assert store.closed == 1


@asynchronous
async def test_faults_come_before_anything_is_opened(base: Path) -> None:
    async def never(settings: Settings, read_only: bool = False, lock: int | None = None) -> Store:
        raise AssertionError("opened")

    (base / "policy.yaml").unlink()
    for given in (settings(base), settings(base, ENFORCEMENT="observe")):
        with pytest.raises(Faults):
            await serve(given, never, lambda _: None)


@asynchronous
async def test_faults_of_all_files_come_at_once(base: Path) -> None:
    (base / "policy.yaml").write_text("version: 2\n")
    given = settings(base, ENFORCEMENT="observe", TLS__CLIENT__CERT=str(base / "c"), TLS__CLIENT__KEY=str(base / "k"))
    with pytest.raises(Faults) as told:
        await serve(given, opening(Store()), lambda _: None)
    assert [os.path.basename(each.file) for each in told.value.faults] == ["enforcement", "c", "k", "policy.yaml"]


@asynchronous
async def test_certificates_are_read_again_on_a_signal(
    base: Path, sockets: Sockets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pgveil")
    Opener()
    said: list[str] = []
    cert, key = Authority(base).issue("own")
    given = settings(base, "policy_poll: 60", TLS__CLIENT__CERT=cert, TLS__CLIENT__KEY=key)
    running = asyncio.get_running_loop().create_task(serve(given, opening(Store()), said.append))
    await until(lambda: said)
    Authority(base).issue("own")
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: any(record.msg == "certificates-loaded" for record in caplog.records))
    os.kill(os.getpid(), signal.SIGTERM)
    await running


@asynchronous
async def test_the_admin_port_tells_of_all_parts(base: Path, sockets: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    Opener()
    started: list[Admin] = []
    stopped: list[Admin] = []
    monkeypatch.setattr(Admin, "start", lambda admin: started.append(admin))
    monkeypatch.setattr(Admin, "stop", lambda admin: stopped.append(admin))
    monkeypatch.setattr(Admin, "socket", None)
    said: list[str] = []
    given = settings(base, ADMIN="127.0.0.1:9187")
    running = asyncio.get_running_loop().create_task(serve(given, opening(Store()), said.append))
    await until(lambda: said)
    page = asyncio.get_running_loop().run_in_executor
    status, _, body = await page(None, started[0].page, "/readyz")
    assert status == 200 and b'"policy": {"digest": "' in body and b'"faults": []' in body and b'"vault": true' in body
    assert b"pgveil_open_links" in (await page(None, started[0].page, "/metrics"))[2]
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert stopped == started
