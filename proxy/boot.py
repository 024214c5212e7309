"""From settings to a serving process: everything is opened before anything is listened on, and closed in reverse."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from proxy.admin.app import Admin
from proxy.config import Settings
from proxy.documents import Fault, Faults
from proxy.endpoints import Unix
from proxy.errors import Unavailable
from proxy.net.places import upstreams
from proxy.net.reload import PolicyFiles, read_policy, refuse_other_forms
from proxy.net.reload import Sources as PolicySources
from proxy.net.server import Server
from proxy.net.tasks import Tasks
from proxy.net.tls import Certificates
from proxy.observe import REGISTRY, log
from proxy.policy.rules import Policy
from proxy.policy.values import form
from proxy.vault.committer import Limits, Sources
from proxy.vault.keys import load_provider
from proxy.vault.store import Store
from proxy.vault.vault import Mode, Vault

OpenStore = Callable[[Settings], Awaitable[Store]]


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
    """Run until a signal. Raises Faults (settings, policy), VaultFault, Unavailable before the ready line."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, _nothing)  # one that comes now must not end the process
    certificates, sources, policy = _read(settings)
    target = upstreams(settings, certificates.server)
    certificates.changed = target.renew
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        stack.push_async_callback(tasks.cancel)
        vault = await _opened(settings, policy, open_store, tasks)
        stack.push_async_callback(vault.close)

        def ready(line: str) -> None:
            ready_line(line)
            tasks.spawn(_begin(vault), "audit start")
            tasks.repeat(_noting(vault), HEAD_EVERY, "audit head")
            stack.callback(_note_head, vault)

        server = Server(settings, vault, policy, target, ready, certificates)
        files = PolicyFiles(settings, sources, policy, server.policy_changed, vault.recall)
        _start_admin(settings, server, files, certificates, stack)
        loop.add_signal_handler(signal.SIGHUP, _hangup, files, certificates, server)
        tasks.repeat(_looking(files), settings.policy_poll, "policy")
        tasks.repeat(_looking(certificates), settings.policy_poll, "certificates")
        for warning in settings.warnings:
            log("setting-warning", "warning", reason=warning[:200])
        await server.run()


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


async def _opened(settings: Settings, policy: Policy, open_store: OpenStore, tasks: Tasks) -> Vault:
    """The vault, which owns its store from then on. Raises Faults too: the policy is not the one it was filled by."""
    store = await open_store(settings)
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


def _start_admin(
    settings: Settings, server: Server, files: PolicyFiles, certificates: Certificates, stack: AsyncExitStack
) -> None:
    if settings.admin is None:
        return

    def ready() -> tuple[bool, Mapping[str, object]]:
        well, details = server.readiness()
        policy = {"digest": files.policy.digest, "faults": list(files.faults)}
        return well, {**details, "policy": policy, "certificates": {"faults": list(certificates.faults)}}

    admin = Admin(settings.admin, REGISTRY, ready)
    admin.start()
    stack.callback(admin.stop)


def _looking(files: PolicyFiles | Certificates) -> Callable[[], Coroutine[Any, Any, None]]:
    async def look() -> None:
        files.look()

    return look
