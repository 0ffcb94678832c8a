"""The vacuum: remove unused segments and old log objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import attrs

from cdrkit._text import format_count, html_report
from cdrkit.storage.log import Log, Snapshot
from cdrkit.storage.tiers import Tier, is_older

__all__ = ["VacuumReport", "vacuum_store"]

#: How long to keep a segment after a commit removed it: readers of an older snapshot may still open it.
GRACE: Final = timedelta(hours=1)
#: How long to keep a segment that was never committed: a running append may still commit it.
ORPHAN_GRACE: Final = timedelta(hours=24)


@attrs.frozen(kw_only=True)
class VacuumReport:
    """The result of `Maintenance.vacuum`.

    ``print`` shows it in sentences.

    Example:
        >>> import cdrkit
        >>> report = cdrkit.open_store("memory://vacuum-report-example").maintenance.vacuum()
        >>> report.segments, report.waiting
        (0, 0)
        >>> print(report)
        Removed 0 segments and 0 log objects.

    Attributes:
        segments: Removed segments, which were unused.
        waiting: Unused segments that are too recent to remove. Replaced segments are kept for an hour, orphans for a
            day.
        older: Segments from before the log was made. They are kept, because an earlier log may have been lost.
        leftovers: Removed temporary files of interrupted writes.
        commits: Removed log objects, which a checkpoint replaces.
        dry_run: Whether the vacuum only counted and removed nothing. `leftovers` and `commits` are then 0.
    """

    segments: int = 0
    waiting: int = 0
    older: int = 0
    leftovers: int = 0
    commits: int = 0
    dry_run: bool = False

    def __str__(self) -> str:
        text = (
            f"Would remove {format_count(self.segments, 'segment')}."
            if self.dry_run
            else f"Removed {format_count(self.segments, 'segment')} and {format_count(self.commits, 'log object')}."
        )
        if self.leftovers:
            text += f" Removed {format_count(self.leftovers, 'temporary file')} of interrupted writes."
        if self.waiting:
            waiting = format_count(self.waiting, "unused segment")
            text += f" Too recent to remove: {waiting}; a later vacuum removes them."
        if self.older:
            text += (
                f" Left in place: {format_count(self.older, 'segment')} from before the log; run verify()."
            )
        return text

    def _repr_html_(self) -> str:
        return html_report(self)


def vacuum_store(
    log: Log,
    tiers: Mapping[str, Tier],
    *,
    now: datetime,
    grace: timedelta = GRACE,
    orphan_grace: timedelta = ORPHAN_GRACE,
    dry_run: bool = False,
) -> VacuumReport:
    """Remove unused segments and old log objects.

    A segment is unused if the newest snapshot does not contain it. A log object is old if a checkpoint replaces it.

    Args:
        log: The store's log.
        tiers: The tiers by name.
        now: The current time.
        grace: How long to keep a segment after a commit removed it.
        orphan_grace: How long to keep a segment that was never committed.
        dry_run: Whether only to count the segments.
    """
    stored = [(tier, file) for tier in tiers.values() for file in tier.list_segments()]
    # The log is read after the listing, and refreshed: commits that other processes made before or during the listing
    # must be known, or their segments would be treated as orphans.
    log.refresh()
    snapshot = log.snapshot()
    if snapshot.version < 0:
        return VacuumReport(dry_run=dry_run)
    recent = log.recent()
    removed_at = {removed: commit.at for commit in recent for removed in commit.removed}
    named = set(snapshot.segments)
    for commit in recent:
        if commit.version > snapshot.version:
            named.update(segment.id for segment in commit.added)
    counts = Counter[str]()
    for tier, file in stored:
        if file.id in named:
            continue
        at = removed_at.get(file.id)
        if at is None and is_older(file, snapshot):
            counts["older"] += 1
        elif _is_young(file.modified if at is None else at, now, orphan_grace if at is None else grace):
            counts["waiting"] += 1
        else:
            counts["removed"] += 1
            if not dry_run:
                tier.delete_orphan(file)
    commits = leftovers = 0
    if not dry_run:
        leftovers = sum(tier.remove_temporary(now - orphan_grace) for tier in tiers.values())
        commits = _clean_log(log, snapshot, now)
    return VacuumReport(
        segments=counts["removed"],
        waiting=counts["waiting"],
        older=counts["older"],
        leftovers=leftovers,
        commits=commits,
        dry_run=dry_run,
    )


def _clean_log(log: Log, snapshot: Snapshot, now: datetime) -> int:
    """Remove old log objects, write a checkpoint, and return the number of removals."""
    # Clean first: the new checkpoint may replace one of the same version that is old enough to clean by.
    commits = log.clean(now)
    if snapshot.version:
        log.checkpoint(snapshot)
    return commits


def _is_young(since: datetime | None, now: datetime, grace: timedelta) -> bool:
    """Return True if a file's age is unknown or does not exceed the grace period."""
    return since is None or now - since <= grace
