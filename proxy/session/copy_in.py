"""Rows of COPY … FROM STDIN on their way to the server: values become tokens.

Rows may be cut anywhere over CopyData frames, and are sent on in frames of our own cut. Values of all rows that are at
hand are asked for at once. Not here: the formats (`wire.copyrows`), when a COPY begins and ends (`from_stdin`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar, final

from proxy.errors import Bug, Refusal
from proxy.policy.rules import ValueClass
from proxy.session.ledger import PLAIN_COPY_END, Owed
from proxy.session.outgoing import Tokens
from proxy.session.settings import Settings
from proxy.session.statements import Bound
from proxy.sql.plan import CopyPlan, Input
from proxy.tokens import to_binary
from proxy.wire import messages
from proxy.wire.copyfields import CopyFields, Default, Field
from proxy.wire.copyrows import BadCopy, CopyRows, Part
from proxy.wire.types import BadValue, Reading, TypeSpec, encoding_codec, to_utf8
from proxy.wire.typespec import char_limit

# Bytes of rows that are asked for together at most: a vault call serves some hundred rows.
BATCH: Final = 64 * 1024
W = TypeVar("W")
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


def stored_as_they_are(fields: Sequence[bytes], facade: TypeSpec, kind: ValueClass, reading: Reading) -> bool:
    """Whether each of these fields is its own canonical value: text that is valid UTF-8 and short enough, of a class
    that keeps what it is given. What is said of all of them at once need not be asked of each."""
    if reading.client_encoding or kind.canonicalize or kind.invalid != "keep" or facade.name not in ("text", "varchar"):
        return False
    limit = char_limit(facade.typmod) if facade.name == "varchar" else -1
    if limit >= 0 and max(map(len, fields), default=0) > limit:
        return False
    together = b"\n".join(fields)  # no byte of a longer character: what is cut short does not become valid by it
    if b"\0" in together:
        return False
    try:
        together.decode()
    except UnicodeDecodeError:
        return False
    return True


@final
class CopyIn:
    """One COPY … FROM STDIN under way. owed: its entry. over: the server has ended it, or it was made to fail: what
    still comes of it goes nowhere."""

    __slots__ = (
        "_coded", "_done", "_ended", "_fields", "_into", "_names", "_pieces", "_rows", "_size", "bound", "form", "over",
        "owed", "reading",
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
        self._fields = CopyFields(copy.form, len(copy.names))
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._done = 0  # lines, or binary rows, of the batches so far

    @property
    def pending(self) -> int:
        """Bytes of a row that is not complete yet."""
        return self._rows.pending

    def feed(self, data: bytes) -> bool:
        """Data came. True: there is enough for a batch."""
        self._pieces.append(data)
        self._size += len(data)
        return self._size >= BATCH

    def finish(self) -> None:
        """CopyDone came: the next batch is the last."""
        self._ended = True

    def batch(self, convert: Callable[[Input, Sequence[bytes]], W]) -> "tuple[CopyBatch, list[W]] | None":
        """The rows since the last one, and what `convert` makes of the values of each protected column. None: there
        are none. Raises Refusal, and what `convert` raises with the row named."""
        parts = self._parts()
        if not parts:
            return None
        first = self._done + 1
        self._done += sum([self._lines(part) for part in parts])
        try:
            rows = self._split(parts)
            columns = [self._column(rows, index, place) for index, place in self._into]
            wanted = [convert(column.place, column.values) for column in columns]
        except (Refusal, BadCopy, BadValue):
            self._blame(parts, first, convert)
            raise Bug("rows that are bad together and good one by one") from None
        return CopyBatch(self, parts, rows, columns), wanted

    def _parts(self) -> list[Part]:
        data = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        try:
            parts = self._rows.feed(data)
            return parts + self._rows.finish() if self._ended else parts
        except BadCopy as bad:
            raise Refusal("copy-format", str(bad)) from None

    def _lines(self, part: Part) -> int:
        """How many lines the part counts for. The header and trailer of the binary format are none."""
        return part.rows if self.form.kind == "binary" else max(part.rows, 1)

    def _split(self, parts: Sequence[Part]) -> list[list[Field]]:
        """Fields of all rows. Raises BadCopy."""
        rows = self._fields.split(parts)
        width = len(self._names)
        for count in set(map(len, rows)):
            if count < width:
                raise BadCopy(f'missing data for column "{self._names[count]}"')
            if count > width:
                raise BadCopy("extra data after last expected column")
        return rows

    def _column(self, rows: Sequence[list[Field]], index: int, place: Input) -> "CopyColumn":
        """Raises BadValue."""
        fields = [row[index] for row in rows]
        if self.reading is not self._coded and self._coded.client_encoding:
            fields = [None if field is None else to_utf8(field, self._coded) for field in fields]
        return CopyColumn(index, place, self._fields.decode_all(fields, index))

    def _blame(self, parts: Sequence[Part], first: int, convert: Callable[[Input, Sequence[bytes]], W]) -> None:
        """Something is wrong with the rows: go through them one by one. Raises Refusal for the first bad one."""
        for part in parts:
            for number, row in enumerate(self._one_by_one(part), first):
                self._check_row(row, number, convert)
            first += self._lines(part)

    def _one_by_one(self, part: Part) -> list[Part]:
        """The rows of a part, each as one."""
        if self.form.kind == "binary":
            alone = [Part(b"", 1)] * part.rows
            return [Part(data, 1) for data in self._fields.join(alone, self._fields.split([part]))]
        if part.rows < 2:
            return [part] if part.rows else []
        end = part.data[len(part.data) - part.eol :]
        return [Part(line + end, 1, part.eol) for line in part.data[: -part.eol].split(end)]

    def _check_row(self, row: Part, number: int, convert: Callable[[Input, Sequence[bytes]], W]) -> None:
        try:
            fields = self._split([row])
            for index, place in self._into:
                convert(place, self._column(fields, index, place).values)
        except BadCopy as bad:
            raise in_row(Refusal("copy-format", str(bad)), number) from None
        except BadValue as bad:
            raise in_row(Refusal(bad.code, bad.message), number) from None
        except Refusal as refusal:
            raise in_row(refusal, number) from None

    def join(self, parts: Sequence[Part], rows: Sequence[list[Field]]) -> bytes:
        return b"".join(self._fields.join(parts, rows))

    def written(self, column: "CopyColumn", tokens: Tokens) -> list[Field]:
        """Tokens as they stand in the data."""
        if self.form.kind == "binary":
            if column.place.column.stored.name == "uuid":
                return [None if token is None else to_binary(token) for token in tokens]
            return list(tokens)
        return self._fields.encode_all(tokens, column.index)


@final
class CopyColumn:
    """Field `index` of the rows of a batch. values: what becomes tokens: each once, or, where equal values have
    different tokens, in the order of the rows."""

    __slots__ = ("_found", "index", "place", "values")

    def __init__(self, index: int, place: Input, found: list[bytes | Default | None]) -> None:
        self.index: Final = index
        self.place: Final = place
        self._found: Final = found
        values = [value for value in found if isinstance(value, bytes)]
        self.values: Final = list(dict.fromkeys(values)) if place.column.deterministic else values

    def put(self, rows: Sequence[list[Field]], written: Sequence[Field]) -> None:
        """The fields in the place of their values. written: one for each of `values`."""
        index = self.index
        if self.place.column.deterministic:
            known: dict[bytes | Default | None, Field] = dict(zip(self.values, written, strict=True))
            for row, value in zip(rows, self._found, strict=True):
                if value in known:
                    row[index] = known[value]
            return
        left = iter(written)
        for row, value in zip(rows, self._found, strict=True):
            if isinstance(value, bytes):
                row[index] = next(left)


class Awaited(Protocol):
    """Its place in the lane: `slots.Slot`."""

    owed: Owed | None


@final
class CopyBatch:
    """Rows on their way to the server: an `outgoing.Outgoing`. columns: those with values that become tokens. slot: in
    which it waits."""

    __slots__ = ("_copy", "_parts", "_rows", "columns", "owed", "size", "slot")

    def __init__(self, copy: CopyIn, parts: list[Part], rows: list[list[Field]], columns: Sequence[CopyColumn]) -> None:
        self._copy = copy
        self._parts = parts
        self._rows = rows
        self.columns: Final = columns
        self.slot: Awaited | None = None
        self.owed = copy.owed
        self.size = sum([len(part.data) for part in parts])

    def build(self, tokens: Sequence[Tokens]) -> bytes:
        """tokens: of each column, one for each of its `values`."""
        for column, made in zip(self.columns, tokens, strict=True):
            column.put(self._rows, self._copy.written(column, made))
        return messages.build_copy_data(self._copy.join(self._parts, self._rows))

    def failing(self) -> bytes:
        self._copy.over = True
        if self.slot is not None:
            self.slot.owed = PLAIN_COPY_END
        return FAILING_COPY
