"""Presets: named periods, such as ``last_7_days``, and their time ranges."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

import attrs

from cdrkit._model.times import TimeRange, day_start, format_instant, plain_instant
from cdrkit._model.zones import zone
from cdrkit.errors import QueryError, suggestion

__all__ = ["PRESETS", "PRESET_PATTERNS", "Preset", "check_preset", "months_before", "resolve_preset"]

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
# The greatest number of each unit: it reaches back from the year 2000 to the year 1. More is a typing error.
_MOST: Final = {
    "minute": 1998 * 365 * 24 * 60,
    "hour": 1998 * 365 * 24,
    "day": 1998 * 365,
    "week": 1998 * 52,
    "month": 1998 * 12,
}


@attrs.frozen
class Preset:
    """A named period in a time zone, such as ``last_7_days``.

    Each run of a query converts the period to a time range.
    """

    name: str
    timezone: str


def check_preset(name: str) -> str:
    """Validate a preset's name and return its standard spelling.

    The standard spelling has a plural unit, such as ``last_1_days``.

    Raises:
        QueryError: When the preset is unknown, or its number is 0 or reaches back too far.
    """
    allowed = f"Use {', '.join(PRESETS + PRESET_PATTERNS)}."
    if not isinstance(name, str):
        raise QueryError(f"{name!r} is not the name of a period. {allowed}", parameter="during")
    if name in PRESETS:
        return name
    parts = _COUNTED.fullmatch(name)
    if parts is None:
        digits = re.search(r"[0-9]+", name)
        known = PRESETS + tuple(p.replace("N", digits[0] if digits else "N") for p in PRESET_PATTERNS)
        hint, _ = suggestion(name, known)
        raise QueryError(f"Unknown period {name!r}.{hint} {allowed}", parameter="during")
    number, unit = parts[1].lstrip("0"), parts[2]
    if not number:
        raise QueryError(f"The period {name!r} is empty; use at least 1 {unit}.", parameter="during")
    if len(number) > 10 or int(number) > _MOST[unit]:
        raise QueryError(
            f"The period {name!r} begins before the year 1; use at most {_MOST[unit]} {unit}s.",
            parameter="during",
        )
    return f"last_{number}_{unit}s"


def resolve_preset(name: str, timezone: str, now: datetime) -> TimeRange:
    """Return the time range that a preset stands for.

    Args:
        name: The name of the preset, as `check_preset` accepts it.
        timezone: IANA name of the calendar's time zone.
        now: The current instant, as an aware datetime.

    Raises:
        QueryError: When the preset is unknown, *now* is naive, or the range reaches outside the years 1 to 9999.
        ConfigError: When the zone is unknown.
    """
    preset, at = check_preset(name), plain_instant(now, "now")
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
            first, after = _days_back(int(counted[1]), counted[2], today)
        return TimeRange(day_start(first, timezone), day_start(after, timezone))
    except OverflowError as exc:
        raise QueryError(
            f"The period {preset!r}, counted from {format_instant(at)}, reaches outside the years "
            "1 to 9999; use a shorter period.",
            parameter="during",
        ) from exc


def _local_day(instant: datetime, timezone: str) -> date:
    day = instant.astimezone(zone(timezone)).date()
    # Where clocks go back just after midnight they show yesterday's date again, although today has begun.
    tomorrow = day + timedelta(days=1)
    return tomorrow if day_start(tomorrow, timezone) <= instant else day


def _calendar_days(preset: str, today: date) -> tuple[date, date]:
    """Return the first day of a calendar preset, and the day after its last day."""
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
    first = today.replace(month=(today.month - 1) // months * months + 1, day=1)
    return (first, _plus_months(first, months)) if which == "this" else (_plus_months(first, -months), first)


def _days_back(number: int, unit: str, today: date) -> tuple[date, date]:
    """For a period that ends today, return two days: its first day, and tomorrow."""
    tomorrow = today + timedelta(days=1)
    if unit == "month":
        return _plus_months(tomorrow, -number), tomorrow
    return tomorrow - timedelta(days=number * (7 if unit == "week" else 1)), tomorrow


def months_before(instant: datetime, months: int) -> datetime:
    """Return the start of the UTC month that is *months* months before *instant*."""
    day = _plus_months(instant.astimezone(UTC).date(), -months)
    return datetime(day.year, day.month, 1, tzinfo=UTC)


def _plus_months(day: date, months: int) -> date:
    """Return the date that is *months* months after *day*.

    If the month of that date is too short, return the month's last day.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError(f"the year {year} is not between 1 and 9999")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
