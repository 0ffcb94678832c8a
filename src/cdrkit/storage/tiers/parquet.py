"""Parquet files as the warm tier writes them: row groups of one size, a checksum of each of their columns."""

from __future__ import annotations

import io
import itertools
import json
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._model import CHOICE, FRAME_TYPES, SCHEMA, WORD

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Footer", "Span", "parquet_file", "tail_of"]

_MAGIC: Final = b"PAR1"
#: Rows of a row group: what has to be decoded for one call. Half as many take 3 % more room.
_GROUP_ROWS: Final = 30_720
_LEVEL: Final = 15  # of zstd: 4 % smaller than 9, and a second more for a quarter of a million calls
_TRIAL_LEVEL: Final = 1
_LARGEST_DICTIONARY: Final = 32 << 20

Span: TypeAlias = tuple[int, int]


@attrs.frozen(eq=False)
class Footer:
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
    def of(cls, tail: bytes) -> Footer:
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


#: How a column can be encoded: as a dictionary, as differences, or as it is.
Encoding: TypeAlias = Literal["dictionary", "differences", "plain"]


def _smallest_encodings(table: pa.Table) -> Mapping[str, Encoding]:
    """Return for each column the encoding that takes the least room: each is tried, on the rows of one group."""
    table = table.slice(max(table.num_rows - _GROUP_ROWS, 0) // 2, _GROUP_ROWS)
    sizes: dict[str, dict[Encoding, int]] = {name: {} for name in table.column_names}
    kinds: tuple[Encoding, ...] = ("dictionary", "differences", "plain")
    for kind in kinds:
        data = _written(table, dict.fromkeys(table.column_names, kind), level=_TRIAL_LEVEL)
        for name, (start, stop) in _footer_spans(data)[0].items():
            sizes[name][kind] = stop - start
    return {name: min(found, key=lambda kind: found[kind]) for name, found in sizes.items()}


def _footer_spans(data: memoryview) -> list[dict[str, Span]]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(pa.BufferReader(tail_of(data)))
    return [_spans(metadata.row_group(at)) for at in range(metadata.num_row_groups)]


def parquet_file(frame: pl.DataFrame, about: Mapping[str, object]) -> memoryview:
    """Return the calls of *frame* as a file whose footer has the checksum of each column of each row group.

    It has every field of the catalogue: other tools read a folder of files best when all have the same columns.

    Args:
        frame: Calls in order.
        about: What the file says of itself.
    """
    import pyarrow.parquet as pq

    whole = frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=kind).alias(name)
        for name, kind in FRAME_TYPES.items()
    )
    table = pa.table(
        [_stored(whole[name]) for name in whole.columns],
        schema=pa.schema([_stored_field(name) for name in whole.columns]),
    )
    data = _written(table, _smallest_encodings(table), level=_LEVEL)
    crcs = [[zlib.crc32(data[start:stop]) for start, stop in spans.values()] for spans in _footer_spans(data)]
    # What is summed must be written before the sums are known: the rows first, and then the footer once more.
    empty = pa.BufferOutputStream()
    with pq.ParquetWriter(empty, table.schema, store_schema=False, store_decimal_as_integer=True) as writer:
        writer.add_key_value_metadata({"cdrkit": json.dumps(about), "cdrkit:crc32": json.dumps(crcs)})
    metadata = pq.read_metadata(pa.BufferReader(empty.getvalue()))
    metadata.append_row_groups(pq.read_metadata(pa.BufferReader(tail_of(data))))
    footer = pa.BufferOutputStream()
    metadata.write_metadata_file(footer)  # a file of a magic number and that footer
    rows = data[: len(data) - len(tail_of(data))]
    return memoryview(b"".join([rows, memoryview(footer.getvalue())[len(_MAGIC) :]]))


def _written(table: pa.Table, encodings: Mapping[str, Encoding], *, level: int) -> memoryview:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    dictionaries = [name for name, kind in encodings.items() if kind == "dictionary"]
    others = {
        field.name: _differences(field.type) if encodings[field.name] == "differences" else "PLAIN"
        for field in table.schema
        if field.name not in dictionaries
    }
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=dictionaries,  # type: ignore[arg-type]  # the stubs know True and False only
        dictionary_pagesize_limit=_LARGEST_DICTIONARY,
        column_encoding=others or None,
        store_decimal_as_integer=True,
        store_schema=False,
        write_statistics=["start"],  # the rest is in no order: its least and greatest tell nothing
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


def tail_of(data: memoryview) -> bytes:
    """Return the footer of a file, with its length and the magic number that follow it."""
    return bytes(data[-int.from_bytes(data[-8:-4], "little") - 8 :])


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
