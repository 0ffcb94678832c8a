"""Status: report a store's tiers, recent changes and the maintenance that is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from cdrkit._maintenance.compaction import compact_days
from cdrkit._maintenance.lease import last_maintenance
from cdrkit._maintenance.tiering import move_months
from cdrkit._maintenance.vacuum import vacuum_store
from cdrkit._model import format_instant, from_microseconds
from cdrkit._text import format_count, html_report
from cdrkit.storage.log import Commit, Log, Segment
from cdrkit.storage.tiers import Tier

__all__ = ["StoreStatus", "TierStatus", "read_status"]

_APPENDS: Final = frozenset({"append", "replace"})
_REWRITES: Final = frozenset({"compact", "rollover"})


@attrs.frozen(kw_only=True)
class TierStatus:
    """A summary of one tier: how many calls, bytes and segments it contains.

    Example:
        >>> from cdrkit import TierStatus
        >>> print(TierStatus(calls=1, size_bytes=5_724, segments=1))
        1 call, 5,724 bytes, 1 segment

    Attributes:
        calls: Calls in the tier.
        size_bytes: Stored bytes of the tier's segments, without number indexes.
        segments: Segments in the tier.
    """

    calls: int = 0
    size_bytes: int = 0
    segments: int = 0

    def __str__(self) -> str:
        counts = {"call": self.calls, "byte": self.size_bytes, "segment": self.segments}
        return ", ".join(format_count(count, noun) for noun, count in counts.items())


@attrs.frozen(kw_only=True)
class StoreStatus:
    """The result of `Maintenance.status`.

    ``print`` shows it one item per line. All instants are in UTC.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://store-status-example")
        >>> at = datetime(2026, 5, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at)])
        >>> status = store.maintenance.status(now=datetime(2026, 11, 1, tzinfo=timezone.utc))
        >>> status.calls, status.tiers["hot"].segments, str(status.first_call)
        (1, 1, '2026-05-22 09:00:00+00:00')
        >>> status.work_due
        ('Move to warm: 1 call in 1 segment would be moved. Months: 2026-05.',)

    Attributes:
        calls: Calls in the store.
        tiers: The status of each tier by its name: ``hot`` and ``warm``, unless the store has tiers of other names.
        first_call: The start of the earliest call; None without calls.
        last_call: The start of the latest call; None without calls.
        last_append: When calls were last added or replaced. The log drops old commits. If the last append's commit was
            dropped, this is when the newest hot segment was written, which is no earlier than the last append. None
            if neither is known.
        last_maintenance: When the last compaction, move to warm or vacuum started; None if unknown.
        work_due: The work that `Maintenance.run` would do now, one or two sentences per job. Empty if no work is due.
    """

    calls: int = 0
    tiers: Mapping[str, TierStatus] = attrs.field(factory=dict, hash=False)
    first_call: datetime | None = None
    last_call: datetime | None = None
    last_append: datetime | None = None
    last_maintenance: datetime | None = None
    work_due: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a dict of JSON values, with instants as ISO 8601 strings in UTC.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://status-dict-example").maintenance.status().to_dict()["calls"]
            0
        """
        return {
            "calls": self.calls,
            "tiers": {name: attrs.asdict(tier) for name, tier in self.tiers.items()},
            "first_call": _instant_text(self.first_call),
            "last_call": _instant_text(self.last_call),
            "last_append": _instant_text(self.last_append),
            "last_maintenance": _instant_text(self.last_maintenance),
            "work_due": list(self.work_due),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Calls: {self.calls:,}"
        for name, tier in self.tiers.items():
            yield f"Tier {name}: {tier}"
        for name in ("first_call", "last_call", "last_append", "last_maintenance"):
            absent = "unknown" if self.calls and name.startswith("last_") else "none"
            yield f"{name.replace('_', ' ').capitalize()}: {_instant_text(getattr(self, name)) or absent}"
        if not self.work_due:
            yield "Work due: none"
        for work in self.work_due:
            yield f"Work due: {work}"

    def _repr_html_(self) -> str:
        return html_report(self)


def read_status(
    log: Log, tiers: Mapping[str, Tier], hot: Tier, warm: Tier, *, now: datetime, keep_months: int
) -> StoreStatus:
    """Read the status of a store from its log and from its tiers' file listings.

    No data file is read.

    Args:
        log: The store's log.
        tiers: The tiers by name.
        hot: The hot tier.
        warm: The warm tier.
        now: The current time.
        keep_months: Calendar months that stay in the hot tier.

    Raises:
        ConfigError: When *keep_months* is not a whole number of 0 or more.
    """
    snapshot = log.snapshot()
    segments = tuple(snapshot.segments.values())
    if snapshot.version < 0:
        return StoreStatus(tiers={name: TierStatus() for name in tiers})
    commits = log.recent()
    names = list(dict.fromkeys([*tiers, *sorted({segment.tier for segment in segments})]))
    return StoreStatus(
        calls=snapshot.rows,
        tiers={name: _tier_status(segment for segment in segments if segment.tier == name) for name in names},
        first_call=min((segment.first for segment in segments), default=None),
        last_call=max((segment.last for segment in segments), default=None),
        last_append=_last_append(commits, (segment for segment in segments if segment.tier == hot.name)),
        last_maintenance=_last_maintenance(log, commits),
        work_due=tuple(_work_due(log, tiers, hot, warm, now=now, keep_months=keep_months)),
    )


def _tier_status(segments: Iterable[Segment]) -> TierStatus:
    segments = tuple(segments)
    return TierStatus(
        calls=sum(segment.rows for segment in segments),
        size_bytes=sum(segment.size_bytes for segment in segments),
        segments=len(segments),
    )


def _last_append(commits: Iterable[Commit], hot: Iterable[Segment]) -> datetime | None:
    appends = [commit.at for commit in commits if commit.action in _APPENDS]
    if appends:
        return max(appends)
    written = [segment.facts["written"] for segment in hot if "written" in segment.facts]
    return from_microseconds(max(written)) if written else None


def _last_maintenance(log: Log, commits: Iterable[Commit]) -> datetime | None:
    times = [commit.at for commit in commits if commit.action in _REWRITES]
    started = last_maintenance(log.files)
    if started is not None:
        times.append(started)
    return max(times, default=None)


def _work_due(
    log: Log, tiers: Mapping[str, Tier], hot: Tier, warm: Tier, *, now: datetime, keep_months: int
) -> Iterator[str]:
    """Do a dry run of each job, and yield a description of the work that is due."""
    move = move_months(log, tiers, hot, warm, now=now, keep_months=keep_months, dry_run=True)
    if move.read:
        yield f"Move to warm: {move}"
    compaction = compact_days(log, tiers, hot, dry_run=True)
    if compaction.read:
        yield f"Compaction: {compaction}"
    vacuum = vacuum_store(log, tiers, now=now, dry_run=True)
    if vacuum.segments:
        yield f"Vacuum: {attrs.evolve(vacuum, waiting=0, older=0)}"


def _instant_text(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
