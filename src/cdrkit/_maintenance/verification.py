"""Verification: read and check every byte of a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
import polars as pl

from cdrkit._model import FIELDS
from cdrkit._text import html_report
from cdrkit.errors import NotFoundError, StorageError
from cdrkit.storage.log import Log, Segment, overlapping_groups
from cdrkit.storage.tiers import Tier, is_older

__all__ = ["IDENTITY", "VerifyReport", "find_duplicates", "verify_store"]

#: The fields that identify a call.
IDENTITY: Final = ["start", "call_id"]


@attrs.frozen(kw_only=True)
class VerifyReport:
    """The result of `Maintenance.verify`.

    ``print`` shows it in sentences. Unused segments are harmless: jobs replace segments, and interrupted writes leave
    orphans. A vacuum removes replaced segments after an hour, and orphans after a day.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://verify-report-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at)])
        >>> report = store.maintenance.verify()
        >>> report.ok, report.segments, report.rows
        (True, 1, 1)
        >>> print(report)
        Version 1 is intact: 1 segment with 1 call.

    Attributes:
        version: The version that was verified, or -1 if no log can be read.
        segments: Segments of this version.
        rows: Calls of this version.
        problems: The problems, one sentence each. Empty if the store is intact.
        orphans: Unused segments, which the newest version does not name: segments that a job replaced, and the
            orphans of running or interrupted writes.
    """

    version: int
    segments: int
    rows: int
    problems: tuple[str, ...] = ()
    orphans: int = 0

    @property
    def ok(self) -> bool:
        """Whether the verification found the store intact, without any problem.

        Example:
            >>> from cdrkit import VerifyReport
            >>> VerifyReport(version=1, segments=0, rows=0, problems=("A file is missing.",)).ok
            False
        """
        return not self.problems

    def __str__(self) -> str:
        segments = "1 segment" if self.segments == 1 else f"{self.segments:,} segments"
        calls = "1 call" if self.rows == 1 else f"{self.rows:,} calls"
        if self.version < 0:
            lines = [*self.problems, "The store has no readable log, so no segment was checked."]
        elif self.ok:
            lines = [f"Version {self.version} is intact: {segments} with {calls}."]
        else:
            problems = "1 problem" if len(self.problems) == 1 else f"{len(self.problems):,} problems"
            lines = [*self.problems, f"Version {self.version} has {problems}: {segments} with {calls}."]
        if self.orphans and self.ok:
            unused = "1 unused segment is" if self.orphans == 1 else f"{self.orphans:,} unused segments are"
            lines.append(
                f"{unused} also stored. This is normal after recent appends and maintenance: a vacuum removes "
                "replaced segments after an hour, and segments of unfinished appends after a day."
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html_report(self, "ok", "version", "segments", "rows", "problems", "orphans")


def verify_store(log: Log, tiers: Mapping[str, Tier]) -> VerifyReport:
    """Read and check every byte of the store.

    All checksums, row counts, time ranges, call orders and call identities are checked. Segments that other processes
    replace or erase during the verification are skipped.
    """
    seen = log.newest_seen
    try:
        snapshot = Log(log.files).snapshot()  # a new Log reads the listing: the log itself is verified, too
    except StorageError as exc:
        return VerifyReport(version=-1, segments=0, rows=0, problems=tuple(log.problems()) or (str(exc),))
    problems = log.problems()
    if snapshot.version < seen:
        problems.append(
            f"{log.url_of(seen)} has disappeared from the store. Restore it from a backup, or make a new log with "
            "rebuild_log()."
        )
    ordered = sorted(snapshot.segments.values(), key=lambda segment: (segment.first, segment.id))
    damaged = {segment: flaws for segment in ordered if (flaws := _check_segment(segment, tiers))}
    problems += [sentence for segment in _still_used(damaged, log) for sentence in damaged[segment]]
    if not problems:
        for group in overlapping_groups(ordered):
            problems += _check_identities(group, tiers, log)
    stored = {file.id: file for tier in tiers.values() for file in tier.list_segments()}
    orphans = [file for file in stored.values() if file.id not in snapshot.segments]
    if snapshot.version < 0 and orphans:
        problems.append(
            f"{log.files.url} has {len(orphans)} segments, but no log. If the log was lost, restore it from a backup, "
            "or make a new log with rebuild_log()."
        )
    older = sum(is_older(file, snapshot) for file in orphans)
    if older:
        problems.append(
            f"{older} segments are older than the log, and the log does not name them. If an earlier log was lost, "
            f"move {log.files.url}/_log away, and run rebuild_log() to make a new log of all segments."
        )
    return VerifyReport(
        version=snapshot.version,
        segments=len(ordered),
        rows=snapshot.rows,
        problems=tuple(problems),
        orphans=len(orphans),
    )


def find_duplicates(group: Sequence[Segment], tiers: Mapping[str, Tier]) -> list[str]:
    """Report calls that several overlapping segments contain."""
    if not group:
        return []
    identities = pl.concat([tiers[segment.tier].read(segment, IDENTITY) for segment in group])
    duplicates = identities.height - identities.n_unique()
    if not duplicates:
        return []
    return [f"{duplicates} calls are stored more than once between {group[0].first} and {group[-1].last}."]


def _check_segment(segment: Segment, tiers: Mapping[str, Tier]) -> list[str]:
    """Return the problems found in one segment, one sentence each."""
    tier = tiers.get(segment.tier)
    if tier is None:
        return [
            f"Segment {segment.id} is in the tier {segment.tier!r}, but the store was opened without this tier."
        ]
    try:
        tier.check(segment)
        frame = tier.read(segment, [*FIELDS])
    except StorageError as exc:
        return [str(exc)]
    problems = []
    if frame.height != segment.rows:
        problems.append(f"it holds {frame.height} rows instead of {segment.rows}")
    if (frame["start"][0], frame["start"][-1]) != (segment.first, segment.last):
        problems.append("its first or last call differs from the log")
    if not frame.select(IDENTITY).equals(frame.select(IDENTITY).sort(IDENTITY)):
        problems.append("its calls are not in chronological order")
    return [f"Segment {segment.path} is damaged: {problem}." for problem in problems]


def _still_used(segments: Iterable[Segment], log: Log) -> Sequence[Segment]:
    """Return the *segments* still in use, or all of them if the log is damaged."""
    segments = tuple(segments)
    if not segments:
        return segments
    try:
        newest = Log(log.files).snapshot().segments
    except StorageError:
        return segments
    return [segment for segment in segments if segment.id in newest]


def _check_identities(group: Sequence[Segment], tiers: Mapping[str, Tier], log: Log) -> list[str]:
    """Report duplicate calls in *group*; ignore segments that other jobs removed."""
    try:
        return find_duplicates(group, tiers)
    except NotFoundError as exc:
        left = _still_used(group, log)
        return [str(exc)] if len(left) == len(group) else _check_identities(left, tiers, log)
