"""Tables as text: lines, with or without names on top, with separators or fixed positions, made into native rows."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol, TypeAlias

import attrs
import polars as pl

from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.apply_mapping import (
    ComputeFields,
    MappingResult,
    RowProblem,
    apply_mapping,
    resolve_columns,
)
from cdrkit.sources.readers.mapping import FieldRule, SourceMapping
from cdrkit.sources.readers.reject_reasons import shorten

__all__ = [
    "Line",
    "PeekedStream",
    "Readable",
    "SkipRow",
    "Table",
    "TableChunk",
    "column_names",
    "open_table",
    "read_lines",
    "read_table",
]

#: Tells a line that is no row by its texts, such as a line of types.
SkipRow: TypeAlias = Callable[[list[str]], bool]

_BLOCK_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 64 << 10
_LINE_BYTES: Final = 16 << 20
_ROWS_AT_ONCE: Final = 20_000
_JOINED_LINES: Final = 100
_JOINED_BYTES: Final = 64 << 10
_BOM: Final = b"\xef\xbb\xbf"
_SEPARATORS: Final = (",", ";", "\t", "|")


class Readable(Protocol):
    """What is read here: a file, opened for its bytes."""

    def read(self, size: int, /) -> bytes: ...


class PeekedStream:
    """A file whose beginning was looked at: it is there again for the reading."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._head = _bytes(file.read(_HEAD_BYTES))
        #: The first bytes of the file.
        self.head = self._head

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, none at the end."""
        if self._head:
            given, self._head = self._head, b""
            return given
        return self._file.read(size)


@attrs.frozen
class Line:
    """One line of a stream: its number, its bytes without their end, whether it has one, and how far it reaches."""

    number: int
    raw: bytes
    ended: bool
    position: int

    @property
    def text(self) -> str:
        """What a reject shows of it."""
        return self.raw.decode("utf-8", "surrogateescape")


def _bytes(block: object) -> bytes:
    if not isinstance(block, bytes):
        raise ConfigError(f"The file gives {type(block).__name__}, not bytes; open it with mode 'rb'.")
    return block


def read_lines(stream: Readable) -> Iterator[Line]:
    """Yield the lines of *stream*; they end in LF, CRLF, or in CR where the first block has no LF.

    Raises:
        SchemaError: When a line is so long that no switch wrote it.
        ConfigError: When the stream gives text.
    """
    pending, number, position, end = b"", 0, 0, b""
    while True:
        block = _bytes(stream.read(_BLOCK_BYTES))
        if not number and not pending:
            position = len(_BOM) if block.startswith(_BOM) else 0
            block = block.removeprefix(_BOM)
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
        if len(pending) > _LINE_BYTES:
            raise SchemaError(
                f"Line {number + 1} is longer than {_LINE_BYTES >> 20} MiB: no switch writes such rows. "
                "Check that it is the right file, and not compressed.",
                row=number + 1,
            )
        if not block:
            if pending:
                yield Line(number + 1, pending.removesuffix(b"\r"), False, position + len(pending))
            return


def column_names(head: bytes) -> set[str]:
    """Return the names in the first line of a table, in small letters, whatever stands between them."""
    first = head.removeprefix(_BOM).lstrip(b"\r\n").replace(b"\r", b"\n").partition(b"\n")[0]
    text = first.decode("utf-8", "replace").casefold()
    return {name.strip(' "') for separator in _SEPARATORS for name in text.split(separator)}


@attrs.frozen(kw_only=True)
class TableChunk:
    """Some rows of a table.

    Attributes:
        native: Their texts: ``row``, the number of each, and the columns.
        rejects: What is no row.
        texts: The bytes of each, by its number.
        position: How far into the stream they reach.
        header: The lines above them that they are read by: those that the mapping skips, and the line of names.
    """

    native: pl.DataFrame
    rejects: list[Reject]
    texts: dict[int, bytes]
    position: int
    header: str

    def batch(self, done: MappingResult) -> SourceBatch:
        """Return the batch of these rows, *done* being what became of the native ones."""
        rejects = [*self.rejects, *self.rejected(done.wrong)]
        return SourceBatch(
            frame=done.frame,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            contradictions=done.contradictions,
            repeated_hour=done.repeated,
            missing_hour=done.missing,
            bytes_read=self.position,
            header=self.header,
        )

    def rejected(self, wrong: Sequence[RowProblem]) -> list[Reject]:
        """Return the rows that are *wrong* as rejects."""
        return [
            Reject(one.row, one.reason, self.texts[one.row].decode("utf-8", "surrogateescape"))
            for one in wrong
        ]


@attrs.frozen(kw_only=True)
class Table:
    """The rows of one stream.

    Attributes:
        mapping: The mapping, its columns named as the stream has them.
        names: The names of the table's columns.
        named: Whether they stand in the stream.
        chunks: The rows, some thousands at a time.
    """

    mapping: SourceMapping
    names: tuple[str, ...]
    named: bool
    chunks: Iterator[TableChunk]


def read_table(
    stream: Readable,
    mapping: SourceMapping,
    *,
    compute: ComputeFields | None = None,
    skip_row: SkipRow | None = None,
) -> Iterator[SourceBatch]:
    """Yield the calls of a table.

    Args:
        stream: Its bytes.
        mapping: How to read them.
        computed: What fills fields that no rule can.
        no_row: Tells lines that are no rows, by their texts; they are passed over.

    Raises:
        SchemaError: When the stream is empty, is not such a table, or not the whole of it.
        ConfigError: When times have no offset and the mapping no zone.
    """
    table = open_table(stream, mapping, skip_row=skip_row)
    good = read = 0
    first: Reject | None = None
    for rows in table.chunks:
        batch = rows.batch(apply_mapping(rows.native, table.mapping, compute=compute))
        good, read = good + batch.frame.height, read + batch.read
        first = first or next(iter(batch.rejects), None)
        if not (good or table.named) and first is not None:  # nothing tells yet that it is such a table
            raise SchemaError(
                f"None of the {read:,} rows read can be taken as {mapping.name}. Row {first.row} is "
                f"{shorten(first.text)}. {first.reason} Check the file, or give the format that it is in.",
                row=first.row,
            )
        yield batch


def open_table(stream: Readable, mapping: SourceMapping, *, skip_row: SkipRow | None = None) -> Table:
    """Return the table in *stream*, with its names read and found fit.

    Raises:
        SchemaError: When it is empty, or has not the columns that are needed.
    """
    lines = _Lines(stream)
    # Whoever reads on below these lines must skip as many: none may be nothing.
    above = [line.raw or b" " for line in lines.taken(mapping.skip)]
    promised = _promised(lines, mapping)
    first = lines.ahead(0)
    if first is None:
        raise SchemaError("The file is empty: there is no row in it. Check that it is the right one.")
    names = tuple(mapping.positions) or mapping.columns
    if names:
        fit = attrs.evolve(mapping, fields=_known(mapping, names), columns=(), positions={}, optional=True)
        chunks = _chunks(lines, mapping, names, above=above, promised=promised, skip_row=skip_row)
        return Table(mapping=fit, names=names, named=False, chunks=chunks)
    lines.drop(1)
    try:
        fit, names, separator = _named(first, mapping)
    except SchemaError as exc:
        raise SchemaError(str(exc), field=exc.field, row=first.number) from exc
    layout = attrs.evolve(mapping, separator=separator)
    chunks = _chunks(
        lines, layout, names, above=[*above, first.raw], named=first.raw, promised=promised, skip_row=skip_row
    )
    return Table(mapping=fit, names=names, named=True, chunks=chunks)


def _known(mapping: SourceMapping, names: Sequence[str]) -> dict[str, FieldRule]:
    found: dict[str, FieldRule] = {}
    for name, rule in mapping.fields.items():
        columns = [column for column in rule.columns if column in names]
        if columns:
            found[name] = attrs.evolve(rule, columns=columns)
        elif name in ("start", "call_id"):
            raise ConfigError(f"The columns have none that {name} is made of: {' or '.join(rule.columns)}.")
    return found


def _promised(lines: _Lines, mapping: SourceMapping) -> int | None:
    """Drop the lines above the table that are its header, and return how many rows they promise."""
    promised = None
    header = None if mapping.header is None else re.compile(mapping.header)
    while (line := lines.ahead(0)) is not None:
        match = None if header is None else header.search(line.text)
        if match is not None:
            promised = _count(match, line, promised)
        elif line.raw.strip():
            break
        lines.drop(1)
    return promised


def _named(line: Line, mapping: SourceMapping) -> tuple[SourceMapping, tuple[str, ...], str]:
    """Return *mapping* for the names in *line*, those names, and what stands between them."""
    try:
        text = line.raw.decode(mapping.encoding)
    except UnicodeDecodeError as exc:
        raise SchemaError(
            f"The line of names is not {mapping.encoding} at byte {exc.start + 1}. Check that it is the right "
            "file, or give the encoding that it is in, for example encoding='latin-1'."
        ) from exc
    wrong: list[tuple[int, SchemaError]] = []
    for separator in _SEPARATORS if mapping.separator is None else (mapping.separator,):
        found = _split(text, attrs.evolve(mapping, separator=separator))
        names = tuple(name.strip() or f"column {at}" for at, name in enumerate(found or [], 1))
        twice = sorted({name for name in names if names.count(name) > 1})
        try:
            if found is None or twice:
                what = f"names the column {twice[0]!r} twice" if twice else "has a quote that is not closed"
                raise SchemaError(
                    f"The line of names {what}: {shorten(text)}. Check that it is the right file."
                )
            return resolve_columns(mapping, names, shown="The table"), names, separator
        except SchemaError as exc:
            wrong.append((len(names), exc))
    raise max(wrong, key=lambda one: one[0])[1]


def _chunks(
    lines: _Lines,
    layout: SourceMapping,
    names: Sequence[str],
    *,
    above: Sequence[bytes],
    named: bytes | None = None,
    promised: int | None,
    skip_row: SkipRow | None,
) -> Iterator[TableChunk]:
    header = b"\n".join(above).decode("utf-8", "surrogateescape")
    trailer = None if layout.trailer is None else re.compile(layout.trailer)
    part = _Part(names, header)
    since, closed = 0, False
    for line in lines:
        if not line.raw.strip() or line.raw == named:
            continue
        if trailer is not None and (match := trailer.search(line.text)) is not None:
            promised, closed = _count(match, line, promised), True
            _settle(promised, since, line.number)
            since, promised = 0, None
            continue
        found, raw = _row(line, lines, layout, len(names))
        if skip_row is not None and not isinstance(found, str) and skip_row(found):
            continue
        part.add(line.number, found, raw)
        since, closed = since + 1, False
        if len(part) >= _ROWS_AT_ONCE:
            yield part.rows(lines.position)
            part = _Part(names, header)
    if len(part):
        yield part.rows(lines.position)
    _settle(promised, since, None)
    if trailer is not None and not closed:
        raise SchemaError(f"No line fits the trailer {layout.trailer!r} after the rows: the file is cut off.")


class _Part:
    """Rows that wait to become a frame."""

    def __init__(self, names: Sequence[str], header: str) -> None:
        self._names = names
        self._header = header
        self._numbers: list[int] = []
        self._values: list[list[str]] = []
        self._texts: dict[int, bytes] = {}
        self._rejects: list[Reject] = []

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, number: int, found: list[str] | str, raw: bytes) -> None:
        self._texts[number] = raw
        if isinstance(found, str):
            self._rejects.append(Reject(number, found, raw.decode("utf-8", "surrogateescape")))
        else:
            self._numbers.append(number)
            self._values.append(found)

    def rows(self, position: int) -> TableChunk:
        columns = zip(*self._values, strict=True) if self._values else ([] for _ in self._names)
        native = pl.DataFrame(
            [
                pl.Series("row", self._numbers, dtype=pl.Int64),
                *(
                    pl.Series(name, texts, dtype=pl.String)
                    for name, texts in zip(self._names, columns, strict=True)
                ),
            ]
        )
        return TableChunk(
            native=native, rejects=self._rejects, texts=self._texts, position=position, header=self._header
        )


class _Lines:
    """The lines of a stream, which can be looked at ahead."""

    def __init__(self, stream: Readable) -> None:
        self._lines = read_lines(stream)
        self._ahead: deque[Line] = deque()
        self.position = 0

    def ahead(self, index: int) -> Line | None:
        while len(self._ahead) <= index:
            line = next(self._lines, None)
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[index]

    def drop(self, count: int) -> None:
        self.taken(count)

    def taken(self, count: int) -> list[Line]:
        return list(islice(self, count))

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.position = line.position
        return line


def _row(line: Line, lines: _Lines, layout: SourceMapping, width: int) -> tuple[list[str] | str, bytes]:
    """Return the texts of the row that starts with *line*, or why it is none, and its bytes."""
    if layout.line_ends and not line.ended:
        return "It has no line end: the file is still being written; ingest it again later.", line.raw
    if b"\0" in line.raw:
        return "It holds NUL bytes: the file is damaged there.", line.raw
    try:
        text = line.raw.decode(layout.encoding)
    except UnicodeDecodeError as exc:
        hint = "give the encoding the file is in, for example encoding='latin-1'."
        return f"Its byte {exc.start + 1} is not {layout.encoding}; {hint}", line.raw
    found, raw = _split(text, layout), line.raw
    if found is None and layout.quote is not None and text.count(layout.quote) % 2:
        found, more = _joined(text, lines, layout, width)
        raw += more
    if found is None:
        return "Its quotes do not pair, or text follows a closing one.", line.raw
    if len(found) != width:
        return f"It has {len(found)} column{'s' * (len(found) != 1)}; the table has {width}.", line.raw
    return found, raw


def _joined(text: str, lines: _Lines, layout: SourceMapping, width: int) -> tuple[list[str] | None, bytes]:
    """Return the texts of a row whose quoted text goes on in the lines after it, and their bytes."""
    more = b""
    for at in range(_JOINED_LINES):
        line = lines.ahead(at)
        if line is None or b"\0" in line.raw or len(more) + len(line.raw) > _JOINED_BYTES:
            break
        try:
            following = line.raw.decode(layout.encoding)
        except UnicodeDecodeError:
            break
        alone = _split(following, layout)
        if width > 1 and alone is not None and len(alone) == width:  # a row of its own is not swallowed
            break
        text, more = f"{text}\n{following}", more + b"\n" + line.raw
        found = _split(text, layout)
        if found is not None:
            if len(found) != width:
                break
            lines.drop(at + 1)
            return found, more
    return None, b""


def _split(text: str, layout: SourceMapping) -> list[str] | None:
    """Return the texts in a line; None where its quotes do not pair."""
    if layout.positions:
        return [text[first - 1 : last].strip() for first, last in layout.positions.values()]
    assert layout.separator is not None
    quoted = layout.quote is not None and layout.quote in text
    if not quoted and (layout.escape is None or layout.escape not in text):
        return text.split(layout.separator)
    try:
        [found] = csv.reader(
            [text],
            delimiter=layout.separator,
            quotechar=layout.quote,
            quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
            escapechar=layout.escape,
            strict=True,
        )
    except (csv.Error, ValueError):
        return None
    return found


def _count(match: re.Match[str], line: Line, before: int | None) -> int | None:
    """Return how many rows a line above or below them promises."""
    text = match.groupdict().get("count")
    if text is None:
        return before
    if not re.fullmatch(r"\s*[0-9]{1,15}\s*", text):
        raise SchemaError(
            f"Line {line.number} says there are {shorten(text)} rows, which is no count.", row=line.number
        )
    if before is not None and before != int(text):
        raise SchemaError(
            f"The header promises {before:,} rows, the trailer on line {line.number} {int(text):,}."
        )
    return int(text)


def _settle(promised: int | None, found: int, line: int | None) -> None:
    if promised is not None and promised != found:
        where = "The header" if line is None else f"Line {line}"
        raise SchemaError(
            f"{where} says there are {promised:,} rows, and {found:,} were read: the file is cut off or damaged. "
            "Nothing was stored."
        )
