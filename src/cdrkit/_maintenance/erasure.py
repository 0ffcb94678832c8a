"""Erasure: remove calls from all segments in one commit, then delete old files.

Unused segments may also contain such calls: replaced segments that await the vacuum, and leftovers of killed
appends and jobs. Unused segments are listed before the commit and removed after the commit. A running append may have
written a segment but not committed it yet. An append that finds an erasure in the log therefore rewrites its segments
before it commits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._engine import Plan
from cdrkit._maintenance.fingerprint import Fingerprint
from cdrkit._maintenance.rewrite import discard_segments, swap_segments
from cdrkit._model import FIELDS, TimeRange
from cdrkit._query import Query, condition_texts
from cdrkit._text import html_report
from cdrkit.errors import ConflictError, CorruptDataError, NotFoundError, QueryError, StorageError
from cdrkit.storage.log import Log, Segment, Snapshot
from cdrkit.storage.tiers import SegmentFile, Tier, is_older

__all__ = ["EraseReport", "check_reason", "erase_calls"]

_TRIES: Final = 20
#: A file that has not been written to for this long is a leftover: no process writes one file for an hour.
_LEFTOVER_AGE: Final = timedelta(hours=1)
#: A shorter value may occur in a reason by chance.
_SHORTEST: Final = 3
#: The number of final digits that the international and national forms of a number share.
_LOCAL_DIGITS: Final = 7
_BETWEEN_DIGITS: Final = re.compile(r"[^0-9A-Za-z]")


@attrs.frozen(kw_only=True)
class EraseReport:
    """The result of `Store.erase` or `Store.expire`.

    ``print`` shows it in sentences.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://erase-report-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, customer_id="1003")])
        >>> report = store.erase(cdrkit.Query().customer("1003"), reason="ticket 17", dry_run=True)
        >>> report.rows, report.segments
        (1, 1)
        >>> print(report)
        1 call in 1 segment would be erased.

    Attributes:
        rows: Calls erased.
        segments: Segments that were rewritten without these calls or removed entirely.
        dry_run: Whether the job only counted the calls and erased nothing.
    """

    rows: int = 0
    segments: int = 0
    dry_run: bool = False

    def __str__(self) -> str:
        calls = "1 call" if self.rows == 1 else f"{self.rows:,} calls"
        segments = "1 segment" if self.segments == 1 else f"{self.segments:,} segments"
        verb = "would be" if self.dry_run else "was" if self.rows == 1 else "were"
        return f"{calls} in {segments} {verb} erased."

    def _repr_html_(self) -> str:
        return html_report(self)


def erase_calls(
    log: Log,
    tiers: Mapping[str, Tier],
    query: Query,
    *,
    now: datetime,
    facts: Mapping[str, Any],
    dry_run: bool,
) -> EraseReport:
    """Erase the calls that *query* selects, and verify that none of them remains.

    The files that held the calls are removed at once, without a grace period. A reader of an older snapshot may fail.

    Args:
        log: The store's log.
        tiers: The tiers by name.
        query: The query that selects the calls to erase. It needs a condition or a period.
        now: The instant at which presets are resolved.
        facts: The facts that the log records, such as ``reason``. Pass a user's reason to `check_reason` first.
        dry_run: Whether only to count the calls.

    Raises:
        QueryError: When *query* selects every call, or has a limit or a cursor.
        ConflictError: When other writers changed or added matching calls during each of 20 attempts.
        StorageError: When segments that are older than the log contain matching calls. All other matching calls are
            then erased.
    """
    _check_query(query)
    rows = segments = 0
    for _ in range(_TRIES):
        leftovers = _Leftovers.of(log, tiers, query, now) if not dry_run else _Leftovers()
        snapshot = log.snapshot()
        plan = Plan.of(query, snapshot, tiers, snapshot.region, now)
        hits = [(segment, matching) for segment, matching in plan.matches() if matching.len()]
        hit_rows = sum(matching.len() for _, matching in hits)
        report = EraseReport(rows=rows + hit_rows, segments=segments + len(hits), dry_run=dry_run)
        if dry_run:
            return report
        if hits or leftovers.doomed:
            fresh = _write_remaining(hits, tiers, snapshot.region)
            sources = [segment for segment, _ in hits]
            after = swap_segments(log, tiers, "erase", sources, fresh, {**facts, "rows": hit_rows})
            if after is None:
                continue
            rows, segments = report.rows, report.segments
            _remove_files(tiers, sources, leftovers, after)
            narrowed = attrs.evolve(after, segments={segment.id: segment for segment in fresh})
            if Plan.of(query, narrowed, tiers, snapshot.region, now).count():
                raise StorageError(
                    "The new segments still contain calls that match the query. Run verify(), and report this as a bug."
                )
            if Plan.of(query, after, tiers, snapshot.region, now).count():
                continue  # another writer added such calls before the commit
        for tier in tiers.values():
            tier.remove_temporary(datetime.now(UTC) - _LEFTOVER_AGE)
        if leftovers.older:
            raise StorageError(
                f"{report.rows} calls were erased, but {leftovers.older} segments were not changed. These segments are "
                "older than the log, and each of them contains matching calls or is damaged. Remove these segments. "
                f"Or move {log.files.url}/_log to another place, run rebuild_log() to create a log of all segments, "
                "and erase again."
            )
        return report
    raise ConflictError(
        f"In each of {_TRIES} attempts, other writers changed or added matching calls. {rows} calls were erased. Try "
        "again when fewer writers are active."
    )


def _check_query(query: Query) -> None:
    """Raise an error if *query* selects every call, or has a limit or a cursor."""
    if not query.conditions and not query.presets and query.period in (None, TimeRange()):
        raise QueryError(
            "The query selects every call. Add a condition or a period to the query.", parameter="query"
        )
    if query.maximum is not None or query.position is not None:
        raise QueryError(
            "An erasure covers every matching call, but the query has a limit or a cursor. Give a query without a "
            "limit and without a cursor.",
            parameter="query",
        )


def check_reason(reason: object, query: Query) -> None:
    """Raise an error if *reason* must not be recorded in the log.

    Raises:
        QueryError: When *reason* is empty, is not a string, or contains a value from a condition of *query*.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise QueryError(
            f"reason={reason!r} is not valid. Give a non-empty string for the log.", parameter="reason"
        )
    if _contains_value(reason, query):
        raise QueryError(
            "The reason contains a value of the query, and the log would keep that value. Give a reason that "
            "identifies no person, such as a ticket number.",
            parameter="reason",
        )


def _contains_value(reason: str, query: Query) -> bool:
    """Return whether *reason* contains a word or number that *query* searches for."""
    words, digits = reason.casefold(), _BETWEEN_DIGITS.sub("", reason)
    for text in condition_texts(query):
        word, number = text.strip("*").casefold(), re.sub(r"\D", "", text)
        if len(word) >= _SHORTEST and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", words):
            return True
        if len(number) >= _LOCAL_DIGITS and number[-_LOCAL_DIGITS:] in digits:
            return True
    return False


def _write_remaining(
    hits: Sequence[tuple[Segment, pl.Series]], tiers: Mapping[str, Tier], region: str | None
) -> list[Segment]:
    """For each segment in *hits*, write a new segment with the calls to keep."""
    fresh: list[Segment] = []
    try:
        for segment, rows in hits:
            tier = tiers[segment.tier]
            remaining = _without_rows(tier.read(segment, [*FIELDS]), rows)
            if remaining.height:
                fresh.append(tier.write(remaining, region))
                if Fingerprint.of([remaining]) != Fingerprint.of([tier.read(fresh[-1], [*FIELDS])]):
                    raise CorruptDataError(
                        f"The {segment.tier} tier does not return the calls that were written to it. The store is "
                        "unchanged. Check the storage, then try again."
                    )
    except BaseException:
        discard_segments(tiers, fresh)
        raise
    return fresh


@attrs.frozen
class _Leftovers:
    """A list of the unused segment files that an erasure may have to delete.

    Attributes:
        doomed: Files to remove after the commit.
        older: The number of such segments that are older than the log. If an earlier log was lost, these segments may
            hold the only copies of their other calls.
    """

    doomed: Sequence[tuple[Tier, SegmentFile]] = ()
    older: int = 0

    @classmethod
    def of(cls, log: Log, tiers: Mapping[str, Tier], query: Query, now: datetime) -> _Leftovers:
        """Find the unused segment files that may contain calls that match *query*."""
        stored = _list_files(tiers)
        # The log is read after the listing, so that it names the segments committed during the listing.
        snapshot = log.snapshot()
        removed = {identity for commit in log.recent() for identity in commit.removed}
        doomed: list[tuple[Tier, SegmentFile]] = []
        older = 0
        for tier, file in stored:
            if file.id in snapshot.segments or not _may_match(tier, file, snapshot, tiers, query, now):
                continue
            if file.is_whole and file.id not in removed and is_older(file, snapshot):
                older += 1
            else:
                doomed.append((tier, file))
        return cls(doomed, older)


def _list_files(tiers: Mapping[str, Tier]) -> Sequence[tuple[Tier, SegmentFile]]:
    """List the segment files in all tiers, except half-written files."""
    stored = [(tier, file) for tier in tiers.values() for file in tier.list_segments()]
    if all(file.is_whole for _, file in stored):
        return stored
    # An append may write a segment during the listing, so that the listing shows only the segment's second file. That
    # append may commit without checking for this erasure, so the segment must not be treated as a leftover.
    again = {(tier.name, file.id): file for tier in tiers.values() for file in tier.list_segments()}
    return [(tier, again[tier.name, file.id]) for tier, file in stored if (tier.name, file.id) in again]


def _may_match(
    tier: Tier,
    file: SegmentFile,
    snapshot: Snapshot,
    tiers: Mapping[str, Tier],
    query: Query,
    now: datetime,
) -> bool:
    """Return True if the file holds calls that match, or if the file is unreadable."""
    if not file.is_whole:
        return True
    try:
        segment = tier.load(file, snapshot.region)
        narrowed = attrs.evolve(snapshot, segments={segment.id: segment})
        plan = Plan.of(query, narrowed, tiers, snapshot.region, now)
        return any(rows.len() for _, rows in plan.matches())
    except CorruptDataError:
        return True
    except NotFoundError:  # removed since the listing
        return False


def _remove_files(
    tiers: Mapping[str, Tier], sources: Sequence[Segment], leftovers: _Leftovers, after: Snapshot
) -> None:
    """Remove the files of replaced segments, and *leftovers* that are still unused."""
    for segment in sources:
        tiers[segment.tier].remove(segment)
    for tier, file in leftovers.doomed:
        if file.id not in after.segments:
            tier.delete_orphan(file)


def _without_rows(frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    return frame.with_row_index("_row").filter(~pl.col("_row").is_in(rows.implode())).drop("_row")
