"""The hot tier: uncompressed Arrow IPC, one UTC day a folder, memory-mapped where the disk is local.

The file's name carries its checksum, so a listing is enough to tell a whole file from a damaged one. Columns of
few different words are written as dictionaries and money in 64 bits: both are unpacked for the rows that are asked
for, and for no others.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import pyarrow as pa

from .._records import CHOICE, MONEY, SCHEMA, WORD
from .._tables import FRAME_TYPES
from ..errors import CorruptDataError, StorageError
from ._cache import SegmentCache
from ._files import Files
from ._log import FORMAT, Segment
from ._segmentfiles import Found, check_file, checksum_of, found_files, new_identity
from ._tiers import Rows

__all__ = ["HotTier"]

_SUFFIX: Final = ".arrow"
_OPEN_SEGMENTS: Final = 4096
_FETCHED_BYTES: Final = 512 << 20  # of segments that are held in memory because nothing maps them
_SAMPLE: Final = 2_000
_TEXT: Final = pa.large_string()
_AMOUNT: Final = pa.decimal64(18, 6)


class HotTier:
    """Segments as Arrow IPC files below one root. Safe to use from several threads."""

    name = "hot"

    def __init__(self, files: Files, cache: SegmentCache | None = None) -> None:
        self._files = files
        self._cache = cache
        self._open: OrderedDict[str, _OpenSegment] = OrderedDict()
        self._lock = threading.Lock()

    def write(self, frame: pl.DataFrame) -> Segment:
        held = [name for name in frame.columns if frame[name].null_count() < frame.height]
        arrays = {name: _stored(frame[name]) for name in held}
        first, last = frame["start"][0], frame["start"][-1]
        about = {"format": FORMAT, "rows": frame.height, "first": first.isoformat(), "last": last.isoformat()}
        schema = pa.schema(
            [pa.field(name, array.type) for name, array in arrays.items()],
            metadata={"cdrkit": json.dumps(about)},
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch(list(arrays.values()), schema=schema))
        data = sink.getvalue()
        identity = new_identity(memoryview(data))
        path = f"day={first:%Y-%m-%d}/{identity}{_SUFFIX}"
        self._files.put(path, memoryview(data))
        return self._described(identity, path, data)

    def _described(self, identity: str, path: str, data: pa.Buffer) -> Segment:
        """Return the segment whose file holds *data*, by what that says of itself."""
        batch = pa.ipc.open_file(data).get_batch(0)
        about = json.loads((batch.schema.metadata or {})[b"cdrkit"])
        return Segment(
            id=identity,
            tier=self.name,
            path=path,
            rows=about["rows"],
            size_bytes=data.size,
            first=datetime.fromisoformat(about["first"]),
            last=datetime.fromisoformat(about["last"]),
            checksum=identity.partition("-")[2],
            columns={name: _column_checksum(batch.column(name)) for name in batch.schema.names},
        )

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        opened = self._opened(segment)
        wanted = range(segment.rows) if rows is None else rows
        return pl.DataFrame([opened.column(name, wanted) for name in columns])

    def remove(self, segment: Segment) -> None:
        with self._lock:
            self._open.pop(segment.id, None)
        if self._cache is not None:
            self._cache.drop(segment.id)
        self._files.remove(segment.path)

    def check(self, segment: Segment) -> None:
        check_file(self._files, segment)

    def found(self) -> Iterable[Found]:
        return found_files(self._files, "day=", _SUFFIX)

    def forget(self, found: Found) -> None:
        if self._cache is not None:
            self._cache.drop(found.id)
        self._files.remove(found.path)

    def adopt(self, found: Found) -> Segment:
        data = self._files.read(found.path)
        url = self._files.url_of(found.path)
        try:
            if checksum_of(data) != found.id.partition("-")[2]:
                raise ValueError("its checksum does not hold")
            return self._described(found.id, found.path, pa.py_buffer(data))
        except (pa.ArrowException, ValueError, KeyError, IndexError) as exc:
            raise CorruptDataError(
                f"{url} is damaged: {exc}. Restore that file from a backup.", url=url
            ) from exc

    def _opened(self, segment: Segment) -> _OpenSegment:
        with self._lock:
            found = self._open.get(segment.id)
            if found is not None:
                self._open.move_to_end(segment.id)
                return found
        opened = _OpenSegment(self._files, segment, self._cache)
        with self._lock:
            self._open[segment.id] = opened
            held = sum(other.fetched_bytes for other in self._open.values())
            while len(self._open) > 1 and (len(self._open) > _OPEN_SEGMENTS or held > _FETCHED_BYTES):
                _, oldest = self._open.popitem(last=False)
                held -= oldest.fetched_bytes
        return opened


class _OpenSegment:
    """A segment whose file is mapped, or fetched whole; a column is checked when it is first asked for."""

    def __init__(self, files: Files, segment: Segment, cache: SegmentCache | None) -> None:
        self._segment = segment
        self._cache = cache
        self._url = files.url_of(segment.path)
        self._checked: dict[str, pa.Array[Any]] = {}
        self.fetched_bytes = 0
        local = files.local_path(segment.path)
        try:
            if local is not None:
                files.open(segment.path).close()  # says what is the matter when it cannot be read
            elif cache is not None:
                local = cache.copy_of(segment, lambda: check_file(files, segment))
            if local is not None:
                with pa.memory_map(local) as mapped:  # the mapping outlives the file handle
                    self._batch = pa.ipc.open_file(mapped).get_batch(0)
            else:
                self._batch = pa.ipc.open_file(pa.py_buffer(check_file(files, segment))).get_batch(0)
                self.fetched_bytes = segment.size_bytes
        except StorageError:
            raise
        except (pa.ArrowException, OSError, IndexError, ValueError) as exc:
            raise self._damaged(str(exc)) from exc
        if self._batch.num_rows != segment.rows:
            raise self._damaged(f"it holds {self._batch.num_rows} rows instead of {segment.rows}")

    def _damaged(self, why: str) -> CorruptDataError:
        if self._cache is not None:
            self._cache.drop(self._segment.id)  # should only the copy be damaged, the next try gets it anew
        return CorruptDataError(
            f"{self._url} is damaged: {why}. Restore that file from a backup.", url=self._url
        )

    def column(self, name: str, rows: Rows) -> pl.Series:
        kind = FRAME_TYPES[name]
        if name not in self._segment.columns:
            return pl.Series(name, [None], dtype=kind).new_from_index(0, len(rows))
        array = self._checked.get(name)
        if array is None:
            array = self._checked[name] = self._check(name)
        if isinstance(rows, range):
            array = array.slice(rows.start, len(rows))
        else:
            array = array.take(rows.to_arrow())
        if array.type == _AMOUNT:
            array = array.cast(pa.decimal128(18, 6))
        if isinstance(array, pa.DictionaryArray) and kind == pl.String():
            array = array.cast(_TEXT)  # by way of Categorical, every word would enter Polars' categories
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)
        return series.rename(name).cast(kind)

    def _check(self, name: str) -> pa.Array[Any]:
        index = self._batch.schema.get_field_index(name)
        if index < 0:
            raise self._damaged(f"it has no column {name!r}")
        array = self._batch.column(index)
        try:
            found = _column_checksum(array)
        except (SystemError, ValueError):  # a negative count of nulls, and a name that is no text
            found = -1
        if found != self._segment.columns[name]:
            raise self._damaged(f"the checksum of its column {name!r} does not hold")
        return array


def _stored(series: pl.Series) -> pa.Array[Any]:
    """Return *series* as one array that holds its own values only, in the type it is written in."""
    wanted = SCHEMA.field(series.name).type
    if wanted == MONEY:
        return series.to_arrow().cast(_AMOUNT)
    if wanted not in (pa.string(), WORD, CHOICE):
        return series.to_arrow().cast(wanted)
    texts = series.cast(pl.String)
    # By way of large strings: a string view may point into buffers that hold far more than these rows.
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_TEXT)
    if texts.head(_SAMPLE).n_unique() <= max(_SAMPLE // 8, 1):
        encoded = array.dictionary_encode()
        words = len(encoded.dictionary)
        if words <= max(len(array) // 4, 1):
            width = pa.int8() if words < 2**7 else pa.int16() if words < 2**15 else pa.int32()
            return encoded.cast(pa.dictionary(width, _TEXT))
    return array


def _column_checksum(array: pa.Array[Any]) -> int:
    """Return the CRC-32 of a column: its type, its buffers as they lie in the file, and what the file says of them.

    Lengths and counts of nulls are among that: Arrow believes them, and reads beyond a buffer where they are damaged.
    """
    found = zlib.crc32(str(array.type).encode())
    parts = [array, array.dictionary] if isinstance(array, pa.DictionaryArray) else [array]
    for part in parts:
        found = zlib.crc32(f"{len(part)} {part.null_count}".encode(), found)
        for buffer in part.buffers():
            found = zlib.crc32(b"-" if buffer is None else b"%d " % buffer.size, found)
            found = found if buffer is None else zlib.crc32(buffer, found)
    return found
