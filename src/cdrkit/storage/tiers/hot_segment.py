"""A hot segment that is open: its file mapped, or fetched whole; each part is checked when it is first asked for."""

from __future__ import annotations

import errno
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from cdrkit._files import Files
from cdrkit._model import FRAME_TYPES
from cdrkit.errors import CorruptDataError, StorageError
from cdrkit.storage.indexes import (
    INDEXED,
    TOTAL_FIELDS,
    IndexFile,
    NumberIndex,
    Totals,
    check_index,
    index_path,
    parse_index,
    totals_of,
)
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers.segment_cache import SegmentCache
from cdrkit.storage.tiers.segment_file import check_file
from cdrkit.storage.tiers.tier import Rows

__all__ = ["AMOUNT", "TEXT", "MappedSegment", "column_checksum"]

#: What keeps a whole file from being mapped.
_SHORTAGES: Final = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EIO})
TEXT: Final = pa.large_string()
_NO_ROWS: Final = pl.Series([], dtype=pl.UInt32)
AMOUNT: Final = pa.decimal64(18, 6)


class MappedSegment:
    """A segment of the hot tier, open for reading. Safe to use from several threads."""

    def __init__(self, files: Files, segment: Segment, cache: SegmentCache | None) -> None:
        self._files = files
        self._segment = segment
        self._cache = cache
        self._checked: dict[str, pa.Array[Any]] = {}
        self._lock = threading.Lock()
        self._index: IndexFile | None = None
        self._numbers: NumberIndex | None = None
        self._totals: Totals | None = None
        #: Memory that it takes, besides what is mapped.
        self.held_bytes = 0
        #: When it was last used, for whoever keeps it open: a larger number is later.
        self.last_used = 0
        #: Whether something of it is not what was written; opened anew, it may be whole.
        self.is_damaged = False
        data = self._buffer(segment.path, segment.id, segment.size_bytes, lambda: check_file(files, segment))
        try:
            self._batch = pa.ipc.open_file(data).get_batch(0)
        except (pa.ArrowException, OSError, IndexError, ValueError) as exc:
            raise self._damaged(segment.path, str(exc)) from exc
        if self._batch.num_rows != segment.rows:
            raise self._damaged(
                segment.path, f"it holds {self._batch.num_rows} rows instead of {segment.rows}"
            )

    def _buffer(self, path: str, name: str, size: int, fetch: Callable[[], bytes]) -> pa.Buffer:
        """Return the whole of a file: mapped from the local disk, or from a copy of it, or in memory."""
        local = self._files.local_path(path)
        try:
            if local is not None:
                self._files.open(path).close()  # says what is the matter when it cannot be read
            elif self._cache is not None:
                local = self._cache.copy_of(name, size, fetch)
            if local is not None:
                with pa.memory_map(local) as mapped:  # the mapping outlives the file handle
                    return mapped.read_buffer()
        except StorageError:
            raise
        except (
            FileNotFoundError
        ):  # the copy was dropped just now, or the file removed, which fetching it tells
            pass
        except (pa.ArrowException, OSError) as exc:
            if isinstance(exc, MemoryError) or getattr(exc, "errno", None) in _SHORTAGES:
                url = self._files.url_of(path)
                raise StorageError(f"Cannot read {url}: {exc}.", url=url) from exc
            raise self._damaged(path, str(exc)) from exc
        self.held_bytes += size
        return pa.py_buffer(fetch())

    def _damaged(self, path: str, why: str) -> CorruptDataError:
        self.is_damaged = True
        url = self._files.url_of(path)
        if self._cache is not None and self._files.local_path(path) is None:
            self._cache.drop(self._segment.id)
            return CorruptDataError(
                f"The copy of {url} in the cache of segments is damaged: {why}. It was removed; try again.",
                url=url,
            )
        return CorruptDataError(f"{url} is damaged: {why}. Restore that file from a backup.", url=url)

    # -- columns ------------------------------------------------------------------------------------------------

    def column(self, name: str, rows: Rows) -> pl.Series:
        """Return the values of those rows of a column; nulls where the segment has none."""
        kind = FRAME_TYPES[name]
        array = self.array(name)
        if array is None:
            return pl.Series(name, [None], dtype=kind).new_from_index(0, len(rows))
        if isinstance(rows, range):
            array = array.slice(rows.start, len(rows))
        else:
            array = array.take(rows.to_arrow())
        if array.type == AMOUNT:
            array = array.cast(pa.decimal128(18, 6))
        if isinstance(array, pa.DictionaryArray) and kind == pl.String():
            array = array.cast(TEXT)  # by way of Categorical, every word would enter Polars' categories
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)
        return series.rename(name).cast(kind)

    def rows_with(self, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        """Return those of *rows* whose value in a column is one of *values*; None where they are not told by codes."""
        array = self.array(name)
        if not isinstance(array, pa.DictionaryArray):
            return None if array is not None else _NO_ROWS
        codes = pc.index_in(pa.array(values, array.dictionary.type), value_set=array.dictionary).drop_null()
        places = pl.from_arrow(array.indices.slice(rows.start, len(rows)))
        assert isinstance(places, pl.Series)
        fits = places == codes[0].as_py() if len(codes) == 1 else places.is_in(codes.to_pylist())
        return fits.arg_true() + rows.start

    def array(self, name: str) -> pa.Array[Any] | None:
        """Return a column as it lies in the file; None where the segment has none."""
        if name not in self._segment.columns:
            return None
        array = self._checked.get(name)
        if array is None:
            array = self._checked[name] = self._check(name)
        return array

    def _check(self, name: str) -> pa.Array[Any]:
        index = self._batch.schema.get_field_index(name)
        if index < 0:
            raise self._damaged(self._segment.path, f"it has no column {name!r}")
        array = self._batch.column(index)
        try:
            found = column_checksum(array)
        except (SystemError, ValueError):  # a negative count of nulls, and a name that is no text
            found = -1
        if found != self._segment.columns[name]:
            raise self._damaged(self._segment.path, f"the checksum of its column {name!r} does not hold")
        return array

    # -- the file beside it -------------------------------------------------------------------------------------

    def _opened_index(self) -> IndexFile | None:
        """Return what the index file says; None where the segment has none."""
        segment = self._segment
        if self._index is None and "index_bytes" in segment.facts:
            path, size = index_path(segment), segment.facts["index_bytes"]
            data = self._buffer(path, f"{segment.id}.index", size, lambda: check_index(self._files, segment))
            self._index = parse_index(data, segment)
            if self._index is None:
                raise self._damaged(path, "its checksum does not hold")
        return self._index

    def numbers(self, region: str | None) -> NumberIndex:
        """Return the number index; where no file has it, it is made, and kept while the segment is open."""
        if self._numbers is None:
            with self._lock:
                index = self._opened_index()
                if index is not None:
                    assert isinstance(index.numbers, NumberIndex)
                    self._numbers = index.numbers
                elif self._numbers is None:
                    whole = range(self._segment.rows)
                    made = NumberIndex.of(
                        pl.DataFrame([self.column(name, whole) for name in INDEXED]), region
                    )
                    self.held_bytes += made.size_bytes
                    self._numbers = made
        return self._numbers

    @property
    def totals(self) -> Totals:
        """The totals; where no file has them, they are made, and kept while the segment is open."""
        if self._totals is None:
            with self._lock:
                index = self._opened_index()
                if index is not None:
                    self._totals = index.totals
                elif self._totals is None:
                    whole = range(self._segment.rows)
                    made = totals_of(pl.DataFrame([self.column(name, whole) for name in TOTAL_FIELDS]))
                    self._totals = Totals(made)
                    self.held_bytes += self._totals.size_bytes
        return self._totals


def column_checksum(array: pa.Array[Any]) -> int:
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
