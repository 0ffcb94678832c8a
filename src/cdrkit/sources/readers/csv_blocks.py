"""Comma-separated rows from a stream of bytes, in blocks: regular lines at once, odd ones each on its own.

Both ways give the values that the standard library's ``csv`` gives for what is well formed. What is not costs
its own line only: a quote that is never closed does not swallow the rows after it.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import IO, Final, cast

import attrs
import polars as pl

from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import Reject

__all__ = ["CsvBlock", "Delimited", "Flaw", "first_line", "first_rows", "split_row"]

# Larger blocks are not faster: their memory is new to the process each time.
_BLOCK_BYTES: Final = 4 << 20
_LINE_BYTES: Final = 16 << 20
_ROW_BYTES: Final = 64 << 10
_ROW_LINES: Final = 100
_SNIFFED: Final = 5

_BOM: Final = b"\xef\xbb\xbf"
_OPEN: Final = re.compile(r'"[^"]*+(?:""[^"]*+)*+\Z')

# For Rust's engine. What the block reader would treat in a way of its own is left to the other path: an
# unquoted CR, a byte order mark, NUL.
_QUOTED: Final = r'"[^"\x00]*(?:""[^"\x00]*)*"'

_TORN: Final = "It has no line end: the file is still being written; ingest it again later."
_UNENDED: Final = (
    "A quote is opened in column {} and the file ends; it may still be written; ingest it again later."
)
_UNCLOSED: Final = "A quote is opened in column {} and never closed."
_AFTER_QUOTE: Final = "There is text after the closing quote in column {}."
_NUL: Final = "It holds NUL bytes: the file is damaged there."


@attrs.frozen
class Flaw:
    """Why a text is no row: the quote that opens *column* is not closed, or text follows where it is."""

    column: int
    unclosed: bool


@functools.cache
def _field(separator: str) -> re.Pattern[str]:
    end = re.escape(separator)
    blanks = "[ ]*+" if separator == "\t" else r"[ \t]*+"
    quoted = rf'"([^"]*+(?:""[^"]*+)*+)"{blanks}(?={end}|\Z)'
    return re.compile(rf'{quoted}|([^"{end}][^{end}]*+|)(?={end}|\Z)')


def split_row(text: str, *, separator: str = ",", strict: bool = False) -> list[str] | Flaw:
    """Return the values of one row, or what is wrong with it.

    Blanks after a closing quote are dropped. A quote inside a field that does not start with one stands for
    itself, as in ``csv``, unless *strict*.
    """
    values: list[str] = []
    field = _field(separator)
    at = 0
    while True:
        match = field.match(text, at)
        if match is None or (strict and '"' in (match[2] or "")):
            return Flaw(len(values) + 1, _OPEN.match(text, at) is not None)
        quoted = match[1]
        values.append(match[2] if quoted is None else quoted.replace('""', '"'))
        at = match.end() + 1
        if at > len(text):
            return values


def _matches(text: str, separator: str) -> Iterator[re.Match[str]]:
    """Yield the fields of a text that is a row."""
    field, at = _field(separator), 0
    while at <= len(text) and (match := field.match(text, at)) is not None:
        yield match
        at = match.end() + 1


@attrs.frozen(kw_only=True)
class CsvBlock:
    """The rows of one block.

    Attributes:
        groups: For each count of columns the rows that have it: ``row`` is the number of the line where the
            row starts, the columns ``0``, ``1`` ... are its values as text.
        rejects: What is no such row.
        position: How far into the stream the block reaches.
    """

    groups: dict[int, pl.DataFrame]
    rejects: list[Reject]
    position: int
    _block: _Block

    def reject(self, row: int, reason: str) -> Reject:
        """Return the row that starts on line *row* as a reject."""
        return self._block.reject(row - self._block.number, reason)


@attrs.frozen(kw_only=True)
class Delimited:
    """How the rows of a format are told apart.

    Attributes:
        widths: The counts of columns a row may have.
        needed: The same in words, for a reject's reason.
        encoding: The encoding of the text; it writes line ends, commas and quotes as ASCII does.
        is_row: Whether values of such a count are, beyond doubt, a row of the format.
        separator: What stands between the values.
        keeps_nothing: Whether nothing at all between two separators is null, and only ``""`` is an empty text.
    """

    widths: Sequence[int]
    needed: str
    encoding: str
    is_row: Callable[[list[str]], bool]
    separator: str = ","
    keeps_nothing: bool = False

    @property
    def blanks(self) -> str:
        """For Rust's engine: a field, and blanks after its closing quote."""
        end = re.escape(self.separator)
        return rf'("[^"]*(?:""[^"]*)*"|[^"{end}]*){_blanks(self.separator)}({end}|$)'

    def split(self, text: str, *, strict: bool = False) -> list[str] | Flaw:
        """Return the values of one row, as `split_row` does."""
        return split_row(text, separator=self.separator, strict=strict)

    def read(self, stream: IO[bytes], *, number: int = 1) -> Generator[CsvBlock]:
        """Yield the rows of *stream*, in its order, block by block. Blank lines are no rows.

        Lines end with LF or CRLF; with CR where the first block has no LF.

        Args:
            stream: Its bytes.
            number: The number of its first line.

        Raises:
            SchemaError: When a line is so long that it cannot be a row's.
            ConfigError: When the stream gives text.
        """
        order = list(self.widths)
        pending, first, position, width = b"", number, 0, None
        final = ends_in_cr = False
        while not final:
            data, final = _filled(stream)
            if not position:
                ends_in_cr = b"\r" in data[:-1] and b"\n" not in data
            pending += data.replace(b"\r", b"\n") if ends_in_cr else data
            position += len(data)
            if number == first and self.encoding == "utf-8":
                pending = pending.removeprefix(_BOM)
            end = len(pending) if final else pending.rfind(b"\n") + 1
            if not end:
                if len(pending) > _LINE_BYTES:
                    raise SchemaError(
                        f"Line {number} is longer than {_LINE_BYTES >> 20} MiB: no switch writes such rows. "
                        "Check that it is the right file, and not compressed.",
                        row=number,
                    )
                continue
            block = _Block(self, pending[:end], number=number, final=final)
            width = block.parse(order, width)
            pending = block.left + pending[end:]
            number += block.lines_used
            yield CsvBlock(
                groups=block.frames(),
                rejects=sorted(block.rejects, key=lambda reject: reject.row),
                position=position - len(pending),
                block=block,
            )


def first_line(stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """Return the first line of *stream*, without its end and a byte order mark, and the stream of the others.

    Raises:
        SchemaError: When there is no line end for very long.
    """
    head = b""
    while not re.search(rb"\n|\r(?=[^\n])", head):
        data, final = _filled(stream)
        head += data
        if final:
            break
        if len(head) > _LINE_BYTES:
            raise SchemaError(
                f"Line 1 is longer than {_LINE_BYTES >> 20} MiB; check that it is the right file.", row=1
            )
    # CR alone ends lines only where no LF does.
    line, end, rest = head.partition(b"\n" if b"\n" in head else b"\r")
    return line.removeprefix(_BOM).removesuffix(b"\r"), cast(
        IO[bytes], _Chained(rest if end else b"", stream)
    )


def first_rows(head: bytes, separator: str) -> list[list[str]]:
    """Return the first few rows in a file's first bytes, for telling what they are; what is no row has no columns."""
    text = head.removeprefix(_BOM).decode("utf-8", "replace")
    lines = text.split("\n" if "\n" in text else "\r")
    whole = [line.removesuffix("\r") for line in (lines[:-1] if len(lines) > 1 else lines)]
    rows = [split_row(line, separator=separator) for line in whole if line.strip()][:_SNIFFED]
    return [[] if isinstance(row, Flaw) else row for row in rows]


class _Chained(io.RawIOBase):
    """What was read ahead, and then the rest of a stream."""

    def __init__(self, ahead: bytes, stream: IO[bytes]) -> None:
        super().__init__()
        self._ahead = ahead
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._ahead:
            given, self._ahead = (self._ahead, b"") if size < 0 else (self._ahead[:size], self._ahead[size:])
            return given
        return self._stream.read(size)


def _filled(stream: IO[bytes]) -> tuple[bytes, bool]:
    """Return the next block of *stream* and whether it ends there."""
    parts: list[bytes] = []
    missing = _BLOCK_BYTES
    while missing > 0:
        part = stream.read(missing)
        if not isinstance(part, bytes):
            raise ConfigError(f"The file gives {type(part).__name__}, not bytes; open it with mode 'rb'.")
        if not part:
            return b"".join(parts), True
        parts.append(part)
        missing -= len(part)
    return b"".join(parts), False


class _Block:
    """Whole lines, and what became of them."""

    def __init__(self, format: Delimited, raw: bytes, *, number: int, final: bool) -> None:
        self._format = format
        self._raw = raw
        self._final = final
        self._torn = not raw.endswith(b"\n")
        self._spans: dict[int, int] = {}
        self._regular: list[tuple[int, pl.DataFrame]] = []
        self._odd: dict[int, list[tuple[int, Sequence[str | None]]]] = {}
        self._undecodable: dict[int, str] = {}
        self._untouched = format.encoding == "utf-8" and b"\r" not in raw
        self._lines = self._decoded()
        self.number = number
        self.rejects: list[Reject] = []
        self.left = b""
        self.lines_used = len(self._lines)

    @functools.cached_property
    def _raw_lines(self) -> list[bytes]:
        return self._raw.removesuffix(b"\n").split(b"\n")

    def _decoded(self) -> pl.Series:
        """Return the lines as text; one that is none is left empty and noted."""
        encoding = self._format.encoding
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
                    self._undecodable[at] = (
                        f"Its byte {exc.start + 1} is not {encoding}; give the encoding the file is in, "
                        "for example encoding='latin-1'."
                    )
            column = pl.Series(lines, dtype=pl.String)
        else:
            column = pl.Series([text.removesuffix("\n")]).str.split("\n").explode()
        return column.str.strip_suffix("\r") if b"\r" in self._raw else column

    def reject(self, at: int, reason: str) -> Reject:
        raw = b"\n".join(self._raw_lines[at : at + self._spans.get(at, 1)]).removesuffix(b"\r")
        return Reject(self.number + at, reason, raw.decode("utf-8", "surrogateescape"))

    def parse(self, order: list[int], width: int | None) -> int | None:
        """Find the rows, and return how many columns the last one has; *width* is what the row before had."""
        rest = pl.DataFrame({"at": pl.int_range(len(self._lines), eager=True), "text": self._lines})
        if self._torn:
            rest = rest.head(-1)
        for blanks, count in [(blanks, count) for blanks in (False, True) for count in order]:
            if rest.is_empty():
                break
            fits = rest["text"].str.contains(_regular_row(count, self._format.separator, blanks=blanks))
            if fits.any():
                lines, rest = (rest, rest.clear()) if fits.all() else (rest.filter(fits), rest.filter(~fits))
                if blanks:
                    self._untouched = False
                    lines = lines.with_columns(pl.col("text").str.replace_all(self._format.blanks, "$1$2"))
                self._regular.append((count, lines))
                order.remove(count)
                order.insert(0, count)
        self._parse_odd(rest)
        lasts = [(rows[-1][0], count) for count, rows in self._odd.items()]
        lasts += [(rows["at"][-1], count) for count, rows in self._regular if not rows.is_empty()]
        width = max(lasts, default=(0, width))[1]
        if self._torn:
            self._parse_torn(width)
        return width

    def _parse_odd(self, lines: pl.DataFrame) -> None:
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
                self.rejects.append(self.reject(at, _NUL))
            elif isinstance(row := self._format.split(text), Flaw) and row.unclosed:
                joined = self._joined(at, row)
                if joined is None:
                    self._leave(at)
                    break
                done = at + self._spans.get(at, 1)
                swallowed += range(at + 1, done)
                self._sort_in(at, joined)
            else:
                self._sort_in(at, row)
        if swallowed or self.left:
            kept = (pl.col("at") < self.lines_used) & ~pl.col("at").is_in(swallowed)
            self._regular = [(count, lines.filter(kept)) for count, lines in self._regular]

    def _sort_in(self, at: int, row: list[str] | str | Flaw) -> None:
        if isinstance(row, Flaw):
            row = (_UNCLOSED if row.unclosed else _AFTER_QUOTE).format(row.column)
        elif not isinstance(row, str):
            if len(row) in self._format.widths:
                self._odd.setdefault(len(row), []).append((at, self._with_nothing(at, row)))
                return
            row = f"It has {len(row)} column{'s' * (len(row) != 1)}; {self._format.needed}."
        self.rejects.append(self.reject(at, row))

    def _with_nothing(self, at: int, row: list[str]) -> Sequence[str | None]:
        """Return *row* with null for what is not even quoted, where that is kept."""
        if not self._format.keeps_nothing or "" not in row:
            return row
        raw = b"\n".join(self._raw_lines[at : at + self._spans.get(at, 1)])
        text = raw.decode(self._format.encoding).removesuffix("\r")
        quoted = [match[1] is not None for match in _matches(text, self._format.separator)]
        return [value if value or there else None for value, there in zip(row, quoted, strict=True)]

    def _joined(self, at: int, flaw: Flaw) -> list[str] | str | Flaw | None:
        """Return the row of several lines that starts at *at*, or why there is none; None: it needs more."""
        text = self._raw_lines[at].decode(self._format.encoding)
        limit = at + _ROW_LINES
        for following in range(at + 1, len(self._raw_lines) - self._torn):
            raw = self._raw_lines[following]
            if (
                following > limit
                or len(text) + len(raw) > _ROW_BYTES
                or b"\0" in raw
                or following in self._undecodable
            ):
                return flaw
            line = raw.decode(self._format.encoding)
            if self._stands_alone(line):
                return flaw
            text += "\n" + line
            if '"' in line:
                row = self._format.split(text.removesuffix("\r"), strict=True)
                if not isinstance(row, Flaw) and len(row) in self._format.widths:
                    self._spans[at] = following - at + 1
                    return row
                if not isinstance(row, Flaw) or not row.unclosed:
                    return flaw
        if not self._final:
            return None
        return _UNENDED.format(flaw.column) if self._torn else flaw

    def _stands_alone(self, line: str) -> bool:
        row = self._format.split(line.removesuffix("\r"), strict=True)
        return not isinstance(row, Flaw) and len(row) in self._format.widths and self._format.is_row(row)

    def _leave(self, at: int) -> None:
        """Leave the lines from *at* on to the next block."""
        self.left = b"\n".join(self._raw_lines[at:]) + b"\n"
        self.lines_used = at

    def _parse_torn(self, width: int | None) -> None:
        at = len(self._lines) - 1
        text = self._lines[at]
        if at in self._undecodable or "\0" in text:
            self.rejects.append(self.reject(at, _TORN))
        elif text.strip(" \t\r"):
            row = self._format.split(text, strict=True)
            whole = text.endswith('"') and not isinstance(row, Flaw) and len(row) == width
            self._sort_in(at, row if whole else _TORN)

    def frames(self) -> dict[int, pl.DataFrame]:
        """Return the rows by their count of columns."""
        parts: dict[int, list[pl.DataFrame]] = {}
        for count, lines in self._regular:
            if lines.height == len(self._lines) and self._untouched:
                parts[count] = [_values(lines["at"], self._raw, count, self._format)]
            elif not lines.is_empty():
                raw = lines["text"].str.join("\n").item().encode()
                parts.setdefault(count, []).append(_values(lines["at"], raw, count, self._format))
        for count, rows in self._odd.items():
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
    end = re.escape(separator)
    bare = rf'[^"{end}\r\x00\x{{feff}}]*'
    field = rf"(?:{_QUOTED}{_blanks(separator)}|{bare})" if blanks else f"(?:{_QUOTED}|{bare})"
    return f"^{field}(?:{end}{field}){{{count - 1}}}$"


def _blanks(separator: str) -> str:
    return "[ ]*" if separator == "\t" else r"[ \t]*"


def _values(at: pl.Series, raw: bytes, count: int, format: Delimited) -> pl.DataFrame:
    """Return the values of regular lines."""
    values = pl.read_csv(raw, has_header=False, infer_schema=False, separator=format.separator)
    if not format.keeps_nothing:
        values = values.fill_null("")
    values.columns = [str(column) for column in range(count)]
    return values.insert_column(0, at)
