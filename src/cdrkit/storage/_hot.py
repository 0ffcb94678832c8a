"""The hot tier: uncompressed Arrow IPC, one UTC day a folder, memory-mapped where the disk is local.

The file's name carries its checksum, so a listing is enough to tell a whole file from a damaged one. Text is
written as Arrow's string views: Polars takes those from the mapped file without copying them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa

from .._records import CHOICE, SCHEMA, WORD
from .._tables import FRAME_TYPES
from ..errors import CorruptDataError
from ._files import Files
from ._log import FORMAT, Segment

__all__ = ["HotTier"]

_OPEN_SEGMENTS: Final = 4096
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.large_string())


def _stored_type(name: str) -> pa.DataType:
    wanted = SCHEMA.field(name).type
    if wanted in (WORD, CHOICE):
        return _DICTIONARY
    return pa.string_view() if wanted == pa.string() else wanted


class HotTier:
    """Segments as Arrow IPC files below one root. Safe to use from several threads."""

    name = "hot"

    def __init__(self, files: Files) -> None:
        self._files = files
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
        checksum = hashlib.blake2b(data, digest_size=16).hexdigest()
        identity = f"{secrets.token_hex(6)}-{checksum}"
        path = f"day={first:%Y-%m-%d}/{identity}.arrow"
        self._files.put(path, memoryview(data))
        written = pa.ipc.open_file(data).get_batch(0)
        return Segment(
            id=identity,
            tier=self.name,
            path=path,
            rows=frame.height,
            size_bytes=data.size,
            first=first,
            last=last,
            checksum=checksum,
            columns={name: _column_checksum(written.column(name)) for name in held},
        )

    def read(self, segment: Segment, columns: Sequence[str]) -> pl.DataFrame:
        opened = self._opened(segment)
        return pl.DataFrame([opened.column(name) for name in columns])

    def remove(self, segment: Segment) -> None:
        with self._lock:
            self._open.pop(segment.id, None)
        self._files.remove(segment.path)

    def _opened(self, segment: Segment) -> _OpenSegment:
        with self._lock:
            found = self._open.get(segment.id)
            if found is not None:
                self._open.move_to_end(segment.id)
                return found
        opened = _OpenSegment(self._files, segment)
        with self._lock:
            self._open[segment.id] = opened
            while len(self._open) > _OPEN_SEGMENTS:
                self._open.popitem(last=False)
        return opened


class _OpenSegment:
    """A segment whose file is mapped (or fetched whole); columns are checked when they are first asked for."""

    def __init__(self, files: Files, segment: Segment) -> None:
        self._segment = segment
        self._url = files.url_of(segment.path)
        self._columns: dict[str, pl.Series] = {}
        local = files.local_path(segment.path)
        data = None if local is not None else files.read(segment.path)
        if data is not None and hashlib.blake2b(data, digest_size=16).hexdigest() != segment.checksum:
            raise self._damaged("its checksum does not hold")
        if local is not None and files.size(segment.path) is None:
            files.open(segment.path)  # raises what is the matter
        try:
            if local is None:
                self._batch = pa.ipc.open_file(pa.py_buffer(data)).get_batch(0)
            else:
                with pa.memory_map(local) as mapped:  # the mapping outlives the file handle
                    self._batch = pa.ipc.open_file(mapped).get_batch(0)
        except (pa.ArrowException, OSError, IndexError) as exc:
            raise self._damaged(str(exc)) from exc
        if self._batch.num_rows != segment.rows:
            raise self._damaged(f"it holds {self._batch.num_rows} rows instead of {segment.rows}")

    def _damaged(self, why: str) -> CorruptDataError:
        return CorruptDataError(f"{self._url} is damaged: {why}. Restore that file from a backup.", url=self._url)

    def column(self, name: str) -> pl.Series:
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = self._read(name)
        return found

    def _read(self, name: str) -> pl.Series:
        kind = FRAME_TYPES[name]
        if name not in self._segment.columns:
            return pl.Series(name, [None], dtype=kind).new_from_index(0, self._segment.rows)
        index = self._batch.schema.get_field_index(name)
        if index < 0 or self._batch.schema.field(index).type != _stored_type(name):
            raise self._damaged(f"it has no proper column {name!r}")
        array = self._batch.column(index)
        if _column_checksum(array) != self._segment.columns[name]:
            raise self._damaged(f"the checksum of its column {name!r} does not hold")
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)
        return series.rename(name).cast(kind)


def _stored(series: pl.Series) -> pa.Array[Any]:
    """Return *series* as one array that holds its own values only, in the type it is written in."""
    wanted = _stored_type(series.name)
    if wanted == _DICTIONARY:
        return series.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    # By way of large strings: a view may point into buffers that hold far more than these rows.
    return series.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(wanted)


def _column_checksum(array: pa.Array[Any]) -> int:
    """Return the CRC-32 of a column's buffers as they lie in the file."""
    found = 0
    parts = [array, array.dictionary] if isinstance(array, pa.DictionaryArray) else [array]
    for part in parts:
        for buffer in part.buffers():
            found = zlib.crc32(b"\0" if buffer is None else buffer, found)
    return found
