"""Split a CSV row into values, like Python's ``csv`` module."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

import attrs

from cdrkit.sources.readers.encoding import BYTE_ORDER_MARK

__all__ = ["QuoteFlaw", "blanks_pattern", "first_rows", "match_values", "split_row"]

_SAMPLE_ROWS: Final = 5
#: A quote that opens a value and is not closed before the end of the text.
_UNCLOSED: Final = re.compile(r'"[^"]*+(?:""[^"]*+)*+\Z')


@attrs.frozen
class QuoteFlaw:
    """A misplaced or unclosed quote; a line with such a flaw is an invalid row.

    Attributes:
        column: The column of the quote, counted from 1.
        unclosed: Whether the quote is never closed. If false, text follows the closing quote.
    """

    column: int
    unclosed: bool


def split_row(text: str, *, separator: str = ",", strict: bool = False) -> list[str] | QuoteFlaw:
    """Split the text of one row into its values.

    Blanks after a closing quote are dropped. A quote inside a value that does not start with a quote is an ordinary
    character, as in ``csv``.

    Example:
        >>> split_row('2041,"Smith, Ann",34')
        ['2041', 'Smith, Ann', '34']
        >>> split_row('2041,"Smith')
        QuoteFlaw(column=2, unclosed=True)

    Args:
        text: The row, without its line end.
        separator: The character between the values.
        strict: Whether a quote inside an unquoted value is a flaw.

    Returns:
        The values, or the flaw that makes the row invalid.
    """
    values: list[str] = []
    value_pattern = _value_pattern(separator)
    at = 0
    while True:
        match = value_pattern.match(text, at)
        if match is None or (strict and '"' in (match[2] or "")):
            return QuoteFlaw(len(values) + 1, _UNCLOSED.match(text, at) is not None)
        quoted = match[1]
        values.append(match[2] if quoted is None else quoted.replace('""', '"'))
        at = match.end() + 1
        if at > len(text):
            return values


def match_values(text: str, separator: str) -> Iterator[re.Match[str]]:
    """Yield a regular-expression match for each value of a row.

    Group 1 of the match is the text between the quotes, or None if the value has no quotes.
    """
    value_pattern, at = _value_pattern(separator), 0
    while at <= len(text) and (match := value_pattern.match(text, at)) is not None:
        yield match
        at = match.end() + 1


def first_rows(head: bytes, separator: str) -> list[list[str]]:
    """Return the first rows of a file, which help to detect its format.

    Args:
        head: The first bytes of the file. The last line is ignored if other lines come before it: it may be cut off.
        separator: The character between the values.

    Returns:
        Up to five rows. An invalid line is returned as an empty list.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace")
    lines = text.split("\n" if "\n" in text else "\r")
    whole = [line.removesuffix("\r") for line in (lines[:-1] if len(lines) > 1 else lines)]
    rows = [split_row(line, separator=separator) for line in whole if line.strip()][:_SAMPLE_ROWS]
    return [[] if isinstance(row, QuoteFlaw) else row for row in rows]


def blanks_pattern(separator: str) -> str:
    """Return a pattern that matches the blanks allowed after a closing quote.

    A tab does not count as a blank if tabs separate the values.
    """
    return "[ ]*" if separator == "\t" else r"[ \t]*"


@functools.cache
def _value_pattern(separator: str) -> re.Pattern[str]:
    end = re.escape(separator)
    quoted = rf'"([^"]*+(?:""[^"]*+)*+)"{blanks_pattern(separator)}+(?={end}|\Z)'
    return re.compile(rf'{quoted}|([^"{end}][^{end}]*+|)(?={end}|\Z)')
