"""The index file, which contains the number index and rollup of a segment.

The file is an Arrow IPC file with a trailer of eight bytes: the CRC-32 and the length of the Arrow part. The index file
of a hot segment lies beside the segment and contains nothing else. It is uncompressed, so that it can be mapped. The
index file of a warm segment lies in a folder of its own. It begins with the blocks of the number index, and the
compressed Arrow part lists these blocks. A search reads the end of the file once, and then single blocks.
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

#: Hot segments with fewer rows have no index file: reading their rows is as fast, and writing the file takes time.
INDEXED_ROWS: Final = 4_096
_TRAILER_BYTES: Final = 8
#: The fact of a segment whose index file lies in a folder of its own.
_IS_APART: Final = "index_apart"


@attrs.frozen(eq=False)
class IndexFile:
    """The content of an index file.

    Attributes:
        segment: The id of the segment that the file describes.
        region: The region that the keys were computed for.
        numbers: The number index, or the list of its blocks.
        totals: The rollup.
    """

    segment: str
    region: str | None
    numbers: NumberIndex | BlockIndex
    totals: Totals

    @classmethod
    def of(cls, tail: pa.Buffer) -> IndexFile:
        """Parse the last bytes of an index file: its Arrow part and its trailer.

        Raises:
            ValueError: When the checksum does not match.
        """
        arrow, trailer = tail.slice(0, max(tail.size - _TRAILER_BYTES, 0)), bytes(tail[-_TRAILER_BYTES:])
        if trailer != _trailer(arrow):
            raise ValueError("the checksum of the index file does not match")
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
    """Return the possible paths of a segment's index file, preferred path first.

    The index file of a hot segment lies beside the segment. The index file of a warm segment lies in a separate folder;
    in format 2 it lay beside the segment.
    """
    stem, _, suffix = path.rpartition(".")
    beside = f"{stem}{COMPANION}"
    return (f"{APART}{beside}", beside) if suffix == "parquet" else (beside,)


def index_path(segment: Segment) -> str:
    """Return the path of the index file of *segment*."""
    paths = index_paths(segment.path)
    return paths[0] if _IS_APART in segment.facts else paths[-1]


def check_index(files: Files, segment: Segment) -> bytes:
    """Read and verify the whole index file of *segment*; return the file's bytes.

    The result is empty for a segment without an index file.

    Raises:
        CorruptDataError: When the file differs from what was written.
        NotFoundError: When the file is missing.
    """
    if "index_bytes" not in segment.facts:
        return b""
    path = index_path(segment)
    data = files.read(path)
    if len(data) == segment.facts["index_bytes"]:
        index = parse_index(pa.py_buffer(data[-segment.facts["index_tail"] :]), segment)
        if index is not None and _blocks_match(data, index):
            return data
    url = files.url_of(path)
    raise CorruptDataError(
        f"{url} is damaged: its checksum does not match. Restore that file from a backup.", url=url
    )


def parse_index(tail: pa.Buffer, segment: Segment) -> IndexFile | None:
    """Parse the last bytes of an index file; return None if they are damaged."""
    if int.from_bytes(bytes(tail[-_TRAILER_BYTES:-4]), "little") != segment.facts["index_crc"]:
        return None
    try:
        return IndexFile.of(tail)
    except ValueError:
        return None


def load_index_facts(files: Files, path: str, region: str | None) -> Mapping[str, int]:
    """Return what the log stores about an existing index file, such as its checksum.

    Args:
        files: The files of the tier.
        path: The path of the segment.
        region: The store's region.

    Returns:
        The facts; empty if the file is missing, damaged, or made for another segment or region.
    """
    place = next((place for place in index_paths(path) if files.size(place) is not None), None)
    if place is None:
        return {}
    data = files.read(place)
    tail = data[-_TRAILER_BYTES - int.from_bytes(data[-4:], "little") :]
    try:
        index = IndexFile.of(pa.py_buffer(tail))
    except ValueError:
        return {}
    is_own = index.region == region and index.segment == identity_of(place, COMPANION)
    usable = is_own and _blocks_match(data, index)
    return _facts(len(data), tail, apart=place.startswith(APART)) if usable else {}


def hot_index(frame: pl.DataFrame, identity: str, region: str | None) -> tuple[bytes, Mapping[str, int]]:
    """Build the index file of a hot segment.

    Args:
        frame: The calls of the segment.
        identity: The id of the segment.
        region: The store's region.

    Returns:
        The file's bytes, and the facts that the log keeps about the file.
    """
    numbers = NumberIndex.of(frame, region)
    lists: dict[str, pa.Array[Any]] = {
        "keys": numbers.keys,
        "ends": numbers.offsets,
        "places": numbers.postings,
    }
    about = {"segment": identity, "region": region, "longer": numbers.has_longer}
    data = _encode_tail(lists, frame, about, compression=None)
    return data, _facts(len(data), data, apart=False)


def warm_index(frame: pl.DataFrame, identity: str, region: str | None) -> tuple[bytes, Mapping[str, int]]:
    """Build the index file of a warm segment.

    Args:
        frame: The calls of the segment.
        identity: The id of the segment.
        region: The store's region.

    Returns:
        The file's bytes, and the facts that the log keeps about the file.
    """
    numbers = NumberIndex.of(frame, region)
    blocks, first = pack_blocks(numbers)
    offsets, at = [], 0
    for block in blocks:
        at += len(block)
        offsets.append(at)
    lists: dict[str, pa.Array[Any]] = {
        "first": pa.array(first, pa.int64()),
        "block_ends": pa.array(offsets, pa.uint64()),
        "block_crcs": pa.array(map(zlib.crc32, blocks), pa.uint32()),
    }
    about = {"segment": identity, "region": region, "longer": numbers.has_longer}
    tail = _encode_tail(lists, frame, about, compression="zstd")
    data = b"".join([*blocks, tail])
    return data, _facts(len(data), tail, apart=True)


def _encode_tail(
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


def _blocks_match(data: bytes, index: IndexFile) -> bool:
    """Return whether all blocks of a file match the checksums in *index*."""
    return not isinstance(index.numbers, BlockIndex) or index.numbers.matches(data)


def _facts(size: int, tail: bytes, *, apart: bool) -> Mapping[str, int]:
    crc = int.from_bytes(tail[-_TRAILER_BYTES:-4], "little")
    where = {_IS_APART: 1} if apart else {}
    return {"index_bytes": size, "index_tail": len(tail), "index_crc": crc, **where}
