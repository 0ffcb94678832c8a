"""Local stamps without an offset, as switches write them, made into instants by a stated rule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs
import polars as pl

from cdrkit._model import UTC, zone

__all__ = ["Instants", "resolve_instants"]

_LONGEST: Final = timedelta(days=10)
_MARGIN: Final = timedelta(days=1)
#: No clock is changed and changed back within that.
_STEP: Final = timedelta(hours=6)


@attrs.frozen(kw_only=True)
class Instants:
    """Instants made from local stamps.

    Attributes:
        utc: The instants, null where there was no stamp.
        repeated: How many stamps fell into an hour that the clock went through twice.
        missing: How many fell into an hour that the clock skipped.
    """

    utc: pl.Series
    repeated: int
    missing: int


def resolve_instants(stamps: pl.Series, timezone: str, *, not_before: pl.Series | None = None) -> Instants:
    """Return naive *stamps*, read on the clocks of *timezone*, as instants.

    A stamp in a repeated hour is read as the earlier of its two instants, or as the later one where the
    earlier lies before *not_before*. A stamp in a skipped hour is read with the offset from before the
    change, as the standard library does (PEP 495, ``fold=0``).
    """
    offset = _one_offset(stamps, timezone)
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
        found = [stamp.replace(tzinfo=clock, fold=0).astimezone(UTC) for stamp in stamps.filter(missing)]
        utc = utc.scatter(missing.arg_true(), pl.Series(found, dtype=utc.dtype))
    return Instants(utc=utc, repeated=int(repeated.sum()), missing=int(missing.sum()))


def _one_offset(stamps: pl.Series, timezone: str) -> timedelta | None:
    """Return the offset of all *stamps*, where no clock changed from well before the first to well after the last."""
    first, last = stamps.min(), stamps.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime) or last - first > _LONGEST:
        return None
    if not 1 < first.year <= last.year < 9999:  # what lies a day away may be no time at all
        return None
    clock = zone(timezone)
    steps = range((last - first) // _STEP + 2 * (_MARGIN // _STEP) + 1)
    offsets = {(first - _MARGIN + step * _STEP).replace(tzinfo=clock).utcoffset() for step in steps}
    return offsets.pop() if len(offsets) == 1 else None
