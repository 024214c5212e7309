"""Rows of COPY … FROM STDIN on their way to the server: values become tokens.

Rows may be cut anywhere over CopyData frames, and are sent on in frames of our own cut. Values of all rows that are at
hand are asked for at once. Not here: the formats (`wire.copyrows`), when a COPY begins and ends (`to_server`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, final

from proxy.errors import Refusal
from proxy.session.ledger import PLAIN_COPY_END, Owed
from proxy.session.outgoing import Tokens
from proxy.session.settings import Settings
from proxy.session.statements import Bound
from proxy.sql.catalog import ProtectedColumn
from proxy.sql.plan import CopyPlan, Input
from proxy.tokens import to_binary
from proxy.wire import messages
from proxy.wire.copyrows import BadCopy, CopyFields, CopyRows, Field, Part
from proxy.wire.types import BadValue, Reading, encoding_codec, to_utf8

# Bytes of rows that are asked for together at most: a vault call serves some hundred rows.
BATCH: Final = 64 * 1024
FAILING_COPY: Final = messages.build_copy_fail(b"refused by pgveil")


def reading_of(copy: CopyPlan, settings: Settings) -> Reading:
    """How the stream is read and written. ENCODING wins over client_encoding, but for the binary format: there values
    are what the types' own functions read and write (copyfromparse.c, CopyReadBinaryAttribute)."""
    reading = settings.reading
    if not copy.encoding or copy.form.kind == "binary":
        return reading
    codec = encoding_codec(copy.encoding)
    assert codec is not None, "planned with an encoding that can be read"
    return replace(reading, client_encoding=codec)


def in_row(refusal: Refusal, number: int) -> Refusal:
    """It says in which row of the data."""
    return replace(refusal, detail=f"It is in row {number} of the COPY data.")


@final
class CopyIn:
    """One COPY … FROM STDIN under way. owed: its entry. over: the server has ended it, or it was made to fail: what
    still comes of it goes nowhere."""

    __slots__ = (
        "_coded", "_done", "_fields", "_into", "_names", "_parts", "_rows", "_size", "bound", "form", "over", "owed",
        "reading",
    )  # fmt: skip

    def __init__(self, bound: Bound, copy: CopyPlan, owed: Owed, settings: Settings) -> None:
        assert copy.into is not None
        self.bound = bound
        self.owed = owed
        self.form = copy.form
        self.over = False
        self._into: Final = [(index, Input(held, "write")) for index, held in enumerate(copy.into) if held is not None]
        self._names: Final = copy.names
        # The server turns a line into its own encoding before it looks for escapes: \\xc3\\xbc is a letter of it.
        self._coded = reading_of(copy, settings)
        self.reading = self._coded if copy.form.kind == "binary" else replace(self._coded, client_encoding="")
        self._rows = CopyRows(copy.form)
        self._fields = CopyFields(copy.form)
        self._parts: list[Part] = []
        self._size = 0
        self._done = 0  # lines, or binary rows, of the batches so far

    @property
    def pending(self) -> int:
        """Bytes of a row that is not complete yet."""
        return self._rows.pending

    def feed(self, data: bytes) -> bool:
        """Data came. True: there is enough for a batch. Raises Refusal."""
        return self._add(self._rows.feed, data)

    def finish(self) -> None:
        """CopyDone came. Raises Refusal."""
        self._add(lambda _: self._rows.finish(), b"")

    def _add(self, take: Callable[[bytes], list[Part]], data: bytes) -> bool:
        try:
            parts = take(data)
        except BadCopy as bad:
            raise Refusal("copy-format", str(bad)) from None
        self._parts += parts
        self._size += sum([len(part.data) for part in parts])
        return self._size >= BATCH

    def batch(self) -> "CopyBatch | None":
        """The rows since the last one. Raises Refusal."""
        parts, self._parts, self._size = self._parts, [], 0
        first, self._done = self._done + 1, self._done + len(parts)
        return CopyBatch(self, parts, first) if parts else None

    def values(self, part: Part, number: int) -> tuple[list[Field], list[tuple[int, Input, bytes]]]:
        """The fields of a row, and the values among them that become tokens. Raises Refusal."""
        try:
            fields = self._fields.split(part)
            self._count(fields)
            return fields, self._found(fields)
        except BadCopy as bad:
            raise in_row(Refusal("copy-format", str(bad)), number) from None
        except BadValue as bad:
            raise in_row(Refusal(bad.code, bad.message), number) from None

    def _count(self, fields: list[Field]) -> None:
        if len(fields) < len(self._names):
            raise BadCopy(f'missing data for column "{self._names[len(fields)]}"')
        if len(fields) > len(self._names):
            raise BadCopy("extra data after last expected column")

    def _found(self, fields: list[Field]) -> list[tuple[int, Input, bytes]]:
        """Raises BadValue."""
        recoded = self.reading is not self._coded and self._coded.client_encoding
        found = []
        for index, place in self._into:
            field = fields[index]
            if recoded and field is not None:
                field = to_utf8(field, self._coded)
            value = self._fields.decode(field, index)
            if isinstance(value, bytes):
                found.append((index, place, value))
        return found

    def join(self, part: Part, fields: list[Field], tokens: list[tuple[int, ProtectedColumn, bytes]]) -> bytes:
        """The row with tokens in the place of values."""
        for index, column, token in tokens:
            binary = self.form.kind == "binary" and column.stored.name == "uuid"
            fields[index] = self._fields.encode(to_binary(token) if binary else token, index)
        return self._fields.join(part, fields)


class Awaited(Protocol):
    """Its place in the lane: `slots.Slot`."""

    owed: Owed | None


@final
class CopyBatch:
    """Rows on their way to the server: an `outgoing.Outgoing`. values: what becomes tokens, in order, and in which row
    it stands. slot: in which it waits."""

    __slots__ = ("_copy", "_parts", "_rows", "owed", "size", "slot", "values")

    def __init__(self, copy: CopyIn, parts: list[Part], first: int) -> None:
        self._copy = copy
        self._parts = parts
        self.slot: Awaited | None = None
        self.owed = copy.owed
        self.size = sum([len(part.data) for part in parts])
        self._rows = [copy.values(part, first + i) if part.row else None for i, part in enumerate(parts)]
        self.values: list[tuple[Input, bytes, int]] = [
            (place, value, first + i)
            for i, row in enumerate(self._rows)
            if row is not None
            for _, place, value in row[1]
        ]

    def build(self, tokens: Sequence[Tokens]) -> bytes:
        """tokens: one for each of `values`."""
        left = iter(tokens)
        out: list[bytes] = []
        for part, row in zip(self._parts, self._rows, strict=True):
            if row is None:
                out.append(part.data)
                continue
            fields, values = row
            made = [(index, place.column, next(left)[0] or b"") for index, place, _ in values]
            out.append(self._copy.join(part, fields, made))
        return messages.build_copy_data(b"".join(out))

    def failing(self) -> bytes:
        self._copy.over = True
        if self.slot is not None:
            self.slot.owed = PLAIN_COPY_END
        return FAILING_COPY
