"""The block parser, which parses most lines of a CSV block in one step.

This step parses the lines that Polars and ``csv`` parse identically. All other lines are parsed one by one.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from cdrkit.sources.contract import Reject
from cdrkit.sources.readers import limits
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import QuoteFlaw, blanks_pattern, match_values, split_row
from cdrkit.sources.readers.reject_reasons import NUL_BYTES, TORN_LINE, describe_undecodable, describe_width

__all__ = ["BlockParser"]

_UNENDED: Final = (
    "The file ends before the quote opened in column {} is closed; ingest the file again when it is complete."
)
_UNCLOSED: Final = "The quote opened in column {} is never closed."
_AFTER_QUOTE: Final = "Column {} has text after the closing quote."

# A pattern for the regex engine of Polars. It excludes NUL, as the patterns of unquoted values exclude CR, NUL and
# byte order marks: Polars' CSV reader treats these in another way than ``csv``, so such lines are parsed one by one.
_QUOTED: Final = r'"[^"\x00]*(?:""[^"\x00]*)*"'


class BlockParser:
    """A parser for one block of complete lines.

    Attributes:
        number: The number of the block's first line.
        rejects: The lines that are not valid rows; filled by `parse`.
        remainder: The lines at the end of the block that need lines of the next block.
        lines_used: The number of lines in the block, without the remainder.
    """

    def __init__(self, layout: CsvLayout, raw: bytes, *, number: int, final: bool) -> None:
        """Create a parser for one block of lines.

        Args:
            layout: The layout of the rows.
            raw: The lines. Only the last line of the stream may have no line end.
            number: The number of the first line.
            final: Whether the stream ends with this block.
        """
        self._layout = layout
        self._raw = raw
        self._final = final
        self._torn = not raw.endswith(b"\n")
        self._spans: dict[int, int] = {}
        self._regular: list[tuple[int, pl.DataFrame]] = []
        self._unusual: dict[int, list[tuple[int, Sequence[str | None]]]] = {}
        self._undecodable: dict[int, str] = {}
        self._untouched = layout.encoding == "utf-8" and b"\r" not in raw
        self._lines = self._decode_lines()
        self.number = number
        self.rejects: list[Reject] = []
        self.remainder: bytes = b""
        self.lines_used: int = len(self._lines)

    @functools.cached_property
    def _raw_lines(self) -> list[bytes]:
        return self._raw.removesuffix(b"\n").split(b"\n")

    def _decode_lines(self) -> pl.Series:
        """Decode the lines; replace each undecodable line by an empty line.

        `_undecodable` then describes the error in each of these lines.
        """
        encoding = self._layout.encoding
        try:
            if self._untouched:
                return pl.read_lines(io.BytesIO(self._raw)).to_series()
            text = self._raw.decode(encoding)
        except (UnicodeDecodeError, pl.exceptions.ComputeError):
            lines: list[str] = []
            for at, line in enumerate(self._raw_lines):
                try:
                    lines.append(line.decode(encoding))
                except UnicodeDecodeError as exc:
                    lines.append("")
                    self._undecodable[at] = describe_undecodable(exc, encoding)
            column = pl.Series(lines, dtype=pl.String)
        else:
            column = pl.Series([text.removesuffix("\n")]).str.split("\n").explode()
        return column.str.strip_suffix("\r") if b"\r" in self._raw else column

    def reject(self, at: int, reason: str) -> Reject:
        """Return a row of the block as a reject.

        Args:
            at: The index of the row's first line in the block.
            reason: The reason why the row cannot be read.
        """
        raw = b"\n".join(self._raw_lines[at : at + self._spans.get(at, 1)]).removesuffix(b"\r")
        return Reject(self.number + at, reason, raw.decode("utf-8", "surrogateescape"))

    def parse(self, order: list[int], width: int | None) -> int | None:
        """Parse the rows of the block.

        Args:
            order: The numbers of columns to try. The number that last matched is moved to the front, so that
                it is tried first in the next block.
            width: The number of columns in the last row before the block.

        Returns:
            The number of columns in the last row.
        """
        rest = pl.DataFrame({"at": pl.int_range(len(self._lines), eager=True), "text": self._lines})
        if self._torn:
            rest = rest.head(-1)
        separator = self._layout.separator
        for blanks, count in [(blanks, count) for blanks in (False, True) for count in order]:
            if rest.is_empty():
                break
            fits = rest["text"].str.contains(_regular_row(count, separator, blanks=blanks))
            if fits.any():
                lines, rest = (rest, rest.clear()) if fits.all() else (rest.filter(fits), rest.filter(~fits))
                if blanks:
                    self._untouched = False
                    lines = lines.with_columns(
                        pl.col("text").str.replace_all(_value_and_blanks(separator), "$1$2")
                    )
                self._regular.append((count, lines))
                order.remove(count)
                order.insert(0, count)
        self._parse_unusual(rest)
        lasts = [(rows[-1][0], count) for count, rows in self._unusual.items()]
        lasts += [(rows["at"][-1], count) for count, rows in self._regular if not rows.is_empty()]
        width = max(lasts, default=(0, width))[1]
        if self._torn:
            self._parse_torn_line(width)
        return width

    def _parse_unusual(self, lines: pl.DataFrame) -> None:
        done = 0
        swallowed: list[int] = []
        for at, text in lines.iter_rows():
            if at < done:
                continue
            if at in self._undecodable:
                self.rejects.append(self.reject(at, self._undecodable[at]))
            elif not text.strip(" \t\r"):
                continue
            elif "\0" in text:
                self.rejects.append(self.reject(at, NUL_BYTES))
            elif isinstance(row := self._split(text), QuoteFlaw) and row.unclosed:
                joined = self._join_lines(at, row)
                if joined is None:
                    self._postpone(at)
                    break
                done = at + self._spans.get(at, 1)
                swallowed += range(at + 1, done)
                self._add_row(at, joined)
            else:
                self._add_row(at, row)
        if swallowed or self.remainder:
            is_regular = (pl.col("at") < self.lines_used) & ~pl.col("at").is_in(swallowed)
            self._regular = [(count, lines.filter(is_regular)) for count, lines in self._regular]

    def _split(self, text: str, *, strict: bool = False) -> list[str] | QuoteFlaw:
        return split_row(text, separator=self._layout.separator, strict=strict)

    def _add_row(self, at: int, row: list[str] | str | QuoteFlaw) -> None:
        """Add a row, or add a reject if the line is not a valid row.

        If *row* is a string, it is the reason for the reject.
        """
        if isinstance(row, QuoteFlaw):
            row = (_UNCLOSED if row.unclosed else _AFTER_QUOTE).format(row.column)
        elif not isinstance(row, str):
            if len(row) in self._layout.widths:
                self._unusual.setdefault(len(row), []).append((at, self._restore_nulls(at, row)))
                return
            row = describe_width(len(row), self._layout.expected)
        self.rejects.append(self.reject(at, row))

    def _restore_nulls(self, at: int, row: list[str]) -> Sequence[str | None]:
        """Convert empty unquoted values to None if the layout sets ``empty_is_null``."""
        if not self._layout.empty_is_null or "" not in row:
            return row
        raw = b"\n".join(self._raw_lines[at : at + self._spans.get(at, 1)])
        text = raw.decode(self._layout.encoding).removesuffix("\r")
        quoted = [match[1] is not None for match in match_values(text, self._layout.separator)]
        return [value if value or has_quotes else None for value, has_quotes in zip(row, quoted, strict=True)]

    def _join_lines(self, at: int, flaw: QuoteFlaw) -> list[str] | str | QuoteFlaw | None:
        """Join the lines of a row whose quoted text continues on the next lines.

        A quote that is never closed invalidates only its own line: joining stops at a line that is a complete row.

        Args:
            at: The index of the row's first line.
            flaw: The quote that is still open at the end of the first line.

        Returns:
            The values; or the reason or flaw that makes the first line invalid. None: the next block
            is needed to decide.
        """
        text = self._raw_lines[at].decode(self._layout.encoding)
        last = at + limits.ROW_LINES
        for following in range(at + 1, len(self._raw_lines) - self._torn):
            raw = self._raw_lines[following]
            if (
                following > last
                or len(text) + len(raw) > limits.ROW_BYTES
                or b"\0" in raw
                or following in self._undecodable
            ):
                return flaw
            line = raw.decode(self._layout.encoding)
            if self._is_whole_row(line):
                return flaw
            text += "\n" + line
            if '"' in line:
                row = self._split(text.removesuffix("\r"), strict=True)
                if not isinstance(row, QuoteFlaw) and len(row) in self._layout.widths:
                    self._spans[at] = following - at + 1
                    return row
                if not isinstance(row, QuoteFlaw) or not row.unclosed:
                    return flaw
        if not self._final:
            return None
        return _UNENDED.format(flaw.column) if self._torn else flaw

    def _is_whole_row(self, line: str) -> bool:
        row = self._split(line.removesuffix("\r"), strict=True)
        return not isinstance(row, QuoteFlaw) and len(row) in self._layout.widths and self._layout.is_row(row)

    def _postpone(self, at: int) -> None:
        """Leave the line at index *at*, and all later lines, for the next block."""
        self.remainder = b"\n".join(self._raw_lines[at:]) + b"\n"
        self.lines_used = at

    def _parse_torn_line(self, width: int | None) -> None:
        """Parse the last line, which has no line end.

        The line is a row only if it is certainly complete: it ends with a quote and has as many columns as the row
        before.
        """
        at = len(self._lines) - 1
        text = self._lines[at]
        if at in self._undecodable or "\0" in text:
            self.rejects.append(self.reject(at, TORN_LINE))
        elif text.strip(" \t\r"):
            row = self._split(text, strict=True)
            is_whole = text.endswith('"') and not isinstance(row, QuoteFlaw) and len(row) == width
            self._add_row(at, row if is_whole else TORN_LINE)

    def frames(self) -> dict[int, pl.DataFrame]:
        """Return the rows, grouped by their number of columns.

        Returns:
            A frame for each number of columns. Its column ``row`` is the number of the line on which the row
            starts. Its columns ``0``, ``1`` … are the values as strings.
        """
        parts: dict[int, list[pl.DataFrame]] = {}
        for count, lines in self._regular:
            if lines.height == len(self._lines) and self._untouched:
                parts[count] = [_parse_regular(lines["at"], self._raw, count, self._layout)]
            elif not lines.is_empty():
                raw = lines["text"].str.join("\n").item().encode()
                parts.setdefault(count, []).append(_parse_regular(lines["at"], raw, count, self._layout))
        for count, rows in self._unusual.items():
            numbers = pl.Series("at", [at for at, _ in rows], dtype=pl.Int64)
            schema = {str(column): pl.String for column in range(count)}
            values = pl.DataFrame([row for _, row in rows], schema=schema, orient="row")
            parts.setdefault(count, []).append(values.insert_column(0, numbers))
        return {
            count: pl.concat(frames).select((pl.col("at") + self.number).alias("row"), pl.exclude("at"))
            for count, frames in parts.items()
        }


@functools.cache
def _regular_row(count: int, separator: str, *, blanks: bool) -> str:
    """Return a pattern for lines that Polars and ``csv`` parse identically."""
    end = re.escape(separator)
    bare = rf'[^"{end}\r\x00\x{{feff}}]*'
    value = rf"(?:{_QUOTED}{blanks_pattern(separator)}|{bare})" if blanks else f"(?:{_QUOTED}|{bare})"
    return f"^{value}(?:{end}{value}){{{count - 1}}}$"


@functools.cache
def _value_and_blanks(separator: str) -> str:
    """Return a pattern that matches a value, then any blanks, then the separator.

    At the end of a line, the pattern matches without a separator.
    """
    end = re.escape(separator)
    return rf'("[^"]*(?:""[^"]*)*"|[^"{end}]*){blanks_pattern(separator)}({end}|$)'


def _parse_regular(at: pl.Series, raw: bytes, count: int, layout: CsvLayout) -> pl.DataFrame:
    """Parse lines that match `_regular_row`; *at* holds the indexes of the lines."""
    values = pl.read_csv(raw, has_header=False, infer_schema=False, separator=layout.separator)
    if not layout.empty_is_null:
        values = values.fill_null("")
    values.columns = [str(column) for column in range(count)]
    return values.insert_column(0, at)
