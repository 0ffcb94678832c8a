"""Aggregates: counts and sums of a query's calls, from rollups or from rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

import polars as pl

from cdrkit._engine.order import gather_rows, read_frames, split_batches
from cdrkit._engine.scan import Candidates, Scan
from cdrkit.storage.indexes import (
    NO_TOTALS,
    TOTAL_FIELDS,
    Totals,
    TotalsOfMany,
    sum_totals,
    totals_of,
    whole_days,
)
from cdrkit.storage.log import Segment, Snapshot

__all__ = ["aggregate_calls", "count_calls"]

#: The number of segment sets whose totals are cached for each snapshot.
_CACHED_TOTALS: Final = 8
#: Each snapshot's recent totals, keyed by segment ids. An entry is dropped with its snapshot.
_TOTALS: Final[WeakKeyDictionary[Snapshot, dict[tuple[str, ...], TotalsOfMany]]] = WeakKeyDictionary()


def count_calls(scan: Scan) -> int:
    """Count the calls, and read only the columns that the conditions need."""
    query = scan.query
    if query.is_rolled_up:
        return int(aggregate_calls(scan)["attempts"].sum())
    total = 0
    inexact: list[Candidates] = []
    for segment in scan.list_segments():
        part = scan.find_rows(segment, unlimited=True)
        if part is not None and part.exact:
            total += len(part.rows)
        elif part is not None:
            inexact.append(part)
        if query.maximum is not None and total >= query.maximum:
            return query.maximum
    total += sum(gather_rows(scan, batch, []).height for batch in split_batches(inexact))
    return total if query.maximum is None else min(total, query.maximum)


def aggregate_calls(scan: Scan, *by: str) -> pl.DataFrame:
    """Return the sums listed in `SUMMED`, grouped by ``day``, ``currency`` or both.

    If rollups can answer the query, only calls at the edges of the period are read.
    """
    query = scan.query
    if not query.is_rolled_up or not query.scope.hidden.isdisjoint(TOTAL_FIELDS):
        parts = [Totals(totals_of(frame)).brief for frame in read_frames(scan, TOTAL_FIELDS)]
        return sum_totals(pl.concat([NO_TOTALS, *parts]), *by)
    days = whole_days(query.period)
    inner: list[Segment] = []
    edges: list[Segment] = []
    for segment in scan.list_segments():
        is_inner = days is not None or query.contains(segment)
        (inner if is_inner else edges).append(segment)
    scan.counters.rolled_up += len(inner)
    candidates = [part for segment in edges if (part := scan.find_rows(segment))]
    rest = [totals_of(scan.read(part.segment, TOTAL_FIELDS, part.rows)) for part in candidates]
    totals = _combine_totals(scan, inner)
    if not rest and not query.conditions and days in (None, (None, None)):
        return totals.whole(*by)
    return sum_totals(pl.concat([totals.matching(query.conditions, days or (None, None)), *rest]), *by)


def _combine_totals(scan: Scan, segments: Sequence[Segment]) -> TotalsOfMany:
    """Return the combined totals of *segments*, and cache them for the snapshot."""
    cache = _TOTALS.setdefault(scan.query.snapshot, {})
    key = tuple(segment.id for segment in segments)
    totals = cache.get(key)
    if totals is None:
        totals = TotalsOfMany([_segment_totals(scan, segment) for segment in segments])
        if len(cache) >= _CACHED_TOTALS:
            cache.clear()
        cache[key] = totals
    return totals


def _segment_totals(scan: Scan, segment: Segment) -> Totals:
    totals = scan.query.tiers[segment.tier].totals(segment)
    return Totals(totals_of(scan.read(segment, TOTAL_FIELDS))) if totals is None else totals
