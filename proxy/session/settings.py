"""Server settings that decide how text is read, followed through a link's life.

Those that the server reports (ParameterStatus) are taken from there. search_path (reported only from version 18 on)
and pgveil.purpose (never) are followed by the statements that set them, with the transaction rules of SET: a SET is
undone by ROLLBACK, SET LOCAL by the end of the transaction.
"""

from typing import Final, final

from proxy.sql.catalog import split_path
from proxy.wire.types import UNSAFE_ENCODINGS, Reading, encoding_codec

UNKNOWN: Final = "\0unknown"


@final
class Followed:
    """One setting under transaction rules. value: its text, or UNKNOWN."""

    __slots__ = ("_committed", "_session", "_touched", "default", "value")

    def __init__(self, default: str) -> None:
        self.default = default
        self.value = default
        self._session = default  # what a commit leaves
        self._committed = default  # what a rollback brings back
        self._touched = False

    def set(self, value: str | None, local: bool) -> None:
        """A SET succeeded; None means TO DEFAULT."""
        self.value = self.default if value is None else value
        self._touched = True
        if not local:
            self._session = self.value

    def lose(self) -> None:
        """It may have changed in a way that can't be followed (ROLLBACK TO behind a SET, a computed set_config)."""
        self.set(UNKNOWN, False)

    @property
    def touched(self) -> bool:
        return self._touched

    def report(self, value: str) -> None:
        """The server says, outside of a transaction, what it is."""
        self.value = self._session = self._committed = value

    def end(self, committed: bool) -> None:
        """The transaction ended."""
        if self._touched:
            self.value = self._session if committed else self._committed
            self._session = self._committed = self.value
            self._touched = False


@final
class Settings:
    """ParameterStatus values of a link and what follows from them."""

    __slots__ = (
        "_codec", "_reading", "ahead", "given", "purpose", "reading_moved", "reauthorized", "reported", "role",
        "search_path", "unreported", "user",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reported: dict[str, str] = {}
        self.search_path = Followed(UNKNOWN)
        self.purpose = Followed("")
        self.user = ""  # who logged in
        self.role = Followed("")  # current_user, '' for who logged in
        self.reauthorized = False  # SET SESSION AUTHORIZATION came: SET ROLE NONE leads back to another user
        self.given = False  # the client gave a search_path at start-up, or something that may be one
        self.ahead = False  # search_path is newer here than in the server's report
        self.unreported = False  # how text is read has changed and its report is still to come
        self.reading_moved = False  # it has, in this transaction
        self._reading: Reading | None = None
        self._codec: str | None = ""  # as of the last report

    @property
    def declared_purpose(self) -> str:
        """What the client declared, '' if nothing or if it can't be told."""
        return "" if self.purpose.value == UNKNOWN else self.purpose.value

    def move_path(self, value: str | None, local: bool) -> None:
        """SET search_path."""
        self.search_path.set(value, local)
        self.ahead = True

    def move_role(self, name: str, value: str | None, local: bool) -> None:
        """SET ROLE, SET SESSION AUTHORIZATION; value None: DEFAULT, or RESET."""
        self.ahead = True
        if name == "session_authorization":
            self.reauthorized = True
        if value is not None and name == "role" and value.lower() == "none":
            value = UNKNOWN if self.reauthorized else ""
        self.role.set(value, local)

    def move_reading(self) -> None:
        """A statement changed how text is read; the server reports the new values before its next ReadyForQuery."""
        self.reading_moved = self.unreported = True

    def lose(self) -> None:
        """Anything may have been set."""
        self.search_path.lose()
        self.role.lose()
        self.purpose.lose()
        self.ahead = True
        self.move_reading()

    @property
    def moving(self) -> bool:
        """Something was set in this transaction, whose end may bring former values back."""
        followed = self.search_path.touched or self.role.touched or self.purpose.touched
        return self.reading_moved or followed

    def end(self, committed: bool) -> None:
        """The transaction ended."""
        self.ahead = self.ahead or self.search_path.touched
        self.unreported = self.unreported or self.reading_moved
        self.reading_moved = False
        self.search_path.end(committed)
        self.role.end(committed)
        self.purpose.end(committed)

    def ready(self, idle: bool) -> None:
        """ReadyForQuery came: what the server reports is up to date (ReportChangedGUCOptions)."""
        self.ahead = self.unreported = False
        if idle and "search_path" in self.reported:
            self.search_path.report(self.reported["search_path"])

    def report(self, name: str, value: str) -> None:
        """ParameterStatus came."""
        self.reported[name] = value
        self._reading = None
        self._codec = self._read_codec()

    @property
    def conforming(self) -> bool:
        return self.reported.get("standard_conforming_strings", "on") == "on"

    @property
    def byte_escapes(self) -> bool:
        """Whether '\\xc3' in an E'' string is a byte of UTF-8: true where the server's encoding is that."""
        return self.reported.get("server_encoding", "UTF8") == "UTF8"

    @property
    def codec(self) -> str | None:
        """Python codec of client text; '' if it is UTF-8 already; None if pgveil can't read it exactly."""
        return self._codec

    def _read_codec(self) -> str | None:
        name = self.reported.get("client_encoding", "UTF8").upper()
        if name == "UTF8":
            return ""
        if name == "SQL_ASCII":
            return "" if self.reported.get("server_encoding", "UTF8") in ("UTF8", "SQL_ASCII") else None
        if name in UNSAFE_ENCODINGS:
            return None
        return encoding_codec(name)

    @property
    def reading(self) -> Reading:
        """How the client's values are read and written."""
        if self._reading is None:
            self._reading = Reading(
                client_encoding=self.codec or "",
                date_style=self.reported.get("DateStyle", "ISO, MDY"),
                time_zone=self.reported.get("TimeZone", "UTC"),
            )
        return self._reading

    @property
    def literal_reading(self) -> Reading:
        """How literals are read: their text is UTF-8 here whatever the client's encoding."""
        reading = self.reading
        if not reading.client_encoding:
            return reading
        return Reading(client_encoding="", date_style=reading.date_style, time_zone=reading.time_zone)

    @property
    def current_role(self) -> str | None:
        """Whose rights count; None if that is not known."""
        return None if self.role.value == UNKNOWN else self.role.value or self.user or None

    def path(self) -> tuple[str, ...] | None:
        """search_path as schema names, whoever may use them; None if unknown. The server's own report wins (PostgreSQL
        18), if it is not older than a SET: it comes with ReadyForQuery, not with the SET."""
        text = self.search_path.value
        if not self.ahead:
            text = self.reported.get("search_path", text)
        role = self.role.value
        if text == UNKNOWN or (role == UNKNOWN and "$user" in text):
            return None
        try:
            return split_path(text, role or self.user)
        except ValueError:
            return None
