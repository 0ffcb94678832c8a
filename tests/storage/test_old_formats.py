"""Stores of every format so far: this version reads them as they are and goes on writing in the present format."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdrkit import CallRecord, Query, Store, open_store
from cdrkit.errors import ConfigError
from cdrkit.samples import synthesize_calls
from cdrkit.storage.log import object_checksum
from cdrkit.storage.log.segment import FORMAT
from tests import truth
from tests.months import NOW, inside, months_in

DATA = Path(__file__).parents[1] / "data"
END = datetime(2026, 11, 23, tzinfo=UTC)
#: The calls in the hot tier, by format.
HOT_ROWS = {1: 36, 2: 36, 3: 46}


@pytest.fixture(params=[1, 2, 3])
def old(request: pytest.FixtureRequest) -> int:
    """Return the number of a format."""
    number: int = request.param
    return number


@pytest.fixture
def folder(tmp_path: Path, old: int) -> Path:
    """Return a store of that format: a warm segment of July, two hot ones of November, commits and checkpoints.

    The stores of formats 2 and 3 have index files and row groups of 25 calls. In format 2 the index of the warm
    segment lies beside it, in format 3 in a folder of its own. The store of format 3 went through more: five calls of
    each month were replaced, five of July came after the month was moved to the warm tier, and six calls of a
    customer, not among `calls`, were erased.
    """
    with zipfile.ZipFile(DATA / f"store-format-{old}.zip") as packed:
        packed.extractall(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="module")
def calls() -> list[CallRecord]:
    """Return the calls that were put into each of them, in order."""
    store = open_store("memory://old-formats-truth", region="GB")
    for table in (
        synthesize_calls(60, days=2, end=datetime(2026, 7, 20, tzinfo=UTC), customers=4),
        synthesize_calls(30, days=1, seed=2, end=END, customers=4),
        synthesize_calls(6, days=1, seed=3, end=END, customers=4),
    ):
        store.append(table)
    return list(store.run())


def formats(store: Store) -> set[int]:
    """Return the formats that the segments of *store* are of, by what their files say of themselves."""
    found = set()
    parts = inside(store)
    for segment in parts.log.snapshot().segments.values():
        files = parts.tiers[segment.tier]._files  # type: ignore[attr-defined]
        data = files.read(segment.path)
        hot = segment.tier == "hot"
        about = pa.ipc.open_file(data).schema.metadata if hot else pq.read_metadata(io.BytesIO(data)).metadata
        found.add(json.loads((about or {})[b"cdrkit"])["format"])
    return found


def numbers_of(calls: list[CallRecord]) -> list[str]:
    """Return a few numbers that occur."""
    found = sorted(
        {call.source for call in calls if call.source} | {call.destination or "" for call in calls}
    )
    return [text for text in found if text][::7]


def agrees(store: Store, calls: list[CallRecord]) -> None:
    """Hold every kind of question against plain Python."""
    assert list(store.run()) == calls
    asked = [Query(), Query().connected(), Query().customer(calls[0].customer_id or "")]
    asked += [Query().number(text) for text in numbers_of(calls)]
    asked += [Query().number(text[:6] + "*") for text in numbers_of(calls)]
    asked += [Query().between("2026-07-19", "2026-11-22T12:00:00Z", "UTC")]
    for query in asked:
        expected = truth.run(query, calls, region="GB", now=NOW)
        assert list(store.run(query, now=NOW)) == expected
        assert store.count(query, now=NOW) == len(expected)
        assert list(store.daily_totals(query, now=NOW)) == truth.daily_totals(
            query, calls, region="GB", now=NOW
        )


def test_is_read_as_it_is(folder: Path, old: int, calls: list[CallRecord]) -> None:
    """It opens, verifies clean, and answers everything as the calls themselves do; nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    store = open_store(folder)
    assert store.region == "GB"
    report = store.maintenance.verify()
    assert (report.problems, report.rows, report.orphans) == ((), 96, 0)
    assert calls_in(store, "hot") == HOT_ROWS[old]
    agrees(store, calls)
    assert formats(store) == {old}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def calls_in(store: Store, tier: str) -> int:
    """Return how many calls a tier holds."""
    return sum(
        segment.rows for segment in inside(store).log.snapshot().segments.values() if segment.tier == tier
    )


def _append(store: Store, calls: list[CallRecord]) -> list[CallRecord]:
    fresh = [CallRecord(call_id="new", start=END - timedelta(hours=3), source=calls[0].source, charge=1)]
    report = store.append([*calls, *fresh])
    assert (report.added, report.duplicates) == (1, 96)
    return sorted([*calls, *fresh], key=lambda call: (call.start, call.call_id))


def _compact(store: Store, calls: list[CallRecord]) -> list[CallRecord]:
    # Segments without a number index are rewritten, too: the warm one of format 1.
    segments = inside(store).log.snapshot().segments.values()
    rows = sum(each.rows for each in segments if each.tier == "hot" or "index_bytes" not in each.facts)
    assert store.maintenance.compact().rows == rows
    return calls


def _rollover(store: Store, calls: list[CallRecord]) -> list[CallRecord]:
    # Late calls of a month in the warm tier are merged into that month.
    months = months_in(store, "hot")
    rows = sum(f"{call.start:%Y-%m}" in months for call in calls)
    assert store.maintenance.move_to_warm(now=NOW + timedelta(days=90), keep_months=0).rows == rows
    assert months_in(store, "hot") == []
    return calls


def _replace(store: Store, calls: list[CallRecord]) -> list[CallRecord]:
    changed = [CallRecord(call_id=call.call_id, start=call.start, duration=7) for call in calls[::5]]
    assert store.append(changed, on_conflict="replace").replaced == len(changed)
    return [*changed, *[call for call in calls if call not in calls[::5]]]


def _erase(store: Store, calls: list[CallRecord]) -> list[CallRecord]:
    customer = calls[0].customer_id
    assert customer is not None
    store.erase(Query().customer(customer), reason="asked for", dry_run=False)
    return [call for call in calls if call.customer_id != customer]


@pytest.mark.parametrize("change", [_append, _compact, _rollover, _replace, _erase])
def test_is_written_on(
    folder: Path, calls: list[CallRecord], change: Callable[[Store, list[CallRecord]], list[CallRecord]]
) -> None:
    """Whatever is done to it, answers stay right beside what is left of it; what is written is of today's format."""
    store = open_store(folder)
    expected = sorted(change(store, calls), key=lambda call: (call.start, call.call_id))
    for each in (store, open_store(folder)):
        agrees(each, expected)
        assert each.maintenance.verify().problems == ()
    assert FORMAT in formats(store)
    newest = max((folder / "hot" / "_log").glob("0*.json"))
    assert json.loads(newest.read_bytes())["commit"]["format"] == FORMAT
    store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=90))
    agrees(open_store(folder), expected)


def test_all_of_it_becomes_the_present_format(folder: Path, calls: list[CallRecord]) -> None:
    """When every call is replaced, no segment of the old format is left; a vacuum deletes its files."""
    store = open_store(folder)
    everything = [CallRecord(call_id=call.call_id, start=call.start, duration=1) for call in calls]
    store.append(everything, on_conflict="replace")
    assert formats(store) == {FORMAT}
    assert list(store.run()) == everything
    before = {
        path for path in folder.glob("*/*=*/*") if path.stem not in inside(store).log.snapshot().segments
    }
    assert before
    store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2))
    assert not any(path.exists() for path in before)
    assert list(store.run()) == everything


def test_a_lost_log_is_rebuilt(folder: Path, old: int, calls: list[CallRecord]) -> None:
    """The files say enough of themselves for a new log, which is of today's format; they get no date of making."""
    shutil.rmtree(folder / "hot" / "_log")
    store = open_store(folder, region="GB")
    assert store.maintenance.rebuild_log() == 96
    agrees(store, calls)
    assert store.maintenance.verify().problems == ()
    snapshot = inside(store).log.snapshot()
    assert snapshot.created is None
    assert formats(store) == {old}
    assert (
        sum("index_bytes" in segment.facts for segment in snapshot.segments.values())
        == {1: 0, 2: 2, 3: 2}[old]
    )


def test_orphans_are_deleted(folder: Path, calls: list[CallRecord]) -> None:
    """What no commit names is an orphan; a store of format 1 does not know when it was made."""
    store = open_store(folder)
    parts = inside(store)
    frame = parts.hot.read(parts.log.snapshot().ordered[-1], ["call_id", "start"])
    parts.hot.write(frame.with_columns(call_id=pl.lit("orphan")), "GB")
    assert store.maintenance.verify().orphans == 1
    report = store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2))
    assert (report.segments, report.older) == (1, 0)
    agrees(store, calls)


def test_a_newer_format_is_refused(folder: Path) -> None:
    """What a newer version wrote is refused with what to do, not misread."""
    store = open_store(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_checksum, "FORMAT", FORMAT + 1)
        store.append([CallRecord(call_id="new", start=END)])
    with pytest.raises(ConfigError, match=f"format {FORMAT + 1}.*Install a newer cdrkit"):
        open_store(folder).count()
