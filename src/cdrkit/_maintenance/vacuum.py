"""Keeping the store in order: sweeping up what no commit names, proving that all is whole, making a lost log anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._model import FIELDS
from cdrkit._text import html_report
from cdrkit.errors import NotFoundError, StorageError
from cdrkit.storage.log import Log, Segment, Snapshot, overlapping_groups
from cdrkit.storage.tiers import Tier, is_older

__all__ = ["VacuumReport", "VerifyReport", "rebuild_log", "vacuum_store", "verify_store"]

#: How long a segment stays after a commit removed it: readers of an older version may still open it.
GRACE: Final = timedelta(hours=1)
#: How long a segment that no commit ever named stays: it may belong to an append that is still under way.
ORPHAN_GRACE: Final = timedelta(hours=24)
_IDENTITY: Final = ["start", "call_id"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class VacuumReport:
    """What a vacuum swept up.

    Attributes:
        segments: Segments that no commit names any more, removed.
        waiting: Such segments that are too young to be removed.
        older: Segments from before the log was made, which are left alone: was an earlier log lost?
        leftovers: Remains of writes that were cut off, removed.
        commits: Log objects that a checkpoint made superfluous, removed.
        dry_run: Whether it was only looked at; nothing was removed then.
    """

    segments: int = 0
    waiting: int = 0
    older: int = 0
    leftovers: int = 0
    commits: int = 0
    dry_run: bool = False

    def _repr_html_(self) -> str:
        return html_report(self)


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        version: The version that was verified.
        segments: How many segments it has.
        rows: How many calls.
        problems: What is wrong, a sentence each; empty when all is well.
        orphans: Segments that lie there without a commit naming them: harmless, ``vacuum`` removes them in time.
    """

    version: int
    segments: int
    rows: int
    problems: tuple[str, ...] = ()
    orphans: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def _repr_html_(self) -> str:
        return html_report(self, "ok", "version", "segments", "rows", "problems", "orphans")


def vacuum_store(
    log: Log,
    tiers: Mapping[str, Tier],
    *,
    now: datetime,
    grace: timedelta = GRACE,
    orphan_grace: timedelta = ORPHAN_GRACE,
    dry_run: bool = False,
) -> VacuumReport:
    """Remove segments that no commit names any more, and commits that a checkpoint made superfluous."""
    lying = [(tier, found) for tier in tiers.values() for found in tier.list_segments()]
    # The log is read after the listing: what was committed between the two is known by now. And it is read anew: what
    # was committed and dropped while this process slept must not be taken for orphans.
    log.refresh()
    snapshot = log.snapshot()
    if snapshot.version < 0:
        return VacuumReport(dry_run=dry_run)
    recent = log.recent()
    removed_at = {gone: commit.at for commit in recent for gone in commit.removed}
    added_since = {s.id for commit in recent if commit.version > snapshot.version for s in commit.added}
    removed = waiting = older = 0
    for tier, found in lying:
        if found.id in snapshot.segments or found.id in added_since:
            continue
        named = found.id in removed_at
        if not named and is_older(found, snapshot):
            older += 1
            continue
        since = removed_at[found.id] if named else found.modified
        # What tells no time may have been written just now, by an append that is under way.
        if since is None or now - since <= (grace if named else orphan_grace):
            waiting += 1
            continue
        removed += 1
        if not dry_run:
            tier.delete_orphan(found)
    commits = leftovers = 0
    if not dry_run:
        leftovers = sum(tier.remove_temporary(now - orphan_grace) for tier in tiers.values())
        # First, for the new checkpoint may take the place of one of the same version that is old enough.
        commits = log.clean(now)
        if snapshot.version:
            log.checkpoint(snapshot)
    return VacuumReport(
        segments=removed, waiting=waiting, older=older, leftovers=leftovers, commits=commits, dry_run=dry_run
    )


# -- verification --------------------------------------------------------------------------------------------


def verify_store(log: Log, tiers: Mapping[str, Tier]) -> VerifyReport:
    """Read every byte of the store and check every checksum, count, range, order and identity.

    What others replace or erase meanwhile is not looked at any more: it takes its time, and files go after a while.
    """
    seen = log.newest_seen
    try:
        snapshot = Log(log.files).snapshot()  # from the listing: the log itself is part of what is verified
    except StorageError as exc:
        return VerifyReport(version=-1, segments=0, rows=0, problems=tuple(log.problems()) or (str(exc),))
    problems = log.problems()
    if snapshot.version < seen:
        problems.append(
            f"{log.url_of(seen)} is missing, though it was there before. Restore it from a backup, or make "
            "a new log with rebuild()."
        )
    ordered = sorted(snapshot.segments.values(), key=lambda segment: (segment.first, segment.id))
    damaged = {segment: said for segment in ordered if (said := _problems(segment, tiers))}
    problems += [sentence for segment in _needed(damaged, log) for sentence in damaged[segment]]
    if not problems:
        for group in overlapping_groups(ordered):
            problems += _repeats_of_needed(group, tiers, log)
    lying = {found.id: found for tier in tiers.values() for found in tier.list_segments()}
    orphans = [found for found in lying.values() if found.id not in snapshot.segments]
    if snapshot.version < 0 and orphans:
        problems.append(
            f"There is no log at {log.files.url}, but {len(orphans)} segments are there. If it was lost, restore it "
            "from a backup, or make a new one with rebuild()."
        )
    older = sum(is_older(found, snapshot) for found in orphans)
    if older:
        problems.append(
            f"{older} segments are older than the log and not in it. If an earlier log was lost, move "
            f"{log.files.url}/_log away and make a new one with rebuild(), which takes all segments."
        )
    return VerifyReport(
        version=snapshot.version,
        segments=len(ordered),
        rows=snapshot.rows,
        problems=tuple(problems),
        orphans=len(orphans),
    )


def _problems(segment: Segment, tiers: Mapping[str, Tier]) -> list[str]:
    tier = tiers.get(segment.tier)
    if tier is None:
        return [f"segment {segment.id} is in the tier {segment.tier!r}, which this store was opened without."]
    try:
        tier.check(segment)
        frame = tier.read(segment, [*FIELDS])
    except StorageError as exc:
        return [str(exc)]
    wrong = []
    if frame.height != segment.rows:
        wrong.append(f"it holds {frame.height} rows instead of {segment.rows}")
    if (frame["start"][0], frame["start"][-1]) != (segment.first, segment.last):
        wrong.append("its first or last call is not the one that the log names")
    if not frame.select(_IDENTITY).equals(frame.select(_IDENTITY).sort(_IDENTITY)):
        wrong.append("its calls are not in order")
    return [f"segment {segment.path}: {what}." for what in wrong]


def _needed(segments: Iterable[Segment], log: Log) -> Sequence[Segment]:
    """Return those of *segments* that the newest version still has; all of them where it cannot be read."""
    segments = tuple(segments)
    if not segments:
        return segments
    try:
        newest = Log(log.files).snapshot().segments
    except StorageError:
        return segments
    return [segment for segment in segments if segment.id in newest]


def _repeats_of_needed(group: Sequence[Segment], tiers: Mapping[str, Tier], log: Log) -> list[str]:
    """Return what `_repeats` does of those of *group* that the newest version still has, should one be gone."""
    try:
        return _repeats(group, tiers)
    except NotFoundError as exc:
        left = _needed(group, log)
        return [str(exc)] if len(left) == len(group) else _repeats_of_needed(left, tiers, log)


def _repeats(group: Sequence[Segment], tiers: Mapping[str, Tier]) -> list[str]:
    """Return what is said of identities that occur more than once among segments that overlap."""
    if not group:
        return []
    identities = pl.concat([tiers[segment.tier].read(segment, _IDENTITY) for segment in group])
    twice = identities.height - identities.n_unique()
    if not twice:
        return []
    return [f"{twice} calls are stored more than once between {group[0].first} and {group[-1].last}."]


# -- a new log -----------------------------------------------------------------------------------------------


def rebuild_log(log: Log, tiers: Mapping[str, Tier], hot: Tier, settings: Mapping[str, Any]) -> Snapshot:
    """Make a new log from the segments alone, after the log was lost.

    Every intact segment is taken. Where calls occur more than once (segments that a commit had replaced, but that were
    not swept up yet), each is kept once, as it stands in the newest file.

    Raises:
        StorageError: When there still is a log, or a segment is damaged.
    """
    if log.exists:
        raise StorageError(
            f"{log.files.url} still has a log; move its _log folder away before making a new one."
        )
    log.reset()
    lying = [(tier, found) for tier in tiers.values() for found in tier.list_segments() if found.is_whole]
    region = settings["region"]
    if not lying:
        raise NotFoundError(
            f"There are no segments at {log.files.url} to make a log from.", url=log.files.url
        )
    segments = sorted(
        (tier.load(found, region) for tier, found in lying), key=lambda segment: (segment.first, segment.id)
    )
    modified = {found.id: found.modified for _, found in lying}
    written = {segment.id: _written(segment, modified[segment.id]) for segment in segments}
    kept: list[Segment] = []
    for group in overlapping_groups(segments):
        kept += (
            group
            if len(group) == 1 or not _repeats(group, tiers)
            else _merged(group, tiers, hot, region, written)
        )
    after = log.create(settings, added=kept)  # one commit: cut off before it, there is no log yet
    if any(segment.id not in after.segments for segment in kept):
        raise StorageError(
            f"Someone else wrote to {log.files.url} while its log was made; nothing was lost, try again."
        )
    return after


def _written(segment: Segment, modified: datetime | None) -> datetime:
    """Return when *segment* was written: by its own word, or, in format 1, by its file's time."""
    if "written" in segment.facts:
        return _EPOCH + timedelta(microseconds=segment.facts["written"])
    return segment.first if modified is None else modified


def _merged(
    group: Sequence[Segment],
    tiers: Mapping[str, Tier],
    hot: Tier,
    region: str | None,
    written: Mapping[str, datetime],
) -> Iterable[Segment]:
    """Write the calls of *group* anew, each once: from its newest segment."""
    newest_first = sorted(group, key=lambda segment: (written[segment.id], segment.id), reverse=True)
    whole = pl.concat([tiers[segment.tier].read(segment, [*FIELDS]) for segment in newest_first])
    whole = whole.unique(_IDENTITY, keep="first", maintain_order=True).sort(_IDENTITY)
    days = whole["start"].dt.date()
    ends = [*(days != days.shift(1)).fill_null(True).arg_true().to_list(), whole.height]
    return [hot.write(whole.slice(low, high - low), region) for low, high in itertools.pairwise(ends)]
