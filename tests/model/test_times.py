"""Tests for instants, ranges of time, named periods and zones, against the standard library's zoneinfo."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdrkit._model import (
    PRESETS,
    TimeRange,
    check_preset,
    check_zone,
    day_start,
    format_instant,
    parse_instant,
    resolve_preset,
    zone,
)
from cdrkit._model.zones import _ABBREVIATIONS
from cdrkit.errors import ConfigError, QueryError

ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Tehran",
    "Asia/Kolkata",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",
)
SKIPPED = date(2011, 12, 30)  # the day that Samoa left out


def change_days() -> list[tuple[str, date]]:
    """Return (zone, day) for every day from 2000 to 2037 that is not 24 hours long by its UTC offsets."""
    found = []
    for name in ZONES:
        local = ZoneInfo(name)
        offset = datetime(2000, 1, 1, tzinfo=local).utcoffset()
        for number in range(date(2000, 1, 1).toordinal(), date(2037, 12, 31).toordinal()):
            day = date.fromordinal(number)
            tomorrow = datetime.combine(day + timedelta(days=1), time(12), tzinfo=local).utcoffset()
            if tomorrow != offset:
                found += [(name, day), (name, day + timedelta(days=1))]
                offset = tomorrow
    return found


CHANGE_DAYS = change_days()


def truth_of_day_start(day: date, name: str) -> datetime:
    """Return the first minute whose local time is at or after midnight, by walking over them."""
    local = ZoneInfo(name)
    midnight = datetime.combine(day, time())
    around = [(midnight + timedelta(hours=hours)).replace(tzinfo=local).utcoffset() for hours in (-36, 36)]
    at = midnight.replace(tzinfo=UTC) - max(offset for offset in around if offset is not None)
    while at.astimezone(local).replace(tzinfo=None) < midnight:
        at += timedelta(minutes=1)
    return at


anywhere = st.tuples(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)),
)
near_a_change = st.tuples(st.sampled_from(CHANGE_DAYS), st.integers(0, 48 * 3600)).map(
    lambda given: (
        given[0][0],
        datetime.combine(given[0][1], time(), tzinfo=UTC) + timedelta(seconds=given[1] - 12 * 3600),
    )
)
moments = st.one_of(anywhere, near_a_change)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
near = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 9), timezones=st.just(UTC))
bounds = st.one_of(st.none(), near)


def ranges() -> st.SearchStrategy[TimeRange]:
    """Return ranges close enough together to meet often."""

    def ordered(pair: tuple[datetime | None, datetime | None]) -> TimeRange:
        start, end = pair
        return (
            TimeRange(end, start)
            if start is not None and end is not None and end < start
            else TimeRange(*pair)
        )

    return st.tuples(bounds, bounds).map(ordered)


class TestZones:
    """What may be called a zone."""

    def test_every_iana_zone(self) -> None:
        """Every zone of the system that frames can show is known under its own name, and no other is."""
        empty = pl.Series([], dtype=pl.Datetime("us", "UTC"))
        for name in sorted(available_timezones()):
            try:
                empty.dt.convert_time_zone(name)
            except pl.exceptions.ComputeError:
                with pytest.raises(ConfigError):
                    check_zone(name)
            else:
                assert check_zone(name) == name

    def test_usual_capitals(self) -> None:
        """A zone in other capitals is given its usual ones."""
        assert check_zone("europe/LONDON") == "Europe/London"
        assert check_zone("utc") == "UTC"

    @pytest.mark.parametrize(
        ("wrong", "hint"),
        [
            ("Europe/Londn", "Did you mean 'Europe/London'"),
            ("London", "Did you mean 'Europe/London'?"),
            ("New York", "Did you mean 'America/New_York'?"),
            ("+05:30", "is a fixed offset"),
            ("UTC+2", "is a fixed offset"),
            ("GMT -3", "is a fixed offset"),
            ("BST", "Did you mean 'Europe/London'?"),
            ("cest", "Did you mean 'Europe/Berlin' or 'Europe/Paris'"),
            ("EDT", "Did you mean 'America/New_York'"),
            ("IST", "Did you mean 'Asia/Kolkata' or 'Europe/Dublin'"),
            ("", "Unknown time zone ''"),
            ("local", "Unknown time zone 'local'"),
            ("../../etc/passwd", "Unknown time zone"),
            ("Europe/London\0", "Unknown time zone"),
            ("right/UTC", "Unknown time zone"),
        ],
    )
    def test_unknown(self, wrong: str, hint: str) -> None:
        """What is no zone is refused, named, and put right where that can be guessed."""
        with pytest.raises(ConfigError) as caught:
            check_zone(wrong)
        assert hint in str(caught.value)
        assert repr(wrong) in str(caught.value)

    def test_abbreviations_name_zones(self) -> None:
        """Each abbreviation is unknown as a zone, and its places are known and show it in the course of a year."""
        days = [datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)]
        without_letters = {
            "mez",
            "mesz",
            "ist",
            "brt",
            "gst",
            "sgt",
        }  # German, or shown as an offset by the zone
        for short, places in _ABBREVIATIONS.items():
            with pytest.raises(ConfigError, match="abbreviation"):
                check_zone(short)
            for place in places:
                shown = {day.astimezone(zone(place)).tzname() for day in days}
                assert short in without_letters or short.upper() in shown, (short, place, shown)

    @pytest.mark.parametrize("wrong", [None, 5, UTC, ["UTC"], b"UTC"])
    def test_not_text(self, wrong: object) -> None:
        """Only text names a zone."""
        with pytest.raises(ConfigError, match="not"):
            check_zone(wrong)  # type: ignore[arg-type]

    @given(moments, st.integers(0, 1))
    def test_zone_is_zoneinfo(self, moment: tuple[str, datetime], fold: int) -> None:
        """Law: a zone converts, both ways and for both folds, as the standard library's does."""
        name, at = moment
        assert at.astimezone(zone(name)).isoformat() == at.astimezone(ZoneInfo(name)).isoformat()
        wall = at.replace(tzinfo=None, fold=fold)
        assert wall.replace(tzinfo=zone(name)).utcoffset() == wall.replace(tzinfo=ZoneInfo(name)).utcoffset()


class TestTimeRange:
    """The half-open range."""

    def test_half_open(self) -> None:
        """The start is in the range, the end is not."""
        start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
        period = TimeRange(start, end)
        assert start in period
        assert end not in period
        assert end - timedelta(microseconds=1) in period
        assert start - timedelta(microseconds=1) not in period

    def test_kept_in_utc(self) -> None:
        """Bounds of any zone are kept in UTC, so that equal ranges are equal."""
        paris = TimeRange(datetime(2026, 7, 1, 2, tzinfo=ZoneInfo("Europe/Paris")))
        assert paris == TimeRange(datetime(2026, 7, 1, tzinfo=UTC), None)
        assert hash(paris) == hash(TimeRange(datetime(2026, 7, 1, tzinfo=UTC)))
        assert paris.start is not None
        assert paris.start.tzinfo is UTC

    def test_unbounded(self) -> None:
        """A range without bounds holds everything."""
        assert datetime.min.replace(tzinfo=UTC) in TimeRange()
        assert datetime.max.replace(tzinfo=UTC) in TimeRange()
        assert not TimeRange().is_empty
        assert str(TimeRange()) == "[..., ...)"

    def test_empty(self) -> None:
        """A range whose bounds are equal is empty."""
        at = datetime(2026, 1, 1, tzinfo=UTC)
        assert TimeRange(at, at).is_empty
        assert at not in TimeRange(at, at)

    def test_wrong_way_round(self) -> None:
        """An end before the start is refused and both are named."""
        with pytest.raises(QueryError) as caught:
            TimeRange(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
        assert "2026-02-01T00:00:00Z" in str(caught.value)
        assert "2026-01-01T00:00:00Z" in str(caught.value)
        assert caught.value.parameter == "end"

    @pytest.mark.parametrize("wrong", [datetime(2026, 1, 1), date(2026, 1, 1), "2026-01-01", 0])
    def test_bounds_are_aware(self, wrong: object) -> None:
        """A bound, or an instant to look for, that is not an aware datetime is refused by name."""
        with pytest.raises(QueryError) as caught:
            TimeRange(wrong, None)  # type: ignore[arg-type]
        assert caught.value.parameter == "start"
        with pytest.raises(QueryError) as caught:
            TimeRange(None, wrong)  # type: ignore[arg-type]
        assert caught.value.parameter == "end"
        with pytest.raises(QueryError):
            TimeRange().contains(wrong)  # type: ignore[arg-type]

    @given(ranges(), ranges(), st.lists(near, min_size=1))
    def test_intersection(self, one: TimeRange, other: TimeRange, at: list[datetime]) -> None:
        """Law: an instant is in the intersection exactly when it is in both; the order does not matter."""
        both = one.intersect(other)
        edges = [edge for edge in (one.start, one.end, other.start, other.end) if edge is not None]
        for instant in at + edges:
            assert (instant in both) == (instant in one and instant in other)
            assert (instant in both) == (instant in other.intersect(one))
        assert one.intersect(TimeRange()) == one
        assert one.intersect(one) == one


class TestParse:
    """Words for an instant."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2026-11-24T09:30:00Z", "2026-11-24T09:30:00Z"),
            ("2026-11-24T09:30:00z", "2026-11-24T09:30:00Z"),
            ("2026-11-24t09:30+05:30", "2026-11-24T04:00:00Z"),
            ("2026-11-24 09:30:00-0300", "2026-11-24T12:30:00Z"),
            ("20261124T093000+01", "2026-11-24T08:30:00Z"),
            (" 2026-11-24 ", "2026-11-24T00:00:00Z"),
            ("20261124", "2026-11-24T00:00:00Z"),
            ("2026-11-24T09:30:00.5Z", "2026-11-24T09:30:00.500000Z"),
            ("2026-11-24T09:30:00,000001Z", "2026-11-24T09:30:00.000001Z"),
        ],
    )
    def test_iso_8601(self, text: str, expected: str) -> None:
        """ISO 8601 dates and times are read, microseconds and all."""
        assert format_instant(parse_instant(text)) == expected

    @pytest.mark.parametrize(
        "wrong",
        [
            "",
            "junk",
            "now",
            "today",
            "P1D",
            "PT5M",
            "2026-11-24/2026-11-25",
            "2026-11-24/P1D",
            "09:30",
            "T09:30",
            "2026",
            "2026-11",
            "2026-W48-2",
            "2026-328",
            "1763942400",
            "24/11/2026",
            "2026-13-01",
            "2026-02-29",
            "2026-11-24T24:00",
            "2026-11-24T23:59:60Z",
            "2026-11-24T09:30:00.1234567Z",
            "2026-11-24T09:30:00.0000000Z",
            "2026-11-24T09:30.5Z",
            "2026-11-24T09:30+25:00",
            "2026-11-24T09:30:00 01:00",
            "2026-11-24T09",
            "2026-11-24Z",
            "2026-11-24T09:30 Europe/London",
            "２０２６-11-24",
            "0001-01-01",
            "9999-12-31T23:30-01:00",
        ],
    )
    def test_junk(self, wrong: str) -> None:
        """What is not one instant, or not exactly kept, is refused, with its value and what it was for."""
        with pytest.raises(QueryError) as caught:
            parse_instant(wrong, "Asia/Tokyo", parameter="start")
        assert caught.value.parameter == "start"
        assert repr(wrong) in str(caught.value)

    @pytest.mark.parametrize("wrong", [None, 5, 5.0, True, time(9), timedelta(1), b"2026-11-24"])
    def test_other_types(self, wrong: object) -> None:
        """Only text, dates and datetimes are times."""
        with pytest.raises(QueryError, match="for end"):
            parse_instant(wrong, parameter="end")  # type: ignore[arg-type]

    def test_hints(self) -> None:
        """The errors for too many decimals and for an offset damaged by a URL name the cause."""
        with pytest.raises(QueryError, match="six decimals"):
            parse_instant("2026-11-24T09:30:00.123456789Z")
        with pytest.raises(QueryError, match="%2B"):
            parse_instant("2026-11-24T09:30:00 01:00")

    def test_naive(self) -> None:
        """A naive datetime is refused even when a zone is given."""
        with pytest.raises(QueryError, match="has no time zone"):
            parse_instant(datetime(2026, 1, 1), "Europe/London")

    def test_unknown_zone(self) -> None:
        """The zone is checked."""
        with pytest.raises(ConfigError):
            parse_instant("2026-01-01", "Europe/Londn")
        with pytest.raises(ConfigError):
            parse_instant(date(2026, 1, 1), "Europe/Londn")

    def test_nanoseconds(self) -> None:
        """A pandas timestamp is taken to the microsecond, and refused when it is finer."""
        pandas = pytest.importorskip("pandas")
        found = parse_instant(pandas.Timestamp("2026-01-01T00:00:00.000001", tz="Europe/London"))
        assert type(found) is datetime
        assert found == datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)
        with pytest.raises(QueryError, match="more precise"):
            parse_instant(pandas.Timestamp("2026-01-01T00:00:00.000000001", tz="UTC"))

    def test_repeated_and_missing_hour(self) -> None:
        """A repeated hour is its first occurrence; a missing one has the offset before the change."""
        assert format_instant(parse_instant("2026-10-25T01:30", "Europe/London")) == "2026-10-25T00:30:00Z"
        assert format_instant(parse_instant("2026-03-29T01:30", "Europe/London")) == "2026-03-29T01:30:00Z"
        assert format_instant(parse_instant("2026-11-01T01:30", "America/New_York")) == "2026-11-01T05:30:00Z"

    @given(moments)
    def test_local_time(self, moment: tuple[str, datetime]) -> None:
        """Law: text without an offset is what zoneinfo makes of that wall time with fold=0."""
        name, at = moment
        wall = at.replace(tzinfo=None)
        expected = wall.replace(tzinfo=ZoneInfo(name), fold=0).astimezone(UTC)
        assert parse_instant(wall.isoformat(), name) == expected
        assert parse_instant(wall.isoformat(" "), name) == expected

    @given(instants, st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))
    def test_round_trip(self, at: datetime, offset: timedelta) -> None:
        """Law: an instant written in UTC, in any whole-minute offset, or not at all, comes back."""
        assert parse_instant(format_instant(at), "Asia/Tokyo") == at
        minutes = timezone(timedelta(minutes=offset // timedelta(minutes=1)))
        assert parse_instant(at.astimezone(minutes).isoformat()) == at
        assert parse_instant(at.astimezone(minutes)) == at
        assert parse_instant(at.astimezone(minutes)).tzinfo is UTC


class TestFormat:
    """Instants as text."""

    def test_format(self) -> None:
        """UTC with Z; decimals only where the second is not whole."""
        tokyo = datetime(2026, 1, 1, 9, tzinfo=ZoneInfo("Asia/Tokyo"))
        assert format_instant(tokyo) == "2026-01-01T00:00:00Z"
        assert format_instant(tokyo.replace(microsecond=120000)) == "2026-01-01T00:00:00.120000Z"
        assert format_instant(datetime(800, 1, 1, tzinfo=UTC)) == "0800-01-01T00:00:00Z"

    def test_naive(self) -> None:
        """A naive datetime is refused."""
        with pytest.raises(QueryError):
            format_instant(datetime(2026, 1, 1))


class TestDayStart:
    """Where a day begins."""

    @pytest.mark.parametrize(
        ("day", "name", "expected"),
        [
            (
                "2018-11-04",
                "America/Sao_Paulo",
                "2018-11-04T03:00:00Z",
            ),  # midnight is skipped: begins at 01:00
            ("2026-03-29", "Asia/Beirut", "2026-03-28T22:00:00Z"),
            ("2026-04-24", "Africa/Cairo", "2026-04-23T22:00:00Z"),
            ("2026-11-01", "America/Havana", "2026-11-01T04:00:00Z"),  # midnight comes twice
            ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"),  # the whole day is skipped
            ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"),
            ("2011-11-06", "America/St_Johns", "2011-11-06T02:30:00Z"),  # goes back at 00:01
        ],
    )
    def test_odd_midnights(self, day: str, name: str, expected: str) -> None:
        """A skipped midnight is the instant of the skip, a repeated one the first."""
        assert format_instant(day_start(date.fromisoformat(day), name)) == expected
        assert parse_instant(day, name) == day_start(date.fromisoformat(day), name)
        assert parse_instant(date.fromisoformat(day), name) == day_start(date.fromisoformat(day), name)

    def test_every_change_day(self) -> None:
        """Every day around a change of clocks begins where walking over its minutes says so."""
        wrong = [
            (name, day) for name, day in CHANGE_DAYS if day_start(day, name) != truth_of_day_start(day, name)
        ]
        assert len(CHANGE_DAYS) > 1000
        assert wrong == []

    def test_length_of_change_days(self) -> None:
        """A day on which clocks change is 23 or 25 hours long, half an hour off in Lord Howe."""
        for name, day, hours in [
            ("Europe/London", date(2026, 3, 29), 23),
            ("Europe/London", date(2026, 10, 25), 25),
            ("America/New_York", date(2026, 3, 8), 23),
            ("America/New_York", date(2026, 11, 1), 25),
            ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
            ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
            ("America/Havana", date(2026, 11, 1), 25),
            ("America/Sao_Paulo", date(2018, 11, 4), 23),
            ("Pacific/Apia", SKIPPED, 0),
            ("UTC", date(2026, 3, 29), 24),
        ]:
            at = day_start(day, name)
            assert day_start(day + timedelta(days=1), name) - at == timedelta(hours=hours), (name, day)
            if day != SKIPPED:
                assert resolve_preset("today", name, at) == TimeRange(at, at + timedelta(hours=hours))


def truth_of_preset(preset: str, name: str, now: datetime) -> tuple[date, date]:
    """Return the first day of a preset and the day after its last, found by walking over the calendar."""
    today = now.astimezone(ZoneInfo(name)).date()
    if truth_of_day_start(today + timedelta(days=1), name) <= now:
        today += timedelta(days=1)
    tomorrow = today + timedelta(days=1)
    one = timedelta(days=1)

    def unit(day: date) -> tuple[int, int]:
        if preset.endswith("_week"):
            return day.isocalendar()[:2]
        return day.year, {"month": day.month, "quarter": (day.month + 2) // 3, "year": 0}[
            preset.split("_")[1]
        ]

    if preset in ("today", "yesterday"):
        return (today, tomorrow) if preset == "today" else (today - one, today)
    first = today
    while unit(first - one) == unit(today):
        first -= one
    if preset.startswith("this_"):
        after = today
        while unit(after) == unit(today):
            after += one
        return first, after
    before = first - one
    while unit(before - one) == unit(first - one):
        before -= one
    return before, first


class TestPresets:
    """Named periods."""

    @pytest.mark.parametrize("name", PRESETS)
    @given(moment=moments)
    @example(moment=("Pacific/Apia", datetime(2011, 12, 30, 9, 59, tzinfo=UTC)))
    @example(moment=("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)))
    @example(moment=("America/St_Johns", datetime(2011, 11, 6, 2, 31, tzinfo=UTC)))
    @example(moment=("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)))
    @example(moment=("America/Havana", datetime(2026, 11, 1, 4, tzinfo=UTC)))
    def test_calendar(self, name: str, moment: tuple[str, datetime]) -> None:
        """Law: a fixed preset is the whole days that a walk over the zone's calendar finds."""
        place, now = moment
        first, after = truth_of_preset(name, place, now)
        period = resolve_preset(name, place, now)
        assert period == TimeRange(truth_of_day_start(first, place), truth_of_day_start(after, place))
        if name == "today" or name.startswith("this_"):
            assert now in period
        else:
            assert now not in period

    @given(moment=moments)
    @example(moment=("Pacific/Apia", datetime(2011, 12, 31, 10, tzinfo=UTC)))
    def test_contiguous(self, moment: tuple[str, datetime]) -> None:
        """Law: each last_ period ends where its this_ period begins, and the small lie in the large."""
        place, now = moment
        found = {name: resolve_preset(name, place, now) for name in PRESETS}
        assert found["yesterday"].end == found["today"].start
        for unit in ("week", "month", "quarter", "year"):
            assert found[f"last_{unit}"].end == found[f"this_{unit}"].start
            assert found["today"].intersect(found[f"this_{unit}"]) == found["today"]
        assert found["this_month"].intersect(found["this_quarter"]) == found["this_month"]
        assert found["this_quarter"].intersect(found["this_year"]) == found["this_quarter"]

    @given(moment=moments, number=st.integers(1, 400))
    def test_days_and_weeks(self, moment: tuple[str, datetime], number: int) -> None:
        """Law: last_N_days is N dates of the zone, ending with today; a week is seven of them."""
        place, now = moment
        local = ZoneInfo(place)
        period = resolve_preset(f"last_{number}_days", place, now)
        assert period.end == resolve_preset("today", place, now).end
        assert now in period
        assert period.start is not None
        assert period.end is not None
        first = period.start.astimezone(local).date()
        last = (period.end - timedelta(microseconds=1)).astimezone(local).date()
        if place == "Pacific/Apia" and first == SKIPPED + timedelta(days=1):
            first = SKIPPED  # a period cannot begin on it, but it is counted
        if place != "America/St_Johns":  # where a day's last minutes may come after the next one's first
            assert (last - first).days + 1 == number or last == SKIPPED
        weeks = resolve_preset(f"last_{number}_weeks", place, now)
        assert weeks == resolve_preset(f"last_{7 * number}_days", place, now)
        assert resolve_preset("last_1_days", place, now) == resolve_preset("today", place, now)

    def test_last_seven_days(self) -> None:
        """last_7_days is today and the six days before, whatever the clocks did in between."""
        now = datetime(2026, 3, 31, 12, tzinfo=UTC)
        assert str(resolve_preset("last_7_days", "Europe/London", now)) == (
            "[2026-03-25T00:00:00Z, 2026-03-31T23:00:00Z)"
        )

    @pytest.mark.parametrize(
        ("now", "number", "start"),
        [
            ("2026-03-30", 1, "2026-02-28"),  # from the 31st
            ("2026-03-14", 1, "2026-02-15"),
            ("2024-03-30", 1, "2024-02-29"),
            ("2026-12-31", 3, "2026-10-01"),
            ("2026-01-30", 11, "2025-02-28"),
            ("2026-01-01", 12, "2025-01-02"),
            ("2026-01-01", 25, "2023-12-02"),
        ],
    )
    def test_months(self, now: str, number: int, start: str) -> None:
        """last_N_months begins N months before tomorrow, on the month's last day where it is too short."""
        at = parse_instant(now) + timedelta(hours=13)
        period = resolve_preset(f"last_{number}_months", "UTC", at)
        assert period == TimeRange(parse_instant(start), parse_instant(now) + timedelta(days=1))

    @given(moment=moments, number=st.integers(1, 5000))
    def test_rolling(self, moment: tuple[str, datetime], number: int) -> None:
        """Law: minutes and hours are counted back from now, the same in every zone."""
        place, now = moment
        assert resolve_preset(f"last_{number}_minutes", place, now) == TimeRange(
            now - timedelta(minutes=number), now
        )
        assert resolve_preset(f"last_{number}_hours", place, now) == TimeRange(
            now - timedelta(hours=number), now
        )

    def test_canonical(self) -> None:
        """One spelling for each: the plural, without leading zeros."""
        assert check_preset("last_1_day") == "last_1_days"
        assert check_preset("last_07_days") == "last_7_days"
        assert check_preset("last_2_month") == "last_2_months"
        assert [check_preset(name) for name in PRESETS] == list(PRESETS)

    @pytest.mark.parametrize(
        ("wrong", "hint"),
        [
            ("todya", "Did you mean 'today'?"),
            ("last_7_dys", "'last_7_days'"),
            ("Yesterday", "Did you mean 'yesterday'"),
            ("last_day", "last_N_days"),
            ("last_-1_days", "Unknown period"),
            ("last_1.5_days", "Unknown period"),
            ("last_N_days", "Unknown period"),
            ("last_7_days\n", "Unknown period"),
            ("last_٧_days", "Unknown period"),
            ("", "Unknown period"),
            (None, "None is not the name of a period"),
            (7, "7 is not the name of a period"),
            ("last_0_days", "at least 1"),
            ("last_000_months", "at least 1"),
            ("last_999999_weeks", "before the year 1"),
            (f"last_{'9' * 5000}_days", "before the year 1"),
        ],
    )
    def test_unknown(self, wrong: str, hint: str) -> None:
        """What is no period is refused for the parameter ``during``, with what is allowed or meant."""
        with pytest.raises(QueryError) as caught:
            check_preset(wrong)
        assert hint in str(caught.value)
        assert caught.value.parameter == "during"

    def test_beyond_the_calendar(self) -> None:
        """A period that would leave the years 1 to 9999 is refused."""
        late, early = datetime.max.replace(tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC)
        for name in ("today", "this_week", "this_month", "this_year", "last_3_days", "last_1_months"):
            with pytest.raises(QueryError, match="years 1 to 9999"):
                resolve_preset(name, "America/New_York", late)
        for name in ("last_week", "last_month", "last_year", "last_3_months", "last_99_hours"):
            with pytest.raises(QueryError, match="years 1 to 9999"):
                resolve_preset(name, "Asia/Tokyo", early)

    def test_now_and_zone_are_checked(self) -> None:
        """A naive now and an unknown zone are refused."""
        with pytest.raises(QueryError, match="for now"):
            resolve_preset("today", "UTC", datetime(2026, 1, 1))
        with pytest.raises(ConfigError):
            resolve_preset("today", "Mars/Olympus", datetime(2026, 1, 1, tzinfo=UTC))
