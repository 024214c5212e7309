"""Who gets what: the role of a principal, and its rights for each class.

Pure. It decides, it does not enforce: `session` asks before a statement goes out, the vault before a value does. The
class of a value that is revealed comes from the vault's entry, so no expression goes round it.

Invariants: roles are tried in the policy's order and the first match wins; nothing that is not said is granted. A
principal that no role matches has the level `token` for every class: what it reads are tokens, what it writes is
tokenised (a token of ours stands for itself), so an application with a wrong user name loses no data and sees none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import MappingProxyType
from typing import Final

from proxy.policy.rules import Level, Match, Policy, RoleRule

UNIX: Final = "unix"


@dataclass(frozen=True, slots=True)
class Access:
    """Rights of one principal under one policy. role: '' if no role matched. rows: cap on the revealed values of a
    statement, None for none."""

    role: str = ""
    default: Level = "token"
    levels: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({}))
    require_purpose: bool = False
    search: bool | tuple[str, ...] = False
    write: bool | tuple[str, ...] | None = None
    rows: int | None = None

    def level(self, class_name: str) -> Level:
        return self.levels.get(class_name, self.default)

    def may_search(self, class_name: str) -> bool:
        """May compare with a value. Who sees the values may; `search` lets others confirm a guess; `deny` is final."""
        level = self.level(class_name)
        if level == "reveal":
            return True
        return level != "deny" and _covers(self.search, class_name)

    def may_write(self, class_name: str) -> bool:
        """May store values of the class.

        Without `write` in the role, `reveal` and `token` write. `mask` does not: an application that reads a row and
        writes it back would put the mask in the value's place. `deny` is final.
        """
        level = self.level(class_name)
        if level == "deny":
            return False
        if self.write is None:
            return level != "mask"
        return _covers(self.write, class_name)

    def writes_tokens(self, class_name: str) -> bool:
        """A token of ours that is written (or searched for) stands for itself: only for those who see tokens."""
        return self.level(class_name) == "token"

    def needs_purpose(self, purpose: str) -> bool:
        """A purpose is still to be declared before anything protected is touched."""
        return self.require_purpose and not purpose.strip()


def resolve(
    policy: Policy, *, user: str, database: str, application_name: str, client: str, tls_subject: str
) -> Access:
    """Rights of a principal as the server authenticated it.

    client: IP address, '' for a Unix socket. tls_subject: '' without a client certificate.
    """
    for role in policy.roles:
        if _matches(role.match, user, database, application_name, client, tls_subject):
            return _granted(role)
    return Access()


def as_stored(access: Access) -> Access:
    """For links that replicate: the rows that a subscriber copies first are tokens, as the changes are that it gets
    later. It looks for no values and writes none."""
    return Access(access.role, "token", write=False)


def _granted(role: RoleRule) -> Access:
    return Access(role.name, role.default, role.access, role.require_purpose, role.search, role.write, role.rows)


def _covers(right: bool | tuple[str, ...], class_name: str) -> bool:
    return right if isinstance(right, bool) else class_name in right


def _matches(match: Match, user: str, database: str, application_name: str, client: str, tls_subject: str) -> bool:
    return (
        _glob(match.user, user)
        and _glob(match.database, database)
        and _glob(match.application_name, application_name)
        and (not match.client or _within(match.client, client))
        # '*' is for those that have a certificate, not for those without.
        and (not match.tls_subject or (tls_subject != "" and _glob(match.tls_subject, tls_subject)))
    )


def _glob(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def _within(networks: tuple[str, ...], client: str) -> bool:
    if not client:
        return UNIX in networks
    address = _address(client)
    if address is None:
        return False
    return any(address in ip_network(network) for network in networks if network != UNIX)


def _address(client: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address. An IPv4 client of a dual-stack socket (::ffff:a.b.c.d) is an IPv4 client; a zone
    (fe80::1%eth0) is this machine's business."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
