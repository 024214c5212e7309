"""What `pgveil check` can find: a table of codes, and one finding.

Invariants: a finding names files, lines and names of the catalog, never a value; each says what to do.
"""

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["fault", "warning"]

# code -> what it is about. Each stands in docs/howto/check.md; a test compares both ways.
CODES: Final[dict[str, str]] = {
    "policy": "a policy file is missing or wrong",
    "setting": "an environment variable looks like a setting and is none",
    "unreachable": "a server, a database's catalog, or the vault, can't be reached",
    "upstream-unfit": "none of the servers is what `target_session_attrs` asks for",
    "upstream-pooled": "a pooler stands before the server, and shares sessions between connections or may do so",
    "upstream-other": "the servers in `upstream` are not copies of one another",
    "tls": "a certificate or key can't be used",
    "keys": "the keys are missing, or do not open the vault",
    "vault": "the vault can't be used as it is",
    "vault-missing": "there is no vault yet; `pgveil run` makes one",
    "no-database": "a rule names a database that the server does not have",
    "no-table": "a rule names a table that does not exist (yet)",
    "no-column": "a rule names a column that its table does not have",
    "not-a-table": "a rule names a view, foreign table or other thing that holds no rows of its own",
    "column-type": "the column's type can't hold a token",
    "column-length": "the column is too short for a token",
    "type-equality": "the column's type calls values equal that differ in bytes",
    "drift": "a rule does not fit the catalog in another way",
    "value-type": "clients see a type that values of the class do not have",
    "class-types": "columns of one class have types between which equal values may get unequal tokens",
    "generated-column": "a generated column is protected, or computes on a protected one",
    "default": "a column's DEFAULT writes a value that is no token",
    "check-constraint": "a CHECK constraint rejects tokens, or checks tokens where it means values",
    "exclusion": "an exclusion constraint compares tokens in another way than for equality",
    "foreign-key": "a foreign key joins columns whose tokens never match",
    "random-unique": "a class with random tokens stands where equal values have to be seen as equal",
    "index": "an index computes on tokens or orders them",
    "statistics": "a statistics object covers a protected column",
    "partition-key": "rows are placed in partitions by a protected column",
    "trigger": "a trigger's function reads or writes a protected column",
    "rule": "a rewrite rule stands on a protected table",
    "row-security": "a row security policy reads a protected column",
    "publication": "a publication or logical replication slot carries tokens to its subscribers",
    "view": "a view reads a protected table and is refused through pgveil",
    "function": "a function names a protected table and is refused through pgveil",
    "written-by": "a trigger on another table may write to a protected one",
    "plaintext-rows": "a protected column holds values that are no tokens",
    "rows-unseen": "nobody could look whether it holds such values: the account may not read it, or it takes longer"
    " than five seconds",
    "foreign-tokens": "a protected column holds tokens of another vault",
    "role-shadowed": "a role never matches, because one before it matches first",
    "role-nobody": "a role names an account or database that the server does not have",
    "role-tls": "a role needs a client certificate, and none is asked for",
    "nobody-reveals": "no role lets anybody see a value",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong or worth knowing. line: 1-based, 0 for none. todo: what to do about `message`, one line."""

    severity: Severity
    code: str
    file: str
    line: int
    message: str
    todo: str
    database: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.severity}: {self.message}" + (f" ({self.todo})" if self.todo else "")

    def as_json(self) -> dict[str, object]:
        return {
            "severity": self.severity,
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "database": self.database,
            "message": self.message,
            "todo": self.todo,
        }
