"""`pgveil check`: configuration and policy against the live catalogs, vault and keys; all findings at once.

It changes nothing, prints nothing, and needs no more than an account that can connect. What it calls a fault is what
would make pgveil refuse a table, store a value or answer wrong; a warning is what somebody should know. Rules without
a database part are held against the database of the `catalog` URL, and against each that another rule names where
their table exists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import asyncpg

from proxy.config import Settings, Tls, policy_sources
from proxy.documents import Fault, Faults
from proxy.errors import Unavailable
from proxy.net.check_facts import read_facts
from proxy.net.check_findings import Finding
from proxy.net.check_objects import check_objects
from proxy.net.check_programs import check_programs
from proxy.net.check_roles import check_accounts, check_roles
from proxy.net.check_rows import IsOurs, ask_checks, look_at_rows
from proxy.net.check_targets import check_classes, check_types, find_targets, untold
from proxy.net.check_upstreams import check_upstreams
from proxy.net.check_vault import CONFIGURATION, OpenStore, check_vault
from proxy.net.places import catalog_reader
from proxy.net.reload import read_policy, refuse_other_forms
from proxy.net.tls import contexts
from proxy.policy.load import PolicyFaults
from proxy.policy.rules import Policy
from proxy.sql.catalog import snapshot
from proxy.tokens import is_ours

DONE: Final = 0
NO: Final = 1
UNREACHABLE: Final = 3
USERS: Final = "SELECT r.rolname FROM pg_catalog.pg_roles r"
DATABASES: Final = "SELECT d.datname FROM pg_catalog.pg_database d WHERE d.datallowconn AND NOT d.datistemplate"


async def check(settings: Settings, open_store: OpenStore) -> list[Finding]:
    """All that is wrong or worth knowing, in order of place. open_store: opens what `vault:` names.

    Raises nothing that its parts foresee: what can't be reached is a finding.
    """
    findings = [Finding("warning", "setting", CONFIGURATION, 0, text, "") for text in settings.warnings]
    findings += check_tls(settings.tls)
    findings += await check_upstreams(settings)
    keyring, facts, found = await check_vault(settings, open_store)
    findings += found
    policy, found = _policy(settings, facts)
    findings += found
    if policy is None:
        return findings
    ours = None if keyring is None else partial(is_ours, keyring.tag_key)
    findings += check_roles(policy, settings.tls.client.ca is not None)
    findings += await _Look(settings, policy, ours).everywhere()
    order = {path: place for place, (path, _) in enumerate(policy_sources(settings))}
    return _sorted(findings, order)


def _policy(settings: Settings, facts: Mapping[str, str]) -> tuple[Policy | None, list[Finding]]:
    """The policy, as far as its columns can be held against a catalog, and its faults."""
    try:
        _, policy = read_policy(settings)
        refuse_other_forms(policy, facts.get)
    except PolicyFaults as faults:
        return faults.rest, [_policy_fault(fault) for fault in faults.faults]
    except Faults as faults:
        return None, [_policy_fault(fault) for fault in faults.faults]
    return policy, []


def exit_code(findings: Iterable[Finding]) -> int:
    """3: something could not be looked at; 1: a fault; 0: none (warnings don't count)."""
    faults = [finding for finding in findings if finding.severity == "fault"]
    if any(fault.code == "unreachable" for fault in faults):
        return UNREACHABLE
    return NO if faults else DONE


def check_tls(tls: Tls) -> list[Finding]:
    try:
        contexts(tls)
    except Faults as faults:
        return [Finding("fault", "tls", each.file, each.line, each.message, each.advice) for each in faults.faults]
    return []


def _policy_fault(fault: Fault) -> Finding:
    return Finding("fault", "policy", fault.file, fault.line, fault.message, fault.advice)


def _sorted(findings: Iterable[Finding], order: dict[str, int]) -> list[Finding]:
    """Configuration, then files in their order; faults before warnings on a line. Each once."""
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda each: (order.get(each.file, -1), each.line, each.severity))


class _Look:
    """One look at all databases that rules name."""

    def __init__(self, settings: Settings, policy: Policy, ours: IsOurs | None) -> None:
        self._settings = settings
        self._policy = policy
        self._ours = ours
        self._reader = catalog_reader(settings)

    async def everywhere(self) -> list[Finding]:
        try:
            connection = await self._reader.connect(None)
            try:
                default: str = await connection.fetchval("SELECT pg_catalog.current_database()")
                users = [row[0] for row in await connection.fetch(USERS)]
                databases = [row[0] for row in await connection.fetch(DATABASES)]
            finally:
                connection.terminate()
        except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as gone:
            return [self._unreachable("", gone)]
        findings = check_accounts(self._policy, users, databases)
        findings += await self._database(default, True)
        named = sorted({rule.database for rule in self._policy.rules if rule.database is not None} - {default})
        for database in named:
            if database in databases:
                findings += [_in(database, each) for each in await self._database(database, False)]
            else:
                findings += self._no_database(database)
        return findings

    def _no_database(self, database: str) -> list[Finding]:
        return [
            Finding(
                "fault", "no-database", rule.file, rule.line, f"the server has no database '{database}'",
                "create it, or correct the table's first part", database,
            )
            for rule in self._policy.rules
            if rule.database == database
        ]  # fmt: skip

    def _unreachable(self, database: str, gone: BaseException) -> Finding:
        why = type(gone.__context__ or gone).__name__
        which = f"of database '{database}' " if database else ""
        message = f"catalog: that {which}at {self._settings.catalog.safe} can't be read ({why})"
        todo = "see the setting `catalog`; nothing was held against it"
        return Finding("fault", "unreachable", CONFIGURATION, 0, message, todo, database)

    async def _database(self, database: str, default: bool) -> list[Finding]:
        try:
            catalog = await self._reader.read(database, True)
            targets, findings = find_targets(catalog, self._policy, default)
            connection = await self._reader.connect(database)
            try:
                await connection.execute("SET search_path = ''")
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    facts = await read_facts(connection, list(targets.by_table), catalog.server_version)
                verdicts = await ask_checks(connection, targets, facts.constraints)
                findings += await look_at_rows(connection, targets, facts, self._ours)
            finally:
                connection.terminate()
        except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as gone:
            return [self._unreachable(database, gone)]
        laid = snapshot(catalog, self._policy, 0)
        findings += check_types(targets, facts)
        findings += check_classes(targets)
        findings += check_objects(targets, facts, verdicts)
        findings += untold(laid.drift, findings)
        findings += check_programs(targets, facts, laid.protection)
        return [replace(finding, database=database) for finding in findings]


def _in(database: str, finding: Finding) -> Finding:
    """Of a database that is not the catalog's own: the message says which."""
    return replace(finding, message=f"database {database}: {finding.message}")


__all__ = ["Finding", "check", "exit_code"]
