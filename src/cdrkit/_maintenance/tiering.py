"""Tiering: move whole months of calls from the hot tier to the warm tier."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from cdrkit._maintenance.move_report import MoveReport
from cdrkit._maintenance.rewrite import discard_segments, read_segments, rewrite_segments, swap_segments
from cdrkit._model import months_before
from cdrkit.errors import ConfigError
from cdrkit.storage.log import Log, Segment, month_of
from cdrkit.storage.tiers import Tier

__all__ = ["move_months"]

#: The rows in a warm segment. A search that finds one call in a segment reads at most this many rows.
_ROWS_A_WARM_SEGMENT: Final = 245_760


def move_months(
    log: Log,
    tiers: Mapping[str, Tier],
    hot: Tier,
    warm: Tier,
    *,
    now: datetime,
    keep_months: int,
    dry_run: bool = False,
) -> MoveReport:
    """Move whole UTC months to the warm tier.

    A month moves when it ended more than *keep_months* months before *now*.

    Late-arriving calls of a month that is already in the warm tier are merged into that month.

    Raises:
        ConfigError: When *keep_months* is not a whole number of 0 or more, or goes back further than the year 1.
        CorruptDataError: When the calls read back differ from the calls written. The store is then unchanged.
    """
    if not isinstance(keep_months, int) or isinstance(keep_months, bool) or keep_months < 0:
        raise ConfigError(f"keep_months={keep_months!r} is not valid. Give a whole number of 0 or more.")
    try:
        before = months_before(now, keep_months)
    except OverflowError:
        raise ConfigError(
            f"keep_months={keep_months} is too large: the date {keep_months} months before {now} would be earlier than "
            "the year 1. Give a smaller number."
        ) from None
    months: dict[str, list[Segment]] = defaultdict(list)
    for segment in log.snapshot().segments.values():
        if segment.tier == hot.name and segment.last < before:
            months[month_of(segment.first)].append(segment)
    report = MoveReport(dry_run=dry_run)
    for month, late in sorted(months.items()):
        snapshot = log.snapshot()
        present = [s for s in snapshot.ordered if s.tier == warm.name and month_of(s.first) == month]
        sources = _with_overlapping(late, present)
        if dry_run:
            report = report._add(sources, [], month)
            continue
        fresh: list[Segment] = []
        try:
            for stretch in _stretches(sources, present):
                frames = read_segments(snapshot, tiers, stretch)
                fresh += rewrite_segments(log, warm, frames, stretch, tiers, rows_each=_ROWS_A_WARM_SEGMENT)
        except BaseException:
            discard_segments(tiers, fresh)
            raise
        if swap_segments(log, tiers, "rollover", sources, fresh, {"month": month}) is None:
            report = report._skip(month)
        else:
            report = report._add(sources, fresh, month)
    return report


def _with_overlapping(late: Sequence[Segment], warm: Iterable[Segment]) -> list[Segment]:
    """Return the *late* segments and each *warm* segment that overlaps one of them.

    The segments are sorted by their first call.
    """
    touched = [s for s in warm if any(s.first <= other.last and s.last >= other.first for other in late)]
    return sorted([*late, *touched], key=lambda segment: (segment.first, segment.id))


def _stretches(sources: Sequence[Segment], warm: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Split the list *sources* wherever a *warm* segment lies between two list items.

    *sources* are the segments to rewrite, sorted by their first call. A *warm* segment that is itself in *sources*
    does not split the list.
    """
    staying = [segment.first for segment in warm if segment not in sources]
    for _, stretch in itertools.groupby(sources, key=lambda segment: bisect_left(staying, segment.first)):
        yield list(stretch)
