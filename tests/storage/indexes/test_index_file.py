"""The index file of a segment: correct rows or an error; an unusable file is not loaded."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import attrs
import polars as pl
import pyarrow as pa
import pytest

from cdrkit._files import Files, open_files
from cdrkit._model import conform_frame
from cdrkit._numbers import KeySearch, key_search, search_pattern
from cdrkit.errors import CorruptDataError, NotFoundError
from cdrkit.samples import synthesize_calls
from cdrkit.storage.indexes import number_index
from cdrkit.storage.indexes.index_file import (
    IndexFile,
    check_index,
    index_path,
    load_index_facts,
    parse_index,
)
from cdrkit.storage.indexes.number_index import INDEXED, BlockIndex, NumberIndex
from cdrkit.storage.indexes.rollups import totals_of
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers import hot
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.segment_file import SegmentFile
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier

_names = itertools.count()
TIERS: dict[str, Callable[[Files], Tier]] = {"hot": HotTier, "warm": WarmTier}


def calls(rows: int = 60, seed: int = 1) -> pl.DataFrame:
    """Return made-up calls of one day, in order."""
    frame = pl.from_arrow(synthesize_calls(rows, days=1, seed=seed, customers=4))
    assert isinstance(frame, pl.DataFrame)
    return conform_frame(frame)


def search_of(text: str) -> KeySearch:
    """Return the search for a number."""
    found = key_search([search_pattern(text, "GB")])
    assert found is not None
    return found


@attrs.frozen
class Written:
    """A segment with an index file of few rows and several blocks."""

    make: Callable[[Files], Tier]
    files: Files
    segment: Segment
    frame: pl.DataFrame

    @property
    def path(self) -> str:
        """Where its index file lies."""
        return index_path(self.segment)

    def damage(self, data: bytes | bytearray) -> None:
        """Let the index file be *data*."""
        self.files.put(self.path, data)


@pytest.fixture(params=["hot", "warm"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Return a segment of each tier in turn."""
    monkeypatch.setattr(hot, "INDEXED_ROWS", 1)
    monkeypatch.setattr(number_index, "_BLOCK_POSTINGS", 50)
    make, files = TIERS[request.param], open_files(f"memory://indexes-{next(_names)}")
    frame = calls()
    return Written(make, files, make(files).write(frame, "GB"), frame)


def test_round_trip(written: Written) -> None:
    """The file says whose it is and for which region, and holds the index and the totals of those calls."""
    data = check_index(written.files, written.segment)
    assert len(data) == written.segment.facts["index_bytes"]
    found = parse_index(pa.py_buffer(data[-written.segment.facts["index_tail"] :]), written.segment)
    assert found is not None
    assert (found.segment, found.region) == (written.segment.id, "GB")
    assert found.totals.rows.equals(totals_of(written.frame))
    whole = NumberIndex.of(written.frame, "GB")
    if isinstance(found.numbers, BlockIndex):
        assert len(found.numbers.first) > 1
        assert found.numbers.matches(data)
    else:
        for name in ("keys", "offsets", "postings"):
            assert getattr(found.numbers, name).equals(getattr(whole, name)), name
    assert found.numbers.has_longer == whole.has_longer
    tier = written.make(written.files)
    for text in written.frame["source"].drop_nulls().unique().to_list():
        hits = tier.find(written.segment, search_of(text), INDEXED, "GB")
        assert hits is not None
        assert hits.rows.equals(whole.find(search_of(text), INDEXED), null_equal=True)
    totals = tier.totals(written.segment)
    assert totals is not None
    assert totals.rows.equals(totals_of(written.frame))


def test_any_flipped_byte(written: Written) -> None:
    """Whatever byte is changed, answers are right or a CorruptDataError names the file; `check` detects it."""
    good = written.files.read(written.path)
    texts = written.frame["destination"].drop_nulls().unique().sort().to_list()[:3]
    expected = [
        hits.rows.to_list()
        for text in texts
        if (hits := written.make(written.files).find(written.segment, search_of(text), INDEXED, "GB"))
    ]
    assert len(expected) == len(texts)
    found = SegmentFile(id=written.segment.id, path=written.segment.path, modified=None)
    refused = 0
    for at in {*range(0, len(good), 5), *range(len(good) - 40, len(good))}:
        damaged = bytearray(good)
        damaged[at] ^= 0x55
        written.damage(damaged)
        tier = written.make(written.files)
        with pytest.raises(CorruptDataError, match=written.path):
            tier.check(written.segment)
        try:
            answers = [
                hits.rows.to_list()
                for text in texts
                if (hits := tier.find(written.segment, search_of(text), INDEXED, "GB"))
            ]
            totals = tier.totals(written.segment)
        except CorruptDataError as exc:
            assert written.path in str(exc)
            refused += 1
        else:
            assert answers == expected, f"byte {at}"
            assert totals is not None
            assert totals.rows.equals(totals_of(written.frame))
        if at % 29 == 0:
            loaded = tier.load(found, "GB")
            assert "index_bytes" not in loaded.facts, "a damaged index is not taken over"
            assert tier.read(loaded, ["call_id"])["call_id"].equals(written.frame["call_id"])
    assert refused > len(good) / 20


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -9, -1])
def test_cut_off(written: Written, size: int) -> None:
    """A file that lost its end is refused by name, or ignored when a log is rebuilt."""
    written.damage(written.files.read(written.path)[:size])
    tier = written.make(written.files)
    for ask in (
        lambda: tier.find(written.segment, search_of("+44"), INDEXED, "GB"),
        lambda: tier.totals(written.segment),
        lambda: tier.check(written.segment),
    ):
        with pytest.raises(CorruptDataError, match=written.segment.id):
            ask()
    assert load_index_facts(written.files, written.segment.path, "GB") == {}


def test_zeros_are_no_index(written: Written) -> None:
    """Eight zeros have the checksum and the length of nothing: they are refused as well."""
    written.damage(bytes(8))
    assert load_index_facts(written.files, written.segment.path, "GB") == {}
    with pytest.raises(ValueError, match="too small"):
        IndexFile.of(pa.py_buffer(bytes(8)))


def test_lost(written: Written) -> None:
    """An index file that is gone is named; the calls themselves are still there."""
    written.files.remove(written.path)
    tier = written.make(written.files)
    for ask in (
        lambda: tier.find(written.segment, search_of("+44"), INDEXED, "GB"),
        lambda: tier.totals(written.segment),
        lambda: tier.check(written.segment),
    ):
        with pytest.raises(NotFoundError, match=written.segment.id):
            ask()
    assert tier.read(written.segment, ["call_id"])["call_id"].equals(written.frame["call_id"])


def test_another_segments_file(written: Written) -> None:
    """The index of other calls under this one's name is refused, and not loaded."""
    tier = written.make(written.files)
    other = tier.write(calls(seed=2), "GB")
    written.damage(written.files.read(index_path(other)))
    fresh = written.make(written.files)
    with pytest.raises(CorruptDataError, match=written.segment.id):
        fresh.totals(written.segment)
    assert load_index_facts(written.files, written.segment.path, "GB") == {}


@pytest.mark.parametrize("region", ["US", None])
def test_another_regions_file_is_not_adopted(written: Written, region: str | None) -> None:
    """For another region the keys would be others: the segment is loaded without its index, and gives right answers."""
    tier = written.make(written.files)
    found = next(iter(tier.list_segments()))
    assert tier.load(found, "GB") == written.segment
    loaded = tier.load(found, region)
    assert "index_bytes" not in loaded.facts
    text = written.frame["source"].drop_nulls()[0]
    search = key_search([search_pattern(text, region)])
    assert search is not None
    hits = written.make(written.files).find(loaded, search, INDEXED, region)
    if hits is not None:  # computed for that region
        assert hits.rows.equals(NumberIndex.of(written.frame, region).find(search, INDEXED))


def test_goes_with_its_segment(written: Written) -> None:
    """Removing or forgetting a segment leaves neither file."""
    tier = written.make(written.files)
    assert len(written.files.list("")) == 2
    tier.remove(written.segment)
    assert written.files.list("") == []
    tier.write(written.frame, "GB")
    tier.delete_orphan(next(iter(tier.list_segments())))
    assert written.files.list("") == []


def test_alone_it_is_found_and_is_no_segment(written: Written) -> None:
    """An index whose segment was never written is listed, is not whole, and can be deleted."""
    written.files.remove(written.segment.path)
    tier = written.make(written.files)
    (found,) = tier.list_segments()
    assert (found.id, found.path, found.is_whole) == (written.segment.id, written.segment.path, False)
    tier.delete_orphan(found)
    assert written.files.list("") == []


def test_small_hot_segments_have_none(tmp_path: Path) -> None:
    """Below 4,096 rows a hot segment is one file, and the index is made in memory; from there on it has two."""
    tier = HotTier(open_files(tmp_path))
    for rows, expected in ((4_095, []), (4_096, [".index"])):
        frame = calls(rows, seed=rows)
        segment = tier.write(frame, "GB")
        names = [name for _, _, names in os.walk(tmp_path) for name in names if name.startswith(segment.id)]
        assert sorted(os.path.splitext(name)[1] for name in names) == [".arrow", *expected]
        text = frame["source"].drop_nulls()[0]
        hits = tier.find(segment, search_of(text), INDEXED, "GB")
        assert hits.rows.equals(NumberIndex.of(frame, "GB").find(search_of(text), INDEXED))
        assert tier.totals(segment).rows.equals(totals_of(frame))


def test_writing_that_fails_leaves_nothing(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the index file cannot be written, the segment's own file is taken away again."""
    before = written.files.list("")
    original = type(written.files).put

    def failing(self: Files, path: str, data: bytes) -> None:
        if path.endswith(".index"):
            raise NotFoundError("on purpose", url=path)
        original(self, path, data)

    monkeypatch.setattr(type(written.files), "put", failing)
    with pytest.raises(NotFoundError, match="on purpose"):
        written.make(written.files).write(calls(seed=3), "GB")
    assert written.files.list("") == before
