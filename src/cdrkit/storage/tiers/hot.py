"""The hot tier: uncompressed Arrow IPC, one UTC day a folder, memory-mapped where the disk is local.

The file's name carries its checksum, so a listing is enough to tell a whole file from a damaged one. Columns of
few different words are written as dictionaries and money in 64 bits: both are unpacked for the rows that are asked
for, and for no others.
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

__all__ = ["HotTier"]

_SUFFIX: Final = ".arrow"
_OPEN_SEGMENTS: Final = 4096
_HELD_BYTES: Final = 512 << 20  # of segments that nothing maps, and of what was worked out about any
_SAMPLE: Final = 2_000
_FEW_EACH: Final = 8  # rows of a segment, on the average, that are quicker taken one by one
_SHORT_TEXT: Final = pa.string()
_LARGEST_SHORT: Final = 2**31 - 1  # the letters that its offsets reach


class HotTier:
    """Segments as Arrow IPC files below one root. Safe to use from several threads."""

    name = "hot"

    def __init__(self, files: Files, cache: SegmentCache | None = None) -> None:
        self._files = files
        self._cache = cache
        self._open: dict[str, MappedSegment] = {}
        self._uses = itertools.count()
        self._gone: dict[str, None] = {}  # segments that were let go, the last of them
        self._lock = threading.Lock()

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        held = [name for name in frame.columns if frame[name].null_count() < frame.height]
        arrays = {name: _stored(frame[name]) for name in held}
        schema = pa.schema(
            [pa.field(name, array.type) for name, array in arrays.items()],
            metadata={"cdrkit": json.dumps(about_segment(frame))},
        )
        data = _file_of(pa.record_batch(list(arrays.values()), schema=schema))
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
        return self._described(identity, path, data, facts)

    def _described(self, identity: str, path: str, data: pa.Buffer, index: Mapping[str, int]) -> Segment:
        """Return the segment whose file holds *data*, by what that says of itself."""
        batch = pa.ipc.open_file(data).get_batch(0)
        columns = {name: column_checksum(batch.column(name)) for name in batch.schema.names}
        about = json.loads((batch.schema.metadata or {})[b"cdrkit"])
        return describe_segment(self.name, identity, path, data.size, about, columns, index)

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        opened = self._opened(segment)
        wanted = range(segment.rows) if rows is None else rows
        return pl.DataFrame([opened.column(name, wanted) for name in columns])

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        if len(picks) == 1:
            return self.read(picks[0][0], columns, picks[0][1])
        frames: list[pl.DataFrame] = []
        opened: list[tuple[MappedSegment, pl.Series]] = []
        held = 0
        for segment, rows in picks:
            each = self._opened(segment)
            held += each.held_bytes
            if opened and held > _HELD_BYTES:  # no more of them at once than are kept open
                frames.append(_gathered(opened, columns))
                opened, held = [], each.held_bytes
            opened.append((each, rows))
        return pl.concat([*frames, _gathered(opened, columns)])

    def find(self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None) -> Hits:
        index = self._opened(segment).numbers(region)
        if index.has_longer:
            search = search.with_longer()
        return Hits(index.find(search, fields), search.exact)

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        return self._opened(segment).rows_with(name, values, rows)

    def totals(self, segment: Segment) -> Totals:
        return self._opened(segment).totals

    def remove(self, segment: Segment) -> None:
        self.close(segment.id)
        self._files.remove(segment.path)
        for place in index_paths(segment.path):
            self._files.remove(place)

    def check(self, segment: Segment) -> None:
        check_file(self._files, segment)
        check_index(self._files, segment)

    def list_segments(self) -> Iterable[SegmentFile]:
        return list_segment_files(self._files, "day=", _SUFFIX)

    def close(self, identity: str) -> None:
        """Close the segment of that id, which the store has no more, and drop the cache's copies of it.

        Answers of an older version may still ask for it. It is opened for each of their questions then, and not kept.
        """
        with self._lock:
            self._open.pop(identity, None)
            self._gone[identity] = None
            if len(self._gone) > _OPEN_SEGMENTS:
                del self._gone[next(iter(self._gone))]
        if self._cache is not None:
            self._cache.drop(identity)

    def delete_orphan(self, found: SegmentFile) -> None:
        self.close(found.id)
        self._files.remove(found.path)
        for place in index_paths(found.path):
            self._files.remove(place)

    def remove_temporary(self, before: datetime) -> int:
        return self._files.remove_temporary(before)

    def load(self, found: SegmentFile, region: str | None) -> Segment:
        data = self._files.read(found.path)
        url = self._files.url_of(found.path)
        try:
            if checksum_of(data) != found.id.partition("-")[2]:
                raise ValueError("its checksum does not hold")
            return self._described(
                found.id, found.path, pa.py_buffer(data), load_index_facts(self._files, found.path, region)
            )
        except (pa.ArrowException, ValueError, KeyError, IndexError) as exc:
            raise CorruptDataError(
                f"{url} is damaged: {exc}. Restore that file from a backup.", url=url
            ) from exc

    def _opened(self, segment: Segment) -> MappedSegment:
        found = self._open.get(segment.id)
        if found is not None and not found.is_damaged:
            found.last_used = next(self._uses)
            return found
        cache = None if segment.id in self._gone else self._cache
        opened = MappedSegment(self._files, segment, cache)
        with self._lock:
            if segment.id in self._gone:  # nothing would close it again
                return opened
            opened.last_used = next(self._uses)
            self._open[segment.id] = opened
            held = sum(other.held_bytes for other in self._open.values())
            if len(self._open) > _OPEN_SEGMENTS or held > _HELD_BYTES:
                self._close_oldest(held)
        return opened

    def _close_oldest(self, held: int) -> None:
        """Close segments until no more are open than may be; the last one used stays."""
        for identity in sorted(self._open, key=lambda identity: self._open[identity].last_used)[:-1]:
            if len(self._open) <= _OPEN_SEGMENTS and held <= _HELD_BYTES:
                return
            held -= self._open.pop(identity).held_bytes


def _gathered(picks: Sequence[tuple[MappedSegment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
    """Return those columns of the rows picked of each of the segments."""
    if sum(rows.len() for _, rows in picks) > _FEW_EACH * len(picks):
        takes = [(segment, rows.to_arrow()) for segment, rows in picks]
        return pl.DataFrame(
            [take_values(name, [(segment.array(name), rows) for segment, rows in takes]) for name in columns]
        )
    listed = [(segment, rows.to_list()) for segment, rows in picks]
    return pl.DataFrame(
        [pick_values(name, [(segment.array(name), rows) for segment, rows in listed]) for name in columns]
    )


def _file_of(batch: pa.RecordBatch) -> pa.Buffer:
    """Return *batch* as an Arrow file, in a buffer that need not grow."""
    measured = pa.MockOutputStream()
    with pa.ipc.new_file(measured, batch.schema) as writer:
        writer.write_batch(batch)
    buffer = pa.allocate_buffer(measured.size())
    with pa.ipc.new_file(pa.FixedSizeBufferWriter(buffer), batch.schema) as writer:
        writer.write_batch(batch)
    return buffer


def _stored(series: pl.Series) -> pa.Array[Any]:
    """Return *series* as one array that holds its own values only, in the type it is written in."""
    wanted = SCHEMA.field(series.name).type
    if wanted == MONEY:
        return series.to_arrow().cast(AMOUNT)
    if wanted not in (pa.string(), WORD, CHOICE):
        return _as(series.to_arrow(), wanted)
    texts = series.cast(pl.String)
    # By way of large strings: a string view may point into buffers that hold far more than these rows.
    array = _as(texts.to_arrow(compat_level=pl.CompatLevel.oldest()), TEXT)
    if len(array) < INDEXED_ROWS:
        return array  # written often and rewritten soon: quick comes before small
    if texts.head(_SAMPLE).n_unique() <= _SAMPLE // 2:
        encoded = array.dictionary_encode()
        words = len(encoded.dictionary)
        if words <= len(array) // 4:
            width = pa.int8() if words < 2**7 else pa.int16() if words < 2**15 else pa.int32()
            return encoded.cast(pa.dictionary(width, _SHORT_TEXT))
    return array.cast(_SHORT_TEXT) if array.nbytes <= _LARGEST_SHORT else array


def _as(array: pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    return array if array.type == kind else array.cast(kind)
