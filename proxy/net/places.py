"""From settings to what connects to servers: the links' `Upstreams`, and the reader of catalogs.

With one server the catalog is read at the address that `catalog` names; with several, by its account at those that
`upstream` names (docs/adr/0010).
"""

import ssl
from collections.abc import Callable, Sequence

from proxy.config import Settings
from proxy.endpoints import Unix
from proxy.kinds import POSTGRES_PORT
from proxy.net.catalog import CatalogReader
from proxy.net.poolers import Poolers
from proxy.net.upstream import Upstream
from proxy.net.upstreams import Standing, Upstreams


def servers(settings: Settings, context: ssl.SSLContext | None) -> list[Upstream]:
    """context: for TLS to them."""
    seconds = settings.timeouts.connect
    found = []
    for each in settings.upstream:
        where = each.endpoint
        if isinstance(where, Unix):
            found.append(Upstream(where.directory, where.port or POSTGRES_PORT, "disable", None, seconds))
        else:
            found.append(Upstream(where.host, where.port, settings.tls.server.mode, context, seconds))
    return found


def upstreams(settings: Settings, context: ssl.SSLContext | None) -> Upstreams:
    """context: for TLS to them."""
    account = CatalogReader(settings.catalog.text, settings.timeouts.connect)

    async def judge(server: Upstream) -> Standing:
        return await account.standing(server.host, server.port)

    return Upstreams(servers(settings, context), settings.target_session_attrs, judge)


def poolers(settings: Settings, upstreams: Upstreams) -> Poolers:
    return Poolers(settings.catalog.text, upstreams.servers, settings.timeouts.connect)


def catalog_reader(settings: Settings, order: Callable[[], Sequence[Upstream]] | None = None) -> CatalogReader:
    """order: which server of several to try first; None: the configuration's."""
    url, timeouts = settings.catalog.text, settings.timeouts
    if len(settings.upstream) == 1:
        return CatalogReader(url, timeouts.catalog)
    listed = servers(settings, None)

    def places() -> list[tuple[str, int]]:
        return [(each.host, each.port) for each in (order() if order is not None else listed)]

    return CatalogReader(url, timeouts.catalog, places, timeouts.connect)
