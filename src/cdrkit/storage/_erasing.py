"""Erasing calls for good: out of every segment that holds them, in one commit, and then out of sight of the disk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs
import polars as pl

from .._html import html_report
from .._query import Query
from .._records import FIELDS
from ..errors import ConflictError, CorruptDataError, QueryError, StorageError
from ._commits import Segment
from ._log import Log
from ._moving import Fingerprint, discard, swapped
from ._planner import Plan
from ._tiers import Tier

__all__ = ["EraseReport", "erase"]

_TRIES: Final = 20


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


def erase(
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
        facts: What the log keeps of it; none of the erased values may be among them.
        dry_run: Only count.

    Raises:
        QueryError: When *query* asks for everything, or for a page: an erasure says what it is about.
        ConflictError: When the calls kept changing meanwhile.
    """
    if not query.conditions and not query.presets and query.period is None:
        raise QueryError(
            "An erasure needs a condition or a period; this query asks for every call.", parameter="query"
        )
    if query.maximum is not None or query.position is not None:
        raise QueryError(
            "An erasure takes all calls of its query: no limit and no cursor.", parameter="query"
        )
    for _ in range(_TRIES):
        snapshot = log.snapshot()
        region = snapshot.region
        plan = Plan.of(query, snapshot, tiers, region, now)
        hits = [(segment, rows) for segment, rows in plan.matches() if rows.len()]
        report = EraseReport(rows=sum(rows.len() for _, rows in hits), segments=len(hits), dry_run=dry_run)
        if dry_run:
            return report
        if not hits:
            _remove_superseded(log, tiers, query, now)
            return report
        fresh: list[Segment] = []
        try:
            for segment, rows in hits:
                left = _without(tiers[segment.tier].read(segment, [*FIELDS]), rows)
                if left.height:
                    fresh.append(tiers[segment.tier].write(left, region))
                    if Fingerprint.of([left]) != Fingerprint.of(
                        [tiers[segment.tier].read(fresh[-1], [*FIELDS])]
                    ):
                        raise CorruptDataError(
                            f"Calls read back from the {segment.tier} tier are not what was written; nothing was "
                            "changed. Check that storage, then try again."
                        )
        except BaseException:
            discard(tiers, fresh)
            raise
        sources = [segment for segment, _ in hits]
        after = swapped(log, tiers, "erase", sources, fresh, {**facts, "rows": report.rows})
        if after is None:
            continue
        for segment in sources:
            tiers[segment.tier].remove(segment)
        _remove_superseded(log, tiers, query, now)
        if Plan.of(query, after, tiers, region, now).count():
            raise StorageError("Calls that were to be erased are still there; run verify() and report this.")
        return report
    raise ConflictError(
        f"The calls to erase changed {_TRIES} times while they were erased; try again when it is quieter."
    )


def _remove_superseded(log: Log, tiers: Mapping[str, Tier], query: Query, now: datetime) -> None:
    """Remove segments that hold such calls although a commit has replaced them: they only wait for the vacuum.

    Segments that no commit ever named stay: they may belong to an append that is under way.
    """
    snapshot = log.snapshot()
    log.settle(snapshot)  # what replaced them must stay
    removed = {gone for commit in log.recent() for gone in commit.removed} - set(snapshot.segments)
    old: dict[str, Segment] = {}
    for tier in tiers.values():
        for found in tier.found():
            if found.id in removed and not found.is_whole:
                tier.forget(found)
            elif found.id in removed:
                try:
                    old[found.id] = tier.adopt(found, snapshot.region)
                except CorruptDataError:  # what it holds cannot be told
                    tier.forget(found)
    region = snapshot.region
    plan = Plan.of(query, attrs.evolve(snapshot, segments=old), tiers, region, now)
    for segment, rows in plan.matches():
        if rows.len():
            tiers[segment.tier].remove(segment)


def _without(frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    return frame.with_row_index("_row").filter(~pl.col("_row").is_in(rows.implode())).drop("_row")
