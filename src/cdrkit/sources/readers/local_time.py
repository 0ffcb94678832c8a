"""Conversion of local times, which have no offset, to instants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs
import polars as pl

from cdrkit._model import UTC, zone

__all__ = ["Instants", "resolve_instants"]

_LONGEST: Final = timedelta(days=10)
_MARGIN: Final = timedelta(days=1)
#: No zone changes its offset twice within this time.
_STEP: Final = timedelta(hours=6)


@attrs.frozen(kw_only=True)
class Instants:
    """The instants to which `resolve_instants` converts local times.

    Attributes:
        utc: The instants in UTC, null where a local time was null.
        repeated: The number of local times in an hour that occurs twice, because clocks go back.
        missing: The number of local times in an hour that does not exist, because clocks go forward.
    """

    utc: pl.Series
    repeated: int
    missing: int


def resolve_instants(stamps: pl.Series, timezone: str, *, not_before: pl.Series | None = None) -> Instants:
    """Convert local times to instants in UTC.

    A time in a repeated hour becomes the earlier of its two instants, or the later instant if the earlier precedes
    *not_before*. A time in a skipped hour has the offset from before the change, as in the standard library (PEP 495,
    ``fold=0``).

    Args:
        stamps: The local times, without a zone.
        timezone: The IANA zone of the clocks.
        not_before: For each time, the earliest possible instant in UTC, such as the start of its call.
    """
    offset = _constant_offset(stamps, timezone)
    if offset is not None:
        return Instants(utc=(stamps - offset).dt.replace_time_zone("UTC"), repeated=0, missing=0)
    earliest, latest = (
        stamps.dt.replace_time_zone(timezone, ambiguous=choice, non_existent="null").dt.convert_time_zone(
            "UTC"
        )
        for choice in ("earliest", "latest")
    )
    repeated = (earliest != latest).fill_null(False)
    utc = earliest
    if not_before is not None and repeated.any():
        utc = latest.zip_with(repeated & (earliest < not_before).fill_null(False), earliest)
    missing = earliest.is_null() & stamps.is_not_null()
    if missing.any():
        clock = zone(timezone)
        instants = [stamp.replace(tzinfo=clock, fold=0).astimezone(UTC) for stamp in stamps.filter(missing)]
        utc = utc.scatter(missing.arg_true(), pl.Series(instants, dtype=utc.dtype))
    return Instants(utc=utc, repeated=int(repeated.sum()), missing=int(missing.sum()))


def _constant_offset(stamps: pl.Series, timezone: str) -> timedelta | None:
    """Return the offset that all local times share, or None if offsets may differ.

    Subtracting one offset is much faster than converting each time. Most batches span a few hours.
    """
    first, last = stamps.min(), stamps.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime) or last - first > _LONGEST:
        return None
    if not 1 < first.year <= last.year < 9999:  # A day earlier or later may be out of the range of datetime.
        return None
    clock = zone(timezone)
    steps = range((last - first) // _STEP + 2 * (_MARGIN // _STEP) + 1)
    offsets = {(first - _MARGIN + step * _STEP).replace(tzinfo=clock).utcoffset() for step in steps}
    return offsets.pop() if len(offsets) == 1 else None
