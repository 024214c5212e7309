"""Rows on their way to the client, in pieces of which the values fit: what goes in is 36 bytes a token, what comes out
may be megabytes each.

A piece is asked for with a budget; one whose values are larger is cut and asked for anew. Pieces under way together
reserve no more than `Limits.result`, so what waits here is bounded by values, not by tokens. Nothing is asked while the
client does not take what it has got. Not here: what is shown (`reveal`), where rows begin and end (`to_client`).
"""

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final, Protocol, final

from proxy.errors import Refusal
from proxy.session.copy_out import CopyOut
from proxy.session.effects import Failure, Reveal, Revealed, TooMuch
from proxy.session.ledger import Owed
from proxy.session.reveal import Columns, question, replacements
from proxy.session.state import State
from proxy.session.statements import Bound
from proxy.wire import rows
from proxy.wire.copyrows import Part
from proxy.wire.types import Reading

# Bytes of values that are asked for at once: some milliseconds of reading and decrypting.
PIECE: Final = 1 << 20
# Bytes that are set aside for each token, until its piece is seen to be larger. Most values are far below.
SET_ASIDE: Final = 16 << 10

Fields = list[bytes | None]
# Where a piece stands among the others: cut ones stand in the place of the one that they were.
Place = tuple[int, ...]


@final
class OutSlot:
    """Bytes for the client, or a place for them. size: bytes that wait in it. reserved: bytes of values that may come
    into it. refusal: why there will be none; then the reply to `owed` fails when all before it is out. dropped: it does
    not go out, whatever comes into it."""

    __slots__ = ("data", "dropped", "owed", "ready", "refusal", "reserved", "size")

    def __init__(self, data: bytes, ready: bool, size: int, owed: Owed | None = None) -> None:
        self.data = data
        self.owed = owed
        self.ready = ready
        self.size = size
        self.reserved = 0
        self.dropped = False
        self.refusal: Refusal | None = None


class Piece(Protocol):
    """Rows with protected fields, taken out row by row."""

    fields: Fields

    @property
    def rows(self) -> int:
        """Of how many parts it can be made."""

    @property
    def size(self) -> int:
        """Bytes as they came."""

    def untouched(self) -> bytes:
        """The rows as they came."""

    def build(self, shown: Fields) -> bytes:
        """The rows with these fields in the place of those."""

    def cut(self, rows: int) -> Sequence["Piece"]:
        """The same rows in pieces of `rows`."""


@final
class RowsPiece:
    """DataRow messages."""

    __slots__ = ("_columns", "_data", "fields")

    def __init__(self, data: bytes, columns: Columns, fields: Fields) -> None:
        self._data = data
        self._columns = columns
        self.fields = fields

    @property
    def rows(self) -> int:
        return len(self.fields) // len(self._columns.indexes)

    @property
    def size(self) -> int:
        return len(self._data)

    def untouched(self) -> bytes:
        return self._data

    def build(self, shown: Fields) -> bytes:
        return rows.rewrite(self._data, 0, len(self._data), self._columns.indexes, shown)

    def cut(self, rows_each: int) -> "list[RowsPiece]":
        step = rows_each * len(self._columns.indexes)
        made: list[RowsPiece] = []
        at = 0
        for first in range(0, len(self.fields), step):
            stop = rows.after(self._data, at, rows_each)
            made.append(RowsPiece(self._data[at:stop], self._columns, self.fields[first : first + step]))
            at = stop
        return made


@final
class CopyPiece:
    """CopyData messages; a message is not cut, it has a row mostly."""

    __slots__ = ("_copy", "_frames", "fields", "size")

    def __init__(self, copy: CopyOut, frames: list[list[Part]], fields: Fields, size: int) -> None:
        self._copy = copy
        self._frames = frames
        self.fields = fields
        self.size: int = size

    @property
    def rows(self) -> int:
        return len(self._frames)

    def untouched(self) -> bytes:
        return self.build(self.fields)

    def build(self, shown: Fields) -> bytes:
        return self._copy.build(self._frames, shown)

    def cut(self, rows_each: int) -> "list[CopyPiece]":
        made: list[CopyPiece] = []
        for at in range(0, len(self._frames), rows_each):
            frames = self._frames[at : at + rows_each]
            size = sum([len(part.data) for parts in frames for part in parts])
            made.append(CopyPiece(self._copy, frames, self._copy.tokens(frames), size))
        return made


class Lane(Protocol):
    def slot_ready(self, slot: OutSlot) -> None: ...


@final
class Pieces:
    """Those of one link. `lane`: what goes out, in order, pieces and all that came between them."""

    __slots__ = ("_put", "_reserved", "_waiting", "lane", "owner", "stalled", "state")

    def __init__(self, state: State, owner: Lane) -> None:
        self.state = state
        self.owner = owner
        self.lane: deque[OutSlot] = deque()
        self.stalled = False  # the client has enough
        self._waiting: list[tuple[Place, PieceJob]] = []  # a heap
        self._put = 0  # so far
        self._reserved = 0

    def put(self, job: "PieceJob") -> None:
        """Its slot is the last of the lane."""
        self._put += 1
        job.place = (self._put,)
        heappush(self._waiting, (job.place, job))
        self.advance()

    def left(self, slot: OutSlot) -> None:
        """It is out of the lane."""
        self._reserved -= slot.reserved

    def clear(self) -> None:
        """None of the slots goes out."""
        for slot in self.lane:
            slot.dropped = True
        self.lane.clear()
        self._waiting.clear()
        self._reserved = 0

    def advance(self) -> None:
        """Ask for what may be asked for now."""
        waiting = self._waiting
        while waiting and not self.stalled:
            job = waiting[0][1]
            if job.slot is not self.lane[0] and (job.whole or self._reserved + job.weight > self.state.limits.result):
                return
            heappop(waiting)
            job.slot.reserved = job.weight
            self._reserved += job.weight
            job.ask()

    def cut(self, job: "PieceJob", fits: int) -> None:
        """The values of a piece are too large to be asked for together; of its tokens about `fits` are not."""
        self.left(job.slot)
        job.slot.reserved = 0
        if job.piece.rows == 1:
            job.whole = True
            heappush(self._waiting, (job.place, job))
        else:
            self._cut(job, min(job.piece.rows - 1, max(1, job.piece.rows * fits // max(1, job.asked))))
        self.advance()

    def _cut(self, job: "PieceJob", rows_each: int) -> None:
        jobs: list[PieceJob] = []
        for piece in job.piece.cut(rows_each):
            slot = OutSlot(b"", False, piece.size, job.slot.owed)
            jobs.append(PieceJob(self, slot, piece, job.columns, job.bound, job.reading))
        slots = list(self.lane)
        at = slots.index(job.slot)
        slots[at : at + 1] = [each.slot for each in jobs]
        self.lane.clear()
        self.lane.extend(slots)
        for number, each in enumerate(jobs):
            each.place = (*job.place, number)
            if each.question is not None:
                heappush(self._waiting, (each.place, each))
            else:  # NULLs only
                each.slot.data = each.piece.untouched()
                self.owner.slot_ready(each.slot)


@final
class PieceJob:
    """A piece that waits for what may be seen of it. reading: None: as the client's settings are when the answer comes.
    question: None: there is nothing to ask, it goes out as it is. whole: of one row, asked for whatever its size is,
    when nothing stands before it."""

    __slots__ = ("_pieces", "bound", "columns", "piece", "place", "question", "reading", "slot", "whole")

    def __init__(
        self, pieces: Pieces, slot: OutSlot, piece: Piece, columns: Columns, bound: Bound, reading: Reading | None
    ) -> None:
        self._pieces = pieces
        self.slot = slot
        self.piece = piece
        self.columns = columns
        self.bound = bound
        self.reading = reading
        self.whole = False
        self.place: Place = ()
        self.question = question(columns, piece.fields, bound, reading or pieces.state.settings.reading)

    @property
    def asked(self) -> int:
        """How many tokens it asks for."""
        return 0 if self.question is None else len(self.question.tokens)

    @property
    def weight(self) -> int:
        """Bytes of values that may come."""
        return min(PIECE, SET_ASIDE * self.asked)

    def ask(self) -> None:
        made = self.question
        assert made is not None
        budget = 0 if self.whole else self.weight
        self._pieces.state.ask(Reveal(made.tokens, made.plain, made.context, made.mixed, budget), self)

    def answer(self, ticket: int, result: object) -> None:
        pieces, slot = self._pieces, self.slot
        if slot.dropped:
            return
        if isinstance(result, TooMuch):
            pieces.cut(self, result.fits)
            return
        if isinstance(result, Failure):
            slot.refusal = result.refusal
        else:
            assert isinstance(result, Revealed)
            try:
                reading = self.reading or pieces.state.settings.reading
                shown = replacements(self.columns, self.piece.fields, result, pieces.state, reading)
                slot.data = self.piece.build(shown)
            except Refusal as refusal:
                slot.refusal = refusal
        pieces.owner.slot_ready(slot)
