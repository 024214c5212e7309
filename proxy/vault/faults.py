"""What can be wrong with a vault, as errors an operator can act on.

All are `Unavailable`, so whoever only knows that word answers 57P03 and reveals nothing. Texts name tokens, key ids,
paths and counts, never values or key material.
"""

from proxy.errors import Unavailable


class VaultFault(Unavailable):
    """Something that waiting does not mend: a wrong key, a damaged row, another schema, a second writer."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.why = why

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class KeyFault(VaultFault):
    """The keys given do not open this vault, or the place that holds them is not as it must be."""

    def __init__(self, why: str) -> None:
        super().__init__("keys", why)


class StoreFault(VaultFault):
    """The store can't be used by this process as it is: locked by another writer, newer than this program, missing."""

    def __init__(self, why: str) -> None:
        super().__init__("vault", why)


class Damaged(VaultFault):
    """What is stored is not what was written. token: 36-byte text, b'' if it is not about an entry."""

    def __init__(self, why: str, token: bytes = b"", key_id: str = "") -> None:
        where = f"entry {token.decode('ascii', 'replace')} under key {key_id} " if token else ""
        super().__init__("vault", where + why)
        self.token = token
        self.key_id = key_id


class OverBudget(Exception):
    """Values are larger than whoever asked for them can take at once. fits: of how many tokens they about are not."""

    def __init__(self, fits: int) -> None:
        super().__init__(f"the values of about {fits} tokens fit")
        self.fits = fits
