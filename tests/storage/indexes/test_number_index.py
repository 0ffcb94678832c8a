"""The number index: it finds the rows whose numbers match, in memory and in blocks."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit._numbers import NumberPattern, key_search, normalize_number, number_key, search_pattern
from cdrkit.storage.indexes import number_index
from cdrkit.storage.indexes.number_index import INDEXED, BlockIndex, NumberIndex, pack_blocks

#: Numbers that share digits, short ones, names, and some whose keys are hashed for their length.
NUMBERS = [
    "+442079460018",
    "0044 20 7946 0018",
    "020 7946 0018",
    "020 7946 0019",
    "+4420794600",
    "+44",
    "+4",
    "+440",
    "+12125550100",
    "+999999999999999",
    "+1212555010012345",
    "+12125550100123456",
    "2041",
    "204",
    "anonymous",
    "Anonymous",
    "sip:alice@example.com",
    "+",
    "",
]
TYPED = [
    *NUMBERS[:-1],
    "+44*",
    "+4*",
    "+121255501001234*",
    "+1212555010012345*",
    "+12125550100*",
    "020*",
    "204*",
    "anon*",
    "+*",
]
Row = tuple[str | None, str | None, str | None]

rows = st.lists(st.tuples(*[st.none() | st.sampled_from(NUMBERS)] * 3), max_size=30)
searches = st.lists(st.sampled_from(TYPED), min_size=1, max_size=3)
roles = st.lists(st.sampled_from(INDEXED), min_size=1, unique=True)
regions = st.sampled_from(["GB", "US", None])


def frame_of(calls: Sequence[Row]) -> pl.DataFrame:
    """Return calls of nothing but numbers."""
    return pl.DataFrame(calls, schema=dict.fromkeys(INDEXED, pl.String), orient="row")


def in_blocks(index: NumberIndex) -> tuple[BlockIndex, bytes]:
    """Return *index* in blocks, and the bytes of those."""
    blocks, first = pack_blocks(index)
    ends = list(itertools.accumulate(map(len, blocks)))
    return BlockIndex(first, ends, list(map(zlib.crc32, blocks)), index.has_longer), b"".join(blocks)


def truth(
    calls: Sequence[Row], patterns: Sequence[NumberPattern], fields: Sequence[str], region: str | None
) -> list[int]:
    """Return the rows with a number that fits, by a look at each."""
    places = [INDEXED.index(name) for name in fields]
    return [
        row
        for row, call in enumerate(calls)
        if any(
            pattern.matches(normalize_number(call[at], region))  # type: ignore[arg-type]  # none of them is None
            for at in places
            if call[at] is not None
            for pattern in patterns
        )
    ]


class TestFind:
    """Every row whose number fits is found, and no other row where the search is exact."""

    @given(rows, searches, roles, regions, st.booleans(), st.sampled_from([1, 2, 5, 2_048]))
    def test_agrees_with_a_look_at_each_row(
        self,
        calls: list[Row],
        typed: list[str],
        fields: list[str],
        region: str | None,
        few: bool,
        block: int,
    ) -> None:
        """For any calls, numbers, prefixes, several of them, roles and regions; the same from blocks of any size."""
        patterns = [search_pattern(text, region) for text in typed]
        expected = truth(calls, patterns, fields, region)
        search = key_search(patterns)
        assert search is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(number_index, "_FEW_POSTINGS", 64 if few else 0)
            patch.setattr(number_index, "_BLOCK_POSTINGS", block)
            index = NumberIndex.of(frame_of(calls), region)
            if index.has_longer:
                search = search.with_longer()
            found = index.find(search, fields)
            blocks, data = in_blocks(index)
            same = blocks.find(search, fields, lambda start, stop: data[start:stop])
        assert same is not None
        assert found.dtype == same.dtype == pl.UInt32
        assert found.to_list() == same.to_list() == sorted(set(found.to_list()))
        assert set(expected) <= set(found.to_list())
        if search.exact:
            assert found.to_list() == expected

    @given(rows, regions)
    def test_every_number_finds_itself(self, calls: list[Row], region: str | None) -> None:
        """Each number that was written is found in its row and its role."""
        index = NumberIndex.of(frame_of(calls), region)
        for (row, call), (role, name) in itertools.product(enumerate(calls), enumerate(INDEXED)):
            text = call[role]
            if text is not None and text.strip():
                search = key_search([search_pattern(text, region, "exact")])
                assert search is not None
                assert row in index.find(search, [name]).to_list()

    def test_exact_numbers_are_sure(self) -> None:
        """A number in international form needs no second look; a name, whose key is a hash, does."""
        for text, exact in (("+442079460018", True), ("+44*", True), ("2041", False), ("anonymous", False)):
            search = key_search([search_pattern(text, "GB")])
            assert search is not None
            assert search.exact is exact, text

    def test_parts_have_no_keys(self) -> None:
        """Suffixes and parts may be anywhere: no index answers them."""
        assert key_search([search_pattern("*0018", "GB")]) is None
        assert key_search([search_pattern("+44*", "GB"), search_pattern("*79*", "GB")]) is None

    def test_columns_that_are_not_there(self) -> None:
        """A segment without a role has no number in it; one without any number finds nothing."""
        search = key_search([search_pattern("+442079460018", "GB")])
        assert search is not None
        index = NumberIndex.of(pl.DataFrame({"source": ["+442079460018", None]}), "GB")
        assert index.find(search, ["source"]).to_list() == [0]
        assert index.find(search, ["destination", "did"]).to_list() == []
        empty = NumberIndex.of(pl.DataFrame({"call_id": ["a"]}), "GB")
        blocks, data = in_blocks(empty)
        assert empty.find(search, INDEXED).to_list() == []
        assert blocks.find(search, INDEXED, lambda start, stop: data[start:stop]).to_list() == []  # type: ignore[union-attr]


class TestBlocks:
    """An index in blocks reads few of them, and takes none that is not what was written."""

    @staticmethod
    def many() -> list[Row]:
        """Return 9,000 calls: one number in every third row, a neighbour of it in every 1,000th, others once."""
        popular, rare = "+442079460018", "+442079460019"
        return [
            (f"+4420790{row:05d}", popular if row % 3 == 0 else None, rare if row % 1000 == 0 else None)
            for row in range(9_000)
        ]

    def test_popular_numbers_fill_blocks(self) -> None:
        """A number with more places than a block holds is found in all its rows, one beside it in its own."""
        calls = self.many()
        index = NumberIndex.of(frame_of(calls), "GB")
        blocks, data = in_blocks(index)
        assert len(blocks.first) == 6
        for text in ("+442079460018", "+442079460019", "+442079004321", "+44207946*", "+4420*", "+99"):
            patterns = [search_pattern(text, "GB")]
            search = key_search(patterns)
            assert search is not None
            for fields in (INDEXED, ("destination",), ("source", "did")):
                expected = truth(calls, patterns, fields, "GB")
                assert index.find(search, fields).to_list() == expected
                found = blocks.find(search, fields, lambda start, stop: data[start:stop])
                assert found is not None
                assert found.to_list() == expected

    def test_a_search_reads_few_blocks(self) -> None:
        """A number that occurs once is one read of at most two blocks, whatever the size of the index."""
        index = NumberIndex.of(frame_of(self.many()), "GB")
        blocks, data = in_blocks(index)
        read: list[tuple[int, int]] = []

        def fetch(start: int, stop: int) -> bytes:
            read.append((start, stop))
            return data[start:stop]

        search = key_search([search_pattern("+442079004321", "GB")])
        assert search is not None
        found = blocks.find(search, INDEXED, fetch)
        assert found is not None
        assert found.to_list() == [4321]
        ((start, stop),) = read
        assert start in {0, *blocks.ends}
        assert 1 <= len([end for end in blocks.ends if start < end <= stop]) <= 2
        assert stop - start < len(data) / 2

    def test_damage_is_reported(self) -> None:
        """A search that needs a damaged block says so; one that does not need it is answered."""
        index = NumberIndex.of(frame_of(self.many()), "GB")
        blocks, data = in_blocks(index)
        assert blocks.matches(data)
        search = key_search([search_pattern("+442079000001", "GB")])
        assert search is not None
        for at in range(0, len(data), 97):
            damaged = bytearray(data)
            damaged[at] ^= 0x10
            whole = bytes(damaged)
            assert not blocks.matches(whole)
            found = blocks.find(search, INDEXED, lambda start, stop, whole=whole: whole[start:stop])  # type: ignore[misc]
            assert (found is None) == (at < blocks.ends[0])

    def test_the_lowest_hash_beside_the_highest_number(self) -> None:
        """The distance of keys may exceed 63 bits: this extension's hash is nearly the lowest of all."""
        extension, number = "3187", "+999999999999999"
        assert number_key(number) - number_key(extension) >= 1 << 63
        index = NumberIndex.of(pl.DataFrame({"source": [extension, number]}), "GB")
        blocks, data = in_blocks(index)
        for row, text in enumerate((extension, number)):
            search = key_search([search_pattern(text, "GB")])
            assert search is not None
            found = blocks.find(search, ["source"], lambda start, stop: data[start:stop])
            assert found is not None
            assert found.to_list() == [row]

    @given(rows)
    def test_same_calls_same_bytes(self, calls: list[Row]) -> None:
        """The blocks depend on the calls alone."""
        assert pack_blocks(NumberIndex.of(frame_of(calls), "GB")) == pack_blocks(
            NumberIndex.of(frame_of(calls), "GB")
        )
