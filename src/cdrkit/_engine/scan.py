"""Scans: find the segments that a query must read, and their matching rows.

Rollups exclude whole segments, and number indexes find rows. In all other segments, the columns that the conditions
use are read.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Final

import attrs
import polars as pl

from cdrkit._engine.bound_query import BoundQuery
from cdrkit._engine.explain import ReadCounters
from cdrkit._engine.sort_keys import beyond
from cdrkit._numbers import normalize_column
from cdrkit._query import Expr, equality_values, number_column, number_searches, polars_condition
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers import Rows

__all__ = ["Candidates", "Scan"]

#: Rows in the first scan step of a query that has a limit. Each further step scans twice as many.
_FIRST_STEP: Final = 32_768
#: The smallest segment whose rollups are read. The rows of a smaller segment can be scanned as quickly.
_MIN_SKIPPABLE: Final = 4_096


@attrs.frozen
class Candidates:
    """Rows of a segment that may match a query; if `exact`, all of them match.

    Attributes:
        segment: The segment.
        rows: The row numbers, ascending.
        exact: Whether every row is known to match all conditions.
    """

    segment: Segment
    rows: Rows
    exact: bool

    def series(self) -> pl.Series:
        """Return the row numbers as a series."""
        if isinstance(self.rows, range):
            return pl.int_range(self.rows.start, self.rows.stop, dtype=pl.UInt32, eager=True)
        return self.rows


@attrs.define(eq=False)
class Scan:
    """A run of a bound query, with counters of the segments and rows that were read.

    Attributes:
        query: The bound query.
        counters: The counters of this run. Every method increments them.
    """

    query: BoundQuery
    counters: ReadCounters = attrs.field(factory=ReadCounters)

    # -- segments and rows ----------------------------------------------------------------------------------------

    def list_segments(self) -> list[Segment]:
        """List the segments that may hold calls in the period, sorted by first call."""
        start, end = self.query.bounds()
        segments = [
            segment
            for segment in self.query.snapshot.ordered
            if (end is None or segment.first < end) and (start is None or segment.last >= start)
        ]
        self.counters.in_period += len(segments)
        return segments

    def period_rows(self, segment: Segment) -> range:
        """Return the range of rows in *segment* that have a start time in the period."""
        start, end = self.query.bounds()
        low, high = 0, segment.rows
        if start is not None and start > segment.first:
            low = self.read(segment, ["start"])["start"].search_sorted(start, "left")
        if end is not None and end <= segment.last:
            high = self.read(segment, ["start"])["start"].search_sorted(end, "left")
        return range(low, max(low, high))

    def find_rows(self, segment: Segment, *, unlimited: bool = False) -> Candidates | None:
        """Find the candidate rows of *segment*; return None if it has no candidates.

        Args:
            segment: A segment that may hold calls in the period.
            unlimited: Whether to return all candidates, regardless of the query's limit.
        """
        query = self.query
        tier = query.tiers[segment.tier]
        customers = query.customer_conditions
        if customers and segment.rows >= _MIN_SKIPPABLE:
            totals = tier.totals(segment)
            if totals is not None and not totals.may_hold(customers):
                self.counters.skipped += 1
                return None
        lookup = query.number_lookup
        if lookup is not None:
            hits = tier.find(segment, lookup.keys, lookup.condition.fields, query.region)
            if hits is not None:
                self.counters.indexed += 1
                rows = hits.rows
                if not rows.len():  # without hits, no column is read, not even the times
                    return None
                self.counters.candidates += rows.len()
                within = self.period_rows(segment)
                if within != range(segment.rows):
                    rows = rows.filter(rows.is_between(within.start, within.stop, closed="left"))
                exact = hits.exact and len(query.conditions) == 1 and not query.position
                return Candidates(segment, rows, exact=exact) if rows.len() else None
        limit = None if unlimited or not query.is_chronological else query.maximum
        candidates = self.scan_rows(segment, self.period_rows(segment), limit)
        return candidates if len(candidates.rows) else None

    def scan_rows(self, segment: Segment, rows: range, limit: int | None = None) -> Candidates:
        """Return the *rows* that match the conditions and lie beyond the cursor.

        Args:
            segment: The segment that contains the rows.
            rows: The rows to scan.
            limit: Stop after this many matches, and return the first ones in the query's order.
        """
        newest_first = self.query.newest_first
        if not rows or (not self.query.conditions and self.query.position is None):
            if limit is not None:
                rows = rows[-limit:] if newest_first else rows[:limit]
            return Candidates(segment, rows, exact=True)
        self.counters.scanned += 1
        hits: list[pl.Series] = []
        left = self._narrow_rows(segment, rows)
        step = len(left) if limit is None else max(_FIRST_STEP, 2 * limit)
        while len(left) and (limit is None or sum(map(len, hits)) < limit):
            part = left[-step:] if newest_first else left[:step]
            left = left[: len(left) - len(part)] if newest_first else left[len(part) :]
            step *= 2
            self.counters.rows_scanned += len(part)
            mask = self.mask(self.read(segment, self.query.filter_fields, part), self.query.conditions)
            new = mask.arg_true() + part.start if isinstance(part, range) else part.filter(mask)
            hits.insert(0, new) if newest_first else hits.append(new)
        whole = pl.concat(hits) if len(hits) > 1 else hits[0] if hits else pl.Series([], dtype=pl.UInt32)
        if limit is not None:
            whole = whole.tail(limit) if newest_first else whole.head(limit)
        return Candidates(segment, whole, exact=True)

    def _narrow_rows(self, segment: Segment, rows: range) -> Rows:
        """Keep only the *rows* of the requested customers; keep all if that is faster."""
        choice = next(filter(None, map(equality_values, self.query.customer_conditions)), None)
        narrowed = choice and self.query.tiers[segment.tier].rows_with(segment, *choice, rows)
        return rows if narrowed is None else narrowed

    def recheck(self, candidates: Candidates) -> Candidates:
        """Return *candidates* with only the rows that meet every condition of the query."""
        if candidates.exact:
            return candidates
        frame = self.read(candidates.segment, self.query.filter_fields, candidates.rows)
        rows = candidates.series().filter(self.mask(frame, self.query.conditions))
        return Candidates(candidates.segment, rows, exact=True)

    def mask(self, frame: pl.DataFrame, conditions: Sequence[Expr]) -> pl.Series:
        """Return True for each row that matches and lies beyond the cursor."""
        query = self.query
        numbers = {name for c in conditions for search in number_searches(c) for name in search.fields}
        if numbers:
            frame = frame.with_columns(
                normalize_column(frame[name], query.region).alias(number_column(name))
                for name in sorted(numbers)
            )
        predicates = [polars_condition(condition, query.region) for condition in conditions]
        if query.position is not None:
            position = query.position
            predicates.append(beyond(position.order, position.values, backward=position.backward))
        return frame.select(
            functools.reduce(operator.and_, predicates).fill_null(False).alias("mask")
        ).to_series()

    # -- columns --------------------------------------------------------------------------------------------------

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        """Read *columns* for the *rows* of *segment*; by default, for all rows."""
        return self.query.tiers[segment.tier].read(segment, columns, rows)

    def fetch(self, segment: Segment, columns: Sequence[str], rows: Rows) -> pl.DataFrame:
        """Read *columns* of *rows* for the result; add the row count to ``fetched``."""
        self.counters.fetched += len(rows)
        return self.read(segment, columns, rows)
