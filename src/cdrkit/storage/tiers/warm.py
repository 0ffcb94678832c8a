"""The warm tier: compressed Parquet files, one folder per UTC month.

Files are read by byte ranges.

A segment is a file with a few row groups. Each column of a group is one range of bytes, whose checksum is in the
footer. A query reads the footer once, and then the needed columns of the groups that contain its rows. No bytes are
decoded before their checksum matches. A large month has several segments, each of which covers its own time range.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import polars as pl
import pyarrow as pa

from cdrkit._files import Files
from cdrkit._model import FRAME_TYPES
from cdrkit._numbers import KeySearch
from cdrkit.errors import StorageError
from cdrkit.storage.indexes import (
    BlockIndex,
    IndexFile,
    Totals,
    check_index,
    index_path,
    index_paths,
    load_index_facts,
    parse_index,
    warm_index,
)
from cdrkit.storage.log import Segment, month_of
from cdrkit.storage.tiers.column_reader import ColumnReader
from cdrkit.storage.tiers.gather import pick_values
from cdrkit.storage.tiers.parquet import Footer, encode_parquet, tail_of
from cdrkit.storage.tiers.range_reader import REQUESTS_AT_ONCE, RangeReader
from cdrkit.storage.tiers.recent_cache import RecentCache
from cdrkit.storage.tiers.segment_checksum import check_file, checksum_of, new_identity
from cdrkit.storage.tiers.segment_file import SegmentFile, about_segment, describe_segment, list_segment_files
from cdrkit.storage.tiers.tier import Hits, Rows

__all__ = ["WarmTier"]

_SUFFIX: Final = ".parquet"
_INDEX_BYTES: Final = 128 << 20
#: Up to this many rows of several segments, picking values one by one is faster.
_FEW_ROWS: Final = 2_000


class WarmTier:
    """A tier of Parquet files below one root; threads may share the tier.

    Args:
        files: The files below the root.
    """

    name = "warm"

    def __init__(self, files: Files) -> None:
        self._files = files
        self._ranges = RangeReader(files)
        self._columns = ColumnReader(self._ranges)
        self._indexes = RecentCache[IndexFile](_INDEX_BYTES)

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        """Write calls of one UTC month as one segment; see `Tier.write`."""
        data = encode_parquet(frame, about_segment(frame))
        identity = new_identity(data)
        path = f"month={month_of(frame['start'][0])}/{identity}{_SUFFIX}"
        self._files.put(path, data)
        try:
            index, facts = warm_index(frame, identity, region)
            self._files.put(index_paths(path)[0], index)
        except BaseException:
            self._files.remove(path)
            raise
        return self._describe(identity, path, data, facts)

    def _describe(self, identity: str, path: str, data: memoryview, index: Mapping[str, int]) -> Segment:
        """Build a segment from the footer at the end of *data*, a file's content."""
        tail = tail_of(data)
        footer = Footer.of(tail)
        columns: dict[str, int] = {}
        for spans in footer.spans:
            for name, (start, stop) in spans.items():
                columns[name] = zlib.crc32(data[start:stop], columns.get(name, 0))
        facts = {**index, "footer_bytes": len(tail), "footer_crc": zlib.crc32(tail)}
        return describe_segment(self.name, identity, path, len(data), footer.about, columns, facts)

    # -- calls --------------------------------------------------------------------------------------------------

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        """Return columns of a segment; read only the byte ranges that hold them."""
        stored = [name for name in columns if name in segment.columns]
        wanted = range(segment.rows) if rows is None else rows
        groups = list(self._columns.read_groups(segment, stored, wanted)) if stored and len(wanted) else []
        return pl.DataFrame(
            [
                _build_series(
                    name,
                    [_select_rows(group[name], local) for group, local in groups if name in group],
                    len(wanted),
                )
                for name in columns
            ]
        )

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        """Read the selected rows of several segments.

        If the rows are few, several threads read the segments. Otherwise, the segments are read one after another.
        """
        if len(picks) == 1 or sum(rows.len() for _, rows in picks) > _FEW_ROWS:
            return pl.concat([self.read(segment, columns, rows) for segment, rows in picks])

        def read_pick(pick: tuple[Segment, pl.Series]) -> list[tuple[Mapping[str, pa.Array[Any]], list[int]]]:
            stored = [name for name in columns if name in pick[0].columns]
            return [
                ({name: _combine_chunks(column) for name, column in group.items()}, list(local))
                for group, local in self._columns.read_groups(pick[0], stored, pick[1])
            ]

        with ThreadPoolExecutor(min(len(picks), REQUESTS_AT_ONCE)) as pool:
            parts = list(itertools.chain.from_iterable(pool.map(read_pick, picks)))
        return pl.DataFrame(
            [pick_values(name, [(part.get(name), rows) for part, rows in parts]) for name in columns]
        )

    # -- index files --------------------------------------------------------------------------------------------

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        """Return the candidate rows of a search, or None if *segment* has no index file."""
        index = self._load_index(segment)
        if index is None:
            return None
        assert isinstance(index.numbers, BlockIndex)
        if index.numbers.has_longer:
            search = search.with_longer()
        path, size = index_path(segment), segment.facts["index_bytes"]
        rows = index.numbers.find(
            search, fields, lambda start, stop: self._ranges.read(path, size, (start, stop))
        )
        if rows is None:
            raise self._ranges.damage(path, "the checksum of a block does not match")
        return Hits(rows, search.exact)

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        """Return None: this tier has no faster method than to read the column."""
        return None

    def totals(self, segment: Segment) -> Totals | None:
        """Return the rollup of a segment, or None if the segment has no index file."""
        index = self._load_index(segment)
        return None if index is None else index.totals

    def _load_index(self, segment: Segment) -> IndexFile | None:
        """Parse the tail of the index file; return None if *segment* has no such file."""
        if "index_bytes" not in segment.facts:
            return None
        index = self._indexes.get(segment.id)
        if index is None:
            path = index_path(segment)
            size, tail = segment.facts["index_bytes"], segment.facts["index_tail"]
            data = self._ranges.read(path, size, (size - tail, size))
            index = parse_index(pa.py_buffer(data), segment)
            if index is None:
                raise self._ranges.damage(path, "the checksum does not match")
            self._indexes.put(index, len(data) + index.totals.size_bytes, segment.id)
        return index

    # -- files --------------------------------------------------------------------------------------------------

    def remove(self, segment: Segment) -> None:
        """Delete the files of a segment and everything cached about it."""
        self._columns.drop(segment.id)
        self._indexes.pop(segment.id)
        self._remove_files(segment.path)

    def check(self, segment: Segment) -> None:
        """Read a whole segment and verify its checksums."""
        check_file(self._files, segment)
        check_index(self._files, segment)

    def list_segments(self) -> Iterable[SegmentFile]:
        """Return all segments below the root."""
        return list_segment_files(self._files, "month=", _SUFFIX)

    def delete_orphan(self, file: SegmentFile) -> None:
        """Delete the files of an unused segment, such as an orphan."""
        self._remove_files(file.path)

    def _remove_files(self, path: str) -> None:
        self._files.remove(path)
        for index in index_paths(path):
            self._files.remove(index)

    def remove_temporary(self, before: datetime) -> int:
        """Delete the leftovers of interrupted writes."""
        return self._files.remove_temporary(before)

    def load(self, file: SegmentFile, region: str | None) -> Segment:
        """Return the segment that a file's footer describes."""
        data = self._files.read(file.path)
        try:
            if checksum_of(data) != file.id.partition("-")[2]:
                raise ValueError("the checksum does not match")
            index = load_index_facts(self._files, file.path, region)
            return self._describe(file.id, file.path, memoryview(data), index)
        except (pa.ArrowException, OSError, ValueError, KeyError) as exc:
            if isinstance(exc, StorageError):
                raise
            raise self._ranges.damage(file.path, str(exc)) from exc


def _combine_chunks(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    chunks: list[pa.Array[Any]] = column.chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def _select_rows(column: pa.ChunkedArray[Any], rows: Rows) -> pa.ChunkedArray[Any]:
    return column.slice(rows.start, len(rows)) if isinstance(rows, range) else column.take(rows.to_arrow())


def _build_series(name: str, parts: Sequence[pa.ChunkedArray[Any]], rows: int) -> pl.Series:
    """Concatenate *parts* into one column; if *parts* is empty, return nulls."""
    kind = FRAME_TYPES[name]
    if not parts:
        return pl.Series(name, [None], dtype=kind).new_from_index(0, rows)
    if kind == pl.String:
        # Polars would enter each text of a dictionary into its global categories.
        parts = [part.cast(pa.large_string()) for part in parts]
    columns = []
    for part in parts:
        series = pl.from_arrow(part)
        assert isinstance(series, pl.Series)
        columns.append(series.rename(name).cast(kind))
    return columns[0] if len(columns) == 1 else pl.concat(columns)
