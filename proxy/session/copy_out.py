"""Rows of COPY … TO STDOUT on their way to the client: tokens become what the principal may see.

Each CopyData frame stays one frame, with the rows that ended in it: clients take a frame for a row. Not here: the
formats (`wire.copyrows`), when a COPY begins and ends (`to_client`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from proxy.errors import ProtocolFault
from proxy.session.copy_in import reading_of
from proxy.session.reveal import Columns
from proxy.session.settings import Settings
from proxy.session.statements import Bound
from proxy.sql.plan import CopyPlan
from proxy.wire import messages
from proxy.wire.copyrows import BadCopy, CopyFields, CopyRows, Default, Part
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
        found: list[bytes | None] = []
        for part in _rows_of(frames):
            try:
                fields = self._fields.split(part)
            except BadCopy:
                raise ProtocolFault("server", "COPY data that can't be read") from None
            if len(fields) != self.columns.width:
                raise ProtocolFault(
                    "server", f"a row of {len(fields)} fields where {self.columns.width} were asked for"
                )
            for index in self.columns.indexes:
                value = self._fields.decode(fields[index], index)
                assert not isinstance(value, Default)
                found.append(value)
        return found

    def build(self, frames: list[list[Part]], shown: Sequence[bytes | None]) -> bytes:
        """The frames with what is shown in the place of each."""
        values = iter(shown)
        out: list[bytes] = []
        for parts in frames:
            data: list[bytes] = []
            for part in parts:
                if not part.row:
                    data.append(part.data)
                    continue
                fields = self._fields.split(part)
                for index in self.columns.indexes:
                    fields[index] = self._fields.encode(next(values), index)
                data.append(self._fields.join(part, fields))
            if data:
                out.append(messages.build_copy_data(b"".join(data)))
        return b"".join(out)


def _rows_of(frames: list[list[Part]]) -> list[Part]:
    return [part for parts in frames for part in parts if part.row]
