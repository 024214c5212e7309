"""Bytes for one side of a link that were not taken yet, in order.

Not here: what they say. Stretches of a buffer that follow each other stay one, so that what came together and passes
as it is goes out as the very object that came: no slice a message, no copy.
"""

from typing import final


@final
class Outflow:
    """See the module. `_buf[_start:_end]` comes behind `_parts`."""

    __slots__ = ("_buf", "_end", "_parts", "_start")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._buf = b""
        self._start = 0
        self._end = 0

    def __bool__(self) -> bool:
        return self._end > self._start or bool(self._parts)

    def append(self, data: bytes) -> None:
        self._settle()
        self._parts.append(data)

    def stretch(self, buf: bytes, start: int, end: int) -> None:
        """`buf[start:end]`; `buf` is kept until it is taken."""
        if start == self._end and buf is self._buf:
            self._end = end
            return
        self._settle()
        self._buf, self._start, self._end = buf, start, end

    def take(self) -> bytes:
        """All of it."""
        if not self._parts:
            buf, start, end = self._buf, self._start, self._end
            self._buf = b""
            self._start = self._end = 0
            return buf if end - start == len(buf) else buf[start:end]
        self._settle()
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _settle(self) -> None:
        """Put the stretch behind the parts."""
        if self._end > self._start:
            self._parts.append(self._buf[self._start : self._end])
        self._buf = b""
        self._start = self._end = 0
