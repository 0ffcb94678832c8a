"""The change of a store's region: a new log, correct searches at once, and new number indexes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from cdrkit import Query, Store, open_store
from cdrkit._maintenance import compaction
from cdrkit.errors import ConfigError
from tests.counted_plan import CountedPlan
from tests.months import NOW, calls_of, inside
from tests.thresholds import all_small

NATIONAL = "020 7946 0018"
INTERNATIONAL = "+442079460018"
#: In the United States these digits are another number.
AMERICAN = Query().number("+12079460018")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a store without a region, with calls of one month in each tier, and without its log."""
    with all_small():
        store = open_store(tmp_path / "calls")
        store.append(calls_of("2026-05", source=NATIONAL))
        store.append(calls_of("2026-05", part="-other", source="+12125550100"))
        store.maintenance.move_to_warm(now=NOW)
        store.append(calls_of("2026-11", source=NATIONAL))
        store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(hours=2))
        assert store.count(Query().number(INTERNATIONAL)) == 0
    (tmp_path / "calls" / "hot" / "_log").rename(tmp_path / "old-log")
    return tmp_path / "calls"


def counted(store: Store, query: Query) -> CountedPlan:
    """Return the plan of *query*, which counts what it reads."""
    return CountedPlan(store._plan(query, NOW))


def searches(store: Store) -> Sequence[int]:
    """Return how many calls each of several searches finds."""
    queries = [Query().number(NATIONAL), Query().number(INTERNATIONAL), Query().number("+44*"), AMERICAN]
    return [store.count(query) for query in queries]


def test_numbers_are_found_by_the_new_region(folder: Path) -> None:
    """National numbers of both tiers are found in every form at once; indexes of the old region are not used."""
    with all_small():
        store = open_store(folder, region="GB")
        assert store.maintenance.rebuild_log() == 18
        assert store.region == "GB"
        segments = store._snapshot().segments.values()
        assert {segment.tier for segment in segments} == {"hot", "warm"}
        assert not any("index_bytes" in segment.facts for segment in segments)
        assert searches(store) == [12, 12, 12, 0]
        plan = counted(store, Query().number(INTERNATIONAL))
        assert plan.count() == 12
        warm = [segment for segment in segments if segment.tier == "warm"]
        # The hot tier makes the index of a segment in memory where no file has one.
        assert (plan.counters.indexed, plan.counters.scanned) == (len(segments) - len(warm), len(warm))
        assert store.maintenance.verify().problems == ()
    assert searches(open_store(folder)) == [12, 12, 12, 0]


def test_compaction_makes_new_indexes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction rewrites the segments without an index; then every search is answered by an index."""
    monkeypatch.setattr(compaction, "INDEXED_ROWS", 1)
    with all_small():
        store = open_store(folder, region="GB")
        store.maintenance.rebuild_log()
        before = sorted(store.run(), key=lambda call: (call.start, call.call_id))
        (work,) = store.maintenance.status(now=NOW).work_due
        assert work.startswith("Compaction: 18 calls")
        assert store.maintenance.compact().rows == 18
        assert store.maintenance.compact().rows == 0
        assert list(store.run()) == before
        assert searches(store) == [12, 12, 12, 0]
        plan = counted(store, Query().number(INTERNATIONAL))
        assert plan.count() == 12
        segments = store._snapshot().segments.values()
        assert (plan.counters.indexed, plan.counters.scanned) == (len(segments), 0)
        store.maintenance.vacuum(now=datetime(2030, 1, 1, tzinfo=UTC))
        assert store.maintenance.verify().problems == ()
        assert {path.name.partition(".")[0] for path in folder.rglob("*.arrow")} == {
            segment.id for segment in segments if segment.tier == "hot"
        }


def test_another_region(folder: Path) -> None:
    """The region alone decides what a national number is."""
    with all_small():
        store = open_store(folder, region="US")
        store.maintenance.rebuild_log()
        assert store.count(Query().number(INTERNATIONAL)) == 0
        store.maintenance.compact()
        assert store.count(Query().number(INTERNATIONAL)) == 0
        assert store.count(Query().number("+12125550100")) == 6


def test_the_way_back(folder: Path, tmp_path: Path) -> None:
    """With the region that the indexes were made for, they are used as they are."""
    with all_small():
        store = open_store(folder)
        store.maintenance.rebuild_log()
        assert all("index_bytes" in segment.facts for segment in store._snapshot().segments.values())
        assert store.maintenance.compact(dry_run=True).read == 0
        assert store.count(Query().number(INTERNATIONAL)) == 0


def test_a_log_fixes_the_region(folder: Path) -> None:
    """As long as there is a log, no other region opens the store."""
    with all_small():
        open_store(folder, region="GB").maintenance.rebuild_log()
        with pytest.raises(ConfigError, match="region"):
            open_store(folder, region="US").count()


def test_calls_that_were_compacted_with_others(folder: Path) -> None:
    """Small segments of a day without an index are merged once, and not rewritten a second time."""
    with all_small():
        store = open_store(folder, region="GB")
        store.maintenance.rebuild_log()
        day = calls_of("2026-11", source=NATIONAL, part="-late")
        store.append(day)
        read = inside(store).log.snapshot().segments.values()
        hot = [segment for segment in read if segment.tier == "hot"]
        report = store.maintenance.compact()
        assert (report.read, report.rows) == (len(read), 24)
        assert len(hot) == 12
        assert store.maintenance.compact(dry_run=True).read == 0
        frames = [pl.DataFrame(frame) for frame in store._plan(Query(), NOW).frames(["call_id"])]
        assert pl.concat(frames)["call_id"].n_unique() == 24
