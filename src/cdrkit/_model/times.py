"""Time ranges, and functions that parse and format instants.

Every instant inside cdrkit is an aware ``datetime`` in UTC. Time zones matter only when cdrkit parses user input (a
date, a local time, ``last_7_days``) or displays instants.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import attrs

from cdrkit._model.zones import zone
from cdrkit.errors import QueryError

__all__ = [
    "UTC",
    "TimeRange",
    "day_start",
    "format_instant",
    "parse_instant",
    "parse_offset_instant",
    "plain_instant",
]

_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8})"
    r"(?:[Tt ](?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?|\d{4}(?:\d\d(?:[.,]\d{1,6})?)?)"
    r"(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_TOO_FINE: Final = re.compile(r"[.,]\d{7,}(?=[Zz+-]|$)", re.ASCII)


def plain_instant(value: object, parameter: str | None) -> datetime:
    """Convert an aware datetime to a plain `datetime` in UTC.

    An instance of a subclass of `datetime` is also accepted.
    """
    if not isinstance(value, datetime):
        raise QueryError(
            f"{_label(parameter)} must be an aware datetime, not {value!r}.", parameter=parameter
        )
    if value.tzinfo is None or value.utcoffset() is None:
        raise QueryError(
            f"{_label(parameter)} {value!r} has no time zone; set the time zone, "
            "for example with .replace(tzinfo=ZoneInfo('Europe/London')).",
            parameter=parameter,
        )
    if getattr(value, "nanosecond", 0):
        raise QueryError(
            f"{_label(parameter)} {value!r} is more precise than a microsecond; round it first.",
            parameter=parameter,
        )
    try:
        utc = value.astimezone(UTC)
    except OverflowError as exc:
        raise _out_of_range(value, parameter) from exc
    return datetime(
        utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC
    )


def _label(parameter: str | None) -> str:
    return "The time" if parameter is None else f"The time for {parameter}"


def _out_of_range(value: object, parameter: str | None) -> QueryError:
    return QueryError(
        f"{_label(parameter)} {value!r} is outside the years 1 to 9999 in UTC; give an instant in these years.",
        parameter=parameter,
    )


def _bound(name: str, value: datetime | None) -> datetime | None:
    return None if value is None else plain_instant(value, name)


def _start_bound(value: datetime | None) -> datetime | None:
    return _bound("start", value)


def _end_bound(value: datetime | None) -> datetime | None:
    return _bound("end", value)


@attrs.frozen
class TimeRange:
    """A time range from *start* (inclusive) to *end* (exclusive).

    Bounds may be given in any zone and are kept in UTC. A range without *start* has no beginning, and a range without
    *end* has no end. A range whose bounds are equal is empty.

    Example:
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
        end: The end of the range, exclusive; an aware datetime of any zone, or None.

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
        """Return whether the range contains no instant.

        Example:
            >>> from datetime import UTC, datetime
            >>> noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
            >>> TimeRange(noon, noon).is_empty, TimeRange(noon).is_empty
            (True, False)
        """
        return self.start is not None and self.start == self.end

    def contains(self, instant: datetime) -> bool:
        """Return whether the range contains the aware datetime *instant*.

        Raises:
            QueryError: When *instant* is not an aware datetime.

        Example:
            >>> from datetime import UTC, datetime
            >>> morning = TimeRange(datetime(2026, 11, 22, 6, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC))
            >>> morning.contains(datetime(2026, 11, 22, 9, tzinfo=UTC)), morning.contains(morning.end)
            (True, False)
        """
        at = plain_instant(instant, "instant")
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def __contains__(self, instant: datetime) -> bool:
        return self.contains(instant)

    def intersect(self, other: TimeRange) -> TimeRange:
        """Return the part of this range that lies within *other*.

        The part is empty if the ranges do not overlap.

        Example:
            >>> from datetime import UTC, datetime
            >>> november = TimeRange(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
            >>> print(november.intersect(TimeRange(datetime(2026, 11, 22, tzinfo=UTC))))
            [2026-11-22T00:00:00Z, 2026-12-01T00:00:00Z)
        """
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
    """Return an instant as ISO 8601 text in UTC.

    The text ends with ``Z``, and has six decimals if the second is not whole.

    Raises:
        QueryError: When *instant* is not an aware datetime.
    """
    return plain_instant(instant, None).isoformat().removesuffix("+00:00") + "Z"


def parse_instant(
    value: str | date | datetime, timezone: str = "UTC", *, parameter: str | None = None
) -> datetime:
    """Convert a date, a datetime or ISO 8601 text to an instant in UTC.

    Text without an offset is a local time of *timezone*. If the local time occurs twice, its first occurrence counts.
    If clocks skip the local time, the offset before the change applies. A date, as text or as `datetime.date`, is the
    first instant of its day in *timezone*.

    >>> parse_instant("2026-07-01T09:30", "Europe/London").isoformat()
    '2026-07-01T08:30:00+00:00'

    Args:
        value: ISO 8601 text of a calendar date, with or without a time of day; a date; or an aware datetime. The
            precision is one microsecond.
        timezone: IANA name of the time zone for dates and local times.
        parameter: The name of the value, for the error.

    Raises:
        QueryError: When *value* is not a time, is a naive datetime, or is outside the years 1 to 9999.
        ConfigError: When the zone is unknown.
    """
    if isinstance(value, datetime):
        return plain_instant(value, parameter)
    try:
        if isinstance(value, date):
            return day_start(value, timezone)
        if isinstance(value, str):
            return _parse_text(value, timezone, parameter)
    except OverflowError as exc:
        raise _out_of_range(value, parameter) from exc
    raise QueryError(
        f"{_label(parameter)} must be ISO 8601 text, a date or an aware datetime, not {value!r}.",
        parameter=parameter,
    )


def _parse_text(value: str, timezone: str, parameter: str | None) -> datetime:
    text = value.strip()
    parts = _ISO.fullmatch(text)
    if parts is None:
        hint = "write it as in 2026-11-24, 2026-11-24T09:30 or 2026-11-24T09:30:00+01:00."
        if _TOO_FINE.search(text):
            hint = "at most six decimals of a second are stored; remove the others."
        elif _ISO.fullmatch(re.sub(r" (\d\d:?\d\d)$", r"+\1", text)) and text.count(":") > 1:
            hint = "write the + of an offset as %2B in a URL."
        raise QueryError(f"{_label(parameter)} {value!r} is not ISO 8601: {hint}", parameter=parameter)
    try:
        day = date.fromisoformat(text) if parts["clock"] is None else None
        moment = datetime.fromisoformat(text.upper())
    except ValueError as exc:
        raise QueryError(
            f"{_label(parameter)} {value!r} is not a valid date or time of day ({exc}); "
            "use months 01 to 12 and hours 00 to 23.",
            parameter=parameter,
        ) from exc
    if day is not None:
        return day_start(day, timezone)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone(timezone))).astimezone(UTC)


def parse_offset_instant(text: str, *, parameter: str | None = None) -> datetime:
    """Parse ISO 8601 text that has an offset or ``Z``.

    Args:
        text: A date with a time of day and an offset.
        parameter: The name of the value, for the error.

    Raises:
        QueryError: When the text is not ISO 8601, has no offset, or is outside the years 1 to 9999.
    """
    parts = _ISO.fullmatch(text.strip())
    if parts is not None and parts["offset"] is None:
        raise QueryError(
            f"{_label(parameter)} {text!r} has no time zone; end it with an offset such as +01:00, or with Z.",
            parameter=parameter,
        )
    return parse_instant(text, parameter=parameter)


def day_start(day: date, timezone: str) -> datetime:
    """Return the instant at which a day begins in *timezone*, as a time in UTC.

    A day begins at midnight. If clocks show midnight twice, the first midnight counts. If clocks skip midnight, the
    day begins at the clock change. A day that the zone omitted from its calendar is empty: it begins when the next day
    begins.

    Raises:
        ConfigError: When the zone is unknown.
        OverflowError: When the instant is outside the years 1 to 9999 in UTC.
    """
    local = zone(timezone)
    midnight = datetime.combine(day, time())
    instant = midnight.replace(tzinfo=local).astimezone(UTC)
    if instant.astimezone(local).replace(tzinfo=None) == midnight:
        return instant
    # Clocks skipped midnight. The change lies between midnight with the later offset and with the earlier offset.
    early = midnight.replace(tzinfo=local, fold=1).astimezone(UTC)
    seconds = int((instant - early).total_seconds())
    low, high = 0, seconds
    while high - low > 1:
        middle = (low + high) // 2
        if (early + timedelta(seconds=middle)).astimezone(local).replace(tzinfo=None) < midnight:
            low = middle
        else:
            high = middle
    return early + timedelta(seconds=high)
