"""The SQLite vault's tables, as numbered migrations: a vault file is at the number of the last one that ran.

Never change a migration that was released; add one. Tables are WITHOUT ROWID: keys are random 16-byte tokens, and one
B-tree keyed by them costs one descent where a rowid table and its index cost two.
"""

from typing import Final

# PRAGMA application_id, so that `file` and we know a vault from another SQLite database: "pgVL".
APPLICATION_ID: Final = 0x7067564C

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE entry (
            token BLOB PRIMARY KEY, class TEXT NOT NULL, key_id TEXT NOT NULL, version INTEGER NOT NULL,
            created INTEGER NOT NULL, mac BLOB NOT NULL, sealed BLOB) WITHOUT ROWID""",
        """CREATE TABLE data_key (
            position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, state TEXT NOT NULL,
            kek TEXT NOT NULL, created INTEGER NOT NULL, key_check BLOB NOT NULL, wrapped BLOB NOT NULL)""",
        # tokens: inline when few; when many, NULL, and `block` is the SHA-256 of the block, so that a report read
        # daily keeps its tokens once.
        """CREATE TABLE audit (
            writer TEXT NOT NULL, sequence INTEGER NOT NULL, wall INTEGER NOT NULL, mono INTEGER NOT NULL,
            body BLOB NOT NULL, tokens BLOB, block BLOB, hash BLOB NOT NULL,
            PRIMARY KEY (writer, sequence)) WITHOUT ROWID""",
        "CREATE INDEX audit_wall ON audit (wall)",
        "CREATE INDEX audit_block_use ON audit (block) WHERE block IS NOT NULL",
        """CREATE TABLE audit_token (
            token BLOB NOT NULL, writer TEXT NOT NULL, sequence INTEGER NOT NULL,
            PRIMARY KEY (token, writer, sequence)) WITHOUT ROWID""",
        "CREATE TABLE audit_block (id BLOB PRIMARY KEY, tokens BLOB NOT NULL)",
        """CREATE TABLE audit_head (
            writer TEXT PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL, key_id TEXT NOT NULL,
            signature BLOB NOT NULL) WITHOUT ROWID""",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
    # What equality meant when a class's first value, or a column's first token, was stored; and where the probe of
    # /readyz writes.
    ("CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",),
)
