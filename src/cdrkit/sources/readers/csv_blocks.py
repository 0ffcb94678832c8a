"""The rows of a CSV stream, in blocks of a few megabytes.

Well-formed rows have the values that the standard library's ``csv`` returns. A malformed row invalidates only its own
line: a quote that is never closed does not consume the rows after it.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import IO, Final

import attrs
import polars as pl

from cdrkit.sources.contract import Reject
from cdrkit.sources.readers.block_parser import BlockParser
from cdrkit.sources.readers.byte_streams import prepend, read_block
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.encoding import BYTE_ORDER_MARK
from cdrkit.sources.readers.limits import check_line_length

__all__ = ["CsvBlock", "read_blocks", "read_first_line"]

# Larger blocks are not faster: the process gets new memory for each of them.
_BLOCK_BYTES: Final = 4 << 20


@attrs.frozen(kw_only=True)
class CsvBlock:
    """The rows of one block of a CSV stream.

    Attributes:
        groups: The rows, grouped by their number of columns. The column ``row`` is the number of the line on which the
            row starts, and the columns ``0``, ``1`` … are its values as strings.
        rejects: The lines that are not valid rows.
        position: The number of bytes of the stream before the end of the block.
    """

    groups: dict[int, pl.DataFrame]
    rejects: list[Reject]
    position: int
    _parser: BlockParser

    def reject(self, row: int, reason: str) -> Reject:
        """Create a reject from a row of the block.

        Args:
            row: The number of the line on which the row starts.
            reason: The reason why the row cannot be stored.
        """
        return self._parser.reject(row - self._parser.number, reason)


def read_blocks(stream: IO[bytes], layout: CsvLayout, *, number: int = 1) -> Generator[CsvBlock]:
    """Yield the rows of a stream in order, block by block.

    Lines end with LF or CRLF, or with CR where the first block has no LF. Blank lines are not rows.

    Args:
        stream: The bytes to read.
        layout: The layout of the rows.
        number: The number of the stream's first line.

    Raises:
        SchemaError: When a line is too long to be a row.
        ConfigError: When the stream returns text.
    """
    order = list(layout.widths)
    pending, first, position, width = b"", number, 0, None
    final = ends_in_cr = False
    while not final:
        data, final = read_block(stream, _BLOCK_BYTES)
        if not position:
            ends_in_cr = b"\r" in data[:-1] and b"\n" not in data
        pending += data.replace(b"\r", b"\n") if ends_in_cr else data
        position += len(data)
        if number == first and layout.encoding == "utf-8":
            pending = pending.removeprefix(BYTE_ORDER_MARK)
        end = len(pending) if final else pending.rfind(b"\n") + 1
        if not end:
            check_line_length(len(pending), number)
            continue
        parser = BlockParser(layout, pending[:end], number=number, final=final)
        width = parser.parse(order, width)
        pending = parser.remainder + pending[end:]
        number += parser.lines_used
        yield CsvBlock(
            groups=parser.frames(),
            rejects=sorted(parser.rejects, key=lambda reject: reject.row),
            position=position - len(pending),
            parser=parser,
        )


def read_first_line(stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """Read the first line of a stream.

    Args:
        stream: The bytes to read.

    Returns:
        The line without its line end or byte order mark, and a stream of the other lines.

    Raises:
        SchemaError: When the line is too long to be a row.
        ConfigError: When the stream returns text.
    """
    head = b""
    while not re.search(rb"\n|\r(?=[^\n])", head):
        data, final = read_block(stream, _BLOCK_BYTES)
        head += data
        if final:
            break
        check_line_length(len(head), 1)
    # CR alone ends lines only where no LF does.
    line, end, rest = head.partition(b"\n" if b"\n" in head else b"\r")
    return line.removeprefix(BYTE_ORDER_MARK).removesuffix(b"\r"), prepend(rest if end else b"", stream)
