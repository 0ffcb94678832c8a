"""The reasons for rejects: sentences that explain why a row cannot be read."""

from __future__ import annotations

from typing import Final

__all__ = ["NUL_BYTES", "TORN_LINE", "describe_undecodable", "describe_width", "quote_value"]

#: The reason of a last line without a line end.
TORN_LINE: Final = "The row has no line end: the file is still being written; ingest it again later."
#: The reason of a line that holds NUL bytes.
NUL_BYTES: Final = "The row contains NUL bytes: the file is damaged there."

_SHOWN_CHARACTERS: Final = 80


def describe_undecodable(error: UnicodeDecodeError, encoding: str) -> str:
    """Return the reject reason for a row that cannot be decoded.

    Args:
        error: The error that decoding the row raised.
        encoding: The encoding with which the file was read.
    """
    return (
        f"Byte {error.start + 1} of the row is not {encoding}; give the file's encoding, "
        "for example encoding='latin-1'."
    )


def describe_width(columns: int, expected: str) -> str:
    """Return the reject reason for a row that has the wrong number of columns.

    Args:
        columns: The number of columns in the row.
        expected: A clause that states the correct number of columns, such as ``the table has 18``.
    """
    return f"The row has {columns} column{'s' * (columns != 1)}; {expected}."


def quote_value(text: str) -> str:
    """Quote a string for a message, and cut it after 80 characters.

    Example:
        >>> quote_value("2041"), len(quote_value("x" * 500))
        ("'2041'", 83)
    """
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
