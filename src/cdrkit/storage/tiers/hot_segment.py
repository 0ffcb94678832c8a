"""Read a hot segment: memory-map or fetch it; verify each column on first use."""

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
from cdrkit.storage.tiers.segment_checksum import check_file
from cdrkit.storage.tiers.tier import Rows

__all__ = ["AMOUNT", "TEXT", "MappedSegment", "column_checksum"]

#: Errors of mapping that leave a whole file unreadable although it is not damaged.
_SHORTAGES: Final = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EIO})
#: The type in which text is written, unless a shorter one does.
TEXT: Final = pa.large_string()
#: The type in which money is written.
AMOUNT: Final = pa.decimal64(18, 6)
_NO_ROWS: Final = pl.Series([], dtype=pl.UInt32)


class MappedSegment:
    """A hot segment that is open for reading; threads may share it.

    Args:
        files: The files of the tier.
        segment: The segment.
        cache: The cache for copies of remote segments. Without a cache, segments are fetched into memory.

    Attributes:
        buffer_bytes: The memory that the segment uses in addition to its mapping.
        last_used: A counter set by the owner; the greater the number, the later the last use.
        is_damaged: Whether a part differs from what was written. After reopening, the segment may be intact.

    Raises:
        CorruptDataError: When the file differs from what was written.
        NotFoundError: When the file is missing.
        StorageError: When the file cannot be read.
    """

    def __init__(self, files: Files, segment: Segment, cache: SegmentCache | None) -> None:
        self._files = files
        self._segment = segment
        self._cache = cache
        self._verified: dict[str, pa.Array[Any]] = {}
        self._lock = threading.Lock()
        self._index: IndexFile | None = None
        self._numbers: NumberIndex | None = None
        self._totals: Totals | None = None
        self.buffer_bytes: int = 0
        self.last_used = 0
        self.is_damaged: bool = False
        data = self._load(segment.path, segment.id, segment.size_bytes, lambda: check_file(files, segment))
        try:
            self._batch = pa.ipc.open_file(data).get_batch(0)
        except (pa.ArrowException, OSError, IndexError, ValueError) as exc:
            raise self._damage(segment.path, str(exc)) from exc
        if self._batch.num_rows != segment.rows:
            raise self._damage(
                segment.path, f"it holds {self._batch.num_rows} rows instead of {segment.rows}"
            )

    def _load(self, path: str, name: str, size: int, fetch: Callable[[], bytes]) -> pa.Buffer:
        """Memory-map a whole file if possible; otherwise fetch its bytes.

        Files on the local disk and copies in the cache can be mapped.

        Args:
            path: The file.
            name: Its name in the cache.
            size: Its size in bytes.
            fetch: Returns the whole file, verified.
        """
        local = self._files.local_path(path)
        try:
            if local is not None:
                self._files.open(path).close()  # raises the fitting error when the file cannot be read
            elif self._cache is not None:
                local = self._cache.copy_of(name, size, fetch)
            if local is not None:
                with pa.memory_map(local) as mapped:  # the mapping outlives the file handle
                    return mapped.read_buffer()
        except StorageError:
            raise
        except FileNotFoundError:
            pass  # the copy was deleted just now, or the file was: fetching it raises an error then
        except (pa.ArrowException, OSError) as exc:
            if isinstance(exc, MemoryError) or getattr(exc, "errno", None) in _SHORTAGES:
                url = self._files.url_of(path)
                raise StorageError(f"Cannot read {url}: {exc}.", url=url) from exc
            raise self._damage(path, str(exc)) from exc
        self.buffer_bytes += size
        return pa.py_buffer(fetch())

    def _damage(self, path: str, reason: str) -> CorruptDataError:
        """Mark the segment as damaged, delete its cached copy, and return the error."""
        self.is_damaged = True
        url = self._files.url_of(path)
        if self._cache is not None and self._files.local_path(path) is None:
            self._cache.drop(self._segment.id)
            return CorruptDataError(
                f"The copy of {url} in the segment cache is damaged: {reason}. The copy was deleted. Try again.",
                url=url,
            )
        return CorruptDataError(f"{url} is damaged: {reason}. Restore that file from a backup.", url=url)

    # -- columns ------------------------------------------------------------------------------------------------

    def column(self, name: str, rows: Rows) -> pl.Series:
        """Return the *rows* of a column, or nulls if the segment lacks the column."""
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
            array = array.cast(TEXT)  # as a Categorical, every text would enter Polars' global categories
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)
        return series.rename(name).cast(kind)

    def rows_with(self, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        """Return the rows in which a field equals one of *values*.

        The search compares dictionary codes. Return None if the column is not a dictionary.
        """
        array = self.array(name)
        if not isinstance(array, pa.DictionaryArray):
            return None if array is not None else _NO_ROWS
        codes = pc.index_in(pa.array(values, array.dictionary.type), value_set=array.dictionary).drop_null()
        indices = pl.from_arrow(array.indices.slice(rows.start, len(rows)))
        assert isinstance(indices, pl.Series)
        fits = indices == codes[0].as_py() if len(codes) == 1 else indices.is_in(codes.to_pylist())
        return fits.arg_true() + rows.start

    def array(self, name: str) -> pa.Array[Any] | None:
        """Verify a column and return it, or return None if the segment lacks the column.

        The column has the type in which the file stores it.
        """
        if name not in self._segment.columns:
            return None
        array = self._verified.get(name)
        if array is None:
            array = self._verified[name] = self._verify(name)
        return array

    def _verify(self, name: str) -> pa.Array[Any]:
        index = self._batch.schema.get_field_index(name)
        if index < 0:
            raise self._damage(self._segment.path, f"it lacks the column {name!r}")
        array = self._batch.column(index)
        try:
            checksum = column_checksum(array)
        except (SystemError, ValueError):  # a negative count of nulls, or a name that is not valid text
            checksum = -1
        if checksum != self._segment.columns[name]:
            raise self._damage(self._segment.path, f"the checksum of its column {name!r} does not match")
        return array

    # -- the index file -----------------------------------------------------------------------------------------

    def _load_index(self) -> IndexFile | None:
        """Return the content of the index file, or None if no index file exists."""
        segment = self._segment
        if self._index is None and "index_bytes" in segment.facts:
            path, size = index_path(segment), segment.facts["index_bytes"]
            data = self._load(path, f"{segment.id}.index", size, lambda: check_index(self._files, segment))
            self._index = parse_index(data, segment)
            if self._index is None:
                raise self._damage(path, "the checksum does not match")
        return self._index

    def numbers(self, region: str | None) -> NumberIndex:
        """Return the number index from the index file, or compute it from the columns."""
        if self._numbers is None:
            with self._lock:
                index = self._load_index()
                if index is not None:
                    assert isinstance(index.numbers, NumberIndex)
                    self._numbers = index.numbers
                elif self._numbers is None:
                    whole = range(self._segment.rows)
                    made = NumberIndex.of(
                        pl.DataFrame([self.column(name, whole) for name in INDEXED]), region
                    )
                    self.buffer_bytes += made.size_bytes
                    self._numbers = made
        return self._numbers

    @property
    def totals(self) -> Totals:
        """The rollup, from the index file or computed once from the columns."""
        if self._totals is None:
            with self._lock:
                index = self._load_index()
                if index is not None:
                    self._totals = index.totals
                elif self._totals is None:
                    whole = range(self._segment.rows)
                    made = totals_of(pl.DataFrame([self.column(name, whole) for name in TOTAL_FIELDS]))
                    self._totals = Totals(made)
                    self.buffer_bytes += self._totals.size_bytes
        return self._totals


def column_checksum(array: pa.Array[Any]) -> int:
    """Return the CRC-32 of a column's type, buffers, length and null count.

    Arrow trusts lengths and null counts; if they are damaged, it reads beyond the end of a buffer.
    """
    checksum = zlib.crc32(str(array.type).encode())
    parts = [array, array.dictionary] if isinstance(array, pa.DictionaryArray) else [array]
    for part in parts:
        checksum = zlib.crc32(f"{len(part)} {part.null_count}".encode(), checksum)
        for buffer in part.buffers():
            checksum = zlib.crc32(b"-" if buffer is None else b"%d " % buffer.size, checksum)
            checksum = checksum if buffer is None else zlib.crc32(buffer, checksum)
    return checksum
