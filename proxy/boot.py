"""From settings to a serving process: everything is opened before anything is listened on, and closed in reverse."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, final

from prometheus_client import CollectorRegistry

from proxy.config import Settings
from proxy.documents import Fault, Faults
from proxy.endpoints import Unix
from proxy.errors import Unavailable
from proxy.front import Front, vault_of
from proxy.net.handover import Met, meet
from proxy.net.listen import Arrive, Listeners
from proxy.net.places import upstreams
from proxy.net.reload import PolicyFiles, read_policy, refuse_other_forms
from proxy.net.reload import Sources as PolicySources
from proxy.net.server import Server
from proxy.net.tasks import Tasks
from proxy.net.tls import Certificates
from proxy.net.worker import Orders
from proxy.observe import REGISTRY, log, setup
from proxy.policy.load import load as load_policy
from proxy.policy.rules import Policy
from proxy.policy.values import form
from proxy.supervisor import Supervisor
from proxy.vault.committer import Limits, Sources
from proxy.vault.faults import KeyFault, VaultFault
from proxy.vault.keys import load_provider
from proxy.vault.store import Store
from proxy.vault.vault import Mode, Vault


class OpenStore(Protocol):
    """lock: of the vault, as another process of this pgveil gave it."""

    def __call__(self, settings: Settings, read_only: bool = False, lock: int | None = None) -> Awaitable[Store]: ...


def modes(policy: Policy) -> dict[str, Mode]:
    """Token mode of each class."""
    return {name: each.tokens for name, each in policy.classes.items()}


def forms(policy: Policy) -> dict[str, str]:
    """What equality means among the values of each class."""
    return {name: form(each) for name, each in policy.classes.items()}


async def open_vault(settings: Settings, policy: Policy, store: Store, tasks: Tasks) -> Vault:
    """Raises KeyFault, StoreFault, Damaged, Unavailable."""
    sources = Sources(tasks.spawn, os.urandom, lambda: time.time_ns() // 1000, time.monotonic_ns)
    limits = Limits(
        read_tokens=settings.limits.vault_batch,
        timeout=settings.timeouts.vault,
        cache_bytes=settings.limits.vault_cache,
    )
    provider = load_provider(str(settings.keys), os.environ, os.urandom)
    return await Vault.open(store, provider, modes(policy), sources, limits)


HEAD_EVERY: Final = 3600.0  # seconds between notes of the audit trail's end: what may be cut off unseen
# Settings that this version knows but does not do yet: named at start, not ignored.
NOT_YET: Final = "this version does not do it yet"
VAULTS: Final = ("sqlite",)
KEY_SOURCES: Final = ("file", "env")


def refuse_unsupported(settings: Settings) -> None:
    """Raises Faults."""
    faults = []

    def refuse(name: str, what: str, advice: str) -> None:
        faults.append(Fault(name, 0, f"{what}: {NOT_YET}", advice))

    if settings.enforcement != "enforce":
        refuse("enforcement", f"`{settings.enforcement}`", "leave it out, or `enforce`")
    if settings.vault.scheme not in VAULTS:
        refuse("vault", f"{settings.vault.scheme}://", "use sqlite:////path")
    if settings.keys.scheme not in KEY_SOURCES:
        refuse("keys", f"{settings.keys.scheme}:", "use file:/path or env:NAME")
    if isinstance(settings.admin, Unix):
        refuse("admin", "a Unix socket", "give host:port, or `off`")
    if faults:
        raise Faults(faults)


async def serve(settings: Settings, open_store: OpenStore, ready_line: Callable[[str], None]) -> None:
    """Run until a signal, or until another process has taken the place.

    Raises Faults (settings, policy), VaultFault, Unavailable before the ready line.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, _nothing)  # one that comes now must not end the process
    certificates, sources, policy = _read(settings)
    async with AsyncExitStack() as stack:
        met = await meet(settings.listen, settings.takeover)
        if met is not None:
            stack.callback(met.close)
        for warning in settings.warnings:
            log("setting-warning", "warning", reason=warning[:200])
        alone = settings.workers == 1
        run = _alone if alone else _supervised
        await run(settings, _opening(open_store, settings, met), ready_line, certificates, sources, policy, met, stack)


Opened = Callable[[], Awaitable[Store]]


def _opening(open_store: OpenStore, settings: Settings, met: Met | None) -> Opened:
    """With the lock of the process that is there, if it has the same vault."""

    async def open_it() -> Store:
        if met is None or met.lock < 0 or met.vault != vault_of(settings):
            return await open_store(settings)
        return await open_store(settings, False, met.lock)

    return open_it


async def _alone(
    settings: Settings,
    opened: Opened,
    ready_line: Callable[[str], None],
    certificates: Certificates,
    sources: PolicySources,
    policy: Policy,
    met: Met | None,
    stack: AsyncExitStack,
) -> None:
    """One process does it all."""
    target = upstreams(settings, certificates.server)
    certificates.changed = target.renew
    tasks = Tasks()
    stack.push_async_callback(tasks.cancel)
    vault, lock, schema = await _first(settings, opened, policy, tasks, stack)
    stack.push_async_callback(vault.close)
    front = Front(settings, lock, schema, met)
    stack.callback(front.close)
    door = _FrontDoor(front, settings, tasks)

    def ready() -> None:
        ready_line(front.ready_line)
        _begin_trail(vault, tasks, stack)

    server = Server(settings, vault, policy, target, door, ready, certificates)
    files = PolicyFiles(settings, sources, policy, server.policy_changed, vault.recall)
    door.serves(server, _readiness(server, files, certificates))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hangup, files, certificates, server)
    tasks.repeat(_looking(files), settings.policy_poll, "policy")
    tasks.repeat(_looking(certificates), settings.policy_poll, "certificates")
    await server.run()
    await front.outlive()


async def _first(
    settings: Settings, opened: Opened, policy: Policy, tasks: Tasks, stack: AsyncExitStack
) -> tuple[Vault, int, int]:
    """The vault, opened by the process that others may be handed its lock by; that lock, and its schema."""
    store = await opened()
    lock, schema = await _lock(store)
    stack.callback(_drop, lock)
    return await _opened(settings, policy, store, tasks), lock, schema


@final
class _FrontDoor:
    """The front of a process that accepts itself: its server's door, the holder of the place, and what /metrics and
    /readyz show."""

    def __init__(self, front: Front, settings: Settings, tasks: Tasks) -> None:
        self._front = front
        self._tasks = tasks
        self._door = Listeners(front.estate.listening)
        self._server: Server | None = None
        self._ready: Ready = lambda: (False, {})

    def serves(self, server: Server, ready: "Ready") -> None:
        self._server, self._ready = server, ready

    async def open(self, tcp: Arrive, unix: Arrive) -> None:
        assert self._server is not None
        await self._front.open(self._door, tcp, unix, self, self._server.others, self, self._tasks)

    def close(self) -> None:
        self._door.close()
        if self._server is not None and self._server.stopping:
            self._front.drains()

    async def settle(self) -> None:
        await self._door.settle()

    def pause(self) -> None:
        self._door.close()

    async def resume(self) -> None:
        assert self._server is not None
        await self._door.open(*self._server.arrivals)

    def succeeded(self) -> None:
        assert self._server is not None
        self._front.succeeded()
        self._server.succeeded()

    def leave_admin(self) -> None:
        self._front.leave_admin()

    def abandoned(self) -> None:
        assert self._server is not None
        self._server.abort()

    async def metrics(self) -> CollectorRegistry:
        return REGISTRY

    async def readiness(self) -> tuple[bool, Mapping[str, object]]:
        return self._ready()


async def _supervised(
    settings: Settings,
    opened: Opened,
    ready_line: Callable[[str], None],
    certificates: Certificates,
    sources: PolicySources,
    policy: Policy,
    met: Met | None,
    stack: AsyncExitStack,
) -> None:
    """This process watches over others that serve links. It opens the vault to see that it can be, and to bring it to
    its schema, and goes on to hold its lock."""
    tasks = Tasks()
    stack.push_async_callback(tasks.cancel)
    vault, lock, schema = await _first(settings, opened, policy, tasks, stack)
    recall = vault.recall
    await vault.close()
    front = Front(settings, lock, schema, met)
    stack.callback(front.close)
    supervisor = Supervisor(settings, sources, policy, lock, front, recall, tasks)
    await supervisor.run(lambda: ready_line(front.ready_line))


async def work(end: socket.socket, open_store: OpenStore) -> None:
    """As a worker, until its supervisor or a signal says so. Nothing is raised: the supervisor is told."""
    orders = Orders(end)
    try:
        start = await orders.start()
    except Unavailable:
        return
    settings = start.settings
    setup(settings.log.format, settings.log.level)
    try:
        async with AsyncExitStack() as stack:
            await _work(orders, settings, start.sources, open_store, stack)
    except Faults as faults:
        orders.say(failed=("Faults", [str(fault) for fault in faults.faults]))
    except (KeyFault, VaultFault) as fault:
        orders.say(failed=("Faults", [str(fault)]))
    except Unavailable as gone:
        orders.say(failed=("Unavailable", [gone.what, str(gone)]))
    await orders.end()


async def _work(
    orders: Orders, settings: Settings, sources: PolicySources, open_store: OpenStore, stack: AsyncExitStack
) -> None:
    certificates, policy = Certificates(settings.tls), load_policy(sources)
    target = upstreams(settings, certificates.server)
    certificates.changed = target.renew
    tasks = Tasks()
    stack.push_async_callback(tasks.cancel)
    vault = await _opened(settings, policy, await open_store(settings, False, orders.lock), tasks)
    stack.push_async_callback(vault.close)

    def ready() -> None:
        orders.say(ready=True)
        _begin_trail(vault, tasks, stack)

    server = Server(settings, vault, policy, target, orders, ready, certificates)
    files = PolicyFiles(settings, sources, policy, server.policy_changed, vault.recall)
    orders.serve(server, files, certificates, _readiness(server, files, certificates), settings.timeouts.catalog)
    tasks.repeat(_looking(certificates), settings.policy_poll, "certificates")
    await server.run()


async def _lock(store: Store) -> tuple[int, int]:
    """A copy of what makes another process a writer beside this one (-1: such a store needs none), and the schema."""
    held = getattr(store, "lock_descriptor", -1)
    return (os.dup(held) if held >= 0 else -1), await store.schema_version()


def _drop(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


Ready = Callable[[], tuple[bool, dict[str, object]]]


def _readiness(server: Server, files: PolicyFiles, certificates: Certificates) -> Ready:
    def ready() -> tuple[bool, dict[str, object]]:
        well, details = server.readiness()
        policy = {"digest": files.policy.digest, "faults": list(files.faults)}
        return well, {**details, "policy": policy, "certificates": {"faults": list(certificates.faults)}}

    return ready


def _begin_trail(vault: Vault, tasks: Tasks, stack: AsyncExitStack) -> None:
    tasks.spawn(_begin(vault), "audit start")
    tasks.repeat(_noting(vault), HEAD_EVERY, "audit head")
    stack.callback(_note_head, vault)


def _read(settings: Settings) -> tuple[Certificates, PolicySources, Policy]:
    """All files that are read again later. Raises Faults, those of all of them."""
    faults: list[Fault] = []
    try:
        refuse_unsupported(settings)
    except Faults as found:
        faults += found.faults
    try:
        certificates = Certificates(settings.tls)
    except Faults as found:
        faults += found.faults
    try:
        sources, policy = read_policy(settings)
    except Faults as found:
        faults += found.faults
    if faults:
        raise Faults(faults)
    return certificates, sources, policy


def _hangup(files: PolicyFiles, certificates: Certificates, server: Server) -> None:
    files.look(True)
    certificates.look(True)
    server.worlds.look_again()


def _nothing() -> None:
    """Policies and certificates are read later, or will be found changed."""


async def _opened(settings: Settings, policy: Policy, store: Store, tasks: Tasks) -> Vault:
    """The vault, which owns its store from then on. Raises Faults too: the policy is not the one it was filled by."""
    try:
        vault = await open_vault(settings, policy, store, tasks)
        vault.configure(modes(policy), forms(policy))
        refuse_other_forms(policy, vault.recall)
        return vault
    except BaseException:
        await store.close()
        raise


async def _begin(vault: Vault) -> None:
    """The start row; where it can't be written now (a full disk), it comes with the first event."""
    try:
        await vault.audit.begin()
    except Unavailable as gone:
        log("audit-not-begun", "error", reason=str(gone)[:200])
    _note_head(vault)


def _note_head(vault: Vault) -> None:
    """The end of the trail goes to the log, which is kept elsewhere: an anchor for `audit verify --head`."""
    head = vault.audit.head
    if head is not None:
        log("audit-head", head=str(head)[:200])


def _noting(vault: Vault) -> Callable[[], Coroutine[Any, Any, None]]:
    async def note_head() -> None:
        _note_head(vault)

    return note_head


def _looking(files: PolicyFiles | Certificates) -> Callable[[], Coroutine[Any, Any, None]]:
    async def look() -> None:
        files.look()

    return look
