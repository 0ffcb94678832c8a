"""The lines of a stream, each with its number and position."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

import attrs

from cdrkit.sources.readers.byte_streams import Readable, check_bytes
from cdrkit.sources.readers.encoding import BYTE_ORDER_MARK
from cdrkit.sources.readers.limits import check_line_length

__all__ = ["Line", "LineReader", "read_lines"]

_BLOCK_BYTES: Final = 1 << 20


@attrs.frozen
class Line:
    """One line of a stream.

    Attributes:
        number: The number of the line, counted from 1.
        raw: The bytes of the line without its line end.
        ended: Whether the line has a line end.
        position: The number of bytes of the stream before the end of the line.
    """

    number: int
    raw: bytes
    ended: bool
    position: int

    @property
    def text(self) -> str:
        """The line as text; undecodable bytes become surrogates.

        The text of a reject contains the same surrogates.
        """
        return self.raw.decode("utf-8", "surrogateescape")


def read_lines(stream: Readable) -> Iterator[Line]:
    """Yield the lines of a stream.

    Lines end with LF or CRLF, or with CR where the first block has no LF. A byte order mark is removed.

    Raises:
        SchemaError: When a line is too long to be a row.
        ConfigError: When the stream returns text.
    """
    pending, number, position, end = b"", 0, 0, b""
    while True:
        block = check_bytes(stream.read(_BLOCK_BYTES))
        if not number and not pending:
            position = len(BYTE_ORDER_MARK) if block.startswith(BYTE_ORDER_MARK) else 0
            block = block.removeprefix(BYTE_ORDER_MARK)
            if position and not block:
                continue
        end = end or (
            b"\r" if b"\r" in block[:-1] and b"\n" not in block else b"\n" if b"\n" in block else b""
        )
        pending += block
        *whole, pending = pending.split(end) if end else [pending]
        for raw in whole:
            number += 1
            position += len(raw) + 1
            yield Line(number, raw.removesuffix(b"\r"), True, position)
        check_line_length(len(pending), number + 1)
        if not block:
            if pending:
                yield Line(number + 1, pending.removesuffix(b"\r"), False, position + len(pending))
            return


class LineReader:
    """A look-ahead iterator over the lines of a stream.

    Attributes:
        position: The offset in the stream at which the last returned line ends, in bytes.
    """

    def __init__(self, stream: Readable) -> None:
        self._lines = read_lines(stream)
        self._ahead: deque[Line] = deque()
        self.position: int = 0

    def peek(self, index: int = 0) -> Line | None:
        """Look ahead: return the next line, or a later line, and consume none.

        Args:
            index: The number of lines to skip; 0 returns the next line.

        Returns:
            The line, or None if the stream ends before it.
        """
        while len(self._ahead) <= index:
            line = next(self._lines, None)
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[index]

    def take(self, count: int) -> list[Line]:
        """Return the next *count* lines, or all remaining lines if fewer remain."""
        return list(islice(self, count))

    def __iter__(self) -> Iterator[Line]:
        """Return this reader, which is its own iterator."""
        return self

    def __next__(self) -> Line:
        """Return the next line of the stream."""
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.position = line.position
        return line
