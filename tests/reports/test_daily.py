"""Daily totals: by UTC day and by day of a zone, compared with plain Python and zoneinfo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cdrkit import CallRecord, Query, Store, open_store
from cdrkit.errors import ConfigError
from tests import truth
from tests.output.test_display import CHANGES

NOW = datetime(2026, 11, 23, tzinfo=UTC)


class TestUtcDays:
    """Totals by UTC day."""

    def test_daily_totals_agree_with_plain_python(self, busy: Store) -> None:
        """Totals per UTC day equal a plain sum over the records; money of different currencies stays apart."""
        query = Query().during("last_7_days")
        expected: dict[date, dict[str, Any]] = {}
        for call in truth.run(query, busy.run(), region="GB", now=NOW):
            day = expected.setdefault(
                call.start.date(),
                {"attempts": 0, "connected": 0, "duration": 0, "billed_duration": 0, "charges": {}},
            )
            day["attempts"] += 1
            day["connected"] += call.connected
            day["duration"] += call.duration or 0
            day["billed_duration"] += call.billed_duration or 0
            if call.charge is not None:
                code = call.currency or "XXX"
                day["charges"][code] = day["charges"].get(code, Decimal(0)) + call.charge
        totals = busy.daily_totals(query, now=NOW)
        assert {
            total.day: {
                "attempts": total.attempts,
                "connected": total.connected,
                "duration": total.duration,
                "billed_duration": total.billed_duration,
                "charges": dict(total.charges),
            }
            for total in totals
        } == expected
        assert [total.day for total in totals] == sorted(expected)
        assert len({code for total in totals for code in total.charges}) > 1
        assert totals.to_polars()["attempts"].sum() == sum(day["attempts"] for day in expected.values())
        assert totals.to_arrow().num_rows == len(totals)

    def test_asr_of_connected_calls_is_not_claimed(self, busy: Store) -> None:
        """With only connected calls asked for there is no answer-seizure ratio; otherwise it is a percentage."""
        assert {total.asr for total in busy.daily_totals(Query().connected())} == {None}
        total = busy.daily_totals()[0]
        assert total.asr == pytest.approx(100 * total.connected / total.attempts)
        assert total.acd == pytest.approx(total.duration / total.connected)


class TestDays:
    """Law: `by_day` counts each call once, on the calendar day of the zone in which it began, as zoneinfo says."""

    @pytest.mark.parametrize("zone", [*CHANGES, "UTC", "Asia/Kolkata", "America/Havana", "Africa/Cairo"])
    def test_against_zoneinfo(self, zone: str) -> None:
        """Totals per local day are those of plain Python, around both changes of the year."""
        store = open_store(f"memory://days-{zone}")
        first = [
            datetime(2026, month, day, tzinfo=UTC)
            for month, day in ((3, 7), (3, 28), (4, 23), (10, 3), (10, 31))
        ]
        calls = [
            CallRecord(
                call_id="a",
                start=begin + timedelta(minutes=20 * step),
                duration=step % 3,
                charge=Decimal("0.25"),
                currency="GBP" if step % 2 else "USD",
            )
            for begin in first
            for step in range(200)
        ]
        store.append(calls)
        expected: dict[date, list[CallRecord]] = {}
        for record in calls:
            expected.setdefault(record.start.astimezone(ZoneInfo(zone)).date(), []).append(record)
        found = store.daily_totals(timezone=zone)
        assert [total.day for total in found] == sorted(expected)
        for total in found:
            mine = expected[total.day]
            assert total.attempts == len(mine)
            assert total.connected == sum(record.connected for record in mine)
            assert total.duration == sum(record.duration or 0 for record in mine)
            for currency in ("GBP", "USD"):
                charged = [record.charge or 0 for record in mine if record.currency == currency]
                assert total.charges.get(currency, 0) == sum(charged)
            assert all(record.start in total.period for record in mine)
            assert total.timezone == zone
        if zone == "UTC":
            assert found == store.daily_totals()

    def test_lengths(self) -> None:
        """A day on which clocks change has 23 or 25 hours, and a call at each end of it is counted there."""
        store = open_store("memory://days-of-change")
        for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
            start = datetime.combine(day, datetime.min.time(), ZoneInfo("Europe/London")).astimezone(UTC)
            store.append(
                CallRecord(call_id=str(hour), start=start + timedelta(hours=hour), duration=1)
                for hour in range(-1, hours + 1)
            )
            (total,) = store.daily_totals(
                Query().between(day, day + timedelta(days=1), "Europe/London"), timezone="Europe/London"
            )
            assert total.attempts == hours
            assert total.period.start == start
            assert total.period.end == start + timedelta(hours=hours)

    def test_midnight_that_is_undone(self) -> None:
        """Where clocks went back over midnight, the new day had begun, as it had for the presets of a query."""
        store = open_store("memory://days-undone")
        begun = datetime(
            2010, 11, 7, 2, 30, tzinfo=UTC
        )  # midnight in St. John's; a minute later it was 23:01 again
        store.append(
            CallRecord(call_id=str(minute), start=begun + timedelta(minutes=minute), duration=1)
            for minute in range(-30, 90)
        )
        found = store.daily_totals(timezone="America/St_Johns")
        assert [(total.day.day, total.attempts) for total in found] == [(6, 30), (7, 90)]
        today = Query().during("today", "America/St_Johns")
        assert store.count(today, now=begun + timedelta(hours=1)) == 90

    def test_ends_of_the_calendar(self) -> None:
        """The first and the last day that there are have calls, too."""
        store = open_store("memory://days-at-the-ends")
        ends = [datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 12, tzinfo=UTC)]
        store.append(CallRecord(call_id=str(end.year), start=end) for end in ends)
        assert [total.day for total in store.daily_totals(timezone="UTC")] == [end.date() for end in ends]

    def test_conditions(self) -> None:
        """It keeps to the query, its limit included, and to whether attempts are missing; a zone must be one."""
        store = open_store("memory://days-asked")
        start = datetime(2026, 11, 22, 12, tzinfo=UTC)
        store.append(CallRecord(call_id=str(n), start=start, duration=n % 2) for n in range(6))
        (total,) = store.daily_totals(Query().connected(), timezone="Asia/Tokyo")
        assert (total.attempts, total.asr, total.by_outcome) == (3, None, True)
        assert store.daily_totals(Query().limit(2), timezone="Asia/Tokyo")[0].attempts == 2
        assert list(store.daily_totals(Query().customer("none"), timezone="Asia/Tokyo")) == []
        with pytest.raises(ConfigError, match="time zone"):
            store.daily_totals(timezone="Asia/Atlantis")
