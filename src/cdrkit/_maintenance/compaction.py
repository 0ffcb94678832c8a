"""Compaction: merge small segments, and build missing number indexes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from cdrkit._maintenance.move_report import MoveReport
from cdrkit._maintenance.rewrite import discard_segments, read_segments, rewrite_segments, swap_segments
from cdrkit.storage.indexes import INDEXED_ROWS
from cdrkit.storage.log import Log, Segment, Snapshot, month_of
from cdrkit.storage.tiers import HotTier, Tier, WarmTier

__all__ = ["compact_days"]

#: Hot segments with fewer rows are merged with other segments of the same day.
_SMALL: Final = 250_000
_ROWS_A_HOT_SEGMENT: Final = 1_000_000


@attrs.frozen
class _Task:
    """A compaction task: the segments that one commit replaces.

    Attributes:
        name: The day or month of the segments.
        runs: Runs of segments. Each run is merged on its own.
    """

    name: str
    runs: Sequence[Sequence[Segment]]

    @property
    def sources(self) -> list[Segment]:
        return [segment for run in self.runs for segment in run]


def compact_days(log: Log, tiers: Mapping[str, Tier], hot: Tier, *, dry_run: bool = False) -> MoveReport:
    """Merge the small hot segments of each UTC day, and build missing number indexes.

    Large segments are left unchanged. A segment lacks a number index after `rebuild_log` with another region, or if an
    old version of cdrkit wrote it. Number searches are slow in such a segment.
    """
    report = MoveReport(compaction=True, dry_run=dry_run)
    snapshot = log.snapshot()
    for task in (*_small_segments(snapshot, hot), *_unindexed_segments(snapshot, tiers, hot)):
        if dry_run:
            report = report._add(task.sources, [])
            continue
        fresh = _rewrite_runs(log, tiers, snapshot, task.runs)
        if swap_segments(log, tiers, "compact", task.sources, fresh) is None:
            report = report._skip(task.name)
        else:
            report = report._add(task.sources, fresh)
    return report


def _small_segments(snapshot: Snapshot, hot: Tier) -> Iterator[_Task]:
    """Yield a merge task for each day that has several small hot segments."""
    days: dict[str, list[Segment]] = defaultdict(list)
    for segment in snapshot.segments.values():
        if segment.tier == hot.name and segment.rows < _SMALL:
            days[f"{segment.first:%Y-%m-%d}"].append(segment)
    for day, segments in sorted(days.items()):
        if len(segments) > 1:
            yield _Task(day, [segments])


def _unindexed_segments(snapshot: Snapshot, tiers: Mapping[str, Tier], hot: Tier) -> Iterator[_Task]:
    """Yield the segments that lack a number index, grouped by day or month."""
    merged = {segment.id for task in _small_segments(snapshot, hot) for segment in task.sources}
    periods: dict[tuple[str, str], list[Segment]] = defaultdict(list)
    for segment in snapshot.ordered:
        tier = tiers.get(segment.tier)
        if segment.id not in merged and _lacks_index(segment, tier):
            period = month_of(segment.first) if isinstance(tier, WarmTier) else f"{segment.first:%Y-%m-%d}"
            periods[segment.tier, period].append(segment)
    for (_, period), segments in periods.items():
        yield _Task(period, [[segment] for segment in segments])


def _lacks_index(segment: Segment, tier: Tier | None) -> bool:
    """Return whether *segment* lacks an index that *tier* writes for new segments."""
    if "index_bytes" in segment.facts:
        return False
    return isinstance(tier, WarmTier) or (isinstance(tier, HotTier) and segment.rows >= INDEXED_ROWS)


def _rewrite_runs(
    log: Log, tiers: Mapping[str, Tier], snapshot: Snapshot, runs: Sequence[Sequence[Segment]]
) -> list[Segment]:
    """Rewrite each group of segments as new segments in the same tier."""
    fresh: list[Segment] = []
    try:
        for run in runs:
            frames = read_segments(snapshot, tiers, run)
            rows_each = _ROWS_A_HOT_SEGMENT if len(run) > 1 else max(run[0].rows, 1)
            fresh += rewrite_segments(log, tiers[run[0].tier], frames, run, tiers, rows_each=rows_each)
    except BaseException:
        discard_segments(tiers, fresh)
        raise
    return fresh
