"""The server around its links: who gets in, who is told what, how it ends. Connections are made by hand."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.config import read
from proxy.errors import Refusal, Unavailable
from proxy.net import server as module
from proxy.net.notices import Notice
from proxy.net.poolers import nothing_between
from proxy.net.server import TURNED_AWAY, Arrival, Server
from proxy.net.upstream import Upstream
from proxy.net.upstreams import Upstreams
from proxy.net.worlds import Worlds
from proxy.observe import REGISTRY
from proxy.vault.vault import Vault
from proxy.wire import messages as m
from tests.unit.net.stage import Net, Shelf, Store, Transport, catalog, modes, policy, turns, until
from tests.unit.session import driver
from tests.unit.session.driver import error, query
from tests.vault.kit import asynchronous, provider, sources

CONFIG = """
listen: 127.0.0.1:6432
upstream: db:5432
catalog: postgresql://reader@127.0.0.1:1/shop
policies: []
vault: sqlite:////v
keys: env:K
"""


class Entrance:
    """A door without addresses. taken: it can't be opened."""

    def __init__(self) -> None:
        self.taken = False
        self.opened = self.closed = 0

    async def open(self, tcp: object, unix: object) -> None:
        if self.taken:
            raise Unavailable("the address 127.0.0.1:6432")
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    async def settle(self) -> None:
        return


class Scene:
    def __init__(self, vault: Vault, store: Store, more: str) -> None:
        self.net = Net()
        self.door = Entrance()
        self.said: list[str] = []
        self.store = store
        self.vault = vault
        settings = read(CONFIG + more, None, {})
        upstreams = Upstreams([Upstream("db", 5432, "disable", None, 5.0)])
        self.server = Server(settings, vault, policy(), upstreams, self.door, lambda: self.said.append("ready"))
        self.shelf = Shelf(catalog())
        server: Any = self.server
        server.worlds._reader = self.shelf
        server.worlds._look_between = nothing_between
        server.worlds._leftovers._looks = server.worlds.strangers._samples = self.shelf
        self.running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.running = asyncio.get_running_loop().create_task(self.server.run())
        await until(lambda: self.said)

    def arrives(self, unix: bool = False, peer: object = ("10.0.0.1", 5)) -> Transport:
        arrival = self.server.arrivals[unix]()
        transport = Transport(arrival, peer)
        arrival.connection_made(transport)
        return transport

    def says(self, client: Transport, *frames: bytes) -> None:
        client.protocol.data_received(b"".join(frames))  # type: ignore[attr-defined]

    async def logs_in(self, user: str = "shop") -> tuple[Transport, Transport]:
        client = self.arrives()
        made = len(self.net.made)
        self.says(client, m.build_startup(m.PROTOCOL_3_0, [(b"user", user.encode()), (b"database", b"shop")]))
        await until(lambda: len(self.net.made) > made)
        server = self.net.made[-1]
        self.says(
            server,
            m.build_authentication(m.AUTH_OK),
            *[m.build_parameter_status(k.encode(), v.encode()) for k, v in driver.STATUS.items()],
            m.build_ready_for_query(m.IDLE),
        )
        await until(lambda: b"Z\0\0\0\5" in client.sent)
        await turns()
        client.sent = server.sent = b""
        return client, server

    async def ends(self) -> None:
        assert self.running is not None
        await self.running


def scene(more: str = "") -> Callable[[Callable[[Scene], Coroutine[Any, Any, None]]], Callable[[], None]]:
    def decorate(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        @asynchronous
        async def run() -> None:
            store = Store()
            vault = await Vault.open(store, provider(), modes(policy()), sources())
            it = Scene(vault, store, more)
            await test(it)
            it.server.stop()
            if it.running is not None:
                await it.running
            await vault.close()

        return run

    return decorate


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"pgveil_{name}", labels) or 0.0


# ---- life


@scene("timeouts: {drain: 5s}\n")
async def test_it_serves_until_it_is_stopped(it: Scene) -> None:
    await it.start()
    assert it.said == ["ready"] and it.door.opened == 1
    before = metric("links_total", outcome="closed")
    client, server = await it.logs_in()
    assert metric("open_links") == 1
    client.lose()
    await until(lambda: metric("open_links") == 0)
    assert server.closing and metric("links_total", outcome="closed") == before + 1
    it.server.stop()
    await it.ends()
    assert it.door.closed and not it.server._tasks._running


@scene()
async def test_a_signal_stops_it(it: Scene) -> None:
    await it.start()
    os.kill(os.getpid(), signal.SIGTERM)
    await it.ends()


@scene()
async def test_an_address_that_is_taken(it: Scene) -> None:
    it.door.taken = True
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:6432"):
        await it.server.run()
    assert not it.said and not it.server._tasks._running


@scene()
async def test_idle_links_are_sent_away_and_busy_ones_may_end(it: Scene) -> None:
    await it.start()
    idle, _ = await it.logs_in()
    busy, server = await it.logs_in()
    it.says(busy, query("begin"))
    await turns()
    it.server.stop()
    await until(lambda: idle.closing)
    assert error(idle.take()[0])[b"C"] == b"57P01" and not busy.closing
    it.says(server, m.build_command_complete(b"BEGIN"), m.build_ready_for_query(ord("T")))
    await it.server._tick()
    assert not busy.closing
    it.says(server, m.build_command_complete(b"COMMIT"), m.build_ready_for_query(m.IDLE))
    assert it.arrives().closing  # nobody new meanwhile
    await it.server._tick()
    await it.ends()
    assert busy.closing


@pytest.mark.parametrize("stuck", [False, True])
def test_draining_has_a_bound(stuck: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_WORDS", 0.01)

    @scene("timeouts: {drain: 0}\n")
    async def test(it: Scene) -> None:
        await it.start()
        busy, server = await it.logs_in()
        it.says(busy, query("begin"))
        busy.stuck = stuck
        it.server.stop()
        await it.ends()
        assert error(busy.take()[0])[b"C"] == b"57P01" and server.closing and busy.aborted == stuck

    test()


@scene("timeouts: {drain: 5s}\n")
async def test_links_of_a_process_whose_place_is_taken_go_on_to_their_end(it: Scene) -> None:
    await it.start()
    idle, _ = await it.logs_in()
    it.server.succeeded()
    await until(lambda: it.door.closed)
    late = it.arrives()
    await it.server._tick()
    assert not idle.closing and not late.closing and not it.server.stopping
    late.lose()
    idle.lose()
    await it.ends()


@scene("timeouts: {drain: 5s}\n")
async def test_a_signal_cuts_that_short(it: Scene) -> None:
    await it.start()
    idle, _ = await it.logs_in()
    it.server.succeeded()
    await until(lambda: it.door.closed)
    it.server.stop()
    await it.ends()
    assert error(idle.take()[0])[b"C"] == b"57P01"


@scene("timeouts: {drain: 0}\n")
async def test_and_so_does_time(it: Scene) -> None:
    await it.start()
    idle, _ = await it.logs_in()
    it.server.succeeded()
    await it.ends()
    assert error(idle.take()[0])[b"C"] == b"57P01"


# ---- who gets in


@scene("limits: {connections: 1}\n")
async def test_places_of_other_processes_count(it: Scene) -> None:
    await it.start()
    for places, code in (((1, 0), b"53300"), ((1, 1), None)):
        arrival = Arrival(it.server, False, places)
        transport = Transport(arrival, ("10.0.0.1", 5))
        arrival.connection_made(transport)
        assert arrival.linked
        it.says(transport, m.build_startup(m.PROTOCOL_3_0, [(b"user", b"shop")]))
        assert [error(each)[b"C"] for each in transport.take()] == ([] if code is None else [code])
        transport.lose()
        await turns()


@scene("limits: {connections: 1}\n")
async def test_one_too_many_is_told_when_it_has_said_what_it_wants(it: Scene) -> None:
    await it.start()
    first, _ = await it.logs_in()
    second = it.arrives()
    assert not second.sent
    it.says(second, m.build_startup(m.PROTOCOL_3_0, [(b"user", b"shop")]))
    assert error(second.take()[0])[b"C"] == b"53300"
    await turns()
    third = it.arrives()
    it.says(third, m.build_cancel_request(1, b"1234"))
    await until(lambda: len(it.net.made) == 2)
    it.net.made[1].lose()
    first.lose()
    await turns()
    await it.logs_in()


@scene("limits: {connections: 1}\n")
async def test_far_too_many_are_closed(it: Scene) -> None:
    await it.start()
    waiting = [it.arrives() for _ in range(1 + TURNED_AWAY)]
    before = metric("links_total", outcome="refused")
    last = it.arrives()
    assert error(last.take()[0])[b"C"] == b"53300" and last.closing
    assert metric("links_total", outcome="refused") == before + 1
    for each in waiting:
        each.lose()
    await turns()
    assert it.server._turned_away == 0


@scene()
async def test_where_a_client_comes_from(it: Scene) -> None:
    await it.start()
    for unix, peer, client in (
        (False, ("10.0.0.7", 5), "10.0.0.7"),
        (False, ("fe80::1", 5, 0, 2), "fe80::1"),
        (True, "", ""),
    ):
        arrived = it.arrives(unix, peer)
        assert arrived.protocol.link.session.state.client == client  # type: ignore[attr-defined]
    gone = it.arrives(False, None)
    assert gone.aborted and len(it.server._links) == 3


# ---- time


@scene("timeouts: {startup: 0.1}\n")
async def test_a_silent_client_is_sent_away(it: Scene) -> None:
    await it.start()
    silent = it.arrives()
    await it.server._tick()
    assert not silent.closing
    loop: Any = asyncio.get_running_loop()
    now = loop.time()
    loop.time = lambda: now + 1
    await it.server._tick()
    assert silent.closing
    await turns()
    del loop.time


@scene()
async def test_a_link_that_breaks_at_a_tick_harms_no_other(it: Scene) -> None:
    await it.start()
    good, _ = await it.logs_in()
    bad, _ = await it.logs_in()
    bad.protocol.link.session.state = None  # type: ignore[attr-defined]
    await it.server._tick()
    await turns()
    assert bad.aborted and not good.closing and len(it.server._links) == 1


# ---- policy and catalog


@scene()
async def test_a_new_policy_reaches_every_link(it: Scene) -> None:
    await it.start()
    client, server = await it.logs_in()
    it.server.policy_changed(policy("version: 1\n"))
    it.says(client, query("select email from customers"))
    await until(lambda: server.sent)
    assert server.take() == [query("select email from customers")]
    client.lose()


@scene()
async def test_a_policy_for_a_database_that_had_none_asks_at_once(it: Scene) -> None:
    it.server.worlds.renew(policy("version: 1\n"))
    await it.start()
    client, _ = await it.logs_in()
    link = client.protocol.link  # type: ignore[attr-defined]
    assert link.session.state.world is None
    it.server.policy_changed(policy())
    await until(lambda: link.session.state.world is not None)


@scene()
async def test_ready(it: Scene) -> None:
    await it.start()
    await until(lambda: it.server.worlds.all)
    ready, details = it.server.readiness()
    assert ready and details["catalog"] is True and details["drift"] == []
    it.store.gone = True
    await it.server._look_at_vault()
    assert it.server.readiness()[0] is False and it.server.readiness()[1]["vault"] is False
    it.store.gone = False
    await it.server._look_at_vault()
    it.shelf.catalogs.clear()
    await it.server._refresh()
    ready, details = it.server.readiness()
    assert ready and details["catalogs_unread"] == ["shop"]  # links go on with the one that is known
    it.server.stop()
    assert it.server.readiness()[0] is False


@scene()
async def test_a_catalog_that_is_down_at_the_start_is_tried_again(it: Scene) -> None:
    it.shelf.gone = True
    await it.start()
    await until(lambda: it.server.worlds.unread)
    assert it.server.readiness() == (
        False,
        {
            "links": 0,
            "upstream": [{"server": "db:5432", "links": 0, "last": "untried"}],
            "draining": False,
            "vault": True,
            "vault_writes": True,
            "columns": {},
            "catalog": False,
            "columns_unseen": [],
            "shares_sessions": [],
            "catalogs_unread": ["shop"],
            "drift": [],
        },
    )
    it.shelf.gone = False
    await turns()
    await it.server._look_at_catalog()
    assert it.server.readiness()[0] is True
    await it.server._look_at_catalog()
    assert it.shelf.began == 2


@scene()
async def test_plans_are_counted(it: Scene) -> None:
    await it.start()
    client, server = await it.logs_in()
    hits, misses = metric("plan_cache_hits_total"), metric("plan_cache_misses_total")
    for _ in range(2):
        it.says(client, query("select email from customers"))
        await until(lambda: server.sent)
        server.take()
        it.says(server, m.build_command_complete(b"SELECT 0"), m.build_ready_for_query(m.IDLE))
    await it.server._tick()
    assert (metric("plan_cache_hits_total"), metric("plan_cache_misses_total")) == (hits + 1, misses + 1)
    assert metric("plan_cache_size") == 1


def test_there_is_nothing_to_read_without_a_database(tmp_path: Path) -> None:
    @scene()
    async def test(it: Scene) -> None:
        server: Any = it.server
        server._settings = replace(server._settings, catalog=type(server._settings.catalog)("postgresql://a@b:1"))
        await server._look_at_catalog()
        assert it.shelf.began == 0 and isinstance(server.worlds, Worlds)

    test()


@scene()
async def test_links_are_counted_by_how_they_ended(it: Scene) -> None:
    await it.start()
    kinds = ("closed", "fault", "cancel", "failed", "drained")
    before = {kind: metric("links_total", outcome=kind) for kind in kinds}
    it.arrives().lose()
    it.says(it.arrives(), b"\x00\x00\x00\x04")
    it.says(cancelling := it.arrives(), m.build_cancel_request(1, b"1234"))
    await until(lambda: it.net.made)
    it.net.made[-1].lose()
    cancelling.lose()
    client, _ = await it.logs_in()
    (link,) = it.server._links
    link.run(link.session.lost, Refusal("vault-unavailable", "gone"))
    await until(lambda: client.closing)
    await it.logs_in()
    it.server.stop()
    await it.ends()
    assert {kind: metric("links_total", outcome=kind) - before[kind] for kind in kinds} == dict.fromkeys(kinds, 1)


# ---- what others tell


@scene()
async def test_what_other_processes_have_seen_counts_here(it: Scene) -> None:
    await it.start()
    client, _ = await it.logs_in()
    heed, worlds, began = it.server.others.heed, it.server.worlds, it.shelf.began
    await heed(Notice("catalog", "shop"))
    assert it.shelf.began == began + 1
    await heed(Notice("catalog", "unknown"))
    await heed(Notice("moved", "shop"))
    (world,) = worlds.all
    assert it.shelf.began == began + 1 and world.moved
    await heed(Notice("databases", "postgres"))
    assert worlds.known("shop") is None
    await heed(Notice("mixed", "shop", ("public.customers.email",)))
    await heed(Notice("strayed", "shop", ("email",)))
    assert not client.closing
    client.lose()


@scene()
async def test_links_are_forsaken_when_a_change_can_not_be_read(it: Scene) -> None:
    await it.start()
    client, _ = await it.logs_in()
    it.shelf.catalogs.clear()
    await it.server.others.heed(Notice("catalog", "shop"))
    assert error(client.take()[0])[b"C"] == b"57P03" and it.server.worlds.known("shop") is None
    await turns()
