"""Rollups: their totals equal those of plain Python for every query."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Direction, Query, Store, field, open_store
from cdrkit._engine import scan
from cdrkit._engine.plan import Plan
from cdrkit._model import frames_of
from cdrkit.storage.indexes.rollups import (
    NO_TOTALS,
    SUMMED,
    TOTAL_FIELDS,
    Totals,
    TotalsOfMany,
    is_answerable,
    sum_totals,
    totals_of,
)
from tests import truth
from tests.counted_plan import CountedPlan
from tests.months import inside
from tests.strategies import EPOCH, records, rolled_up
from tests.thresholds import all_small

NOW = EPOCH + timedelta(hours=40)
_names = itertools.count()


def frame_of(calls: Sequence[CallRecord]) -> pl.DataFrame:
    """Return *calls* as a frame, in order."""
    return pl.concat(frames_of(list(calls))).sort("start", "call_id")


calls_lists = st.lists(records(), min_size=1, max_size=30, unique_by=lambda call: (call.start, call.call_id))


class TestRows:
    """The rows of one segment's totals."""

    @given(calls_lists)
    def test_one_row_for_each_day_and_group(self, calls: list[CallRecord]) -> None:
        """They are the calls grouped by day, customer, reseller, direction, currency and connection."""
        expected: dict[tuple[object, ...], list[CallRecord]] = defaultdict(list)
        for call in calls:
            connected = None if call.duration is None else call.duration > 0
            direction = None if call.direction is None else str(call.direction.value)
            day = call.start.date()
            expected[(day, call.customer_id, call.reseller_id, direction, call.currency, connected)].append(
                call
            )
        found = totals_of(frame_of(calls))
        assert found.schema == NO_TOTALS.schema
        assert {row[:6]: row[6:] for row in found.iter_rows()} == {
            group: (
                len(mine),
                sum(call.duration or 0 for call in mine),
                sum(call.billed_duration or 0 for call in mine),
                sum(charges, Decimal(0)) if (charges := _charges(mine)) else None,
            )
            for group, mine in expected.items()
        }
        assert found.height == len(expected)

    def test_columns_that_are_not_there(self) -> None:
        """Calls of nothing but a start are attempts, of no customer, and nobody knows whether connected."""
        frame = pl.DataFrame({"start": [EPOCH, EPOCH]}).cast(pl.Datetime("us", "UTC"))
        assert totals_of(frame).rows() == [(EPOCH.date(), None, None, None, None, None, 2, 0, 0, None)]
        assert totals_of(frame.clear()).rows() == []

    def test_sums_that_pass_32_bits(self) -> None:
        """Seconds and amounts of many long and dear calls do not run over."""
        most = 2**31 - 1
        dear = Decimal("999999999999.999999")
        calls = [
            CallRecord(call_id=f"{at}", start=EPOCH, duration=most, billed_duration=most, charge=dear)
            for at in range(50)
        ]
        (row,) = totals_of(frame_of(calls)).rows(named=True)
        assert (row["duration"], row["billed_duration"], row["charge"]) == (50 * most, 50 * most, 50 * dear)

    @given(calls_lists)
    def test_brief_says_the_same_with_less(self, calls: list[CallRecord]) -> None:
        """By day and currency, the brief totals add up to the same."""
        totals = Totals(totals_of(frame_of(calls)))
        for by in ((), ("day",), ("currency",), ("day", "currency")):
            one, other = sum_totals(totals.rows, *by), sum_totals(totals.brief, *by)
            assert sorted(one.rows(), key=str) == sorted(other.rows(), key=str)


def _charges(calls: Sequence[CallRecord]) -> list[Decimal]:
    return [call.charge for call in calls if call.charge is not None]


class TestAnswers:
    """Which questions totals answer."""

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (field("customer_id") == "1001", True),
            (field("reseller_id").is_in(["a", "b"]), True),
            (field("direction") == Direction.INBOUND, True),
            (field("currency").is_null(), True),
            (field("duration") > 0, True),
            (~(field("duration") > 0) & (field("customer_id") < "2"), True),
            (field("duration") >= 0, False),
            (field("duration") > 1, False),
            (field("duration").is_null(), False),
            (field("charge") > 0, False),
            (field("customer_id").starts_with("1"), False),
            ((field("customer_id") == "1001") | (field("switch") == "sw1"), False),
        ],
        ids=str,
    )
    def test_which(self, condition: object, expected: bool) -> None:
        """Customer, reseller, direction, currency and being connected, in any combination; nothing else."""
        assert is_answerable(condition) is expected  # type: ignore[arg-type]

    @given(calls_lists, st.lists(st.sampled_from(["1001", "1002", "none"]), min_size=1, max_size=2))
    def test_may_hold(self, calls: list[CallRecord], customers: list[str]) -> None:
        """A segment is skipped only when it has none of the customers; other conditions skip nothing."""
        totals = Totals(totals_of(frame_of(calls)))
        has = any(call.customer_id in customers for call in calls)
        assert totals.may_hold([field("customer_id").is_in(customers)]) is has
        assert totals.may_hold([field("customer_id") != "1001"])
        assert totals.may_hold([field("customer_id").is_null()])
        assert totals.may_hold([field("reseller_id") == "nobody"])

    def test_days(self) -> None:
        """A period of whole days takes the rows of those days."""
        calls = [CallRecord(call_id="a", start=EPOCH + timedelta(days=day), duration=day) for day in range(4)]
        many = TotalsOfMany([Totals(totals_of(frame_of(calls[:2]))), Totals(totals_of(frame_of(calls[2:])))])
        day = EPOCH.date()
        bounds: list[tuple[tuple[date | None, date | None], int]] = [
            ((None, None), 4),
            ((day, None), 4),
            ((day + timedelta(1), day + timedelta(3)), 2),
            ((None, day), 0),
        ]
        for days, expected in bounds:
            assert many.matching([], days)["attempts"].sum() == expected
        connected = many.matching([field("duration") > 0], (None, None))
        assert connected["attempts"].sum() == 3


def scanned(plan: Plan, *by: str) -> pl.DataFrame:
    """Return what *plan* sums up to by a look at every call."""
    parts = [Totals(totals_of(frame)).brief for frame in plan.frames(TOTAL_FIELDS)]
    return sum_totals(pl.concat([NO_TOTALS, *parts]), *by)


def lived(place: str, calls: list[CallRecord]) -> Store:
    """Return a store with a third of *calls* in the warm tier, a third in one hot segment, a third in others."""
    store, third = open_store(place, region="GB"), len(calls) // 3
    store.append(calls[:third])
    store.maintenance.move_to_warm(now=NOW + timedelta(days=250), keep_months=0)
    store.append(calls[third : 2 * third])
    for call in calls[2 * third :]:
        store.append([call])
    return store


class TestOfAStore:
    """Totals and counts of a store, from roll-ups of both tiers and from the calls at the edges of a period."""

    @given(calls_lists, st.lists(rolled_up(), min_size=4, max_size=4))
    def test_equal_plain_python_and_the_scan(self, calls: list[CallRecord], asked: list[Query]) -> None:
        """They equal a plain sum over the records, and the sums over the calls that the same plan gives."""
        with all_small():
            store = lived(f"memory://totals-{next(_names)}", calls)
            for query in asked:
                expected = truth.daily_totals(query, calls, region="GB", now=NOW)
                assert list(store.daily_totals(query, now=NOW)) == expected
                assert store.count(query, now=NOW) == sum(total.attempts for total in expected)
                parts = inside(store)
                plan = Plan.of(query, parts.log.snapshot(), parts.tiers, "GB", NOW)
                for by in ((), ("day",), ("currency",), ("day", "currency")):
                    one, other = plan.totals(*by), scanned(plan, *by)
                    assert one.columns == [*by, *SUMMED]
                    assert sorted(one.rows(), key=str) == sorted(other.rows(), key=str)

    @pytest.mark.parametrize("offset", [timedelta(0), timedelta(microseconds=1), timedelta(hours=7)], ids=str)
    def test_edges_of_a_period(self, offset: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
        """Calls are looked at only where the period cuts through a day; elsewhere roll-ups answer."""
        first = datetime(2026, 10, 20, tzinfo=UTC)
        calls = [
            CallRecord(call_id=f"{hour:04d}", start=first + timedelta(hours=hour), duration=hour % 3)
            for hour in range(24 * 6)
        ]
        monkeypatch.setattr(scan, "_MIN_SKIPPABLE", 1)
        store = open_store(f"memory://totals-{next(_names)}")
        store.append(calls)
        query = Query().between(first + timedelta(days=1) + offset, first + timedelta(days=5) + offset)
        parts = inside(store)
        plan = CountedPlan(Plan.of(query, parts.log.snapshot(), parts.tiers, None, NOW))
        expected = truth.daily_totals(query, calls, region=None, now=NOW)
        assert plan.totals("day").sort("day")["attempts"].to_list() == [total.attempts for total in expected]
        assert plan.count() == 96
        whole = not offset
        assert plan.counters.rolled_up == (2 * 4 if whole else 2 * 3)
        assert plan.counters.rows_scanned == plan.counters.fetched == 0
