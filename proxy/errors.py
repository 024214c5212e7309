"""The four kinds of error that cross a package boundary, and the table of refusals.

A refusal is an answer to the client and carries everything that a person needs: SQLSTATE, column, what to do. No
error text in this package ever holds a value, only names, classes and lengths.
"""

from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["client", "server"]


# A value, but not frozen: contextlib sets __traceback__ on what passes through.
@dataclass(slots=True, unsafe_hash=True)
class Refusal(Exception):
    """Why pgveil does not do what a statement asks.

    sqlstate: five characters, from CODES[code]. message/detail/hint: English, no personal data. column:
    'schema.table.column' or ''. position: 1-based character offset in the statement as the client sent it, 0 if none.
    """

    code: str
    message: str
    hint: str = ""
    detail: str = ""
    column: str = ""
    position: int = 0

    @property
    def sqlstate(self) -> str:
        return CODES[self.code]


class ProtocolFault(Exception):
    """A peer broke the wire protocol; its link closes with 08P01."""

    def __init__(self, side: Side, what: str) -> None:
        super().__init__(f"{side}: {what}")
        self.side: Side = side
        self.what = what


class Unavailable(Exception):
    """Vault, keys, audit or catalog can't be reached (57P03). `what` names the part."""

    def __init__(self, what: str, why: str = "") -> None:
        super().__init__(f"{what} is not reachable" + (f": {why}" if why else ""))
        self.what = what


class Bug(Exception):
    """An invariant of pgveil does not hold; the link closes and a counter counts."""


# code -> SQLSTATE. Every code has an anchor in docs/refusals.md; tests/docs compares both ways.
CODES: Final[dict[str, str]] = {
    "unsupported-statement": "0A000",
    "unsupported-expression": "0A000",
    "unsupported-type": "0A000",
    "unsupported-encoding": "0A000",
    "order-by-protected": "0A000",
    "search-not-exact": "0A000",
    "class-mismatch": "0A000",
    "random-token-equality": "0A000",
    "plaintext-rows": "0A000",
    "foreign-tokens": "0A000",
    "unprotected-target": "0A000",
    "depends-on-protected": "0A000",
    "ambiguous-relation": "0A000",
    "undefined-column": "42703",
    "undefined-table": "42P01",
    "changed-in-transaction": "0A000",
    "policy-drift": "0A000",
    "plan-changed": "0A000",
    "unclassified-literal": "0A000",
    "copy-protected": "0A000",
    "copy-option": "22023",
    "syntax": "42601",
    "may-not-write": "42501",
    "may-not-search": "42501",
    "may-not-see": "42501",
    "purpose-required": "42501",
    "value-rejected": "22023",
    "token-misplaced": "22023",
    "value-too-long": "22001",
    "value-format": "22007",
    "value-range": "22008",
    "number-range": "22003",
    "number-format": "22P02",
    "copy-format": "22P04",
    "binary-format": "22P03",
    "time-zone-range": "22009",
    "encoding-invalid": "22021",
    "escape-invalid": "22025",
    "encoding-untranslatable": "22P05",
    "unknown-statement": "26000",
    "too-many-rows": "54000",
    "statement-too-large": "54000",
    "vault-unavailable": "57P03",
    "pooled-transactions": "0A000",
    "server-unreachable": "57P03",
    "shutdown": "57P01",
    "idle": "57P05",
    "tls-required": "28000",
    "channel-binding": "28000",
    "too-many-connections": "53300",
    "protocol": "08P01",
}
