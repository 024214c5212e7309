"""From settings to a serving process: everything is opened before anything is listened on, and closed in reverse."""

import asyncio
import os
import signal
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from proxy.admin.app import Admin
from proxy.config import ServerTls, Settings
from proxy.documents import Fault, Faults
from proxy.endpoints import Tcp, Unix
from proxy.net.reload import PolicyFiles, read_policy
from proxy.net.server import Server
from proxy.net.tasks import Tasks
from proxy.net.upstream import Upstream
from proxy.observe import REGISTRY, log
from proxy.policy.rules import Policy
from proxy.vault.committer import Limits, Sources
from proxy.vault.keys import load_provider
from proxy.vault.store import Store
from proxy.vault.vault import Mode, Vault

OpenStore = Callable[[Settings], Awaitable[Store]]
NO_TLS: Final = ("disable",)


def modes(policy: Policy) -> dict[str, Mode]:
    """Token mode of each class."""
    return {name: each.tokens for name, each in policy.classes.items()}


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


def upstream(settings: Settings) -> Upstream:
    """Raises Faults for certificate files that can't be used."""
    endpoint = settings.upstream.endpoint
    tls = settings.tls.server
    if isinstance(endpoint, Unix):
        return Upstream(endpoint.directory, endpoint.port or 5432, "disable", None, settings.timeouts.connect)
    assert isinstance(endpoint, Tcp)
    try:
        context = _context(tls)
    except OSError as error:  # SSLError too
        files = ", ".join(file for file in (tls.ca, tls.cert, tls.key) if file is not None)
        why = error.strerror or "it holds no certificate or key"
        raise Faults([Fault("tls.server", 0, f"can't use {files or 'the certificates'}: {why}")]) from None
    return Upstream(endpoint.host, endpoint.port, tls.mode, context, settings.timeouts.connect)


def _context(tls: ServerTls) -> ssl.SSLContext | None:
    """As libpq's sslmode: prefer and require encrypt, verify-ca checks the chain, verify-full the name too."""
    if tls.mode in NO_TLS:
        return None
    context = ssl.create_default_context(cafile=tls.ca)
    context.check_hostname = tls.mode == "verify-full"
    if tls.mode in ("prefer", "require") and tls.ca is None:
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


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
    if settings.tls.client.cert is not None:
        refuse("tls.client", "TLS to clients", "listen on loopback or a Unix socket")
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
    refuse_unsupported(settings)
    sources, policy = read_policy(settings)
    target = upstream(settings)
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        stack.push_async_callback(tasks.cancel)
        vault = await _opened(settings, policy, open_store, tasks)
        stack.push_async_callback(vault.close)
        server = Server(settings, vault, policy, target, ready_line)
        files = PolicyFiles(settings, sources, policy, server.policy_changed)
        _start_admin(settings, server, files, stack)
        loop.add_signal_handler(signal.SIGHUP, _hangup, files, server)
        tasks.repeat(_looking(files), settings.policy_poll, "policy")
        for warning in settings.warnings:
            log("setting-warning", "warning", reason=warning[:200])
        await server.run()


def _hangup(files: PolicyFiles, server: Server) -> None:
    files.look(True)
    server.worlds.look_again()


def _nothing() -> None:
    """The policy is read later, or will be found changed."""


async def _opened(settings: Settings, policy: Policy, open_store: OpenStore, tasks: Tasks) -> Vault:
    """The vault, which owns its store from then on."""
    store = await open_store(settings)
    try:
        return await open_vault(settings, policy, store, tasks)
    except BaseException:
        await store.close()
        raise


def _start_admin(settings: Settings, server: Server, files: PolicyFiles, stack: AsyncExitStack) -> None:
    if settings.admin is None:
        return

    def ready() -> tuple[bool, Mapping[str, object]]:
        well, details = server.readiness()
        return well, {**details, "policy": {"digest": files.policy.digest, "faults": list(files.faults)}}

    admin = Admin(settings.admin, REGISTRY, ready)
    admin.start()
    stack.callback(admin.stop)


def _looking(files: PolicyFiles) -> Callable[[], Coroutine[Any, Any, None]]:
    async def look() -> None:
        files.look()

    return look
