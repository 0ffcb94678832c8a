"""The hot tier: its open files, and the errors for files that it cannot read."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from cdrkit import CallRecord, Query, Store, field, open_store
from cdrkit._files import open_files
from cdrkit.errors import StorageError
from cdrkit.samples import synthesize_calls
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers import hot
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.hot_segment import MappedSegment

START = datetime(2026, 11, 2, tzinfo=UTC)
DAYS = 12


@pytest.fixture
def tier(request: pytest.FixtureRequest) -> HotTier:
    """Return a tier whose files are fetched into memory."""
    return HotTier(open_files(f"memory://hot-{request.node.name}"))


@pytest.fixture
def segments(tier: HotTier) -> list[Segment]:
    """Return a segment a day."""
    calls = synthesize_calls(6_000, days=DAYS, seed=5, end=START + timedelta(days=DAYS))
    frame = pl.DataFrame(pl.from_arrow(calls)).sort("start", "call_id")
    days = frame.group_by(pl.col("start").dt.date(), maintain_order=True)
    return [tier.write(day, "GB") for _, day in days]


def picks_of(segments: list[Segment], each: int) -> list[tuple[Segment, pl.Series]]:
    """Return the first few rows of each segment."""
    return [(segment, pl.int_range(each, dtype=pl.UInt32, eager=True)) for segment in segments]


@pytest.mark.parametrize("each", [2, 40])
def test_gathering_holds_no_more_than_is_kept_open(
    tier: HotTier, segments: list[Segment], each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments that lie in memory are gathered in runs, and what comes is the same as if each were read."""
    columns = ["start", "call_id", "source", "disposition", "charge", "duration"]
    picks = picks_of(segments, each)
    expected = pl.concat([tier.read(segment, columns, rows) for segment, rows in picks])
    most = 2 * max(segment.size_bytes for segment in segments)
    monkeypatch.setattr(hot, "_BUFFER_BYTES", most)
    held: list[int] = []
    gathered = hot._gather_rows

    def watched(opened: Any, names: Any) -> pl.DataFrame:
        held.append(sum(segment.buffer_bytes for segment, _ in opened))
        return gathered(opened, names)

    monkeypatch.setattr(hot, "_gather_rows", watched)
    assert tier.gather(picks, columns).equals(expected)
    assert len(held) >= DAYS // 2
    assert max(held) <= most


def test_a_segment_that_goes_while_it_is_opened(
    tier: HotTier, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that opens a segment while it is closed does not keep it open."""
    opening, gone = threading.Event(), threading.Event()
    opened = MappedSegment.__init__

    def slowly(self: MappedSegment, *args: Any) -> None:
        opened(self, *args)
        opening.set()
        assert gone.wait(10)

    monkeypatch.setattr(MappedSegment, "__init__", slowly)
    found: list[pl.DataFrame] = []
    reader = threading.Thread(target=lambda: found.append(tier.read(segments[0], ["call_id"])))
    reader.start()
    assert opening.wait(10)
    tier.remove(segments[0])
    gone.set()
    reader.join()
    assert found[0].height == segments[0].rows  # it was there when the reader came
    with pytest.raises(StorageError):
        tier.read(segments[0], ["call_id"])


def test_an_older_answer_keeps_nothing_open(tmp_path: Path) -> None:
    """Segments that were replaced, by this process or another one, can still be read, and are not kept open for it."""
    store, other = open_store(tmp_path), open_store(tmp_path)

    def stale() -> set[str]:
        return set(hot_of(store)._open) - set(store._snapshot().segments)

    for number in range(4):
        store.append([CallRecord(call_id=str(number), start=START + timedelta(minutes=number))])
    older = store.run()
    assert [call.call_id for call in older] == list("0123")
    assert len(hot_of(store)._open) == 4
    other.maintenance.compact()
    assert store.count() == 4
    assert stale() == set()
    assert [call.call_id for call in older] == list("0123")
    assert stale() == set()
    store.append([CallRecord(call_id="4", start=START + timedelta(minutes=9))])
    assert len(list(store.run())) == 5
    store.maintenance.compact()
    assert stale() == set()


def hot_of(store: Store) -> HotTier:
    """Return the tier of a store."""
    assert isinstance(store._hot, HotTier)
    return store._hot


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EMFILE, errno.EIO])
def test_a_shortage_is_no_damage(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be mapped for want of something is whole: nobody is sent for a backup."""
    store = open_store(tmp_path)
    store.append([CallRecord(call_id="1", start=START)])

    def refused(path: str) -> Any:
        raise OSError(number, "Memory mapping file failed", path)

    with monkeypatch.context() as short:
        short.setattr(pa, "memory_map", refused)
        with pytest.raises(StorageError, match="Cannot read") as raised:
            list(open_store(tmp_path).run())
    assert type(raised.value) is StorageError
    assert store.count() == 1


def test_a_limit_keeps_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls are allowed, they are gathered a bounded number at a time."""
    store = open_store("memory://hot-limit")
    store.append(synthesize_calls(150_000, days=30, end=START + timedelta(days=30)))
    gathered: list[int] = []
    gather = HotTier.gather

    def counted(self: HotTier, picks: Any, columns: Any) -> pl.DataFrame:
        frame = gather(self, picks, columns)
        gathered.append(frame.height)
        return frame

    monkeypatch.setattr(HotTier, "gather", counted)
    query = Query().connected().newest_first()

    def heights(query: Query) -> Iterator[int]:
        for batch in store.run(query).batches():
            yield len(batch)

    whole = sum(heights(query))
    without = list(gathered)
    gathered.clear()
    assert sum(heights(query.limit(10**7))) == whole > 2 * max(without)
    assert gathered == without


@pytest.fixture(scope="module")
def coded() -> tuple[Store, list[CallRecord]]:
    """Return a store of two days whose customers are words of a dictionary, some calls without one, and its calls."""
    store = open_store("memory://hot-coded")
    # As many calls a day as have customers kept as a dictionary.
    frame = pl.DataFrame(pl.from_arrow(synthesize_calls(12_000, days=2, seed=8, end=START, customers=40)))
    absent = pl.int_range(pl.len()) % 11 == 0
    customer = pl.when(~absent).then(pl.col("customer_id").cast(pl.String))
    store.append(frame.with_columns(customer.alias("customer_id")))
    return store, list(store.run())


def test_codes_select_rows(coded: tuple[Store, list[CallRecord]]) -> None:
    """Just the rows with one of the values, in whatever part of the segment is asked for; never one without any."""
    store, calls = coded
    customers = sorted({call.customer_id for call in calls if call.customer_id})
    for segment in store._snapshot().segments.values():
        held = store._hot.read(segment, ["customer_id"])["customer_id"].to_list()
        for values in (customers[:1], customers[3:9], [customers[-1], "nobody"], ["nobody"], []):
            for rows in (range(segment.rows), range(17, 4_321), range(5, 5)):
                found = store._hot.rows_with(segment, "customer_id", values, rows)
                assert found is not None, "they are a dictionary"
                assert found.dtype == pl.UInt32
                assert found.to_list() == [row for row in rows if held[row] in values]


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_of_customers(coded: tuple[Store, list[CallRecord]], newest_first: bool) -> None:
    """Law: for any customer, with a limit or page by page, answers equal those of reading every call."""
    store, calls = coded
    customers = sorted({call.customer_id for call in calls if call.customer_id})
    for wanted in (customers[:1], customers[-2:], [customers[5], "nobody"], ["nobody"]):
        query = Query().customer(*wanted).connected()
        query = query.newest_first() if newest_first else query
        fits = [call for call in calls if call.customer_id in wanted and (call.duration or 0) > 0]
        expected = [call.call_id for call in (reversed(fits) if newest_first else fits)]
        assert [call.call_id for call in store.run(query)] == expected
        assert [call.call_id for call in store.run(query.limit(7))] == expected[:7]
        assert store.count(query.where(field("sip_code") != 999)) == len(
            [call for call in fits if call.sip_code is not None]
        )
        first = store.run(query).page(10)
        assert [call.call_id for call in first.records] == expected[:10]
        if first.next_cursor is not None:
            second = store.run(query.after(first.next_cursor)).page(10)
            assert [call.call_id for call in second.records] == expected[10:20]
