"""The data read for a query: the number index, the rollups and the order reduce it and change no result."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Query, Store, field, open_store
from cdrkit._engine import aggregate, scan
from cdrkit._engine.plan import Plan
from cdrkit._files import Files, open_files
from cdrkit._model import FIELDS, conform_frame, frames_of
from cdrkit._numbers import normalize_number, search_pattern
from cdrkit.samples import synthesize_calls
from cdrkit.storage.indexes.index_file import index_path
from cdrkit.storage.indexes.rollups import Totals, TotalsOfMany
from cdrkit.storage.log.log import Log
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.log.snapshot import Snapshot
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier
from tests import truth
from tests.counted_plan import CountedPlan
from tests.months import fewer, inside
from tests.strategies import EPOCH, queries, records
from tests.thresholds import Small, all_small, made_small, small

FIRST = datetime(2026, 6, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
DAYS, EACH = 20, 30
_names = itertools.count()


@attrs.define
class Watched:
    """A tier that records which columns of which segment were read."""

    tier: Tier
    read_columns: list[tuple[str, tuple[str, ...]]] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.tier, name)

    def read(self, segment: Segment, columns: Sequence[str], rows: object = None) -> pl.DataFrame:
        """Read, and remember it."""
        self.read_columns.append((segment.id, tuple(columns)))
        return self.tier.read(segment, columns, rows)  # type: ignore[arg-type]

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        """Gather, and remember it."""
        self.read_columns += [(segment.id, tuple(columns)) for segment, _ in picks]
        return self.tier.gather(picks, columns)


class Plain(Watched):
    """A tier without an index and without roll-ups: its calls must be looked at."""

    def find(self, *_: object) -> None:
        """Return None: no index answers."""

    def totals(self, *_: object) -> None:
        """Return None: no index answers."""


def plan_of(store: Store, query: Query, kind: type[Watched] = Watched) -> tuple[CountedPlan, list[Watched]]:
    """Return the plan for *query*, and the tiers that watch what it reads."""
    parts = inside(store)
    watched = {name: kind(tier) for name, tier in parts.tiers.items()}
    plan = Plan.of(query, parts.log.snapshot(), watched, parts.log.snapshot().region, NOW)  # type: ignore[arg-type]
    return CountedPlan(plan), list(watched.values())


def touched(watched: Iterable[Watched]) -> set[str]:
    """Return the segments of which anything was read."""
    return {segment for tier in watched for segment, _ in tier.read_columns}


def ids(plan: CountedPlan) -> list[str]:
    """Return the ids of the calls that *plan* gives."""
    return [identity for frame in plan.frames(["call_id"]) for identity in frame["call_id"].to_list()]


def calls() -> list[CallRecord]:
    """Return 30 calls of each of 20 days: of a customer for each five days, from a number for each day."""
    return [
        CallRecord(
            call_id=f"{day:02d}-{at:02d}",
            start=FIRST + timedelta(days=day, minutes=20 * at),
            source=f"+4420794600{day:02d}",
            destination="+12125550100",
            customer_id=f"{1001 + day // 5}",
            duration=at % 4,
            charge="0.25",
            currency="GBP",
        )
        for day in range(DAYS)
        for at in range(EACH)
    ]


def committed(log: Log, segments: Iterable[Segment]) -> Snapshot:
    """Return what a new store is when *segments* are committed to it."""
    found = log.commit(log.create({"region": "GB"}), "append", added=segments)
    assert found is not None
    return found


@pytest.fixture(scope="module", params=["hot", "warm"])
def place(request: pytest.FixtureRequest) -> str:
    """Return where a store of twenty segments lies, each of one day, in either tier; no test changes it."""
    url = f"memory://planner-{next(_names)}"
    with all_small():
        store = open_store(url, region="GB")
        parts = inside(store)
        if request.param == "hot":
            store.append(calls())
        else:
            whole = pl.concat(frames_of(calls()))
            days = [whole[at : at + EACH] for at in range(0, whole.height, EACH)]
            committed(parts.log, [parts.warm.write(day, "GB") for day in days])
        assert len(parts.log.snapshot().segments) == DAYS
    return url


@pytest.fixture
def filled(place: str) -> Iterator[Store]:
    """Return that store, of which nothing was read yet."""
    with all_small():
        yield open_store(place)


class TestNumberSearch:
    """A number is looked up; only segments that have it are read."""

    def test_segments_without_it_are_not_read(self, filled: Store) -> None:
        """One day's number reads one segment, though the period cuts through others; no row is looked at."""
        cut = FIRST + timedelta(days=2, hours=3)
        query = Query().number("020 7946 0007").between(cut, cut + timedelta(days=15))
        plan, watched = plan_of(filled, query)
        assert ids(plan) == [f"07-{at:02d}" for at in range(EACH)]
        (segment,) = touched(watched)
        assert plan.snapshot.segments[segment].first == FIRST + timedelta(days=7)
        assert not any(
            "start" in names and len(names) == 1 for tier in watched for _, names in tier.read_columns
        )
        assert (plan.counters.in_period, plan.counters.indexed) == (16, 16)
        assert (plan.counters.scanned, plan.counters.rows_scanned) == (0, 0)
        assert (plan.counters.candidates, plan.counters.fetched) == (EACH, EACH)

    def test_an_edge_that_cuts_through_its_calls(self, filled: Store) -> None:
        """Where the period cuts through the segment that has the number, its times are read, and no others."""
        cut = FIRST + timedelta(days=7, hours=3)
        plan, watched = plan_of(filled, Query().number("020 7946 0007").between(cut, None))
        assert ids(plan) == [f"07-{at:02d}" for at in range(9, EACH)]
        assert len(touched(watched)) == 1

    def test_a_count_reads_nothing(self, filled: Store) -> None:
        """How many calls an exact number has is known from the index alone."""
        plan, watched = plan_of(filled, Query().number("+44 20 7946 0007"))
        assert plan.count() == EACH
        assert touched(watched) == set()

    def test_what_else_must_hold_is_asked_of_hits_alone(self, filled: Store) -> None:
        """Other conditions are asked of the rows with the number, and of no others."""
        plan, watched = plan_of(filled, Query().number("020 7946 0007").where(field("duration") == 2))
        assert ids(plan) == [f"07-{at:02d}" for at in range(EACH) if at % 4 == 2]
        assert len(touched(watched)) == 1
        assert plan.counters.rows_scanned == 0
        assert plan.counters.fetched <= EACH

    def test_the_narrowest_number_is_looked_up(self, filled: Store) -> None:
        """Of two numbers that both must occur, the one that says more is looked up."""
        query = Query().number("+1*", "destination").number("020 7946 0007", "source")
        plan, watched = plan_of(filled, query)
        assert len(ids(plan)) == EACH
        assert plan.counters.candidates == EACH
        assert len(touched(watched)) == 1

    def test_parts_are_looked_for_in_all(self, filled: Store) -> None:
        """No index knows where a part of a number is: columns are looked at."""
        plan, _ = plan_of(filled, Query().number("*60007"))
        assert len(ids(plan)) == EACH
        assert (plan.counters.indexed, plan.counters.scanned) == (0, DAYS)


class TestCustomers:
    """Segments without a customer are skipped."""

    def test_skipped(self, filled: Store) -> None:
        """A quarter of the segments have the customer's calls; the others are not read."""
        plan, watched = plan_of(filled, Query().customer("1002").where(field("duration") == 3))
        assert len(ids(plan)) == 5 * len([at for at in range(EACH) if at % 4 == 3])
        assert (plan.counters.skipped, plan.counters.scanned) == (15, 5)
        assert len(touched(watched)) == 5

    def test_small_segments_are_looked_at(self, filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a look at the rows is as quick, it is taken."""
        monkeypatch.setattr(scan, "_MIN_SKIPPABLE", EACH + 1)
        plan, _ = plan_of(filled, Query().customer("1002"))
        assert len(ids(plan)) == 5 * EACH
        assert (plan.counters.skipped, plan.counters.scanned) == (0, DAYS)


class TestTotals:
    """Totals and counts come from the roll-ups."""

    def test_no_call_is_looked_at(self, filled: Store) -> None:
        """Totals and counts of days and customers read no column."""
        query = Query().customer("1002", "1003").connected()
        query = query.between(FIRST + timedelta(days=1), FIRST + timedelta(days=12))
        plan, watched = plan_of(filled, query)
        assert (
            plan.count()
            == plan.totals()["connections"].item()
            == 7 * len([at for at in range(EACH) if at % 4])
        )
        assert plan.totals("day").height == 7
        assert touched(watched) == set()
        assert plan.counters.rolled_up == 3 * 11

    def test_edges_are_looked_at(self, filled: Store) -> None:
        """Only the two segments that the period cuts through are read."""
        cut = FIRST + timedelta(days=2, hours=3)
        plan, watched = plan_of(filled, Query().between(cut, cut + timedelta(days=9)))
        assert plan.count() == 9 * EACH
        assert len(touched(watched)) == 2

    def test_questions_that_rollups_do_not_answer(self, filled: Store) -> None:
        """A condition on anything else, a limit or a cursor has the calls looked at."""
        first = plan_of(filled, Query())[0]
        for query in (Query().where(field("duration") > 1), Query().limit(40), Query().cli("+4420794600*")):
            plan, watched = plan_of(filled, query)
            assert plan.totals()["attempts"].item() == len(ids(plan))
            assert plan.counters.rolled_up == 0
            assert touched(watched)
        assert first.totals()["attempts"].item() == DAYS * EACH

    def test_put_together_once(self, filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second question about the same segments does not put their totals together again."""
        made: list[int] = []

        class CountedTotals(TotalsOfMany):
            """Totals that record the number of their parts."""

            def __init__(self, parts: Sequence[Totals]) -> None:
                made.append(len(parts))
                super().__init__(parts)

        monkeypatch.setattr(aggregate, "TotalsOfMany", CountedTotals)
        for customer in ("1001", "1002", "1003"):
            assert filled.count(Query().customer(customer)) == 5 * EACH
        assert made == [DAYS]


class TestEarlyStop:
    """A page is read from where it lies, and nothing older."""

    def test_older_segments_are_not_opened(self, filled: Store) -> None:
        """The newest calls come from the newest segments alone; the oldest from the oldest."""
        for query, days in ((Query().newest_first(), [19, 18]), (Query(), [0, 1])):
            plan, watched = plan_of(filled, query.limit(EACH + 5))
            assert len(ids(plan)) == EACH + 5
            firsts = {plan.snapshot.segments[segment].first for segment in touched(watched)}
            assert firsts == {FIRST + timedelta(days=day) for day in days}

    def test_with_conditions(self, filled: Store) -> None:
        """So it is where conditions must hold: the newest ten connected calls are within the newest day."""
        plan, watched = plan_of(filled, Query().connected().newest_first().limit(10))
        assert ids(plan) == [f"19-{at:02d}" for at in range(EACH - 1, 0, -1) if at % 4][:10]
        assert len(touched(watched)) == 1
        assert 10 <= plan.counters.rows_scanned <= 2 * EACH

    def test_after_a_cursor(self, filled: Store) -> None:
        """The next page begins where the last one ended; what lies before it is not opened."""
        query = Query().newest_first()
        page = filled.run(query, now=NOW).page(EACH)
        assert page.next_cursor is not None
        plan, watched = plan_of(filled, query.after(page.next_cursor).limit(5))
        assert ids(plan) == [f"18-{at:02d}" for at in range(EACH - 1, EACH - 6, -1)]
        firsts = {plan.snapshot.segments[segment].first for segment in touched(watched)}
        assert firsts <= {FIRST + timedelta(days=day) for day in (18, 19)}


class CountingFiles:
    """Files that remember what was read of them."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.asked: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._files, name)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read, and remember how much."""
        data = self._files.read(path, start, stop)
        self.asked.append((path, len(data)))
        return data


def test_a_warm_search_is_one_small_read_a_segment() -> None:
    """Once the end of an index is known, a search reads one or two blocks of it, and no calls where it has no hit."""
    files = open_files(f"memory://planner-{next(_names)}")
    frames = []
    for month in (7, 8, 9):
        table = synthesize_calls(6_000, days=10, seed=month, end=datetime(2026, month, 20, tzinfo=UTC))
        frames += [conform_frame(pl.DataFrame(pl.from_arrow(table)))]
    segments = [WarmTier(files).write(frame, "GB") for frame in frames]
    snapshot = committed(inside(open_store(f"memory://planner-{next(_names)}")).log, segments)
    counter = CountingFiles(files)
    tiers = {"warm": WarmTier(counter)}  # type: ignore[arg-type]  # __getattr__ gives the rest
    query = Query().cli(frames[1]["source"].drop_nulls()[3_000])

    def asked() -> list[tuple[str, int]]:
        counter.asked.clear()
        plan = CountedPlan(Plan.of(query, snapshot, tiers, "GB", NOW))
        assert plan.count() == sum(
            search_pattern(query.conditions[0].texts[0], "GB").matches(normalize_number(text, "GB"))  # type: ignore[attr-defined]
            for frame in frames
            for text in frame["source"].drop_nulls()
        )
        assert plan.counters.indexed == 3
        return list(counter.asked)

    tails = {(index_path(segment), segment.facts["index_tail"]) for segment in segments}
    assert tails <= set(asked())
    again = asked()
    assert sorted(path for path, _ in again) == sorted(path for path, _ in tails)
    assert all(size < segments[0].facts["index_bytes"] / 3 for _, size in again)


class TestSwitchedOff:
    """Indexes and roll-ups change no answer."""

    @fewer
    @given(
        st.lists(st.lists(records(), max_size=12), min_size=1, max_size=3),
        st.lists(queries(), min_size=6, max_size=6),
        small,
    )
    def test_the_same_without(
        self, batches: list[list[CallRecord]], asked: list[Query], sizes: Small
    ) -> None:
        """The same query with all of them and with none gives the same calls, count and totals: the true ones."""
        now = EPOCH + timedelta(hours=40)
        with made_small(sizes):
            store = open_store(f"memory://planner-{next(_names)}", region="GB")
            kept: dict[object, CallRecord] = {}
            for number, batch in enumerate(batches):
                store.append(batch)
                for call in batch:
                    kept.setdefault((call.start, call.call_id), call)
                if number == 0:
                    store.maintenance.move_to_warm(now=now + timedelta(days=250), keep_months=0)
            parts = inside(store)
            for query in asked:
                plain: dict[str, Any] = {name: Plain(tier) for name, tier in parts.tiers.items()}
                plans = [
                    Plan.of(query, parts.log.snapshot(), tiers, "GB", now) for tiers in (parts.tiers, plain)
                ]
                one, other = ([frame.rows() for frame in plan.frames([*FIELDS])] for plan in plans)
                assert list(itertools.chain(*one)) == list(itertools.chain(*other))
                expected = truth.run(query, kept.values(), region="GB", now=now)
                assert [plan.count() for plan in plans] == [len(expected)] * 2
                for by in ((), ("day", "currency")):
                    sums = [sorted(plan.totals(*by).rows(), key=str) for plan in plans]
                    assert sums[0] == sums[1]
