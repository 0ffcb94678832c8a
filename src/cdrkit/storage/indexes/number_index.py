"""The number index of a segment: from the key of a telephone number to the rows that hold it.

A *place* says where a number stands: the row in the low 30 bits, and above them in which field, by its place in
`INDEXED`. Keys are sorted, so an exact number and a prefix are one binary search each.
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

#: The fields whose numbers are in an index, in the order that places count them in.
INDEXED: Final = ("source", "destination", "did")
_ROW_BITS: Final = 30
_ROW: Final = (1 << _ROW_BITS) - 1
_WORD: Final = (1 << 32) - 1
#: Places that are quicker taken one by one than by an expression.
_FEW: Final = 2_048
#: What most segments answer: one for all is quicker than one each.
_NO_ROWS: Final = pl.Series([], dtype=pl.UInt32)
#: Numbers in one block of a packed index: what a search has to read of it.
_BLOCK: Final = 2_048
_LEVEL: Final = 9


@attrs.frozen(eq=False)
class NumberIndex:
    """The numbers of one segment, each key once, with the places of each.

    Attributes:
        keys: The keys, ascending.
        ends: For each key, where its places end; they begin where those of the key before end.
        places: The places, ascending for each key.
        has_longer: Whether there are numbers of more than fifteen digits, whose keys are hashed.
    """

    keys: pa.Int64Array
    ends: pa.UInt32Array
    places: pa.UInt32Array
    has_longer: bool
    _views: tuple[memoryview, memoryview, memoryview] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        views = (_view(self.keys, "q"), _view(self.ends, "I"), _view(self.places, "I"))
        object.__setattr__(self, "_views", views)

    @classmethod
    def of(cls, frame: pl.DataFrame, region: str | None) -> NumberIndex:
        """Return the index of the calls of *frame*, whose national numbers are those of *region*."""
        texts: list[pa.Array[Any]] = []
        places: list[pl.Series] = []
        for role, name in enumerate(INDEXED):
            if name in frame.columns:
                column = frame[name].cast(pl.String)
                if column.null_count():
                    rows = column.is_not_null().arg_true()
                    column = column.drop_nulls()
                else:
                    rows = pl.int_range(len(column), dtype=pl.UInt32, eager=True)
                texts.append(column.to_arrow(compat_level=pl.CompatLevel.oldest()))
                places.append(rows + (role << _ROW_BITS))
        encoded = pa.concat_arrays(texts or [pa.array([], pa.large_string())]).dictionary_encode()
        written = normalize_column(_series(encoded.dictionary), region)
        entries = pl.DataFrame(
            {
                "key": number_keys(written).gather(_series(encoded.indices)),
                "place": pl.concat([pl.Series([], dtype=pl.UInt32), *places]),
            }
        )
        found = entries.sort("key", maintain_order=True)  # places ascend already
        last = found["key"].ne_missing(found["key"].shift(-1)).arg_true()
        longer = written.str.starts_with("+") & (written.str.len_bytes() > 16)
        return cls(
            _array(found["key"].gather(last), pa.int64()),
            _array(last + 1, pa.uint32()),
            _array(found["place"], pa.uint32()),
            has_longer=bool(longer.any()),
        )

    @property
    def size_bytes(self) -> int:
        """How much memory it takes."""
        return self.keys.nbytes + self.ends.nbytes + self.places.nbytes

    def find(self, search: KeySearch, fields: Iterable[str]) -> pl.Series:
        """Return the rows, ascending, with a number in one of *fields* that has a key searched for."""
        keys_, ends, places = self._views
        spans: list[tuple[int, int]] = []
        for low, high in search.ranges:
            first = bisect_left(keys_, low)
            if first < len(keys_) and keys_[first] < high:
                spans.append((first, first + 1 if high - low == 1 else bisect_left(keys_, high, first)))
        if not spans:
            return _NO_ROWS
        roles = [INDEXED.index(name) for name in fields]
        few: list[int] = []
        many: list[pl.Series] = []
        for first, after in spans:
            begin, end = ends[first - 1] if first else 0, ends[after - 1]
            if end - begin <= _FEW:
                few += [place & _ROW for place in places[begin:end] if place >> _ROW_BITS in roles]
            else:
                many.append(_rows_of(self.places.slice(begin, end - begin), roles))
        if few:
            many.append(pl.Series(sorted(set(few)), dtype=pl.UInt32))
        if not many:
            return _NO_ROWS
        return many[0] if len(many) == 1 else pl.concat(many).unique().sort()


@attrs.frozen(eq=False)
class BlockIndex:
    """The same numbers in compressed blocks, of which a search reads those few that it needs.

    Attributes:
        first: The first key of each block.
        ends: Where each block ends in the file; it begins where the one before ends.
        crcs: The CRC-32 of each block.
        has_longer: As of `NumberIndex`.
    """

    first: Sequence[int]
    ends: Sequence[int]
    crcs: Sequence[int]
    has_longer: bool

    def find(
        self, search: KeySearch, fields: Iterable[str], fetch: Callable[[int, int], bytes]
    ) -> pl.Series | None:
        """Return the rows, ascending, with a number in one of *fields* that has a key searched for.

        None where a block is not what was written.

        Args:
            search: Where among the keys.
            fields: Fields of `INDEXED`.
            fetch: Returns the bytes of the file from a place up to and without another.
        """
        roles = [INDEXED.index(name) for name in fields]
        found: list[int] = []
        for low, high in search.ranges:
            # A number with many places may have begun in the block before.
            begin, end = max(bisect_left(self.first, low) - 1, 0), bisect_left(self.first, high)
            if begin >= end:
                continue
            start, stop = self._start(begin), self.ends[end - 1]
            data = fetch(start, stop)
            for number in range(begin, end):
                block = data[self._start(number) - start : self.ends[number] - start]
                if zlib.crc32(block) != self.crcs[number]:
                    return None
                found += [
                    place & _ROW for place in _unpacked(block, low, high) if place >> _ROW_BITS in roles
                ]
        return pl.Series(sorted(set(found)), dtype=pl.UInt32)

    def holds(self, data: bytes) -> bool:
        """Return whether *data*, a whole file, has every block as it was written."""
        return all(
            zlib.crc32(data[self._start(number) : end]) == crc
            for number, (end, crc) in enumerate(zip(self.ends, self.crcs, strict=True))
        )

    def _start(self, number: int) -> int:
        return self.ends[number - 1] if number else 0


def pack_blocks(index: NumberIndex) -> tuple[list[bytes], list[int]]:
    """Return the numbers of *index* as compressed blocks, and the first key of each.

    A block holds differences: of each key to the one before, modulo 2**64, and of each place to the one before, modulo
    2**32; the first of each stand for themselves. Bytes of one significance lie together: that makes them small.
    """
    counts = _series(index.ends).cast(pl.Int64)
    counts = counts - counts.shift(1, fill_value=0)
    entries = pl.DataFrame(
        {
            "key": _series(index.keys).repeat_by(counts).explode(empty_as_null=False),
            "place": _series(index.places).cast(pl.Int64),
        }
    )
    codec = pa.Codec("zstd", compression_level=_LEVEL)
    blocks: list[bytes] = []
    for part in entries.iter_slices(_BLOCK):
        key = part["key"]
        steps = (key - key.shift(1)).fill_null(key[0])
        place = part["place"]
        places = (place - place.shift(1, fill_value=0)) % (1 << 32)
        raw = _shuffled(_array(steps, pa.int64()), 8) + _shuffled(_array(places, pa.uint32()), 4)
        blocks.append(len(part).to_bytes(4, "little") + codec.compress(raw, asbytes=True))
    return blocks, entries["key"].gather_every(_BLOCK).to_list()


def _unpacked(block: bytes, low: int, high: int) -> list[int]:
    """Return the places in *block* whose keys are from *low* up to and without *high*."""
    rows = int.from_bytes(block[:4], "little")
    raw = memoryview(pa.decompress(block[4:], rows * 12, codec="zstd", asbytes=True))
    # Sums that wrap, as the differences do: from below zero to above may be beyond 63 bits.
    keys_ = _view(_summed(_gathered(raw[: rows * 8], 8), pa.int64()), "q")
    begin, end = bisect_left(keys_, low), bisect_left(keys_, high)
    if begin == end:
        return []
    return _view(_summed(_gathered(raw[rows * 8 :], 4), pa.uint32()), "I")[begin:end].tolist()


def _summed(steps: bytearray, kind: pa.DataType) -> pa.Array[Any]:
    array = pa.Array.from_buffers(kind, 8 * len(steps) // kind.bit_width, [None, pa.py_buffer(steps)])
    return pc.cumulative_sum(array)


def _shuffled(array: pa.Array[Any], width: int) -> bytes:
    raw = _view(array, "B")
    return b"".join(bytes(raw[at::width]) for at in range(width))


def _gathered(raw: memoryview, width: int) -> bytearray:
    found, rows = bytearray(len(raw)), len(raw) // width
    for at in range(width):
        found[at::width] = raw[at * rows : (at + 1) * rows]
    return found


def _rows_of(places: pa.UInt32Array, roles: Sequence[int]) -> pl.Series:
    place = pl.col("place")
    found = pl.DataFrame({"place": _series(places)})
    if len(roles) < len(INDEXED):
        found = found.filter((place // (1 << _ROW_BITS)).is_in(roles))
    return found.select((place & _ROW).cast(pl.UInt32).unique().sort().alias("row")).to_series()


def _series(array: pa.Array[Any]) -> pl.Series:
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def _array(series: pl.Series, kind: pa.DataType) -> Any:
    return series.rechunk().to_arrow().cast(kind)


def _view(array: pa.Array[Any], kind: str) -> memoryview:
    """Return the values of *array*, which has no nulls, as Python's own view of their bytes."""
    buffer = array.buffers()[1] if len(array) else None
    if buffer is None:
        return memoryview(b"").cast(kind)  # type: ignore[call-overload, no-any-return]
    width = array.type.bit_width // 8
    raw = memoryview(buffer)[array.offset * width : (array.offset + len(array)) * width]
    return raw.cast("B").cast(kind)  # type: ignore[call-overload, no-any-return]
