"""From a query and a snapshot to rows: which segments, in which order, which columns of them, and when to stop.

Segments whose time ranges overlap form a group; groups do not overlap, so reading them one after the other gives
calls in the order of time with no more than one group in memory.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl

from .._cursors import Cursor
from .._expressions import Expr, fields_of, form_column, number_searches, polars_condition
from .._numbers import forms
from .._query import Query
from .._tables import FRAME_TYPES, empty_frame
from .._times import TimeRange
from ..errors import QueryError
from ._log import Segment, Snapshot
from ._tiers import Rows, Tier

__all__ = ["Plan", "overlapping_groups"]

_CHRONOLOGICAL: Final = tuple((("start", down), ("call_id", down)) for down in (False, True))
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ROWS_AT_ONCE: Final = 131_072


@attrs.frozen(kw_only=True)
class Plan:
    """A query bound to a snapshot, an instant and a region: it can be run as often as you like, with one answer.

    Attributes:
        snapshot: The store as it was when the plan was made.
        tiers: The tiers by name.
        region: Region of numbers in national form, or None.
        period: When calls must have begun.
        conditions: What else must hold.
        order: (field, descending), down to the last tie.
        maximum: How many calls at most, or None.
        position: Where to go on, or None.
    """

    snapshot: Snapshot
    tiers: Mapping[str, Tier]
    region: str | None
    period: TimeRange
    conditions: tuple[Expr, ...]
    order: tuple[tuple[str, bool], ...]
    maximum: int | None
    position: Cursor | None

    @classmethod
    def of(
        cls, query: Query, snapshot: Snapshot, tiers: Mapping[str, Tier], region: str | None, now: datetime
    ) -> Plan:
        """Bind *query*; presets are resolved at *now*.

        Raises:
            QueryError: When its cursor comes from another order.
        """
        order = query.full_order()
        if query.position is not None and query.position.order != order:
            names = ", ".join(
                f"{'-' if descending else ''}{name}" for name, descending in query.position.order
            )
            raise QueryError(
                f"The cursor belongs to the order {names}, not to this query's; ask for the first page instead.",
                parameter="cursor",
            )
        return cls(
            snapshot=snapshot,
            tiers=tiers,
            region=region,
            period=query.time_range(now),
            conditions=query.conditions,
            order=order,
            maximum=_least(query.maximum, None if query.position is None else query.position.left),
            position=query.position,
        )

    # -- the answers --------------------------------------------------------------------------------------------

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls in order, as frames of *columns* with a bounded number of rows, none of them empty."""
        left = self.maximum
        for frame in self._ordered(columns):
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            yield from (frame.slice(at, _ROWS_AT_ONCE) for at in range(0, frame.height, _ROWS_AT_ONCE))
            if left == 0:
                return

    def count(self) -> int:
        """Return how many calls `frames` would give; columns that no condition needs are not read."""
        found = 0
        for segment in self._segments():
            rows, predicate = self._rows(segment)
            matching = len(rows) if predicate is None else len(self._matching(segment, rows, predicate))
            found += matching
            if self.maximum is not None and found >= self.maximum:
                return self.maximum
        return found

    def matches(self) -> Iterator[tuple[Segment, pl.Series]]:
        """Yield each segment that may hold calls of the answer, with the numbers of its rows that do."""
        for segment in self._segments():
            rows, predicate = self._rows(segment)
            if predicate is None:
                yield segment, pl.int_range(rows.start, rows.stop, dtype=pl.UInt32, eager=True)
            else:
                yield segment, self._matching(segment, rows, predicate)

    # -- in order -----------------------------------------------------------------------------------------------

    def _ordered(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        if self.maximum == 0 or self.period.is_empty:
            return
        if not self._chronological:
            yield self._sorted_whole(columns)
            return
        for group in overlapping_groups(self._segments(), newest_first=self.order[0][1]):
            yield from self._alone(group[0], columns) if len(group) == 1 else self._merged(group, columns)

    def _alone(self, segment: Segment, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls of a segment that overlaps no other: its own order is the answer's, or its reverse."""
        found = self._wanted(segment)
        for at in range(0, len(found), _ROWS_AT_ONCE):
            if self.order[0][1]:
                end = len(found) - at
                yield self._read(segment, columns, found[max(0, end - _ROWS_AT_ONCE) : end]).reverse()
            else:
                yield self._read(segment, columns, found[at : at + _ROWS_AT_ONCE])

    def _merged(self, group: Sequence[Segment], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls of segments that overlap: sorted by identity alone, then fetched piece by piece."""
        keys = []
        for place, segment in enumerate(group):
            found = self._wanted(segment)
            rows = pl.int_range(found.start, found.stop, eager=True) if isinstance(found, range) else found
            about = (rows.cast(pl.UInt32).alias("_row"), pl.lit(place, dtype=pl.UInt32).alias("_segment"))
            keys.append(self._read(segment, ["start", "call_id"], found).with_columns(*about))
        merged = self._sorted(pl.concat(keys)).head(self.maximum if self.maximum is not None else 1 << 62)
        for part in merged.iter_slices(_ROWS_AT_ONCE):
            pieces, places = [], []
            for (place,), mine in part.with_row_index("_place").group_by("_segment", maintain_order=True):
                ascending = mine.sort("_row")
                pieces.append(self._read(group[int(str(place))], columns, ascending["_row"]))
                places.append(ascending["_place"])
            yield pl.concat(pieces)[pl.concat(places).arg_sort()]

    @property
    def _chronological(self) -> bool:
        """Whether the order is that of the segments themselves, or its reverse."""
        return self.order in _CHRONOLOGICAL

    def _sorted_whole(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return all calls in an order that is not that of time; with a limit, only the best are kept meanwhile."""
        best = empty_frame(self._needed(columns))
        parts: list[pl.DataFrame] = []
        for segment in self._segments():
            parts.append(self._read(segment, self._needed(columns), self._wanted(segment)))
            if self.maximum is not None:
                best = self._sorted(pl.concat([best, *parts])).head(self.maximum)
                parts = []
        return self._sorted(pl.concat([best, *parts])).select(columns)

    def _needed(self, columns: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([*columns, *(name for name, _ in self.order)]))

    def _sorted(self, frame: pl.DataFrame) -> pl.DataFrame:
        keys = [_sortable(name) for name, _ in self.order]
        return frame.sort(keys, descending=[down for _, down in self.order], nulls_last=True)

    # -- one segment --------------------------------------------------------------------------------------------

    def _segments(self) -> list[Segment]:
        """Return the segments that may hold calls of the period, by their first call."""
        start, end = self._bounds()
        return sorted(
            (
                segment
                for segment in self.snapshot.segments.values()
                if (end is None or segment.first < end) and (start is None or segment.last >= start)
            ),
            key=lambda segment: (segment.first, segment.id),
        )

    def _bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the period; a cursor in the order of time moves its near side, its own instant still within."""
        start, end = self.period.start, self.period.end
        if self.position is not None and self._chronological:
            at = self.position.values[0]
            if self.order[0][1] and at < _LATEST:
                end = at + _MICROSECOND if end is None else min(end, at + _MICROSECOND)
            elif self.order[0][1]:
                pass  # everything begins by then
            else:
                start = at if start is None else max(start, at)
        return start, end

    def _rows(self, segment: Segment) -> tuple[range, pl.Expr | None]:
        """Return the rows of *segment* within the period, and what is still to be asked of each of them."""
        start, end = self._bounds()
        low, high = 0, segment.rows
        if start is not None and start > segment.first:
            low = self._read(segment, ["start"])["start"].search_sorted(start, "left")
        if end is not None and end <= segment.last:
            high = self._read(segment, ["start"])["start"].search_sorted(end, "left")
        predicates = [polars_condition(condition, self.region) for condition in self.conditions]
        if self.position is not None:
            predicates.append(_beyond(self.order, self.position.values))
        return range(low, max(low, high)), functools.reduce(operator.and_, predicates) if predicates else None

    def _matching(self, segment: Segment, rows: range, predicate: pl.Expr) -> pl.Series:
        """Return the numbers of the rows for which *predicate* holds, ascending."""
        names = set[str]().union(*(fields_of(condition) for condition in self.conditions))
        if self.position is not None:
            names.update(name for name, _ in self.order)
        frame = self._read(segment, sorted(names), rows)
        numbers = {name for c in self.conditions for search in number_searches(c) for name in search.fields}
        frame = frame.with_columns(
            forms(frame[name], self.region).alias(form_column(name)) for name in sorted(numbers)
        )
        return frame.select(pl.arg_where(predicate)).to_series() + rows.start

    def _wanted(self, segment: Segment) -> Rows:
        """Return the numbers of the rows of *segment* that can be in the answer, ascending."""
        rows, predicate = self._rows(segment)
        found: Rows = rows if predicate is None else self._matching(segment, rows, predicate)
        if self.maximum is not None and self._chronological:
            found = found[-self.maximum :] if self.order[0][1] else found[: self.maximum]
        return found

    def _read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return self.tiers[segment.tier].read(segment, columns, rows)


def overlapping_groups(segments: Iterable[Segment], *, newest_first: bool = False) -> list[list[Segment]]:
    """Return *segments*, sorted by their first call, in groups: time ranges overlap within a group only."""
    groups: list[list[Segment]] = []
    last: datetime | None = None
    for segment in segments:
        if last is not None and segment.first <= last:
            groups[-1].append(segment)
            last = max(last, segment.last)
        else:
            groups.append([segment])
            last = segment.last
    return groups[::-1] if newest_first else groups


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _sortable(name: str) -> pl.Expr:
    column = pl.col(name)
    return column.cast(pl.String) if isinstance(FRAME_TYPES[name], pl.Categorical) else column


def _beyond(order: tuple[tuple[str, bool], ...], values: tuple[Any, ...]) -> pl.Expr:
    """Return what holds for rows that come after *values* in *order*; absent values come last in every field."""
    result = pl.lit(False)
    for (name, descending), value in zip(reversed(order), reversed(values), strict=True):
        column = _sortable(name)
        if value is None:
            result = column.is_null() & result
            continue
        kind = pl.String() if isinstance(FRAME_TYPES[name], pl.Categorical) else FRAME_TYPES[name]
        at = pl.lit(value, dtype=kind)
        further: pl.Expr = (column < at) if descending else (column > at)
        result = further.fill_null(True) | ((column == at).fill_null(False) & result)
    return result
