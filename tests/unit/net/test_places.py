"""From settings to servers."""

import ssl

from proxy.config import Settings, read
from proxy.net.places import catalog_reader, servers, upstreams

CONFIG = """
upstream: {upstream}
catalog: postgresql://reader@/shop
policies: []
vault: sqlite:////v
keys: env:K
tls: {{server: {{mode: require}}}}
"""


def settings(upstream: str) -> Settings:
    return read(CONFIG.format(upstream=upstream), None, {})


def test_servers_are_where_the_configuration_says() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tcp, unix = servers(settings("[db, unix:/run/postgresql]"), context)
    assert (tcp.host, tcp.port, tcp._mode, tcp._context) == ("db", 5432, "require", context)
    assert (unix.host, unix.port, unix._mode, unix._context) == ("/run/postgresql", 5432, "disable", None)


def test_the_start_up_packet_waits_for_an_answer_only_where_there_is_a_choice() -> None:
    assert not upstreams(settings("db"), None).greets
    assert upstreams(settings("[db, db2]"), None).greets


def test_the_catalog_is_read_where_links_go_if_there_are_several() -> None:
    assert catalog_reader(settings("db"))._places is None
    several = settings("[db, db2:1]")
    places = catalog_reader(several)._places
    assert places is not None and places() == [("db", 5432), ("db2", 1)]
    turned = catalog_reader(several, lambda: list(reversed(servers(several, None))))._places
    assert turned is not None and turned() == [("db2", 1), ("db", 5432)]
