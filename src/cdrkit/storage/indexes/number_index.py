"""The number index: maps keys of telephone numbers to rows of a segment.

A *posting* is one occurrence of a number. Its low 30 bits hold the row number, and the bits above them hold the
field's position in `INDEXED`. Keys are sorted, so the search for an exact number or a prefix is one binary search.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from cdrkit._numbers import KeySearch, normalize_column, number_keys

__all__ = ["INDEXED", "BlockIndex", "NumberIndex", "pack_blocks"]

#: The fields whose numbers are indexed. Postings contain the position of a field here: append only.
INDEXED: Final = ("source", "destination", "did")
_ROW_BITS: Final = 30
_ROW: Final = (1 << _ROW_BITS) - 1
#: Up to this many postings, a Python loop is faster than an expression.
_FEW_POSTINGS: Final = 2_048
#: The answer of most segments; sharing it is faster than making one each time.
_NO_ROWS: Final = pl.Series([], dtype=pl.UInt32)
#: Postings in one block: the least that a search reads of a block index.
_BLOCK_POSTINGS: Final = 2_048
_ZSTD_LEVEL: Final = 9


@attrs.frozen(eq=False)
class NumberIndex:
    """The number index of one segment, in memory.

    Attributes:
        keys: The distinct keys, ascending.
        offsets: The end of each key's postings. A key's postings start at the offset of the previous key.
        postings: The postings of all keys, ascending within a key.
        has_longer: Whether the segment has numbers of more than fifteen digits. Their keys are hashes.
    """

    keys: pa.Int64Array
    offsets: pa.UInt32Array
    postings: pa.UInt32Array
    has_longer: bool
    _keys_view: memoryview = attrs.field(
        init=False, repr=False, default=attrs.Factory(lambda self: _view(self.keys, "q"), takes_self=True)
    )
    _offsets_view: memoryview = attrs.field(
        init=False, repr=False, default=attrs.Factory(lambda self: _view(self.offsets, "I"), takes_self=True)
    )
    _postings_view: memoryview = attrs.field(
        init=False, repr=False, default=attrs.Factory(lambda self: _view(self.postings, "I"), takes_self=True)
    )

    @classmethod
    def of(cls, frame: pl.DataFrame, region: str | None) -> NumberIndex:
        """Build the number index of the calls in *frame*.

        Args:
            frame: Calls; a missing number field has no postings.
            region: The region to which numbers in national form belong.
        """
        texts: list[pa.Array[Any]] = []
        postings: list[pl.Series] = []
        for position, name in enumerate(INDEXED):
            if name in frame.columns:
                column = frame[name].cast(pl.String)
                if column.null_count():
                    rows = column.is_not_null().arg_true()
                    column = column.drop_nulls()
                else:
                    rows = pl.int_range(len(column), dtype=pl.UInt32, eager=True)
                texts.append(column.to_arrow(compat_level=pl.CompatLevel.oldest()))
                postings.append(rows + (position << _ROW_BITS))
        # Each distinct text is normalised once.
        encoded = pa.concat_arrays(texts or [pa.array([], pa.large_string())]).dictionary_encode()
        normalized = normalize_column(_series(encoded.dictionary), region)
        entries = pl.DataFrame(
            {
                "key": number_keys(normalized).gather(_series(encoded.indices)),
                "posting": pl.concat([pl.Series([], dtype=pl.UInt32), *postings]),
            }
        ).sort("key", maintain_order=True)  # postings ascend already
        key = entries["key"]
        last = key.ne_missing(key.shift(-1)).arg_true()
        longer = normalized.str.starts_with("+") & (normalized.str.len_bytes() > 16)
        return cls(
            _array(key.gather(last), pa.int64()),
            _array(last + 1, pa.uint32()),
            _array(entries["posting"], pa.uint32()),
            has_longer=bool(longer.any()),
        )

    @property
    def size_bytes(self) -> int:
        """The size of the index in memory, in bytes."""
        return self.keys.nbytes + self.offsets.nbytes + self.postings.nbytes

    def find(self, search: KeySearch, fields: Iterable[str]) -> pl.Series:
        """Return the rows whose number has a key in a range of *search*.

        Args:
            search: The ranges of keys to search for.
            fields: The fields of `INDEXED` to search in.

        Returns:
            Row numbers, ascending.
        """
        keys, offsets, postings = self._keys_view, self._offsets_view, self._postings_view
        spans: list[tuple[int, int]] = []
        for low, high in search.ranges:
            first = bisect_left(keys, low)
            if first < len(keys) and keys[first] < high:
                spans.append((first, first + 1 if high - low == 1 else bisect_left(keys, high, first)))
        if not spans:
            return _NO_ROWS
        positions = [INDEXED.index(name) for name in fields]
        few: list[int] = []
        parts: list[pl.Series] = []
        for first, after in spans:
            begin, end = offsets[first - 1] if first else 0, offsets[after - 1]
            if end - begin <= _FEW_POSTINGS:
                few += [
                    posting & _ROW for posting in postings[begin:end] if posting >> _ROW_BITS in positions
                ]
            else:
                parts.append(_select_rows(self.postings.slice(begin, end - begin), positions))
        if few:
            parts.append(pl.Series(sorted(set(few)), dtype=pl.UInt32))
        if not parts:
            return _NO_ROWS
        return parts[0] if len(parts) == 1 else pl.concat(parts).unique().sort()


@attrs.frozen(eq=False)
class BlockIndex:
    """A list of the compressed blocks of a number index.

    The blocks contain the keys and postings. A search reads only the blocks that may contain matching keys.

    Attributes:
        first: The first key of each block.
        ends: The end of each block in the file, in bytes. A block starts at the end of the previous block.
        crcs: The CRC-32 of each block.
        has_longer: Whether the segment has numbers of more than fifteen digits. Their keys are hashes.
    """

    first: Sequence[int]
    ends: Sequence[int]
    crcs: Sequence[int]
    has_longer: bool

    def find(
        self, search: KeySearch, fields: Iterable[str], fetch: Callable[[int, int], bytes]
    ) -> pl.Series | None:
        """Return the rows with a key in a range of *search*; None if a block is damaged.

        Args:
            search: The ranges of keys to search for.
            fields: The fields of `INDEXED` to search in.
            fetch: Returns the bytes of the file from a start up to an end (exclusive).

        Returns:
            Row numbers, ascending.
        """
        positions = [INDEXED.index(name) for name in fields]
        rows: set[int] = set()
        for low, high in search.ranges:
            # The postings of one number may begin in the block before.
            begin, end = max(bisect_left(self.first, low) - 1, 0), bisect_left(self.first, high)
            if begin >= end:
                continue
            start, stop = self._start(begin), self.ends[end - 1]
            data = fetch(start, stop)
            for number in range(begin, end):
                block = data[self._start(number) - start : self.ends[number] - start]
                if zlib.crc32(block) != self.crcs[number]:
                    return None
                rows.update(
                    posting & _ROW
                    for posting in _unpack_block(block, low, high)
                    if posting >> _ROW_BITS in positions
                )
        return pl.Series(sorted(rows), dtype=pl.UInt32)

    def matches(self, data: bytes) -> bool:
        """Return whether every block of the file matches its checksum."""
        return all(
            zlib.crc32(data[self._start(number) : end]) == crc
            for number, (end, crc) in enumerate(zip(self.ends, self.crcs, strict=True))
        )

    def _start(self, number: int) -> int:
        return self.ends[number - 1] if number else 0


def pack_blocks(index: NumberIndex) -> tuple[list[bytes], list[int]]:
    """Return the postings as compressed blocks, and the first key of each block.

    A block stores each key as its difference from the previous key, modulo 2**64. It stores each posting as its
    difference from the previous posting, modulo 2**32. The first key and the first posting are stored unchanged. The
    bytes of equal significance are stored together, because that compresses better.
    """
    counts = _series(index.offsets).cast(pl.Int64)
    counts = counts - counts.shift(1, fill_value=0)
    entries = pl.DataFrame(
        {
            "key": _series(index.keys).repeat_by(counts).explode(empty_as_null=False),
            "posting": _series(index.postings).cast(pl.Int64),
        }
    )
    codec = pa.Codec("zstd", compression_level=_ZSTD_LEVEL)
    blocks: list[bytes] = []
    for part in entries.iter_slices(_BLOCK_POSTINGS):
        key = part["key"]
        key_steps = (key - key.shift(1)).fill_null(key[0])
        posting = part["posting"]
        posting_steps = (posting - posting.shift(1, fill_value=0)) % (1 << 32)
        raw = _shuffle_bytes(_array(key_steps, pa.int64()), 8)
        raw += _shuffle_bytes(_array(posting_steps, pa.uint32()), 4)
        blocks.append(len(part).to_bytes(4, "little") + codec.compress(raw, asbytes=True))
    return blocks, entries["key"].gather_every(_BLOCK_POSTINGS).to_list()


def _unpack_block(block: bytes, low: int, high: int) -> list[int]:
    """Return the postings whose keys are at least *low* and below *high*."""
    count = int.from_bytes(block[:4], "little")
    raw = memoryview(pa.decompress(block[4:], count * 12, codec="zstd", asbytes=True))
    # The sums wrap as the differences do: the step from a negative key to a positive one may exceed 63 bits.
    keys = _view(_sum_steps(_unshuffle_bytes(raw[: count * 8], 8), pa.int64()), "q")
    begin, end = bisect_left(keys, low), bisect_left(keys, high)
    if begin == end:
        return []
    return _view(_sum_steps(_unshuffle_bytes(raw[count * 8 :], 4), pa.uint32()), "I")[begin:end].tolist()


def _sum_steps(steps: bytearray, kind: pa.DataType) -> pa.Array[Any]:
    array = pa.Array.from_buffers(kind, 8 * len(steps) // kind.bit_width, [None, pa.py_buffer(steps)])
    return pc.cumulative_sum(array)


def _shuffle_bytes(array: pa.Array[Any], width: int) -> bytes:
    """Reorder the bytes of *array* so that bytes of equal significance are adjacent."""
    raw = _view(array, "B")
    return b"".join(bytes(raw[at::width]) for at in range(width))


def _unshuffle_bytes(raw: memoryview, width: int) -> bytearray:
    """Undo `_shuffle_bytes`: restore the original order of the bytes."""
    values, count = bytearray(len(raw)), len(raw) // width
    for at in range(width):
        values[at::width] = raw[at * count : (at + 1) * count]
    return values


def _select_rows(postings: pa.UInt32Array, positions: Sequence[int]) -> pl.Series:
    """Select the postings whose field position is in *positions*; return their rows.

    Positions are indexes into `INDEXED`; the rows are ascending.
    """
    posting = pl.col("posting")
    frame = pl.DataFrame({"posting": _series(postings)})
    if len(positions) < len(INDEXED):
        frame = frame.filter((posting // (1 << _ROW_BITS)).is_in(positions))
    return frame.select((posting & _ROW).cast(pl.UInt32).unique().sort().alias("row")).to_series()


def _series(array: pa.Array[Any]) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def _array(series: pl.Series, kind: pa.DataType) -> Any:
    return series.rechunk().to_arrow().cast(kind)


def _view(array: pa.Array[Any], kind: str) -> memoryview:
    """Return the values of a null-free array as a memoryview."""
    buffer = array.buffers()[1] if len(array) else None
    if buffer is None:
        return memoryview(b"").cast(kind)  # type: ignore[call-overload, no-any-return]
    width = array.type.bit_width // 8
    raw = memoryview(buffer)[array.offset * width : (array.offset + len(array)) * width]
    return raw.cast("B").cast(kind)  # type: ignore[call-overload, no-any-return]
