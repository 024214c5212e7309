"""Roles that can't do what they are there for: never reached, for nobody, or none that sees anything.

Pure. That classes exist and that no role stands behind one for everybody is `policy.load`'s to say.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from proxy.documents import meant, quote
from proxy.net.check_findings import Finding
from proxy.policy.access import UNIX
from proxy.policy.rules import Match, Policy, RoleRule

WILD: Final = "*?["


def check_roles(policy: Policy, client_ca: bool) -> list[Finding]:
    """What the policy alone tells. client_ca: clients may show certificates."""
    findings: list[Finding] = []
    for place, role in enumerate(policy.roles):
        before = next((other for other in policy.roles[:place] if covers(other.match, role.match)), None)
        if before is not None:
            message = f"role {quote(role.name)} never matches: role {quote(before.name)} takes all of its principals"
            findings.append(
                _finding("role-shadowed", role, message, f"move it before {quote(before.name)}; the first match wins")
            )
        if role.match.tls_subject and not client_ca:
            message = f"role {quote(role.name)} matches by `tls_subject`, but no client certificate is asked for"
            findings.append(_finding("role-tls", role, message, "set `tls.client.ca`"))
    if policy.rules and not any("reveal" in (role.default, *role.access.values()) for role in policy.roles):
        first = policy.roles[0] if policy.roles else policy.rules[0]
        message = "no role has `reveal`: nobody reads a value through pgveil"
        findings.append(
            Finding("warning", "nobody-reveals", first.file, first.line, message, "add a role for the application")
        )
    return findings


def check_accounts(policy: Policy, users: Iterable[str], databases: Iterable[str]) -> list[Finding]:
    """Roles for accounts and databases that the server does not have."""
    known = {"user": sorted(users), "database": sorted(databases)}
    findings: list[Finding] = []
    for role in policy.roles:
        for key, patterns in (("user", role.match.user), ("database", role.match.database)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in known[key]):
                    names = [name for name in known[key] if not name.startswith("pg_")]
                    message = f"role {quote(role.name)} is for {key} {quote(pattern)}, which the server does not have"
                    near = meant(pattern, names) if not _wild(pattern) else ""
                    todo = near if near.startswith("did you mean") else f"create it, or name another {key}"
                    findings.append(_finding("role-nobody", role, message, todo))
    return findings


def covers(first: Match, second: Match) -> bool:
    """Whether whoever matches `second` matches `first` too. False if that can't be told."""
    return (
        _globs(first.user, second.user)
        and _globs(first.database, second.database)
        and _globs(first.application_name, second.application_name)
        and _globs(first.tls_subject, second.tls_subject)
        and (not first.client or (second.client != () and all(_within(each, first.client) for each in second.client)))
    )


def _globs(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return not first or (second != () and all(any(_wider(a, b) for a in first) for b in second))


def _wider(first: str, second: str) -> bool:
    """A pattern of literals and `*` is wider than another if it matches its text: `*` alone can take its wild cards."""
    if not _wild(second):
        return fnmatchcase(second, first)
    return first == second or (not set(first) & set("?[") and fnmatchcase(second, first))


def _wild(pattern: str) -> bool:
    return bool(set(pattern) & set(WILD))


def _within(network: str, networks: tuple[str, ...]) -> bool:
    if network == UNIX or network in networks:
        return network in networks
    own = ip_network(network)
    return any(_subnet(own, ip_network(other)) for other in networks if other != UNIX)


def _subnet(own: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(own, IPv4Network) and isinstance(other, IPv4Network):
        return own.subnet_of(other)
    return isinstance(own, IPv6Network) and isinstance(other, IPv6Network) and own.subnet_of(other)


def _finding(code: str, role: RoleRule, message: str, todo: str) -> Finding:
    return Finding("warning", code, role.file, role.line, message, todo)
