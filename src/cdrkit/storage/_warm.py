"""The warm tier: compressed Parquet, one UTC month a folder, read by ranges.

A segment is one file with a few row groups. A column of a group is one run of bytes with one checksum, which the footer
has: a query fetches the footer once and then the columns that it needs of the groups that hold its rows, and nothing is
decoded before its checksum holds. Large months are several segments, each with a range of time of its own.
"""

from __future__ import annotations

import io
import itertools
import json
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs
import polars as pl
import pyarrow as pa

from .._records import CHOICE, SCHEMA, WORD
from .._searches import KeySearch
from .._tables import FRAME_TYPES
from ..errors import CorruptDataError, StorageError
from ._files import Files
from ._indexfiles import IndexFile, check_index, found_index, index_path, opened_index, warm_index
from ._log import Segment
from ._numberindex import BlockIndex
from ._segmentfiles import Found, about_segment, check_file, checksum_of, described, found_files, new_identity
from ._tiers import Hits, Rows
from ._totals import Totals

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["WarmTier"]

_T = TypeVar("_T")

_SUFFIX: Final = ".parquet"
_MAGIC: Final = b"PAR1"
#: Rows of a row group: what has to be decoded for one call. Half as many take 3 % more room.
_GROUP_ROWS: Final = 40_960
_LEVEL: Final = 15  # of zstd: 4 % smaller than 9, and a second more for a quarter of a million calls
_TRIAL_LEVEL: Final = 1
_LARGEST_DICTIONARY: Final = 32 << 20
_FOOTERS: Final = 2_048
_INDEX_BYTES: Final = 128 << 20
_FEW: Final = 64  # rows whose groups are found one by one
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
        self._indexes = _Recent[IndexFile](_INDEX_BYTES)

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
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
        data = _encoded(table, _smaller_as_dictionary(table), level=_LEVEL, about=about_segment(frame))
        identity = new_identity(data)
        path = f"month={frame['start'][0]:%Y-%m}/{identity}{_SUFFIX}"
        self._files.put(path, data)
        try:
            index, facts = warm_index(frame, identity, region)
            self._files.put(index_path(path), index)
        except BaseException:
            self._files.remove(path)
            raise
        return self._described(identity, path, data, facts)

    def _described(
        self, identity: str, path: str, data: memoryview, index: Mapping[str, int]
    ) -> Segment:
        """Return the segment whose file holds *data*, by what that says of itself."""
        tail = _tail(data)
        footer = _Footer.of(tail)
        columns: dict[str, int] = {}
        for spans in footer.spans:
            for name, (start, stop) in spans.items():
                columns[name] = zlib.crc32(data[start:stop], columns.get(name, 0))
        facts = {**index, "footer_bytes": len(tail), "footer_crc": zlib.crc32(tail)}
        return described(self.name, identity, path, len(data), footer.about, columns, facts)

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        held = [name for name in columns if name in segment.columns]
        wanted = range(segment.rows) if rows is None else rows
        parts = list(self._decoded(segment, held, wanted)) if held and len(wanted) else []
        return pl.DataFrame([_series(name, [part[name] for part in parts if name in part], len(wanted)) for name in columns])

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        return pl.concat([self.read(segment, columns, rows) for segment, rows in picks])

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        index = self._index(segment)
        if index is None:
            return None
        assert isinstance(index.numbers, BlockIndex)
        if index.numbers.has_longer:
            search = search.with_longer()
        path = index_path(segment.path)
        rows = index.numbers.find(
            search, fields, lambda start, stop: self._fetched(path, segment.facts["index_bytes"], (start, stop))
        )
        if rows is None:
            raise self._damaged(path, "the checksum of a block does not hold")
        return Hits(rows, search.sure)

    def totals(self, segment: Segment) -> Totals | None:
        index = self._index(segment)
        return None if index is None else index.totals

    def _index(self, segment: Segment) -> IndexFile | None:
        """Return what the end of the index file says; None where the segment has none."""
        if "index_bytes" not in segment.facts:
            return None
        found = self._indexes.get(segment.id)
        if found is None:
            path, size, tail = index_path(segment.path), segment.facts["index_bytes"], segment.facts["index_tail"]
            data = self._fetched(path, size, (size - tail, size))
            found = opened_index(pa.py_buffer(data), segment)
            if found is None:
                raise self._damaged(path, "its checksum does not hold")
            self._indexes.put(found, len(data) + found.totals.size_bytes, segment.id)
        return found

    def remove(self, segment: Segment) -> None:
        self._footers.pop(segment.id)
        self._indexes.pop(segment.id)
        self._chunks.pop_all(segment.id)
        self._files.remove(segment.path)
        self._files.remove(index_path(segment.path))

    def check(self, segment: Segment) -> None:
        check_file(self._files, segment)
        check_index(self._files, segment)

    def found(self) -> Iterable[Found]:
        return found_files(self._files, "month=", _SUFFIX)

    def forget(self, found: Found) -> None:
        self._files.remove(found.path)
        self._files.remove(index_path(found.path))

    def sweep(self, before: datetime) -> int:
        return self._files.sweep(before)

    def adopt(self, found: Found, region: str | None) -> Segment:
        data = self._files.read(found.path)
        try:
            if checksum_of(data) != found.id.partition("-")[2]:
                raise ValueError("its checksum does not hold")
            index = found_index(self._files, found.path, region)
            return self._described(found.id, found.path, memoryview(data), index)
        except (pa.ArrowException, OSError, ValueError, KeyError) as exc:
            if isinstance(exc, StorageError):
                raise
            raise self._damaged(found.path, str(exc)) from exc

    # -- from bytes to columns ----------------------------------------------------------------------------------

    def _decoded(
        self, segment: Segment, names: list[str], rows: Rows
    ) -> Iterator[Mapping[str, pa.ChunkedArray[Any]]]:
        """Yield those rows of the columns *names*, all of which the segment holds, group by group."""
        footer = self._footer(segment)
        places = list(_places(footer.starts, rows))
        parts = self._column_bytes(segment, footer, names, [group for group, _ in places])
        try:
            for group, local in places:
                table = footer.decoded(parts, names, group, segment.size_bytes)
                yield {name: _picked(table.column(name), local) for name in names}
        except (pa.ArrowException, OSError) as exc:
            raise self._damaged(segment.path, str(exc)) from exc

    def _footer(self, segment: Segment) -> _Footer:
        found = self._footers.get(segment.id)
        if found is not None:
            return found
        span = (segment.size_bytes - segment.facts["footer_bytes"], segment.size_bytes)
        tail = self._fetched(segment.path, segment.size_bytes, span)
        if zlib.crc32(tail) != segment.facts["footer_crc"]:
            raise self._damaged(segment.path, "the checksum of its footer does not hold")
        try:
            footer = _Footer.of(tail)
        except (pa.ArrowException, OSError) as exc:
            raise self._damaged(segment.path, str(exc)) from exc
        if footer.starts[-1] != segment.rows or footer.spans[0].keys() != segment.columns.keys():
            raise self._damaged(segment.path, "it is not the file that was written")
        self._footers.put(footer, 1, segment.id)
        return footer

    def _column_bytes(
        self, segment: Segment, footer: _Footer, names: Iterable[str], groups: Iterable[int]
    ) -> dict[int, bytes]:
        """Return the bytes of the columns *names* by where they begin, each with its checksum verified."""
        parts: dict[int, bytes] = {}
        missing: dict[Span, tuple[int, str]] = {}
        for group, name in itertools.product(groups, names):
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


@attrs.frozen(eq=False)
class _Footer:
    """What the end of a file says.

    Attributes:
        metadata: All of it.
        about: What the segment says of itself.
        starts: The first row of each group, and the number of rows behind them.
        spans: Where the columns of each group lie.
        crcs: Their CRC-32; none in format 1.
        dictionaries: The columns of text that are encoded as dictionaries.
    """

    metadata: pq.FileMetaData
    about: Mapping[str, Any]
    starts: Sequence[int]
    spans: Sequence[Mapping[str, Span]]
    crcs: Sequence[Mapping[str, int]]
    dictionaries: frozenset[str]

    @classmethod
    def of(cls, tail: bytes) -> _Footer:
        """Return the footer whose bytes, length and magic number are *tail*."""
        import pyarrow.parquet as pq

        metadata = pq.read_metadata(pa.BufferReader(tail))
        kept = metadata.metadata or {}
        groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        spans = [_spans(group) for group in groups]
        crcs = json.loads(kept.get(b"cdrkit:crc32", b"[]"))
        words = frozenset(
            chunk.path_in_schema
            for chunk in map(groups[0].column, range(metadata.num_columns))
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page
        )
        return cls(
            metadata,
            json.loads(kept[b"cdrkit"]),
            [0, *itertools.accumulate(group.num_rows for group in groups)],
            spans,
            [dict(zip(names, found, strict=True)) for names, found in zip(spans, crcs, strict=False)],
            words,
        )

    def decoded(self, parts: Mapping[int, bytes], names: list[str], group: int, size: int) -> pa.Table:
        """Return the columns *names* of one group of a file of *size* bytes of which *parts* are at hand."""
        import pyarrow.parquet as pq

        file = pq.ParquetFile(
            pa.PythonFile(_Parts(parts, size), mode="r"),
            metadata=self.metadata,
            read_dictionary=[name for name in names if name in self.dictionaries],
            pre_buffer=False,  # it would fetch what lies between the columns
        )
        return file.read_row_group(group, columns=names)


def _spans(group: pq.RowGroupMetaData) -> dict[str, Span]:
    found: dict[str, Span] = {}
    for chunk in map(group.column, range(group.num_columns)):
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        assert start is not None
        found[chunk.path_in_schema] = (start, start + chunk.total_compressed_size)
    return found


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
        data = _written(table, dictionaries, level=_TRIAL_LEVEL)
        total: dict[str, int] = {}
        for spans in _footer_spans(data):
            for name, (start, stop) in spans.items():
                total[name] = total.get(name, 0) + stop - start
        sizes.append(total)
    as_dictionary, as_differences = sizes
    return [name for name in table.column_names if as_dictionary[name] <= as_differences[name]]


def _footer_spans(data: memoryview) -> list[dict[str, Span]]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(pa.BufferReader(_tail(data)))
    return [_spans(metadata.row_group(at)) for at in range(metadata.num_row_groups)]


def _encoded(
    table: pa.Table, dictionaries: list[str], *, level: int, about: Mapping[str, object]
) -> memoryview:
    """Return *table* as a file whose footer has the checksum of each column of each row group."""
    import pyarrow.parquet as pq

    data = _written(table, dictionaries, level=level)
    crcs = [[zlib.crc32(data[start:stop]) for start, stop in spans.values()] for spans in _footer_spans(data)]
    # What is summed must be written before the sums are known: the rows first, and then the footer once more.
    empty = pa.BufferOutputStream()
    with pq.ParquetWriter(empty, table.schema, store_schema=False, store_decimal_as_integer=True) as writer:
        writer.add_key_value_metadata({"cdrkit": json.dumps(about), "cdrkit:crc32": json.dumps(crcs)})
    metadata = pq.read_metadata(pa.BufferReader(empty.getvalue()))
    metadata.append_row_groups(pq.read_metadata(pa.BufferReader(_tail(data))))
    footer = pa.BufferOutputStream()
    metadata.write_metadata_file(footer)  # a file of a magic number and that footer
    rows = data[: len(data) - len(_tail(data))]
    return memoryview(b"".join([rows, memoryview(footer.getvalue())[len(_MAGIC) :]]))


def _written(table: pa.Table, dictionaries: list[str], *, level: int) -> memoryview:
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
    ) as writer:
        writer.write_table(table, row_group_size=_GROUP_ROWS)
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
