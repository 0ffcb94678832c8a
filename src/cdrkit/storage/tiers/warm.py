"""The warm tier: compressed Parquet, one UTC month a folder, read by ranges.

A segment is one file with a few row groups. A column of a group is one run of bytes with one checksum, which the footer
has: a query fetches the footer once and then the columns that it needs of the groups that hold its rows, and nothing is
decoded before its checksum holds. Large months are several segments, each with a range of time of its own.
"""

from __future__ import annotations

import itertools
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import polars as pl
import pyarrow as pa

from cdrkit._files import Files
from cdrkit._model import FRAME_TYPES
from cdrkit._numbers import KeySearch
from cdrkit.errors import CorruptDataError, StorageError
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
from cdrkit.storage.tiers.gather import pick_values
from cdrkit.storage.tiers.parquet import Footer, Span, parquet_file, tail_of
from cdrkit.storage.tiers.segment_file import (
    SegmentFile,
    about_segment,
    check_file,
    checksum_of,
    describe_segment,
    list_segment_files,
    new_identity,
)
from cdrkit.storage.tiers.tier import Hits, Rows

__all__ = ["WarmTier"]

_T = TypeVar("_T")

_SUFFIX: Final = ".parquet"
_FOOTERS: Final = 2_048
_INDEX_BYTES: Final = 128 << 20
_FEW_OF: Final = 8  # rows of a group that are fewer than this part of it are few
_FEW_ROWS: Final = 2_000  # rows of several segments that are quicker taken one by one
_FEW: Final = 64  # rows whose groups are found one by one
_CACHED_BYTES: Final = 64 << 20
_DECODED_BYTES: Final = 128 << 20
_GAP: Final = 256 << 10  # bytes that are cheaper to fetch in vain than to ask for the next range
_LARGEST_RANGE: Final = 4 << 20
_REQUESTS_AT_ONCE: Final = 8


class WarmTier:
    """Segments as Parquet files below one root. Safe to use from several threads."""

    name = "warm"

    def __init__(self, files: Files) -> None:
        self._files = files
        self._footers = _Recent[Footer](_FOOTERS)
        self._chunks = _Recent[bytes](_CACHED_BYTES)
        self._columns: _Recent[pa.ChunkedArray[Any]] = _Recent(_DECODED_BYTES)
        self._indexes = _Recent[IndexFile](_INDEX_BYTES)

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        """Write *frame*, whose calls are all of one UTC month; otherwise as `Tier.write` says."""
        data = parquet_file(frame, about_segment(frame))
        identity = new_identity(data)
        path = f"month={month_of(frame['start'][0])}/{identity}{_SUFFIX}"
        self._files.put(path, data)
        try:
            index, facts = warm_index(frame, identity, region)
            self._files.put(index_paths(path)[0], index)
        except BaseException:
            self._files.remove(path)
            raise
        return self._described(identity, path, data, facts)

    def _described(self, identity: str, path: str, data: memoryview, index: Mapping[str, int]) -> Segment:
        """Return the segment whose file holds *data*, by what that says of itself."""
        tail = tail_of(data)
        footer = Footer.of(tail)
        columns: dict[str, int] = {}
        for spans in footer.spans:
            for name, (start, stop) in spans.items():
                columns[name] = zlib.crc32(data[start:stop], columns.get(name, 0))
        facts = {**index, "footer_bytes": len(tail), "footer_crc": zlib.crc32(tail)}
        return describe_segment(self.name, identity, path, len(data), footer.about, columns, facts)

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        held = [name for name in columns if name in segment.columns]
        wanted = range(segment.rows) if rows is None else rows
        parts = list(self._decoded(segment, held, wanted)) if held and len(wanted) else []
        return pl.DataFrame(
            [
                _series(
                    name, [_picked(part[name], rows) for part, rows in parts if name in part], len(wanted)
                )
                for name in columns
            ]
        )

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        if len(picks) == 1 or sum(rows.len() for _, rows in picks) > _FEW_ROWS:
            return pl.concat([self.read(segment, columns, rows) for segment, rows in picks])

        def parts_of(pick: tuple[Segment, pl.Series]) -> list[tuple[Mapping[str, pa.Array[Any]], list[int]]]:
            held = [name for name in columns if name in pick[0].columns]
            return [
                ({name: _whole(column) for name, column in part.items()}, list(rows))
                for part, rows in self._decoded(pick[0], held, pick[1])
            ]

        with ThreadPoolExecutor(min(len(picks), _REQUESTS_AT_ONCE)) as pool:
            parts = list(itertools.chain.from_iterable(pool.map(parts_of, picks)))
        return pl.DataFrame(
            [pick_values(name, [(part.get(name), rows) for part, rows in parts]) for name in columns]
        )

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        index = self._index(segment)
        if index is None:
            return None
        assert isinstance(index.numbers, BlockIndex)
        if index.numbers.has_longer:
            search = search.with_longer()
        path = index_path(segment)
        rows = index.numbers.find(
            search,
            fields,
            lambda start, stop: self._fetched(path, segment.facts["index_bytes"], (start, stop)),
        )
        if rows is None:
            raise self._damaged(path, "the checksum of a block does not hold")
        return Hits(rows, search.exact)

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> None:
        return None

    def totals(self, segment: Segment) -> Totals | None:
        index = self._index(segment)
        return None if index is None else index.totals

    def _index(self, segment: Segment) -> IndexFile | None:
        """Return what the end of the index file says; None where the segment has none."""
        if "index_bytes" not in segment.facts:
            return None
        found = self._indexes.get(segment.id)
        if found is None:
            path, size, tail = (
                index_path(segment),
                segment.facts["index_bytes"],
                segment.facts["index_tail"],
            )
            data = self._fetched(path, size, (size - tail, size))
            found = parse_index(pa.py_buffer(data), segment)
            if found is None:
                raise self._damaged(path, "its checksum does not hold")
            self._indexes.put(found, len(data) + found.totals.size_bytes, segment.id)
        return found

    def remove(self, segment: Segment) -> None:
        self._footers.pop(segment.id)
        self._indexes.pop(segment.id)
        self._chunks.pop_all(segment.id)
        self._columns.pop_all(segment.id)
        self._files.remove(segment.path)
        for place in index_paths(segment.path):
            self._files.remove(place)

    def check(self, segment: Segment) -> None:
        check_file(self._files, segment)
        check_index(self._files, segment)

    def list_segments(self) -> Iterable[SegmentFile]:
        return list_segment_files(self._files, "month=", _SUFFIX)

    def delete_orphan(self, found: SegmentFile) -> None:
        self._files.remove(found.path)
        for place in index_paths(found.path):
            self._files.remove(place)

    def remove_temporary(self, before: datetime) -> int:
        return self._files.remove_temporary(before)

    def load(self, found: SegmentFile, region: str | None) -> Segment:
        data = self._files.read(found.path)
        try:
            if checksum_of(data) != found.id.partition("-")[2]:
                raise ValueError("its checksum does not hold")
            index = load_index_facts(self._files, found.path, region)
            return self._described(found.id, found.path, memoryview(data), index)
        except (pa.ArrowException, OSError, ValueError, KeyError) as exc:
            if isinstance(exc, StorageError):
                raise
            raise self._damaged(found.path, str(exc)) from exc

    # -- from bytes to columns ----------------------------------------------------------------------------------

    def _decoded(
        self, segment: Segment, names: list[str], rows: Rows
    ) -> Iterator[tuple[Mapping[str, pa.ChunkedArray[Any]], Rows]]:
        """Yield the columns *names*, all of which the segment holds, of each group that holds some of *rows*.

        With them come those rows, counted from the group's first one.
        """
        footer = self._footer(segment)
        places = list(_places(footer.starts, rows))
        kept = {
            (group, name): found
            for group, _ in places
            for name in names
            if (found := self._columns.get(segment.id, f"{group}", name)) is not None
        }
        missing = {group: [name for name in names if (group, name) not in kept] for group, _ in places}
        parts = self._column_bytes(segment, footer, missing)
        for group, local in places:
            columns = {name: kept[group, name] for name in names if (group, name) in kept}
            if missing[group]:
                try:
                    table = footer.decoded(parts, missing[group], group, segment.size_bytes)
                except (pa.ArrowException, OSError) as exc:
                    raise self._damaged(segment.path, str(exc)) from exc
                for name in missing[group]:
                    columns[name] = table.column(name)
                    if len(local) < table.num_rows // _FEW_OF:  # whoever reads much comes by once
                        self._columns.put(columns[name], columns[name].nbytes, segment.id, f"{group}", name)
            yield columns, local

    def _footer(self, segment: Segment) -> Footer:
        found = self._footers.get(segment.id)
        if found is not None:
            return found
        span = (segment.size_bytes - segment.facts["footer_bytes"], segment.size_bytes)
        tail = self._fetched(segment.path, segment.size_bytes, span)
        if zlib.crc32(tail) != segment.facts["footer_crc"]:
            raise self._damaged(segment.path, "the checksum of its footer does not hold")
        try:
            footer = Footer.of(tail)
        except (pa.ArrowException, OSError) as exc:
            raise self._damaged(segment.path, str(exc)) from exc
        if footer.starts[-1] != segment.rows or footer.spans[0].keys() != segment.columns.keys():
            raise self._damaged(segment.path, "it is not the file that was written")
        self._footers.put(footer, 1, segment.id)
        return footer

    def _column_bytes(
        self, segment: Segment, footer: Footer, wanted: Mapping[int, Iterable[str]]
    ) -> dict[int, bytes]:
        """Return the bytes of columns of row groups by where they begin, each with its checksum verified."""
        parts: dict[int, bytes] = {}
        missing: dict[Span, tuple[int, str]] = {}
        for group, name in ((group, name) for group, names in wanted.items() for name in names):
            span = footer.spans[group][name]
            cached = self._chunks.get(segment.id, f"{group}", name)
            if cached is None:
                missing[span] = group, name
            else:
                parts[span[0]] = cached
        for start, data in self._ranges(segment, _merged(missing)):
            for (begin, end), (group, name) in missing.items():
                if start <= begin and end <= start + len(data):
                    chunk = parts[begin] = data[begin - start : end - start]
                    # In format 1 there is one group, and the log has its checksums.
                    crc = footer.crcs[group][name] if footer.crcs else segment.columns[name]
                    if zlib.crc32(chunk) != crc:
                        raise self._damaged(
                            segment.path, f"the checksum of its column {name!r} does not hold"
                        )
                    self._chunks.put(chunk, len(chunk), segment.id, f"{group}", name)
        return parts

    def _ranges(self, segment: Segment, spans: list[Span]) -> list[tuple[int, bytes]]:
        """Return the bytes of *spans*, each with where it begins; what is remote is fetched concurrently."""
        if len(spans) < 2 or self._files.local_path(segment.path) is not None:
            return [(span[0], self._fetched(segment.path, segment.size_bytes, span)) for span in spans]
        # Threads are made for each read: a pool that is kept would not survive a fork.
        with ThreadPoolExecutor(min(len(spans), _REQUESTS_AT_ONCE)) as pool:
            found = pool.map(lambda span: self._fetched(segment.path, segment.size_bytes, span), spans)
            return [(span[0], data) for span, data in zip(spans, found, strict=True)]

    def _fetched(self, path: str, size_bytes: int, span: Span) -> bytes:
        """Return a part of a file that has *size_bytes*."""
        start, stop = span
        try:
            data = self._files.read(path, start, stop)
        except StorageError as exc:
            # Object stores refuse a range that begins beyond the end.
            if type(exc) is StorageError and self._files.size(path) not in (None, size_bytes):
                raise self._damaged(path, "it was cut off") from exc
            raise
        if len(data) != stop - start:
            raise self._damaged(path, "it was cut off")
        return data

    def _damaged(self, path: str, why: str) -> CorruptDataError:
        url = self._files.url_of(path)
        return CorruptDataError(f"{url} is damaged: {why}. Restore that file from a backup.", url=url)


def _places(starts: Sequence[int], rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield the groups that hold *rows*, each with those of them, counted from its first one."""
    if not isinstance(rows, range) and len(rows) <= _FEW:
        few: dict[int, list[int]] = {}
        for row in rows.to_list():
            few.setdefault(bisect_right(starts, row) - 1, []).append(row)
        for group, mine in few.items():
            yield group, pl.Series([row - starts[group] for row in mine], dtype=pl.UInt32)
        return
    for group, (first, after) in enumerate(itertools.pairwise(starts)):
        if isinstance(rows, range):
            local: Rows = range(max(rows.start, first) - first, min(rows.stop, after) - first)
        else:
            low, high = rows.search_sorted(first, "left"), rows.search_sorted(after, "left")
            local = (rows.slice(low, high - low).cast(pl.Int64) - first).cast(pl.UInt32)
        if len(local):
            yield group, local


class _Recent(Generic[_T]):
    """What was used last, up to a total weight. Safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._kept: OrderedDict[tuple[str, ...], tuple[_T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, *key: str) -> _T | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, value: _T, weight: int, *key: str) -> None:
        with self._lock:
            self._forget(key)
            self._kept[key] = (value, weight)
            self._weight += weight
            while self._weight > self._limit:
                self._forget(next(iter(self._kept)))

    def pop(self, *key: str) -> None:
        with self._lock:
            self._forget(key)

    def pop_all(self, begin: str) -> None:
        """Forget all whose key begins with that word."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == begin]:
                self._forget(key)

    def _forget(self, key: tuple[str, ...]) -> None:
        _, weight = self._kept.pop(key, (None, 0))
        self._weight -= weight


def _merged(spans: Collection[Span]) -> list[Span]:
    """Return ranges that cover *spans*: near ones in one range, as long as it does not get large."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start - found[-1][1] <= _GAP and stop - found[-1][0] <= _LARGEST_RANGE:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def _whole(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    parts: list[pa.Array[Any]] = column.chunks
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)


def _picked(column: pa.ChunkedArray[Any], rows: Rows) -> pa.ChunkedArray[Any]:
    return column.slice(rows.start, len(rows)) if isinstance(rows, range) else column.take(rows.to_arrow())


def _series(name: str, parts: Sequence[pa.ChunkedArray[Any]], rows: int) -> pl.Series:
    kind = FRAME_TYPES[name]
    if not parts:
        return pl.Series(name, [None], dtype=kind).new_from_index(0, rows)
    if kind == pl.String:
        # Here, lest Polars remembers each word of a dictionary.
        parts = [part.cast(pa.large_string()) for part in parts]
    found = []
    for part in parts:
        series = pl.from_arrow(part)
        assert isinstance(series, pl.Series)
        found.append(series.rename(name).cast(kind))
    return found[0] if len(found) == 1 else pl.concat(found)
