"""Whether the keys are there and open the vault. It only looks: nothing is made, a vault in use is no fault."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from proxy.config import Settings
from proxy.errors import Unavailable
from proxy.net.check_findings import Finding
from proxy.vault.faults import KeyFault, VaultFault
from proxy.vault.keys import KeyProvider, Keyring, load_provider, open_keyring
from proxy.vault.store import Store

OpenStore = Callable[[Settings, bool], Awaitable[Store]]  # True: read only
CONFIGURATION: Final = "configuration"


async def check_vault(
    settings: Settings, open_store: OpenStore
) -> tuple[Keyring | None, Mapping[str, str], list[Finding]]:
    """The vault's keys, None if they can't be had or the vault has none yet; what it remembers of classes."""
    provider, findings = _provider(settings)
    if not _exists(settings):
        message = f"vault: there is none at {settings.vault.safe} yet"
        todo = "`pgveil run` makes it; if values are stored already, give their vault's place"
        return None, {}, [*findings, Finding("warning", "vault-missing", CONFIGURATION, 0, message, todo)]
    try:
        store = await open_store(settings, True)
        try:
            facts = await store.facts()
            keyring = None if provider is None or not await store.keys() else await _open(store, provider)
        finally:
            await store.close()
    except KeyFault as fault:
        return None, {}, [*findings, _keys(fault)]
    except VaultFault as fault:
        return None, {}, [*findings, Finding("fault", "vault", CONFIGURATION, 0, str(fault), "see the setting `vault`")]
    except Unavailable as gone:
        return (
            None,
            {},
            [
                *findings,
                Finding("fault", "unreachable", CONFIGURATION, 0, str(gone), "see the setting `vault`"),
            ],
        )
    return keyring, facts, findings


def _exists(settings: Settings) -> bool:
    """Only of a file that can be told without connecting."""
    return settings.vault.scheme != "sqlite" or os.path.exists(settings.vault.file)


async def _open(store: Store, provider: KeyProvider) -> Keyring:
    return await open_keyring(store, provider, os.urandom, 0)


def _provider(settings: Settings) -> tuple[KeyProvider | None, list[Finding]]:
    try:
        return load_provider(str(settings.keys), os.environ, os.urandom), []
    except KeyFault as fault:
        return None, [_keys(fault)]


def _keys(fault: KeyFault) -> Finding:
    todo = "give the keys that this vault was made with; `pgveil keys init` is for a new vault only"
    return Finding("fault", "keys", CONFIGURATION, 0, str(fault), todo)
