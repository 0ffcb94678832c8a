"""Erasing calls for good: out of every segment that holds them, in one commit, and then out of sight of the disk.

What no commit names may hold such calls, too: what a commit replaced waits for the vacuum, and so does what was left by
appends and jobs that were killed. It is listed before the commit, and removed after it. A segment that an append has
written by then and not committed yet may be among that: so an append that finds an erasure in the log writes its
segments anew before it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._engine import Plan
from cdrkit._maintenance.rewrite import Fingerprint, discard, swapped
from cdrkit._model import FIELDS, TimeRange
from cdrkit._query import Query
from cdrkit._text import html_report
from cdrkit.errors import ConflictError, CorruptDataError, NotFoundError, QueryError, StorageError
from cdrkit.storage.log import Log, Segment, Snapshot
from cdrkit.storage.tiers import SegmentFile, Tier, is_older

__all__ = ["EraseReport", "check_reason", "erase_calls"]

_TRIES: Final = 20
#: How long nothing was written to a file whose writing was cut off: nobody writes one file for that long.
_CUT_OFF: Final = timedelta(hours=1)
#: Words of fewer letters stand in a reason by chance.
_SHORTEST: Final = 3
#: The end of a number that is the same in international and in national form.
_LOCAL_DIGITS: Final = 7
_BETWEEN_DIGITS: Final = re.compile(r"[^0-9A-Za-z]")


@attrs.frozen(kw_only=True)
class EraseReport:
    """What an erasure removed, or would remove.

    Attributes:
        rows: Calls erased.
        segments: Segments that were written anew without them, or removed whole.
        dry_run: Whether it was only counted; nothing was erased then.
    """

    rows: int = 0
    segments: int = 0
    dry_run: bool = False

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
    """Remove the calls that *query* asks for, and prove that none is left.

    The files that held them are removed at once, not after a grace: a reader of an older version may find one gone.

    Args:
        log: The store's log.
        tiers: Its tiers, by name.
        query: Which calls; it needs a condition or a period.
        now: When presets are resolved.
        facts: What the log keeps of it: the ``reason``, which went through `check_reason` if somebody gave it.
        dry_run: Only count.

    Raises:
        QueryError: When *query* asks for everything, or for a page: an erasure says what it is about.
        ConflictError: When the calls kept changing meanwhile, or more of them kept coming.
        StorageError: When there are such calls in segments from before the log, which only `rebuild` knows to be whole;
            all others are erased then.
    """
    if not query.conditions and not query.presets and query.period in (None, TimeRange()):
        raise QueryError(
            "An erasure needs a condition or a period; this query asks for every call.", parameter="query"
        )
    if query.maximum is not None or query.position is not None:
        raise QueryError(
            "An erasure takes all calls of its query: no limit and no cursor.", parameter="query"
        )
    rows = segments = 0
    for _ in range(_TRIES):
        remains = _Remains.of(log, tiers, query, now) if not dry_run else _Remains()
        snapshot = log.snapshot()
        region = snapshot.region
        plan = Plan.of(query, snapshot, tiers, region, now)
        hits = [(segment, found) for segment, found in plan.matches() if found.len()]
        hit_rows = sum(found.len() for _, found in hits)
        report = EraseReport(rows=rows + hit_rows, segments=segments + len(hits), dry_run=dry_run)
        if dry_run:
            return report
        if hits or remains.doomed:
            fresh = _left_of(hits, tiers, region)
            sources = [segment for segment, _ in hits]
            after = swapped(log, tiers, "erase", sources, fresh, {**facts, "rows": hit_rows})
            if after is None:
                continue
            rows, segments = report.rows, report.segments
            for segment in sources:
                tiers[segment.tier].remove(segment)
            for tier, found in remains.doomed:
                if found.id not in after.segments:
                    tier.delete_orphan(found)
            held = attrs.evolve(after, segments={segment.id: segment for segment in fresh})
            if Plan.of(query, held, tiers, region, now).count():
                raise StorageError(
                    "Calls that were to be erased are still there; run verify() and report this."
                )
            if Plan.of(query, after, tiers, region, now).count():
                continue  # they were stored after the look at the store, and before the commit
        for tier in tiers.values():
            tier.remove_temporary(datetime.now(UTC) - _CUT_OFF)
        if remains.older:
            raise StorageError(
                f"{report.rows} calls were erased; {remains.older} segments that are older than the log and not in it "
                f"hold such calls, too, or are damaged. Move {log.files.url}/_log away, make a new log with rebuild(), "
                "which takes all segments, and erase again; or remove those segments."
            )
        return report
    raise ConflictError(
        f"The calls to erase changed {_TRIES} times while they were erased, or more came; {rows} were erased. Try "
        "again when it is quieter."
    )


def check_reason(reason: object, query: Query) -> None:
    """See that *reason* can be kept in the log.

    Raises:
        QueryError: When it is empty, no text, or names what *query* asks for.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise QueryError("An erasure needs a reason, for the log.", parameter="reason")
    if _names(reason, query):
        raise QueryError(
            "The reason is kept in the log, and holds a value that the query asks for; give one that names nobody, "
            "such as the number of a ticket.",
            parameter="reason",
        )


def _names(reason: str, query: Query) -> bool:
    """Return whether a value that *query* compares with stands in *reason*: as a word, or as a number in any form."""
    words, digits = reason.casefold(), _BETWEEN_DIGITS.sub("", reason)
    for text in _texts([condition.to_dict() for condition in query.conditions]):
        word, number = text.strip("*").casefold(), re.sub(r"\D", "", text)
        if len(word) >= _SHORTEST and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", words):
            return True
        if len(number) >= _LOCAL_DIGITS and number[-_LOCAL_DIGITS:] in digits:
            return True
    return False


def _texts(condition: object) -> Iterator[str]:
    """Yield the texts that a condition, as a dict, compares with."""
    if isinstance(condition, str):
        yield condition
    elif isinstance(condition, Mapping):
        for key in condition.keys() - {"field", "op", "role", "match"}:
            yield from _texts(condition[key])
    elif isinstance(condition, list):
        for part in condition:
            yield from _texts(part)


def _left_of(
    hits: Sequence[tuple[Segment, pl.Series]], tiers: Mapping[str, Tier], region: str | None
) -> list[Segment]:
    """Write anew what is left of each segment without those of its rows; nothing where nothing is left."""
    fresh: list[Segment] = []
    try:
        for segment, rows in hits:
            tier = tiers[segment.tier]
            left = _without(tier.read(segment, [*FIELDS]), rows)
            if left.height:
                fresh.append(tier.write(left, region))
                if Fingerprint.of([left]) != Fingerprint.of([tier.read(fresh[-1], [*FIELDS])]):
                    raise CorruptDataError(
                        f"Calls read back from the {segment.tier} tier are not what was written; nothing was "
                        "changed. Check that storage, then try again."
                    )
    except BaseException:
        discard(tiers, fresh)
        raise
    return fresh


@attrs.frozen
class _Remains:
    """What lies in the tiers without a commit naming it, and holds calls to be erased, or may.

    Attributes:
        doomed: What may go once the erasure is committed.
        older: How many segments from before the log there are of that kind: an earlier log may be missing, and they
            the only ones that hold their other calls.
    """

    doomed: Sequence[tuple[Tier, SegmentFile]] = ()
    older: int = 0

    @classmethod
    def of(cls, log: Log, tiers: Mapping[str, Tier], query: Query, now: datetime) -> _Remains:
        """Look for it, and read it."""
        lying = _lying(tiers)
        # The log is read after the listing: what was committed between the two is known by now.
        snapshot = log.snapshot()
        named = {gone for commit in log.recent() for gone in commit.removed}
        doomed: list[tuple[Tier, SegmentFile]] = []
        older = 0
        for tier, found in lying:
            if found.id in snapshot.segments or not _may_hold(tier, found, snapshot, tiers, query, now):
                continue
            if found.is_whole and found.id not in named and is_older(found, snapshot):
                older += 1
            else:
                doomed.append((tier, found))
        return cls(doomed, older)


def _lying(tiers: Mapping[str, Tier]) -> Sequence[tuple[Tier, SegmentFile]]:
    """Return the segments that lie in the tiers."""
    lying = [(tier, found) for tier in tiers.values() for found in tier.list_segments()]
    if all(found.is_whole for _, found in lying):
        return lying
    # A listing is no instant: it may have the second file of a segment that was written meanwhile, and not the first.
    # Whoever wrote that one need not ask whether there was an erasure.
    again = {(tier.name, found.id): found for tier in tiers.values() for found in tier.list_segments()}
    return [(tier, again[tier.name, found.id]) for tier, found in lying if (tier.name, found.id) in again]


def _may_hold(
    tier: Tier, found: SegmentFile, snapshot: Snapshot, tiers: Mapping[str, Tier], query: Query, now: datetime
) -> bool:
    """Return whether a segment holds calls of *query*, or is so damaged that it cannot be told."""
    if not found.is_whole:
        return True
    try:
        segment = tier.load(found, snapshot.region)
        held = attrs.evolve(snapshot, segments={segment.id: segment})
        plan = Plan.of(query, held, tiers, snapshot.region, now)
        return any(rows.len() for _, rows in plan.matches())
    except CorruptDataError:
        return True
    except NotFoundError:  # removed meanwhile
        return False


def _without(frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    return frame.with_row_index("_row").filter(~pl.col("_row").is_in(rows.implode())).drop("_row")
