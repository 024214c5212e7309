"""The servers in `upstream`, each as a link reaches it; of several, whether they are copies of one another.

Copies have the system identifier of the cluster that they were made from. Another cluster has other OIDs and other
rows, so that neither its catalog nor its tokens' columns are what was read elsewhere.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from proxy.config import Settings
from proxy.documents import Faults
from proxy.errors import Unavailable
from proxy.net.catalog import DATABASE, CatalogReader
from proxy.net.check_findings import Finding
from proxy.net.check_vault import CONFIGURATION
from proxy.net.places import servers
from proxy.net.poolers import UNKNOWN, Poolers
from proxy.net.tls import contexts
from proxy.net.upstream import Upstream
from proxy.net.upstreams import Standing, fits

REACHABLE: Final = "see `upstream`, and `tls.server`: links go there as this did"
LOGIN: Final = "the `catalog` account has to be able to log in at each server of `upstream`"
CLEAN: Final = "pool sessions, with a reset between clients (PgBouncer: server_reset_query = DISCARD ALL)"
COPIES: Final = "name servers of one cluster only: a primary and its physical standbys"


@dataclass(frozen=True, slots=True)
class Seen:
    server: Upstream
    standing: Standing
    cluster: str


async def check_upstreams(settings: Settings) -> list[Finding]:
    """Raises nothing: what can't be reached is a finding."""
    try:
        context = contexts(settings.tls).server
    except Faults:
        return []  # named by those who look at certificates
    findings: list[Finding] = []
    seen: list[Seen] = []
    account = CatalogReader(settings.catalog.text, settings.timeouts.connect)
    for server in servers(settings, context):
        try:
            await _reach(server)
        except Unavailable as gone:
            findings.append(_fault("unreachable", f"upstream: {gone}", REACHABLE))
            continue
        if len(settings.upstream) > 1 or settings.target_session_attrs != "any":
            try:
                standing = await account.standing(server.host, server.port)
                seen.append(Seen(server, standing, await account.cluster(server.host, server.port)))
            except Unavailable as gone:
                findings.append(_fault("unreachable", f"upstream: {server.name}: {gone}", LOGIN))
    return findings + _compared(settings, seen) + await _pooled(settings, context)


async def _reach(server: Upstream) -> None:
    """Raises Unavailable."""
    protocol = Closing()
    await server.connect(protocol)


class Closing(asyncio.Protocol):
    """Being connected is all that is asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _pooled(settings: Settings, context: ssl.SSLContext | None) -> list[Finding]:
    """As the links come, with the database that `catalog` names."""
    found = Poolers(settings.catalog.text, servers(settings, context), settings.timeouts.connect)
    pooling = await found.look(unquote(urlsplit(settings.catalog.text).path.lstrip("/")) or DATABASE)
    if pooling.closed is not None:
        return [_fault("upstream-pooled", f"upstream: {pooling.closed.message}", pooling.closed.hint)]
    if pooling is UNKNOWN:
        message = (
            "upstream: the `catalog` account can't log in there, so nobody looked whether a pooler shares sessions"
        )
        return [Finding("warning", "upstream-pooled", CONFIGURATION, 0, message, LOGIN)]
    if pooling.between:
        message = "upstream: a pooler hands out server sessions; links need each for themselves, and clean"
        return [Finding("warning", "upstream-pooled", CONFIGURATION, 0, message, CLEAN)]
    return []


def _compared(settings: Settings, seen: list[Seen]) -> list[Finding]:
    findings = [
        _fault("upstream-other", f"upstream: {each.server.name} is no copy of {seen[0].server.name}", COPIES)
        for each in seen[1:]
        if each.cluster != seen[0].cluster
    ]
    target = settings.target_session_attrs
    if seen and target != "prefer-standby" and not any(fits(target, each.standing) for each in seen):
        told = ", ".join(f"{each.server.name} is {each.standing.words}" for each in seen)
        message = f"upstream: no server for target_session_attrs {target}: {told}"
        findings.append(_fault("upstream-unfit", message, "no link can be made while that is so"))
    return findings


def _fault(code: str, message: str, todo: str) -> Finding:
    return Finding("fault", code, CONFIGURATION, 0, message, todo)
