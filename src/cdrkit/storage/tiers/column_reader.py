"""The column reader: fetches, verifies, decodes and caches warm columns."""

from __future__ import annotations

import itertools
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa

from cdrkit.storage.log import Segment
from cdrkit.storage.tiers.parquet import Footer, Span
from cdrkit.storage.tiers.range_reader import RangeReader, merge_spans
from cdrkit.storage.tiers.recent_cache import RecentCache
from cdrkit.storage.tiers.tier import Rows

__all__ = ["ColumnReader"]

_FOOTERS: Final = 2_048
_CHUNK_BYTES: Final = 64 << 20
_COLUMN_BYTES: Final = 128 << 20
#: A decoded column is cached if less than this part of the group's rows is read: a large read happens once.
_FEW_OF: Final = 8
#: Up to this many rows, groups are looked up row by row.
_FEW: Final = 64


class ColumnReader:
    """A thread-safe reader that caches the columns of warm segments.

    Args:
        ranges: Reads ranges of the tier's files.
    """

    def __init__(self, ranges: RangeReader) -> None:
        self._ranges = ranges
        self._footers = RecentCache[Footer](_FOOTERS)
        self._chunks = RecentCache[bytes](_CHUNK_BYTES)
        self._columns: RecentCache[pa.ChunkedArray[Any]] = RecentCache(_COLUMN_BYTES)

    def drop(self, identity: str) -> None:
        """Remove the cached data of the segment with this id."""
        self._footers.pop(identity)
        self._chunks.pop_all(identity)
        self._columns.pop_all(identity)

    def read_groups(
        self, segment: Segment, names: list[str], rows: Rows
    ) -> Iterator[tuple[Mapping[str, pa.ChunkedArray[Any]], Rows]]:
        """Yield the columns in *names* for each row group that contains requested rows.

        Args:
            segment: The segment.
            names: Columns that the segment has.
            rows: The rows to return.

        Yields:
            The whole columns of a group, and the requested rows in it, counted from the group's first row.

        Raises:
            CorruptDataError: When the data differ from what was written.
        """
        footer = self._read_footer(segment)
        groups = list(_locate_rows(footer.starts, rows))
        cached = {
            (group, name): column
            for group, _ in groups
            for name in names
            if (column := self._columns.get(segment.id, f"{group}", name)) is not None
        }
        missing = {group: [name for name in names if (group, name) not in cached] for group, _ in groups}
        parts = self._read_chunks(segment, footer, missing)
        for group, local in groups:
            columns = {name: cached[group, name] for name in names if (group, name) in cached}
            if missing[group]:
                try:
                    table = footer.decode(parts, missing[group], group, segment.size_bytes)
                except (pa.ArrowException, OSError) as exc:
                    raise self._ranges.damage(segment.path, str(exc)) from exc
                for name in missing[group]:
                    columns[name] = table.column(name)
                    if len(local) < table.num_rows // _FEW_OF:
                        self._columns.put(columns[name], columns[name].nbytes, segment.id, f"{group}", name)
            yield columns, local

    def _read_footer(self, segment: Segment) -> Footer:
        footer = self._footers.get(segment.id)
        if footer is not None:
            return footer
        span = (segment.size_bytes - segment.facts["footer_bytes"], segment.size_bytes)
        tail = self._ranges.read(segment.path, segment.size_bytes, span)
        if zlib.crc32(tail) != segment.facts["footer_crc"]:
            raise self._ranges.damage(segment.path, "the checksum of its footer does not match")
        try:
            footer = Footer.of(tail)
        except (pa.ArrowException, OSError) as exc:
            raise self._ranges.damage(segment.path, str(exc)) from exc
        if footer.starts[-1] != segment.rows or footer.spans[0].keys() != segment.columns.keys():
            raise self._ranges.damage(segment.path, "it is not the file that was written")
        self._footers.put(footer, 1, segment.id)
        return footer

    def _read_chunks(
        self, segment: Segment, footer: Footer, wanted: Mapping[int, Iterable[str]]
    ) -> dict[int, bytes]:
        """Return the bytes of encoded columns, verified with their checksums.

        Each key is the offset of a column's bytes in the file.

        Args:
            segment: The segment.
            footer: Its footer.
            wanted: The columns by row group.
        """
        parts: dict[int, bytes] = {}
        missing: dict[Span, tuple[int, str]] = {}
        for group, name in ((group, name) for group, names in wanted.items() for name in names):
            span = footer.spans[group][name]
            cached = self._chunks.get(segment.id, f"{group}", name)
            if cached is None:
                missing[span] = group, name
            else:
                parts[span[0]] = cached
        for start, data in self._ranges.read_many(segment.path, segment.size_bytes, merge_spans(missing)):
            for (begin, end), (group, name) in missing.items():
                if start <= begin and end <= start + len(data):
                    chunk = parts[begin] = data[begin - start : end - start]
                    # Files of format 1 have one group, and the log has its checksums.
                    crc = footer.crcs[group][name] if footer.crcs else segment.columns[name]
                    if zlib.crc32(chunk) != crc:
                        raise self._ranges.damage(
                            segment.path, f"the checksum of its column {name!r} does not match"
                        )
                    self._chunks.put(chunk, len(chunk), segment.id, f"{group}", name)
        return parts


def _locate_rows(starts: Sequence[int], rows: Rows) -> Iterator[tuple[int, Rows]]:
    """For each row group with requested rows, yield its number and those rows.

    The rows are counted from the group's first row.
    """
    if not isinstance(rows, range) and len(rows) <= _FEW:
        few: dict[int, list[int]] = {}
        for row in rows.to_list():
            few.setdefault(bisect_right(starts, row) - 1, []).append(row)
        for group, members in few.items():
            yield group, pl.Series([row - starts[group] for row in members], dtype=pl.UInt32)
        return
    for group, (first, after) in enumerate(itertools.pairwise(starts)):
        if isinstance(rows, range):
            local: Rows = range(max(rows.start, first) - first, min(rows.stop, after) - first)
        else:
            low, high = rows.search_sorted(first, "left"), rows.search_sorted(after, "left")
            local = (rows.slice(low, high - low).cast(pl.Int64) - first).cast(pl.UInt32)
        if len(local):
            yield group, local
