"""The layout of a CSV format: the columns, the encoding and the separator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

__all__ = ["CsvLayout"]


@attrs.frozen(kw_only=True)
class CsvLayout:
    """The layout of a CSV format.

    Attributes:
        widths: The numbers of columns that a row may have.
        expected: A clause about the allowed numbers of columns, for the reason of a reject.
        encoding: The encoding of the text. It must encode line ends, separators and quotes as ASCII does.
        is_row: A function that returns whether values are certainly a row of the format.
        separator: The character between values.
        empty_is_null: Whether a value without any characters is null. Then only ``""`` is an empty string.
    """

    widths: Sequence[int]
    expected: str
    encoding: str
    is_row: Callable[[list[str]], bool]
    separator: str = ","
    empty_is_null: bool = False
