"""Conversion of datetimes to and from microseconds since 1970.

Files store instants in this form.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["MICROSECOND", "from_microseconds", "to_microseconds"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The smallest difference between two instants.
MICROSECOND: Final = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """Return an aware datetime as microseconds since the start of 1970 in UTC.

    Example:
        >>> to_microseconds(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))
        2000000
    """
    return (instant - _EPOCH) // MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the UTC instant that is *count* microseconds after the start of 1970.

    Example:
        >>> from_microseconds(2_000_000)
        datetime.datetime(1970, 1, 1, 0, 0, 2, tzinfo=datetime.timezone.utc)

    Raises:
        OverflowError: When the year of that instant is not between 1 and 9999.
    """
    return _EPOCH + count * MICROSECOND
