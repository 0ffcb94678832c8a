"""The file that belongs to a segment's own: its number index and its totals.

They are an Arrow IPC file with a trailer of eight bytes: its CRC-32 and its length. Beside a hot segment that is all,
uncompressed, to be mapped. The file of a warm one lies in a folder apart; there it is compressed and comes last: before
it lie blocks of numbers, of which it says where each begins, so that a search reads the end of the file once, and then
single blocks.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._files import Files
from cdrkit.errors import CorruptDataError
from cdrkit.storage.indexes.number_index import BlockIndex, NumberIndex, pack_blocks
from cdrkit.storage.indexes.rollups import Totals, totals_of
from cdrkit.storage.log import APART, COMPANION, FORMAT, Segment, identity_of

__all__ = [
    "INDEXED_ROWS",
    "IndexFile",
    "check_index",
    "hot_index",
    "index_path",
    "index_paths",
    "load_index_facts",
    "parse_index",
    "warm_index",
]

#: Segments with fewer rows have no such file: looking at their rows is as quick, and writing it is not.
INDEXED_ROWS: Final = 4_096
_TRAILER: Final = 8
#: Among the facts of a segment: its index file lies in a folder apart.
_IS_APART: Final = "index_apart"


@attrs.frozen(eq=False)
class IndexFile:
    """What an index file says.

    Attributes:
        segment: The id of the segment that it is about.
        region: The region that the keys were made for.
        numbers: The number index, whole or in blocks.
        totals: The totals.
    """

    segment: str
    region: str | None
    numbers: NumberIndex | BlockIndex
    totals: Totals

    @classmethod
    def of(cls, tail: pa.Buffer) -> IndexFile:
        """Return what the end of a file says: its Arrow part and the trailer.

        Raises:
            ValueError: When that is not what was written.
        """
        arrow, trailer = tail.slice(0, max(tail.size - _TRAILER, 0)), bytes(tail[-_TRAILER:])
        if trailer != _trailer(arrow):
            raise ValueError("its checksum does not hold")
        batch = pa.ipc.open_file(arrow).get_batch(0)
        about = json.loads((batch.schema.metadata or {})[b"cdrkit"])

        def column(name: str) -> Any:
            return batch.column(name).flatten()  # type: ignore[attr-defined]  # all of them are lists

        numbers: NumberIndex | BlockIndex
        if "keys" in batch.schema.names:
            numbers = NumberIndex(column("keys"), column("ends"), column("places"), about["longer"])
        else:
            first, ends, crcs = (column(name).to_pylist() for name in ("first", "block_ends", "block_crcs"))
            numbers = BlockIndex(first, ends, crcs, about["longer"])
        totals = pl.from_arrow(pa.Table.from_struct_array(column("totals")))
        assert isinstance(totals, pl.DataFrame)
        return cls(about["segment"], about["region"], numbers, Totals(totals))


def index_paths(path: str) -> tuple[str, ...]:
    """Return where the index file of the segment at *path* may lie; it is written to the first of these places.

    That is beside a hot segment, and apart from a warm one: beside a warm one it lay in format 2.
    """
    stem, _, suffix = path.rpartition(".")
    beside = f"{stem}{COMPANION}"
    return (f"{APART}{beside}", beside) if suffix == "parquet" else (beside,)


def index_path(segment: Segment) -> str:
    """Return where the index file of *segment* lies."""
    places = index_paths(segment.path)
    return places[0] if _IS_APART in segment.facts else places[-1]


def check_index(files: Files, segment: Segment) -> bytes:
    """Return the index file of *segment*, whole; nothing where it has none.

    Raises:
        CorruptDataError: When it is not what was written.
        NotFoundError: When it is gone.
    """
    if "index_bytes" not in segment.facts:
        return b""
    path = index_path(segment)
    data = files.read(path)
    if len(data) == segment.facts["index_bytes"]:
        index = parse_index(pa.py_buffer(data[-segment.facts["index_tail"] :]), segment)
        if index is not None and _holds(data, index):
            return data
    url = files.url_of(path)
    raise CorruptDataError(
        f"{url} is damaged: its checksum does not hold. Restore that file from a backup.", url=url
    )


def parse_index(tail: pa.Buffer, segment: Segment) -> IndexFile | None:
    """Return what the end of the index file of *segment* says; None when it is not the one that was written."""
    if int.from_bytes(bytes(tail[-_TRAILER:-4]), "little") != segment.facts["index_crc"]:
        return None
    try:
        return IndexFile.of(tail)
    except ValueError:
        return None


def load_index_facts(files: Files, path: str, region: str | None) -> Mapping[str, int]:
    """Return what the log must know of the index file of the segment at *path*: nothing, where it is of no use."""
    place = next((place for place in index_paths(path) if files.size(place) is not None), None)
    if place is None:
        return {}
    data = files.read(place)
    tail = data[-_TRAILER - int.from_bytes(data[-4:], "little") :]
    try:
        found = IndexFile.of(pa.py_buffer(tail))
    except ValueError:
        return {}
    usable = found.region == region and found.segment == identity_of(place, COMPANION) and _holds(data, found)
    return _facts(len(data), tail, apart=place.startswith(APART)) if usable else {}


def hot_index(frame: pl.DataFrame, identity: str, region: str | None) -> tuple[bytes, Mapping[str, int]]:
    """Return the index file of the hot segment *identity*, whose calls are *frame*, and what the log keeps of it."""
    numbers = NumberIndex.of(frame, region)
    lists: dict[str, pa.Array[Any]] = {"keys": numbers.keys, "ends": numbers.ends, "places": numbers.places}
    about = {"segment": identity, "region": region, "longer": numbers.has_longer}
    data = _tail(lists, frame, about, compression=None)
    return data, _facts(len(data), data, apart=False)


def warm_index(frame: pl.DataFrame, identity: str, region: str | None) -> tuple[bytes, Mapping[str, int]]:
    """Do the same for a warm segment."""
    numbers = NumberIndex.of(frame, region)
    blocks, first = pack_blocks(numbers)
    ends, at = [], 0
    for block in blocks:
        at += len(block)
        ends.append(at)
    lists: dict[str, pa.Array[Any]] = {
        "first": pa.array(first, pa.int64()),
        "block_ends": pa.array(ends, pa.uint64()),
        "block_crcs": pa.array(map(zlib.crc32, blocks), pa.uint32()),
    }
    about = {"segment": identity, "region": region, "longer": numbers.has_longer}
    tail = _tail(lists, frame, about, compression="zstd")
    data = b"".join([*blocks, tail])
    return data, _facts(len(data), tail, apart=True)


def _tail(
    lists: Mapping[str, pa.Array[Any]],
    frame: pl.DataFrame,
    about: Mapping[str, object],
    *,
    compression: Literal["zstd"] | None,
) -> bytes:
    totals = totals_of(frame).to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = {**lists, "totals": totals.to_struct_array().combine_chunks()}
    arrays = [
        pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
        for values in columns.values()
    ]
    schema = pa.schema(
        [pa.field(name, array.type) for name, array in zip(columns, arrays, strict=True)],
        metadata={"cdrkit": json.dumps({"format": FORMAT, **about})},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    arrow = sink.getvalue()
    return b"".join([memoryview(arrow), _trailer(arrow)])


def _trailer(arrow: pa.Buffer) -> bytes:
    return zlib.crc32(arrow).to_bytes(4, "little") + arrow.size.to_bytes(4, "little")


def _holds(data: bytes, index: IndexFile) -> bool:
    """Return whether the blocks in *data* are those that *index* names."""
    return not isinstance(index.numbers, BlockIndex) or index.numbers.holds(data)


def _facts(size: int, tail: bytes, *, apart: bool) -> Mapping[str, int]:
    crc = int.from_bytes(tail[-_TRAILER:-4], "little")
    where = {_IS_APART: 1} if apart else {}
    return {"index_bytes": size, "index_tail": len(tail), "index_crc": crc, **where}
