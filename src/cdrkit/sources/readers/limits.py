"""Limits on the size of a line, and of a row that spans several lines."""

from __future__ import annotations

from typing import Final

from cdrkit.errors import SchemaError

__all__ = ["LINE_BYTES", "ROW_BYTES", "ROW_LINES", "check_line_length"]

#: The longest line, in bytes. A longer one is refused before it fills the memory.
LINE_BYTES: Final = 16 << 20
#: The longest row whose quoted text continues in the next lines, in bytes.
ROW_BYTES: Final = 64 << 10
#: The number of lines that such a row may have after its first line.
ROW_LINES: Final = 100


def check_line_length(size: int, number: int) -> None:
    """Raise an error if a line is longer than `LINE_BYTES`.

    Args:
        size: The number of bytes of the line read so far.
        number: The number of the line, counted from 1.

    Raises:
        SchemaError: When the line is too long.
    """
    if size > LINE_BYTES:
        raise SchemaError(
            f"Line {number} is longer than {LINE_BYTES >> 20} MiB: no switch writes rows that long. "
            "Check that you gave the right file, and that the file is not compressed.",
            row=number,
        )
