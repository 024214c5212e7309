"""Rows of COPY … TO STDOUT on their way to the client: tokens become what the principal may see.

Each CopyData frame stays one frame, with the rows that ended in it: clients take a frame for a row. Not here: the
formats (`wire.copyrows`), when a COPY begins and ends (`to_client`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import cast, final

from proxy.errors import ProtocolFault
from proxy.session.copy_in import reading_of
from proxy.session.reveal import Columns
from proxy.session.settings import Settings
from proxy.session.statements import Bound
from proxy.sql.plan import CopyPlan
from proxy.wire import messages
from proxy.wire.copyfields import CopyFields, Field
from proxy.wire.copyrows import BadCopy, CopyRows, Part
from proxy.wire.types import from_utf8


@final
class CopyOut:
    """One COPY … TO STDOUT under way."""

    __slots__ = ("_fields", "_rows", "bound", "columns", "reading")

    def __init__(self, bound: Bound, copy: CopyPlan, settings: Settings) -> None:
        outputs = bound.outputs()
        assert outputs is not None
        self.bound = bound
        self.columns = Columns(bound, outputs, 1 if copy.form.kind == "binary" else 0)
        self.reading = reading_of(copy, settings)
        form = replace(copy.form, null=from_utf8(copy.form.null, self.reading))
        self._rows = CopyRows(form)
        self._fields = CopyFields(form, len(outputs))

    def take(self, data: bytes) -> list[Part]:
        """The parts that end in this frame. Raises ProtocolFault."""
        row = self._rows.row(data)
        if row is not None:
            return [row]
        try:
            return self._rows.feed(data)
        except BadCopy:
            raise ProtocolFault("server", "COPY data that can't be read") from None

    def rest(self) -> list[Part]:
        try:
            return self._rows.finish()
        except BadCopy:
            raise ProtocolFault("server", "COPY data that can't be read") from None

    def tokens(self, frames: list[list[Part]]) -> list[bytes | None]:
        """What stands in the protected columns, row by row. Raises ProtocolFault."""
        rows = self._split(frames)
        for count in set(map(len, rows)):
            if count != self.columns.width:
                raise ProtocolFault("server", f"a row of {count} fields where {self.columns.width} were asked for")
        indexes = self.columns.indexes
        found: list[bytes | None] = [None] * (len(rows) * len(indexes))
        for at, index in enumerate(indexes):
            values = self._fields.decode_all([row[index] for row in rows], index)
            found[at :: len(indexes)] = cast("list[bytes | None]", values)  # DEFAULT is of COPY FROM only
        return found

    def _split(self, frames: list[list[Part]]) -> list[list[Field]]:
        try:
            return self._fields.split([part for parts in frames for part in parts])
        except BadCopy:
            raise ProtocolFault("server", "COPY data that can't be read") from None

    def build(self, frames: list[list[Part]], shown: Sequence[bytes | None]) -> bytes:
        """The frames with what is shown in the place of each."""
        rows = self._split(frames)
        width = len(self.columns.indexes)
        for at, index in enumerate(self.columns.indexes):
            for row, field in zip(rows, self._fields.encode_all(shown[at::width], index), strict=True):
                row[index] = field
        written = iter(self._fields.join([part for parts in frames for part in parts], rows))
        made = [b"".join(islice(written, len(parts))) for parts in frames]
        return b"".join([messages.build_copy_data(data) for data in made if data])
