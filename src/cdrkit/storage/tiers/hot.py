"""The hot tier: uncompressed Arrow IPC files, one folder per UTC day.

Files on the local disk are mapped into memory.

A file's name contains its checksum, so a listing is enough to distinguish a complete file from a damaged file. Text
columns with few distinct values are stored as dictionaries, and amounts in 64 bits. Both are decoded for the requested
rows only.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import pyarrow as pa

from cdrkit._files import Files
from cdrkit._model import CHOICE, MONEY, SCHEMA, WORD
from cdrkit._numbers import KeySearch
from cdrkit.errors import CorruptDataError
from cdrkit.storage.indexes import INDEXED_ROWS, Totals, check_index, hot_index, index_paths, load_index_facts
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers.gather import pick_values, take_values
from cdrkit.storage.tiers.hot_segment import AMOUNT, TEXT, MappedSegment, column_checksum
from cdrkit.storage.tiers.segment_cache import SegmentCache
from cdrkit.storage.tiers.segment_checksum import check_file, checksum_of, new_identity
from cdrkit.storage.tiers.segment_file import SegmentFile, about_segment, describe_segment, list_segment_files
from cdrkit.storage.tiers.tier import Hits, Rows

__all__ = ["HotTier"]

_SUFFIX: Final = ".arrow"
_OPEN_SEGMENTS: Final = 4096
#: The memory of open segments besides their mappings: fetched files, computed indexes and rollups.
_BUFFER_BYTES: Final = 512 << 20
#: The rows by which a column of text is judged worth a dictionary.
_SAMPLE_ROWS: Final = 2_000
#: Up to this many rows per segment, on average, picking values one by one is faster.
_FEW_EACH: Final = 8
_SHORT_TEXT: Final = pa.string()
#: The bytes that the offsets of a short text column can address.
_SHORT_TEXT_BYTES: Final = 2**31 - 1


class HotTier:
    """A tier of Arrow IPC files below one root; threads may share the tier.

    Args:
        files: The files below the root.
        cache: The cache for copies of segments if the files are remote.
    """

    name = "hot"

    def __init__(self, files: Files, cache: SegmentCache | None = None) -> None:
        self._files = files
        self._cache = cache
        self._open: dict[str, MappedSegment] = {}
        self._uses = itertools.count()
        self._closed: dict[str, None] = {}  # ids of segments that were closed for good, latest last
        self._lock = threading.Lock()

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        """Write calls of one UTC day as a segment; a large segment gets an index file."""
        filled = [name for name in frame.columns if frame[name].null_count() < frame.height]
        arrays = {name: _encode_column(frame[name]) for name in filled}
        schema = pa.schema(
            [pa.field(name, array.type) for name, array in arrays.items()],
            metadata={"cdrkit": json.dumps(about_segment(frame))},
        )
        data = _encode_file(pa.record_batch(list(arrays.values()), schema=schema))
        identity = new_identity(memoryview(data))
        path = f"day={frame['start'][0]:%Y-%m-%d}/{identity}{_SUFFIX}"
        self._files.put(path, memoryview(data))
        facts: Mapping[str, int] = {}
        if frame.height >= INDEXED_ROWS:
            try:
                index, facts = hot_index(frame, identity, region)
                self._files.put(index_paths(path)[0], index)
            except BaseException:
                self._files.remove(path)
                raise
        return self._describe(identity, path, data, facts)

    def _describe(self, identity: str, path: str, data: pa.Buffer, index: Mapping[str, int]) -> Segment:
        """Return the segment that a file's metadata describes."""
        batch = pa.ipc.open_file(data).get_batch(0)
        columns = {name: column_checksum(batch.column(name)) for name in batch.schema.names}
        about = json.loads((batch.schema.metadata or {})[b"cdrkit"])
        return describe_segment(self.name, identity, path, data.size, about, columns, index)

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        """Return columns of a segment, memory-mapped if possible."""
        mapped = self._map(segment)
        wanted = range(segment.rows) if rows is None else rows
        return pl.DataFrame([mapped.column(name, wanted) for name in columns])

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        """Return *columns* of selected rows from many segments, in segment order."""
        if len(picks) == 1:
            return self.read(picks[0][0], columns, picks[0][1])
        frames: list[pl.DataFrame] = []
        batch: list[tuple[MappedSegment, pl.Series]] = []
        buffered = 0
        for segment, rows in picks:
            mapped = self._map(segment)
            buffered += mapped.buffer_bytes
            if batch and buffered > _BUFFER_BYTES:  # gather no more at once than may stay open
                frames.append(_gather_rows(batch, columns))
                batch, buffered = [], mapped.buffer_bytes
            batch.append((mapped, rows))
        return pl.concat([*frames, _gather_rows(batch, columns)])

    def find(self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None) -> Hits:
        """Return the candidate rows of a number search."""
        index = self._map(segment).numbers(region)
        if index.has_longer:
            search = search.with_longer()
        return Hits(index.find(search, fields), search.exact)

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        """Return the rows in which a field equals one of *values*.

        The search compares dictionary codes.
        """
        return self._map(segment).rows_with(name, values, rows)

    def totals(self, segment: Segment) -> Totals:
        """Return a segment's rollup from its index file, or compute the rollup."""
        return self._map(segment).totals

    def remove(self, segment: Segment) -> None:
        """Close a segment and delete its files."""
        self.close(segment.id)
        self._remove_files(segment.path)

    def check(self, segment: Segment) -> None:
        """Read a whole segment and verify its checksums."""
        check_file(self._files, segment)
        check_index(self._files, segment)

    def list_segments(self) -> Iterable[SegmentFile]:
        """Return all segments below the root."""
        return list_segment_files(self._files, "day=", _SUFFIX)

    def close(self, identity: str) -> None:
        """Close the segment with this id and delete its cached copies.

        The store no longer has the segment.

        Results of an older snapshot may still read the segment. Each such read opens the segment, which does not stay
        open.
        """
        with self._lock:
            self._open.pop(identity, None)
            self._closed[identity] = None
            if len(self._closed) > _OPEN_SEGMENTS:
                del self._closed[next(iter(self._closed))]
        if self._cache is not None:
            self._cache.drop(identity)

    def delete_orphan(self, file: SegmentFile) -> None:
        """Close an unused segment, such as an orphan, and delete its files."""
        self.close(file.id)
        self._remove_files(file.path)

    def _remove_files(self, path: str) -> None:
        self._files.remove(path)
        for index in index_paths(path):
            self._files.remove(index)

    def remove_temporary(self, before: datetime) -> int:
        """Delete the leftovers of interrupted writes."""
        return self._files.remove_temporary(before)

    def load(self, file: SegmentFile, region: str | None) -> Segment:
        """Return the segment that a file's metadata describes."""
        data = self._files.read(file.path)
        url = self._files.url_of(file.path)
        try:
            if checksum_of(data) != file.id.partition("-")[2]:
                raise ValueError("the checksum of the segment does not match")
            index = load_index_facts(self._files, file.path, region)
            return self._describe(file.id, file.path, pa.py_buffer(data), index)
        except (pa.ArrowException, ValueError, KeyError, IndexError) as exc:
            raise CorruptDataError(
                f"{url} is damaged: {exc}. Restore that file from a backup.", url=url
            ) from exc

    def _map(self, segment: Segment) -> MappedSegment:
        """Return the open file of *segment*; open it if it is closed."""
        mapped = self._open.get(segment.id)
        if mapped is not None and not mapped.is_damaged:
            mapped.last_used = next(self._uses)
            return mapped
        cache = None if segment.id in self._closed else self._cache
        mapped = MappedSegment(self._files, segment, cache)
        with self._lock:
            if segment.id in self._closed:  # nothing would close it again
                return mapped
            mapped.last_used = next(self._uses)
            self._open[segment.id] = mapped
            buffered = sum(other.buffer_bytes for other in self._open.values())
            if len(self._open) > _OPEN_SEGMENTS or buffered > _BUFFER_BYTES:
                self._close_oldest(buffered)
        return mapped

    def _close_oldest(self, buffered: int) -> None:
        """Close the least recently used segments until no limit is exceeded.

        The most recently used segment stays open.
        """
        for identity in sorted(self._open, key=lambda identity: self._open[identity].last_used)[:-1]:
            if len(self._open) <= _OPEN_SEGMENTS and buffered <= _BUFFER_BYTES:
                return
            buffered -= self._open.pop(identity).buffer_bytes


def _gather_rows(picks: Sequence[tuple[MappedSegment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
    """Return *columns* of the selected rows, segment by segment."""
    if sum(rows.len() for _, rows in picks) > _FEW_EACH * len(picks):
        takes = [(segment, rows.to_arrow()) for segment, rows in picks]
        return pl.DataFrame(
            [take_values(name, [(segment.array(name), rows) for segment, rows in takes]) for name in columns]
        )
    lists = [(segment, rows.to_list()) for segment, rows in picks]
    return pl.DataFrame(
        [pick_values(name, [(segment.array(name), rows) for segment, rows in lists]) for name in columns]
    )


def _encode_file(batch: pa.RecordBatch) -> pa.Buffer:
    """Encode *batch* as an Arrow file, in a buffer of exactly the file's size."""
    counter = pa.MockOutputStream()
    with pa.ipc.new_file(counter, batch.schema) as writer:
        writer.write_batch(batch)
    buffer = pa.allocate_buffer(counter.size())
    with pa.ipc.new_file(pa.FixedSizeBufferWriter(buffer), batch.schema) as writer:
        writer.write_batch(batch)
    return buffer


def _encode_column(series: pl.Series) -> pa.Array[Any]:
    """Convert *series* to one array of the data type that is used in the file.

    The array's buffers hold no values of other rows.
    """
    wanted = SCHEMA.field(series.name).type
    if wanted == MONEY:
        return series.to_arrow().cast(AMOUNT)
    if wanted not in (pa.string(), WORD, CHOICE):
        return _cast(series.to_arrow(), wanted)
    texts = series.cast(pl.String)
    # A string view may point into buffers that hold far more than these rows; a large string does not.
    array = _cast(texts.to_arrow(compat_level=pl.CompatLevel.oldest()), TEXT)
    if len(array) < INDEXED_ROWS:
        return array  # small segments are written often and soon rewritten: speed matters more than size
    if texts.head(_SAMPLE_ROWS).n_unique() <= _SAMPLE_ROWS // 2:
        encoded = array.dictionary_encode()
        words = len(encoded.dictionary)
        if words <= len(array) // 4:
            width = pa.int8() if words < 2**7 else pa.int16() if words < 2**15 else pa.int32()
            return encoded.cast(pa.dictionary(width, _SHORT_TEXT))
    return array.cast(_SHORT_TEXT) if array.nbytes <= _SHORT_TEXT_BYTES else array


def _cast(array: pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    return array if array.type == kind else array.cast(kind)
