"""Use a mapping to convert text tables to calls.

A table may or may not have a line with the column names. It has separators or fixed positions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs
import polars as pl

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.apply_mapping import ComputeFields, MappingResult, RowProblem, apply_mapping
from cdrkit.sources.readers.byte_streams import Readable
from cdrkit.sources.readers.lines import LineReader
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.reject_reasons import quote_value
from cdrkit.sources.readers.table_header import (
    check_row_count,
    parse_names,
    parse_row_count,
    select_rules,
    skip_header,
)
from cdrkit.sources.readers.table_line import parse_row

__all__ = ["OpenTable", "SkipRow", "TableChunk", "open_table", "read_table"]

#: Returns whether a line is not a row, by its texts. An example is a line of types below the names.
SkipRow: TypeAlias = Callable[[list[str]], bool]

_CHUNK_ROWS: Final = 20_000


@attrs.frozen(kw_only=True)
class TableChunk:
    """A chunk of a few thousand rows from a table.

    Attributes:
        native: The rows as strings. The column ``row`` is the line number; the other columns are the table's.
        rejects: The lines that are not valid rows.
        texts: The bytes of each row, by row number.
        position: The number of bytes of the stream before the end of the last row.
        header: The lines above the rows that a reader needs: the lines that the mapping skips, and the line of
            column names.
    """

    native: pl.DataFrame
    rejects: list[Reject]
    texts: dict[int, bytes]
    position: int
    header: str

    def to_batch(self, result: MappingResult) -> SourceBatch:
        """Convert a mapping's *result* for this chunk to a batch."""
        rejects = [*self.rejects, *self.make_rejects(result.problems)]
        return SourceBatch(
            frame=result.frame,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            contradictions=result.contradictions,
            repeated_hour=result.repeated,
            missing_hour=result.missing,
            bytes_read=self.position,
            header=self.header,
        )

    def make_rejects(self, problems: Sequence[RowProblem]) -> list[Reject]:
        """Convert the rows that have problems to rejects."""
        return [
            Reject(problem.row, problem.reason, self.texts[problem.row].decode("utf-8", "surrogateescape"))
            for problem in problems
        ]


@attrs.frozen(kw_only=True)
class OpenTable:
    """The rows and column names of one table.

    Attributes:
        mapping: The mapping, with column names spelled as in the stream.
        names: The names of the table's columns.
        has_names: Whether the stream has a line with the column names.
        chunks: The rows, in chunks of a few thousand.
    """

    mapping: SourceMapping
    names: tuple[str, ...]
    has_names: bool
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
        stream: The bytes of the table.
        mapping: The mapping of the table's columns to fields.
        compute: A function that computes the fields that no rule can produce.
        skip_row: A function that receives the strings in a line and returns whether to skip it. Skipped lines are not
            rejected.

    Raises:
        SchemaError: When the stream is empty, is a different table, or is truncated.
        ConfigError: When a time has no offset and the mapping has no zone.
    """
    table = open_table(stream, mapping, skip_row=skip_row)
    good = read = 0
    first: Reject | None = None
    for chunk in table.chunks:
        batch = chunk.to_batch(apply_mapping(chunk.native, table.mapping, compute=compute))
        good, read = good + batch.frame.height, read + batch.read
        first = first or next(iter(batch.rejects), None)
        if not (good or table.has_names) and first is not None:  # Nothing shows yet that it is such a table.
            raise SchemaError(
                f"No row matches the format {mapping.name!r} (rows read: {read:,}). Row {first.row} is "
                f"{quote_value(first.text)}. {first.reason} Check the file, or give its format.",
                row=first.row,
            )
        yield batch


def open_table(stream: Readable, mapping: SourceMapping, *, skip_row: SkipRow | None = None) -> OpenTable:
    """Read the lines above a table's rows, and adapt *mapping* to the columns.

    Args:
        stream: The bytes of the table.
        mapping: The mapping of the table's columns to fields.
        skip_row: A function that receives the strings in a line and returns whether to skip it.

    Raises:
        SchemaError: When the stream is empty, or lacks a column that the mapping needs.
        ConfigError: When the mapping's list of columns lacks a column for ``start`` or ``call_id``.
    """
    lines = LineReader(stream)
    # A program that reads rejects below these lines skips as many lines again: a blank line must not vanish.
    above = [line.raw or b" " for line in lines.take(mapping.skip)]
    promised = skip_header(lines, mapping)
    first = lines.peek()
    if first is None:
        raise SchemaError("The file is empty: it contains no rows. Check that you gave the right file.")
    names = tuple(mapping.positions) or mapping.columns
    if names:
        rules = select_rules(mapping, names)
        table_mapping = attrs.evolve(mapping, fields=rules, columns=(), positions={}, optional=True)
        chunks = _read_chunks(lines, mapping, names, above=above, promised=promised, skip_row=skip_row)
        return OpenTable(mapping=table_mapping, names=names, has_names=False, chunks=chunks)
    lines.take(1)
    try:
        table_mapping, names, separator = parse_names(first, mapping)
    except SchemaError as exc:
        raise SchemaError(str(exc), field=exc.field, row=first.number) from exc
    chunks = _read_chunks(
        lines,
        attrs.evolve(mapping, separator=separator),
        names,
        above=[*above, first.raw],
        name_line=first.raw,
        promised=promised,
        skip_row=skip_row,
    )
    return OpenTable(mapping=table_mapping, names=names, has_names=True, chunks=chunks)


def _read_chunks(
    lines: LineReader,
    layout: SourceMapping,
    names: Sequence[str],
    *,
    above: Sequence[bytes],
    name_line: bytes | None = None,
    promised: int | None,
    skip_row: SkipRow | None,
) -> Iterator[TableChunk]:
    """Yield the rows below the column names, and check the row counts in trailers.

    A file may contain several tables in sequence. Each ends with a trailer and repeats the line with the column names.
    """
    header = b"\n".join(above).decode("utf-8", "surrogateescape")
    trailer = None if layout.trailer is None else re.compile(layout.trailer)
    builder = _ChunkBuilder(names, header)
    rows_since, after_trailer = 0, False
    for line in lines:
        if not line.raw.strip() or line.raw == name_line:
            continue
        if trailer is not None and (match := trailer.search(line.text)) is not None:
            check_row_count(parse_row_count(match, line, promised), rows_since, line.number)
            rows_since, promised, after_trailer = 0, None, True
            continue
        texts, raw = parse_row(line, lines, layout, len(names))
        if skip_row is not None and not isinstance(texts, str) and skip_row(texts):
            continue
        builder.add(line.number, texts, raw)
        rows_since, after_trailer = rows_since + 1, False
        if len(builder) >= _CHUNK_ROWS:
            yield builder.build(lines.position)
            builder = _ChunkBuilder(names, header)
    if len(builder):
        yield builder.build(lines.position)
    check_row_count(promised, rows_since, None)
    if trailer is not None and not after_trailer:
        raise SchemaError(
            f"No line after the rows matches the trailer {layout.trailer!r}: the file is cut off."
        )


class _ChunkBuilder:
    """A collector of the rows of one chunk."""

    def __init__(self, names: Sequence[str], header: str) -> None:
        self._names = names
        self._header = header
        self._numbers: list[int] = []
        self._values: list[list[str]] = []
        self._texts: dict[int, bytes] = {}
        self._rejects: list[Reject] = []

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, number: int, texts: list[str] | str, raw: bytes) -> None:
        """Add a row's values, or the reason why the row is rejected."""
        self._texts[number] = raw
        if isinstance(texts, str):
            self._rejects.append(Reject(number, texts, raw.decode("utf-8", "surrogateescape")))
        else:
            self._numbers.append(number)
            self._values.append(texts)

    def build(self, position: int) -> TableChunk:
        """Return the collected rows as a chunk.

        *position* is the number of bytes of the stream before the end of the chunk.
        """
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
