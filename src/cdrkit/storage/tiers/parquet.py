"""Parquet files of the warm tier, with a checksum of each column chunk."""

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

__all__ = ["Footer", "Span", "encode_parquet", "tail_of"]

_MAGIC: Final = b"PAR1"
#: The rows of a row group: all of them are decoded for one call. Half as many make files 3 % larger.
_GROUP_ROWS: Final = 30_720
#: The level of zstd: 4 % smaller than level 9, for one more second per quarter of a million calls.
_LEVEL: Final = 15
_TRIAL_LEVEL: Final = 1
_LARGEST_DICTIONARY: Final = 32 << 20

#: The start and the end (exclusive) of a range of bytes.
Span: TypeAlias = tuple[int, int]
#: How a column can be encoded: as a dictionary, as differences, or plainly.
Encoding: TypeAlias = Literal["dictionary", "differences", "plain"]


@attrs.frozen(eq=False)
class Footer:
    """The footer of a Parquet file.

    Attributes:
        metadata: The parsed footer.
        about: The description of the segment.
        starts: The first row of each group, followed by the total number of rows.
        spans: Where the columns of each group lie in the file.
        crcs: The CRC-32 of these columns; empty in format 1.
        dictionaries: The text columns that are encoded as dictionaries.
    """

    metadata: pq.FileMetaData
    about: Mapping[str, Any]
    starts: Sequence[int]
    spans: Sequence[Mapping[str, Span]]
    crcs: Sequence[Mapping[str, int]]
    dictionaries: frozenset[str]

    @classmethod
    def of(cls, tail: bytes) -> Footer:
        """Parse a footer, its length and the magic number."""
        import pyarrow.parquet as pq

        metadata = pq.read_metadata(pa.BufferReader(tail))
        facts = metadata.metadata or {}
        groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        spans = [_column_spans(group) for group in groups]
        crcs = json.loads(facts.get(b"cdrkit:crc32", b"[]"))
        words = frozenset(
            chunk.path_in_schema
            for chunk in map(groups[0].column, range(metadata.num_columns))
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page
        )
        return cls(
            metadata,
            json.loads(facts[b"cdrkit"]),
            [0, *itertools.accumulate(group.num_rows for group in groups)],
            spans,
            [dict(zip(names, values, strict=True)) for names, values in zip(spans, crcs, strict=False)],
            words,
        )

    def decode(self, parts: Mapping[int, bytes], names: list[str], group: int, size: int) -> pa.Table:
        """Decode columns of a row group.

        Args:
            parts: The parts of the file that contain the columns, by their start offset.
            names: The columns.
            group: The number of the row group.
            size: The size of the file in bytes.
        """
        import pyarrow.parquet as pq

        file = pq.ParquetFile(
            pa.PythonFile(_PartialFile(parts, size), mode="r"),
            metadata=self.metadata,
            read_dictionary=[name for name in names if name in self.dictionaries],
            pre_buffer=False,  # it would read the bytes between the columns
        )
        return file.read_row_group(group, columns=names)


def _column_spans(group: pq.RowGroupMetaData) -> dict[str, Span]:
    spans: dict[str, Span] = {}
    for chunk in map(group.column, range(group.num_columns)):
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        assert start is not None
        spans[chunk.path_in_schema] = (start, start + chunk.total_compressed_size)
    return spans


def encode_parquet(frame: pl.DataFrame, about: Mapping[str, object]) -> memoryview:
    """Encode the calls of *frame* as a Parquet file with checksums in the footer.

    The file has every field of the catalogue, because other tools read a folder best if all files in it have the same
    columns.

    Args:
        frame: Calls, sorted by (``start``, ``call_id``).
        about: The description of the segment, for the footer.
    """
    import pyarrow.parquet as pq

    whole = frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=kind).alias(name)
        for name, kind in FRAME_TYPES.items()
    )
    table = pa.table(
        [_to_arrow(whole[name]) for name in whole.columns],
        schema=pa.schema([_file_field(name) for name in whole.columns]),
    )
    data = _write_table(table, _smallest_encodings(table), level=_LEVEL)
    crcs = [[zlib.crc32(data[start:stop]) for start, stop in spans.values()] for spans in _file_spans(data)]
    # The checksums are known only when the columns are written: the footer is then written a second time.
    empty = pa.BufferOutputStream()
    with pq.ParquetWriter(empty, table.schema, store_schema=False, store_decimal_as_integer=True) as writer:
        writer.add_key_value_metadata({"cdrkit": json.dumps(about), "cdrkit:crc32": json.dumps(crcs)})
    metadata = pq.read_metadata(pa.BufferReader(empty.getvalue()))
    metadata.append_row_groups(pq.read_metadata(pa.BufferReader(tail_of(data))))
    footer = pa.BufferOutputStream()
    metadata.write_metadata_file(footer)  # a file of a magic number and the footer
    rows = data[: len(data) - len(tail_of(data))]
    return memoryview(b"".join([rows, memoryview(footer.getvalue())[len(_MAGIC) :]]))


def _file_field(name: str) -> pa.Field[Any]:
    field = SCHEMA.field(name).remove_metadata()
    return field.with_type(pa.large_string()) if _is_text(field.type) else field


def _to_arrow(series: pl.Series) -> pa.Array[Any]:
    wanted = SCHEMA.field(series.name).type
    if _is_text(wanted):
        return series.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    return series.to_arrow().cast(wanted)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), WORD, CHOICE)


def _smallest_encodings(table: pa.Table) -> Mapping[str, Encoding]:
    """Find each column's smallest encoding: try all encodings on one row group."""
    table = table.slice(max(table.num_rows - _GROUP_ROWS, 0) // 2, _GROUP_ROWS)
    sizes: dict[str, dict[Encoding, int]] = {name: {} for name in table.column_names}
    kinds: tuple[Encoding, ...] = ("dictionary", "differences", "plain")
    for kind in kinds:
        data = _write_table(table, dict.fromkeys(table.column_names, kind), level=_TRIAL_LEVEL)
        for name, (start, stop) in _file_spans(data)[0].items():
            sizes[name][kind] = stop - start
    return {name: min(trials, key=lambda kind: trials[kind]) for name, trials in sizes.items()}


def _file_spans(data: memoryview) -> list[dict[str, Span]]:
    """Return where each column of each row group lies in the file *data*."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(pa.BufferReader(tail_of(data)))
    return [_column_spans(metadata.row_group(at)) for at in range(metadata.num_row_groups)]


def _write_table(table: pa.Table, encodings: Mapping[str, Encoding], *, level: int) -> memoryview:
    """Return *table* as a Parquet file without checksums."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    dictionaries = [name for name, kind in encodings.items() if kind == "dictionary"]
    others = {
        field.name: _difference_encoding(field.type) if encodings[field.name] == "differences" else "PLAIN"
        for field in table.schema
        if field.name not in dictionaries
    }
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=dictionaries,  # type: ignore[arg-type]  # the stubs accept True and False only
        dictionary_pagesize_limit=_LARGEST_DICTIONARY,
        column_encoding=others or None,
        store_decimal_as_integer=True,
        store_schema=False,
        write_statistics=["start"],  # other columns are unsorted: their least and greatest values do not help
    ) as writer:
        writer.write_table(table, row_group_size=_GROUP_ROWS)
    return memoryview(sink.getvalue())


def _difference_encoding(kind: pa.DataType) -> str:
    """Return the delta encoding for values of *kind*, or PLAIN for amounts."""
    if kind == pa.large_string():
        return "DELTA_BYTE_ARRAY"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "PLAIN"  # the differences of amounts take more room than the amounts
    return "DELTA_BINARY_PACKED"


def tail_of(data: memoryview) -> bytes:
    """Return a Parquet file's footer, including its length and magic number."""
    return bytes(data[-int.from_bytes(data[-8:-4], "little") - 8 :])


class _PartialFile(io.RawIOBase):
    """A file that holds only some byte ranges; reading other bytes raises OSError."""

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
            raise OSError(f"the footer points to {size} bytes at offset {self._at}, outside the columns")
        data = part[self._at - start : self._at - start + size]
        self._at += size
        return data
