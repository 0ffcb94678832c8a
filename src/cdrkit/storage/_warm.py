"""The warm tier: compressed Parquet, one UTC month a folder, read by ranges.

A segment is one file with one row group, so a column is one run of bytes with one checksum: a query fetches the
footer once and then the columns that it needs, and nothing is decoded before its checksum holds. Large months are
several segments, each with a range of time of its own; that is what a search by time skips, not row groups.
"""

from __future__ import annotations

import io
import json
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs
import polars as pl
import pyarrow as pa

from .._records import CHOICE, SCHEMA, WORD
from .._tables import FRAME_TYPES
from ..errors import CorruptDataError, StorageError
from ._files import Files
from ._log import FORMAT, Segment
from ._segmentfiles import Found, check_file, checksum_of, found_files, new_identity
from ._tiers import Rows

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["WarmTier"]

_T = TypeVar("_T")

_SUFFIX: Final = ".parquet"
_LEVEL: Final = 15  # of zstd: 4 % smaller than 9, and a second more for a quarter of a million calls
_TRIAL_LEVEL: Final = 1
_LARGEST_DICTIONARY: Final = 32 << 20
_FOOTERS: Final = 2_048
_CACHED_BYTES: Final = 64 << 20
_GAP: Final = 256 << 10  # bytes that are cheaper to fetch in vain than to ask for the next range
_LARGEST_RANGE: Final = 4 << 20
_REQUESTS_AT_ONCE: Final = 8

Span = tuple[int, int]


class WarmTier:
    """Segments as Parquet files below one root. Safe to use from several threads."""

    name = "warm"

    def __init__(self, files: Files) -> None:
        self._files = files
        self._footers = _Recent[_Footer](_FOOTERS)
        self._chunks = _Recent[bytes](_CACHED_BYTES)

    def write(self, frame: pl.DataFrame) -> Segment:
        """Write *frame*, whose calls are all of one UTC month; otherwise as `Tier.write` says."""
        # Absent columns too: other tools read a folder of files best when all have the same columns.
        whole = frame.select(
            pl.col(name) if name in frame.columns else pl.lit(None, dtype=kind).alias(name)
            for name, kind in FRAME_TYPES.items()
        )
        table = pa.table(
            [_stored(whole[name]) for name in whole.columns],
            schema=pa.schema([_stored_field(name) for name in whole.columns]),
        )
        first, last = frame["start"][0], frame["start"][-1]
        about = {"format": FORMAT, "rows": frame.height, "first": first.isoformat(), "last": last.isoformat()}
        data = _encoded(table, _smaller_as_dictionary(table), level=_LEVEL, about=about)
        identity = new_identity(data)
        path = f"month={first:%Y-%m}/{identity}{_SUFFIX}"
        self._files.put(path, data)
        return self._described(identity, path, data)

    def _described(self, identity: str, path: str, data: memoryview) -> Segment:
        """Return the segment whose file holds *data*, by what that says of itself."""
        tail = _tail(data)
        footer = _Footer.of(tail)
        about = json.loads((footer.metadata.metadata or {})[b"cdrkit"])
        return Segment(
            id=identity,
            tier=self.name,
            path=path,
            rows=about["rows"],
            size_bytes=len(data),
            first=datetime.fromisoformat(about["first"]),
            last=datetime.fromisoformat(about["last"]),
            checksum=identity.partition("-")[2],
            columns={name: zlib.crc32(data[start:stop]) for name, (start, stop) in footer.spans.items()},
            facts={"footer_bytes": len(tail), "footer_crc": zlib.crc32(tail)},
        )

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        held = [name for name in columns if name in segment.columns]
        found = self._decoded(segment, held) if held else {}
        wanted = range(segment.rows) if rows is None else rows
        return pl.DataFrame([_series(name, found.get(name), wanted) for name in columns])

    def remove(self, segment: Segment) -> None:
        self._footers.pop(segment.id)
        for name in segment.columns:
            self._chunks.pop(segment.id, name)
        self._files.remove(segment.path)

    def check(self, segment: Segment) -> None:
        check_file(self._files, segment)

    def found(self) -> Iterable[Found]:
        return found_files(self._files, "month=", _SUFFIX)

    def forget(self, found: Found) -> None:
        self._files.remove(found.path)

    def adopt(self, found: Found) -> Segment:
        data = self._files.read(found.path)
        try:
            if checksum_of(data) != found.id.partition("-")[2]:
                raise ValueError("its checksum does not hold")
            return self._described(found.id, found.path, memoryview(data))
        except (pa.ArrowException, OSError, ValueError, KeyError) as exc:
            raise self._damaged(found.path, str(exc)) from exc

    # -- from bytes to columns ----------------------------------------------------------------------------------

    def _decoded(self, segment: Segment, names: list[str]) -> dict[str, pa.ChunkedArray[Any]]:
        """Return the columns *names*, all of which the segment holds."""
        footer = self._footer(segment)
        parts = self._column_bytes(segment, footer, names)
        try:
            table = footer.decoded(parts, names, segment.size_bytes)
        except (pa.ArrowException, OSError) as exc:
            raise self._damaged(segment.path, str(exc)) from exc
        return {name: table.column(name) for name in names}

    def _footer(self, segment: Segment) -> _Footer:
        found = self._footers.get(segment.id)
        if found is not None:
            return found
        span = (segment.size_bytes - segment.facts["footer_bytes"], segment.size_bytes)
        tail = self._fetched(segment, span)
        if zlib.crc32(tail) != segment.facts["footer_crc"]:
            raise self._damaged(segment.path, "the checksum of its footer does not hold")
        try:
            footer = _Footer.of(tail)
        except (pa.ArrowException, OSError) as exc:
            raise self._damaged(segment.path, str(exc)) from exc
        if footer.metadata.num_rows != segment.rows or footer.spans.keys() != segment.columns.keys():
            raise self._damaged(segment.path, "it is not the file that was written")
        self._footers.put(footer, 1, segment.id)
        return footer

    def _column_bytes(self, segment: Segment, footer: _Footer, names: Iterable[str]) -> dict[int, bytes]:
        """Return the bytes of the columns *names* by where they begin, each with its checksum verified."""
        parts: dict[int, bytes] = {}
        missing: dict[Span, str] = {}
        for name in names:
            span = footer.spans[name]
            cached = self._chunks.get(segment.id, name)
            if cached is None:
                missing[span] = name
            else:
                parts[span[0]] = cached
        for start, data in self._ranges(segment, _merged(missing)):
            for (begin, end), name in missing.items():
                if start <= begin and end <= start + len(data):
                    chunk = parts[begin] = data[begin - start : end - start]
                    if zlib.crc32(chunk) != segment.columns[name]:
                        raise self._damaged(
                            segment.path, f"the checksum of its column {name!r} does not hold"
                        )
                    self._chunks.put(chunk, len(chunk), segment.id, name)
        return parts

    def _ranges(self, segment: Segment, spans: list[Span]) -> list[tuple[int, bytes]]:
        """Return the bytes of *spans*, each with where it begins; what is remote is fetched concurrently."""
        if len(spans) < 2 or self._files.local_path(segment.path) is not None:
            return [(span[0], self._fetched(segment, span)) for span in spans]
        # Threads are made for each read: a pool that is kept would not survive a fork.
        with ThreadPoolExecutor(min(len(spans), _REQUESTS_AT_ONCE)) as pool:
            found = pool.map(lambda span: self._fetched(segment, span), spans)
            return [(span[0], data) for span, data in zip(spans, found, strict=True)]

    def _fetched(self, segment: Segment, span: Span) -> bytes:
        start, stop = span
        try:
            data = self._files.read(segment.path, start, stop)
        except StorageError as exc:
            # Object stores refuse a range that begins beyond the end.
            if type(exc) is StorageError and self._files.size(segment.path) not in (None, segment.size_bytes):
                raise self._damaged(segment.path, "it was cut off") from exc
            raise
        if len(data) != stop - start:
            raise self._damaged(segment.path, "it was cut off")
        return data

    def _damaged(self, path: str, why: str) -> CorruptDataError:
        url = self._files.url_of(path)
        return CorruptDataError(f"{url} is damaged: {why}. Restore that file from a backup.", url=url)


@attrs.frozen(eq=False)
class _Footer:
    """What the end of a file says: where each column lies, and how it is encoded."""

    metadata: pq.FileMetaData
    spans: Mapping[str, Span]
    dictionaries: frozenset[str]

    @classmethod
    def of(cls, tail: bytes) -> _Footer:
        """Return the footer whose bytes, length and magic number are *tail*."""
        import pyarrow.parquet as pq

        metadata = pq.read_metadata(pa.BufferReader(tail))
        group = metadata.row_group(0)
        chunks = [group.column(at) for at in range(metadata.num_columns)]
        spans: dict[str, Span] = {}
        for chunk in chunks:
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            assert start is not None
            spans[chunk.path_in_schema] = (start, start + chunk.total_compressed_size)
        words = frozenset(
            chunk.path_in_schema
            for chunk in chunks
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page
        )
        return cls(metadata, spans, words)

    def decoded(self, parts: Mapping[int, bytes], names: list[str], size: int) -> pa.Table:
        """Return the columns *names* of a file of *size* bytes of which *parts* are at hand."""
        import pyarrow.parquet as pq

        file = pq.ParquetFile(
            pa.PythonFile(_Parts(parts, size), mode="r"),
            metadata=self.metadata,
            read_dictionary=[name for name in names if name in self.dictionaries],
            pre_buffer=False,  # it would fetch what lies between the columns
        )
        return file.read(columns=names)


class _Parts(io.RawIOBase):
    """A file of which only some parts are at hand; reading anything else raises."""

    def __init__(self, parts: Mapping[int, bytes], size: int) -> None:
        self._starts = sorted(parts)
        self._parts = parts
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        before = bisect_right(self._starts, self._at) - 1
        start = self._starts[before]
        part = self._parts[start]
        if before < 0 or size < 0 or self._at + size > start + len(part):
            raise OSError(f"its footer points to {size} bytes at {self._at}, where no column is")
        found = part[self._at - start : self._at - start + size]
        self._at += size
        return found


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


def _series(name: str, column: pa.ChunkedArray[Any] | None, rows: Rows) -> pl.Series:
    kind = FRAME_TYPES[name]
    if column is None:
        return pl.Series(name, [None], dtype=kind).new_from_index(0, len(rows))
    column = column.slice(rows.start, len(rows)) if isinstance(rows, range) else column.take(rows.to_arrow())
    if kind == pl.String:
        column = column.cast(pa.large_string())  # here, lest Polars remembers each word of a dictionary
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    return series.rename(name).cast(kind)


def _stored_field(name: str) -> pa.Field[Any]:
    field = SCHEMA.field(name).remove_metadata()
    return field.with_type(pa.large_string()) if _is_text(field.type) else field


def _stored(series: pl.Series) -> pa.Array[Any]:
    wanted = SCHEMA.field(series.name).type
    if _is_text(wanted):
        return series.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    return series.to_arrow().cast(wanted)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), WORD, CHOICE)


def _smaller_as_dictionary(table: pa.Table) -> list[str]:
    """Return the columns that take less room as a dictionary than as differences: both are tried."""
    sizes: list[dict[str, int]] = []
    for dictionaries in (table.column_names, []):
        data = _encoded(table, dictionaries, level=_TRIAL_LEVEL, about={})
        spans = _Footer.of(_tail(data)).spans
        sizes.append({name: stop - start for name, (start, stop) in spans.items()})
    as_dictionary, as_differences = sizes
    return [name for name in table.column_names if as_dictionary[name] <= as_differences[name]]


def _encoded(
    table: pa.Table, dictionaries: list[str], *, level: int, about: Mapping[str, object]
) -> memoryview:
    """Return *table* as a file of one row group."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    encodings = {
        field.name: _differences(field.type) for field in table.schema if field.name not in dictionaries
    }
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=dictionaries,  # type: ignore[arg-type]  # the stubs know True and False only
        dictionary_pagesize_limit=_LARGEST_DICTIONARY,
        column_encoding=encodings or None,
        store_decimal_as_integer=True,
        store_schema=False,
        write_page_index=True,
    ) as writer:
        writer.write_table(table, row_group_size=table.num_rows)
        writer.add_key_value_metadata({"cdrkit": json.dumps(about)})
    return memoryview(sink.getvalue())


def _differences(kind: pa.DataType) -> str:
    """Return the encoding of what differs little from row to row."""
    if kind == pa.large_string():
        return "DELTA_BYTE_ARRAY"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "PLAIN"  # amounts jump: their differences take more room than they do
    return "DELTA_BINARY_PACKED"


def _tail(data: memoryview) -> bytes:
    """Return the footer of a file, with its length and the magic number that follow it."""
    return bytes(data[-int.from_bytes(data[-8:-4], "little") - 8 :])
