"""What the demonstration shows: the shop is loaded through pgveil, then looked at from every side.

Every line of it is an answer that was got just now, from pgveil or from the database behind it; nothing is made up
here. Clients are asyncpg's, as an application's would be.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, final

import asyncpg

from proxy.demo.embedded import SUPERUSER, Embedded
from proxy.demo.screen import Screen
from proxy.demo.sidecar import Sidecar

DATABASE: Final = "shop"
PASSWORD: Final = "demo"  # of accounts that own nothing but invented customers, on a loopback port
SHOP: Final = Path(__file__).with_name("shop.sql")
ACCOUNTS: Final = ("shop_app", "support", "analyst", "dba", "pgveil_catalog")
READERS: Final = ("support", "analyst", "dba")
CUSTOMER: Final = "SELECT full_name, email, phone, street, born, note FROM customers WHERE id = 1"
MAILS: Final = "SELECT id, full_name, email FROM customers ORDER BY id"
SPENT: Final = (
    "SELECT c.full_name, c.email, sum(o.total) AS spent FROM customers c JOIN newsletter n USING (email) "
    "JOIN orders o ON o.customer_id = c.id WHERE c.email IN ($1, $2) GROUP BY c.id ORDER BY spent DESC"
)
ADA: Final = "ada.quill@example.com"
FINN: Final = "finn.fable@example.org"
VALUES: Final = (ADA, "Ada Quill", "+1 212 555 0101", "1 Inkwell Lane", "1987-04-12", FINN)
CONTROL: Final = "prefers mornings"  # is there: the search can find something
AUDITED: Final = ("user", "role", "action", "outcome", "class", "count", "statement")


async def prepare(embedded: Embedded) -> str:
    """Accounts and an empty database, as an administrator makes them; the URL of the account that reads the catalog."""
    administrator = await connect(embedded.url(SUPERUSER, embedded.secret, "postgres"))
    try:
        for account in ACCOUNTS:
            await administrator.execute(f"CREATE ROLE {account} LOGIN PASSWORD '{PASSWORD}'")
        await administrator.execute(f"GRANT pg_read_all_data TO {', '.join(READERS)}, pgveil_catalog")
        await administrator.execute(f"CREATE DATABASE {DATABASE} OWNER shop_app")
    finally:
        await administrator.close()
    return embedded.url("pgveil_catalog", PASSWORD, DATABASE)


async def connect(url: str) -> "asyncpg.Connection[Any]":
    # ssl is said so that a PGSSLMODE of the user's is not asked.
    return await asyncpg.connect(url, ssl=False, timeout=20, command_timeout=20)


async def load(sidecar: Sidecar) -> int:
    """The shop makes its tables and rows, through pgveil; how many statements."""
    shop = await connect(sidecar.url("shop_app", PASSWORD, DATABASE))
    try:
        script = statements(SHOP.read_text(encoding="utf-8"))
        for statement in script:
            await shop.execute(statement)
        return len(script)
    finally:
        await shop.close()


def statements(script: str) -> list[str]:
    """Those of a script in which each ends with ';' at the end of a line; lines of comment left out."""
    code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [each.strip() for each in code.split(";\n") if each.strip()]


@final
class Tour:
    """See the module."""

    def __init__(self, screen: Screen, sidecar: Sidecar, embedded: Embedded) -> None:
        self._screen = screen
        self._sidecar = sidecar
        self._embedded = embedded
        self._links: dict[str, asyncpg.Connection[Any]] = {}

    async def show(self) -> None:
        """All of it. Raises asyncpg's errors where the product fails."""
        try:
            for account in ("shop_app", "support", "analyst"):
                self._links[account] = await connect(self._sidecar.url(account, PASSWORD, DATABASE))
            self._links["dba"] = await connect(self._embedded.url("dba", PASSWORD, DATABASE))
            await self._one_customer()
            await self._everybody()
            await self._by_value()
            await self._refusals()
            await self._files()
        finally:
            for link in self._links.values():
                await link.close()

    async def _one_customer(self) -> None:
        self._screen.title("One row, one statement, four readers")
        self._screen.statement("each", CUSTOMER)
        rows = [await self._row(account, CUSTOMER) for account in ("shop_app", "support", "analyst", "dba")]
        lines = [[name, *(cell(row[name]) for row in rows)] for name in rows[0]]
        self._screen.table(
            ("column", "shop_app (reveal)", "support (mask)", "analyst (no role)", "in the database"), lines
        )

    async def _everybody(self) -> None:
        self._screen.title("The application reads values, its database holds tokens")
        self._screen.statement("shop_app | dba", MAILS)
        application = await self._links["shop_app"].fetch(MAILS)
        database = await self._links["dba"].fetch(MAILS)
        lines = [
            [cell(a["id"]), a["full_name"], a["email"], "|", d["full_name"], d["email"]]
            for a, d in zip(application, database, strict=True)
        ]
        self._screen.table(
            ("id", "full_name", "email", "|", "full_name in the database", "email in the database"), lines
        )

    async def _by_value(self) -> None:
        self._screen.title("Equality, joins, GROUP BY and UNIQUE are the database's own work, on tokens")
        self._screen.statement("shop_app", SPENT, ADA, FINN)
        self._rows(await self._links["shop_app"].fetch(SPENT, ADA, FINN))
        await self._fails("shop_app", f"INSERT INTO newsletter (email) VALUES ('{ADA}')")

    async def _refusals(self) -> None:
        self._screen.title("What can't be answered exactly, or may not be asked, is refused: never a wrong answer")
        await self._fails("shop_app", "SELECT id FROM customers ORDER BY email")
        await self._fails("shop_app", "SELECT id FROM customers WHERE email LIKE 'ada%'")
        await self._fails("support", f"SELECT id FROM customers WHERE email = '{ADA}'")

    async def _files(self) -> None:
        """Everything that the database server has written, its write-ahead log and its log of statements included."""
        administrator = await connect(self._embedded.url(SUPERUSER, self._embedded.secret, DATABASE))
        try:
            await administrator.execute("CHECKPOINT")
        finally:
            await administrator.close()
        size, found = search(self._embedded.directory, (*VALUES, CONTROL))
        hidden = len(found - {CONTROL})
        note = "found" if CONTROL in found else "not found"
        self._screen.title("Nothing of it is in the database's files")
        self._screen.say(
            f"{size / 1e6:.0f} MB of tables, write-ahead log and log of statements, searched for {len(VALUES)} values "
            "of Ada's",
            f"and Finn's: {hidden or 'none'} found. Her note, which is not protected: {note}.",
        )

    def audit(self) -> None:
        """What the trail says of all that."""
        self._screen.title("Who has seen what: the audit trail")
        self._screen.statement("$", "pgveil audit tail -n 16")
        rows = self._sidecar.rows("audit", "tail", "-n", "16")
        self._screen.table(
            ("time", *AUDITED), [[str(row["time"])[11:19], *(cell(row[name]) for name in AUDITED)] for row in rows]
        )

    # ---- asking

    async def _row(self, account: str, sql: str) -> dict[str, object]:
        row = await self._links[account].fetchrow(sql)
        assert row is not None
        return dict(row)

    def _rows(self, rows: Sequence["asyncpg.Record"]) -> None:
        self._screen.table(tuple(rows[0].keys()), [[cell(value) for value in row] for row in rows])

    async def _fails(self, account: str, sql: str) -> None:
        self._screen.statement(account, sql)
        try:
            rows = await self._links[account].fetch(sql)
        except asyncpg.PostgresError as error:
            names = (error.schema_name, error.table_name, error.column_name)
            column = ".".join(map(str, names)) if all(names) else ""
            self._screen.error(str(error.sqlstate), error.message, error.detail or "", error.hint or "", column)
        else:
            raise AssertionError(f"{len(rows)} rows where an error was due")


def cell(value: object) -> str:
    """As psql would show it."""
    if value is None:
        return "NULL"
    return value.isoformat() if isinstance(value, date) else str(value)


def search(directory: Path, values: Sequence[str]) -> tuple[int, set[str]]:
    """Bytes of all files under a directory, and those of the values that are in any of them."""
    size = 0
    found: set[str] = set()
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            size += len(content)
            found |= {value for value in values if value.encode() in content}
    return size, found
