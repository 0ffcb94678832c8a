"""Instants in UTC, half-open ranges of them, the named periods of a zone, and the zones themselves.

Every instant inside cdrkit is an aware ``datetime`` in UTC. Zones matter only where a person's words become
instants (a date, a local time, ``last_7_days``) and where instants are shown.
"""

from __future__ import annotations

import calendar
import functools
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

import attrs
import pendulum
import polars as pl

from cdrkit.errors import ConfigError, QueryError, suggestion

__all__ = [
    "PRESETS",
    "PRESET_PATTERNS",
    "UTC",
    "TimeRange",
    "check_preset",
    "check_zone",
    "day_start",
    "format_instant",
    "months_before",
    "parse_instant",
    "parse_offset_instant",
    "resolve_preset",
    "zone",
    "zone_names",
]

#: The presets with a fixed name: whole calendar periods of the zone.
PRESETS: Final[tuple[str, ...]] = (
    "today",
    "yesterday",
    "this_week",
    "last_week",
    "this_month",
    "last_month",
    "this_quarter",
    "last_quarter",
    "this_year",
    "last_year",
)
#: The presets with a number in them; ``N`` is 1 or more.
PRESET_PATTERNS: Final[tuple[str, ...]] = (
    "last_N_minutes",
    "last_N_hours",
    "last_N_days",
    "last_N_weeks",
    "last_N_months",
)

_COUNTED: Final = re.compile(r"last_([0-9]+)_(minute|hour|day|week|month)s?")
# What reaches back from the year 2000 to the year 1; more than that is a slip of the finger.
_MOST: Final = {
    "minute": 1998 * 365 * 24 * 60,
    "hour": 1998 * 365 * 24,
    "day": 1998 * 365,
    "week": 1998 * 52,
    "month": 1998 * 12,
}
_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8})"
    r"(?:[Tt ](?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?|\d{4}(?:\d\d(?:[.,]\d{1,6})?)?)"
    r"(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_TOO_FINE: Final = re.compile(r"[.,]\d{7,}(?=[Zz+-]|$)", re.ASCII)
_FIXED_OFFSET: Final = re.compile(r"(?:utc|gmt)?\s*[+-]\s*\d.*", re.ASCII | re.IGNORECASE)


def check_zone(name: str) -> str:
    """Return the IANA name of the zone *name*, in its usual capitals.

    Raises:
        ConfigError: When there is no such zone.
    """
    if not isinstance(name, str):
        raise ConfigError(f"A time zone is the name of one, such as 'Europe/London', not {name!r}.")
    return _checked_zone(name)


def zone(name: str) -> tzinfo:
    """Return the zone *name* for use with `datetime`.

    Raises:
        ConfigError: When there is no such zone.
    """
    return pendulum.timezone(check_zone(name))


def zone_names() -> list[str]:
    """Return the names of all zones there are, sorted."""
    return sorted(_known_zones().values())


@functools.lru_cache(maxsize=1024)
def _checked_zone(name: str) -> str:
    known = _known_zones()
    found = known.get(name.casefold())
    if found is not None:
        try:
            # Frames have a zone table of their own: a zone that only the system knows could not be shown.
            # Asked without computing: that would start the threads that no fork survives.
            pl.Series([], dtype=pl.Datetime("us", found))
            return found
        except pl.exceptions.ComputeError as exc:
            raise ConfigError(
                f"The time zone {name!r} is not in the IANA list; give a name such as 'Europe/London'."
            ) from exc
    if _FIXED_OFFSET.fullmatch(name.strip()):
        raise ConfigError(
            f"{name!r} is an offset, which no place keeps for ever; "
            "give the IANA name of a place, such as 'Asia/Kolkata', or 'UTC'."
        )
    place = name.strip().replace(" ", "_")
    same_place = sorted(full for key, full in known.items() if place and key.endswith("/" + place.casefold()))
    if same_place:
        hint = f" Did you mean {' or '.join(map(repr, same_place[:3]))}?"
    else:
        hint, _ = suggestion(place, sorted(known.values()))
    raise ConfigError(
        f"There is no time zone {name!r}; give an IANA name, such as 'Europe/London' or 'UTC'.{hint}"
    )


@functools.lru_cache(maxsize=1)
def _known_zones() -> dict[str, str]:
    return {name.casefold(): name for name in pendulum.timezones()}


def _instant(value: object, parameter: str | None) -> datetime:
    """Return an aware datetime of whatever class as a plain one in UTC."""
    if not isinstance(value, datetime):
        raise QueryError(f"{_called(parameter)} is an aware datetime, not {value!r}.", parameter=parameter)
    if value.tzinfo is None or value.utcoffset() is None:
        raise QueryError(
            f"{_called(parameter)} {value!r} has no time zone; make it aware, "
            "for example with .replace(tzinfo=ZoneInfo('Europe/London')), or give ISO 8601 text and a zone.",
            parameter=parameter,
        )
    if getattr(value, "nanosecond", 0):
        raise QueryError(
            f"{_called(parameter)} {value!r} is finer than a microsecond; round it first.",
            parameter=parameter,
        )
    try:
        utc = value.astimezone(UTC)
    except OverflowError as exc:
        raise _out_of_range(value, parameter) from exc
    return datetime(
        utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC
    )


def _called(parameter: str | None) -> str:
    return "The time" if parameter is None else f"The time for {parameter}"


def _out_of_range(value: object, parameter: str | None) -> QueryError:
    return QueryError(
        f"{_called(parameter)} {value!r} is outside the years 1 to 9999 in UTC; give one within them.",
        parameter=parameter,
    )


def _bound(name: str, value: datetime | None) -> datetime | None:
    return None if value is None else _instant(value, name)


def _start_bound(value: datetime | None) -> datetime | None:
    return _bound("start", value)


def _end_bound(value: datetime | None) -> datetime | None:
    return _bound("end", value)


@attrs.frozen
class TimeRange:
    """A range of time: from *start*, which is in it, to *end*, which is not.

    Bounds are kept in UTC, whatever zone they are given in. A bound that is None is no bound. A range whose
    bounds are equal is empty.

    >>> from datetime import UTC, datetime
    >>> november = TimeRange(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    >>> datetime(2026, 11, 30, 23, 59, tzinfo=UTC) in november
    True
    >>> november.end in november
    False
    >>> print(november)
    [2026-11-01T00:00:00Z, 2026-12-01T00:00:00Z)

    Args:
        start: The first instant, inclusive; an aware datetime of any zone, or None.
        end: The last instant, exclusive; an aware datetime of any zone, or None.

    Raises:
        QueryError: When a bound is not an aware datetime, or *end* is before *start*.
    """

    start: datetime | None = attrs.field(default=None, converter=_start_bound)
    end: datetime | None = attrs.field(default=None, converter=_end_bound)

    def __attrs_post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise QueryError(
                f"The end {format_instant(self.end)} is before the start {format_instant(self.start)}; "
                "give the earlier time first.",
                parameter="end",
            )

    @property
    def is_empty(self) -> bool:
        """Whether no instant is in it."""
        return self.start is not None and self.start == self.end

    def contains(self, instant: datetime) -> bool:
        """Return whether *instant*, an aware datetime, is in the range.

        Raises:
            QueryError: When it is not an aware datetime.
        """
        at = _instant(instant, "instant")
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def __contains__(self, instant: datetime) -> bool:
        return self.contains(instant)

    def intersect(self, other: TimeRange) -> TimeRange:
        """Return what lies in both ranges; an empty range where they do not meet."""
        start = max((at for at in (self.start, other.start) if at is not None), default=None)
        end = min((at for at in (self.end, other.end) if at is not None), default=None)
        if start is not None and end is not None and end < start:
            end = start
        return TimeRange(start, end)

    def __str__(self) -> str:
        start = "..." if self.start is None else format_instant(self.start)
        end = "..." if self.end is None else format_instant(self.end)
        return f"[{start}, {end})"


def format_instant(instant: datetime) -> str:
    """Return *instant* as ISO 8601 in UTC with ``Z``; six decimals where the second is not whole.

    Raises:
        QueryError: When it is not an aware datetime.
    """
    return _instant(instant, None).isoformat().removesuffix("+00:00") + "Z"


def parse_instant(
    value: str | date | datetime, timezone: str = "UTC", *, parameter: str | None = None
) -> datetime:
    """Return the instant that *value* says, in UTC.

    ISO 8601 text with an offset, and an aware datetime, are that instant. Text without an offset is the local
    time of *timezone*: in a repeated hour its first occurrence, in a missing hour as if the clocks had not
    changed yet. A date, as text or as `datetime.date`, is the first instant of that day in *timezone*.

    >>> parse_instant("2026-07-01T09:30", "Europe/London").isoformat()
    '2026-07-01T08:30:00+00:00'

    Args:
        value: A calendar date, with or without a time of day of at most microseconds.
        timezone: IANA name of the zone that dates and local times are in.
        parameter: What the value is for; named in the error.

    Raises:
        QueryError: When it is not a time, is a naive datetime, or is outside the years 1 to 9999.
        ConfigError: When there is no such zone.
    """
    if isinstance(value, datetime):
        return _instant(value, parameter)
    try:
        if isinstance(value, date):
            return day_start(value, timezone)
        if isinstance(value, str):
            return _parse_text(value, timezone, parameter)
    except OverflowError as exc:
        raise _out_of_range(value, parameter) from exc
    raise QueryError(
        f"{_called(parameter)} is ISO 8601 text, a date or an aware datetime, not {value!r}.",
        parameter=parameter,
    )


def _parse_text(value: str, timezone: str, parameter: str | None) -> datetime:
    text = value.strip()
    parts = _ISO.fullmatch(text)
    if parts is None:
        hint = "write it as in 2026-11-24, 2026-11-24T09:30 or 2026-11-24T09:30:00+01:00."
        if _TOO_FINE.search(text):
            hint = "at most six decimals of a second are kept; write no more."
        elif _ISO.fullmatch(re.sub(r" (\d\d:?\d\d)$", r"+\1", text)) and text.count(":") > 1:
            hint = "the + of an offset is written %2B in a URL."
        raise QueryError(f"{_called(parameter)} {value!r} is not ISO 8601: {hint}", parameter=parameter)
    try:
        day = date.fromisoformat(text) if parts["clock"] is None else None
        moment = datetime.fromisoformat(text.upper())
    except ValueError as exc:
        raise QueryError(
            f"{_called(parameter)} {value!r} is not in the calendar or not on the clock ({exc}); "
            "months are 01 to 12, hours 00 to 23.",
            parameter=parameter,
        ) from exc
    if day is not None:
        return day_start(day, timezone)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone(timezone))).astimezone(UTC)


def parse_offset_instant(text: str, *, parameter: str | None = None) -> datetime:
    """Return the instant of ISO 8601 text that has an offset or ``Z``.

    Args:
        text: A date with a time of day and an offset.
        parameter: The name of the value, for the error.

    Raises:
        QueryError: When the text is not ISO 8601, has no offset, or is outside the years 1 to 9999.
    """
    parts = _ISO.fullmatch(text.strip())
    if parts is not None and parts["offset"] is None:
        raise QueryError(
            f"{_called(parameter)} {text!r} has no time zone; end it with an offset such as +01:00, or with Z.",
            parameter=parameter,
        )
    return parse_instant(text, parameter=parameter)


def day_start(day: date, timezone: str) -> datetime:
    """Return the first instant of *day* in the zone, in UTC.

    That is midnight; where midnight comes twice the first, where clocks skip it the instant they do. A day
    that a zone left out of its calendar begins where the next one does, and so is empty.

    Raises:
        ConfigError: When there is no such zone.
        OverflowError: When it is outside the years 1 to 9999 in UTC.
    """
    local = zone(timezone)
    midnight = datetime.combine(day, time())
    found = midnight.replace(tzinfo=local).astimezone(UTC)
    if found.astimezone(local).replace(tzinfo=None) == midnight:
        return found
    # Midnight was skipped: the change lies between midnight read with the offset after it and the one before.
    early = midnight.replace(tzinfo=local, fold=1).astimezone(UTC)
    seconds = int((found - early).total_seconds())
    low, high = 0, seconds
    while high - low > 1:
        middle = (low + high) // 2
        if (early + timedelta(seconds=middle)).astimezone(local).replace(tzinfo=None) < midnight:
            low = middle
        else:
            high = middle
    return early + timedelta(seconds=high)


def check_preset(name: str) -> str:
    """Return the preset *name*, with its unit in the plural.

    Raises:
        QueryError: When there is no such preset, or its number is 0 or reaches back too far.
    """
    allowed = f"Use {', '.join(PRESETS + PRESET_PATTERNS)}."
    if not isinstance(name, str):
        raise QueryError(f"A period is the name of one, not {name!r}. {allowed}", parameter="during")
    if name in PRESETS:
        return name
    parts = _COUNTED.fullmatch(name)
    if parts is None:
        digits = re.search(r"[0-9]+", name)
        known = PRESETS + tuple(p.replace("N", digits[0] if digits else "N") for p in PRESET_PATTERNS)
        hint, _ = suggestion(name, known)
        raise QueryError(f"There is no period {name!r}.{hint} {allowed}", parameter="during")
    number, unit = parts[1].lstrip("0"), parts[2]
    if not number:
        raise QueryError(f"The period {name!r} is empty; its number is 1 or more.", parameter="during")
    if len(number) > 10 or int(number) > _MOST[unit]:
        raise QueryError(
            f"The period {name!r} begins before the year 1; its number is at most {_MOST[unit]}.",
            parameter="during",
        )
    return f"last_{number}_{unit}s"


def resolve_preset(name: str, timezone: str, now: datetime) -> TimeRange:
    """Return the range that the preset *name* means at *now* in the zone.

    Args:
        name: The preset, as `check_preset` knows it.
        timezone: IANA name of the zone whose calendar is meant.
        now: The instant at which it is asked.

    Raises:
        QueryError: When there is no such preset, *now* is naive, or the range leaves the years 1 to 9999.
        ConfigError: When there is no such zone.
    """
    preset, at = check_preset(name), _instant(now, "now")
    try:
        counted = _COUNTED.fullmatch(preset)
        if counted is not None and counted[2] in ("minute", "hour"):
            return TimeRange(
                at - timedelta(minutes=int(counted[1]) * (60 if counted[2] == "hour" else 1)), at
            )
        today = _local_day(at, timezone)
        if counted is None:
            first, after = _calendar_days(preset, today)
        else:
            first, after = _counted_days(int(counted[1]), counted[2], today)
        return TimeRange(day_start(first, timezone), day_start(after, timezone))
    except OverflowError as exc:
        raise QueryError(
            f"The period {preset!r} at {format_instant(at)} leaves the years 1 to 9999; use a shorter one.",
            parameter="during",
        ) from exc


def _local_day(instant: datetime, timezone: str) -> date:
    day = instant.astimezone(zone(timezone)).date()
    # Where clocks go back just after midnight, yesterday's date comes twice; today has begun all the same.
    tomorrow = day + timedelta(days=1)
    return tomorrow if day_start(tomorrow, timezone) <= instant else day


def _calendar_days(preset: str, today: date) -> tuple[date, date]:
    """Return the first day of a calendar preset and the day after its last."""
    if preset == "today":
        return today, today + timedelta(days=1)
    if preset == "yesterday":
        return today - timedelta(days=1), today
    which, unit = preset.split("_")
    if unit == "week":
        monday = today - timedelta(days=today.weekday())
        edges = [monday + timedelta(weeks=weeks) for weeks in ((0, 1) if which == "this" else (-1, 0))]
        return edges[0], edges[1]
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    begun = today.replace(month=(today.month - 1) // months * months + 1, day=1)
    return (begun, _plus_months(begun, months)) if which == "this" else (_plus_months(begun, -months), begun)


def _counted_days(number: int, unit: str, today: date) -> tuple[date, date]:
    """Return the first day of a counted preset and tomorrow."""
    tomorrow = today + timedelta(days=1)
    if unit == "month":
        return _plus_months(tomorrow, -number), tomorrow
    return tomorrow - timedelta(days=number * (7 if unit == "week" else 1)), tomorrow


def months_before(instant: datetime, months: int) -> datetime:
    """Return the first instant of the UTC month in which *instant* minus *months* lies."""
    day = _plus_months(instant.astimezone(UTC).date(), -months)
    return datetime(day.year, day.month, 1, tzinfo=UTC)


def _plus_months(day: date, months: int) -> date:
    """Return the same day of another month, or the last one there where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError(f"year {year} is out of range")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
