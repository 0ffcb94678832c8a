"""From a query and a snapshot to rows: which segments, in which order, which columns of them, and when to stop.

Segments whose time ranges overlap form a group; groups do not overlap, so reading them one after the other gives
calls in the order of time with no more than one group in memory. Of each segment, first the rows are found (by the
number index, or by a look at the few columns that the conditions need), then the columns of the answer are fetched for
those rows alone. Totals and counts come from the roll-ups where those tell.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._access import EVERYTHING, Scope
from cdrkit._engine.explain import Explanation, Reading
from cdrkit._model import FRAME_TYPES, TimeRange, empty_frame
from cdrkit._numbers import KeySearch, normalize_column, key_search, search_pattern
from cdrkit._query import (
    And,
    Cursor,
    Expr,
    NumberSearch,
    Query,
    equality_values,
    field_names,
    number_column,
    number_searches,
    polars_condition,
)
from cdrkit._runtime import check_process
from cdrkit.errors import QueryError
from cdrkit.storage.indexes import (
    NO_TOTALS,
    TOTAL_FIELDS,
    Totals,
    TotalsOfMany,
    answers,
    summed,
    totals_of,
    whole_days,
)
from cdrkit.storage.log import Segment, Snapshot, overlapping_groups
from cdrkit.storage.tiers import Rows, Tier

__all__ = ["Plan"]

_CHRONOLOGICAL: Final = tuple((("start", down), ("call_id", down)) for down in (False, True))
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ROWS_AT_ONCE: Final = 131_072
#: Hits in a group that are fetched together with those of other groups.
_FEW_HITS: Final = 16_384
#: Rows that are looked at first where a limit may be reached early; then twice as many, and so on.
_FIRST_LOOK: Final = 32_768
#: Segments with fewer rows are looked at sooner than their roll-ups.
_WORTH_SKIPPING: Final = 4_096
_REMEMBERED: Final = 8


@attrs.frozen
class _Pick:
    """Rows of one segment that were found, ascending; *sure*, or still to be asked all conditions."""

    segment: Segment
    rows: Rows
    sure: bool

    def series(self) -> pl.Series:
        if isinstance(self.rows, range):
            return pl.int_range(self.rows.start, self.rows.stop, dtype=pl.UInt32, eager=True)
        return self.rows


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
        reading: What was read so far.
        scope: What may be seen of the calls; its conditions are among the others already.
    """

    snapshot: Snapshot
    tiers: Mapping[str, Tier]
    region: str | None
    period: TimeRange
    conditions: tuple[Expr, ...]
    order: tuple[tuple[str, bool], ...]
    maximum: int | None
    position: Cursor | None
    reading: Reading = attrs.field(factory=Reading, eq=False, repr=False)
    scope: Scope = EVERYTHING

    @classmethod
    def of(
        cls,
        query: Query,
        snapshot: Snapshot,
        tiers: Mapping[str, Tier],
        region: str | None,
        now: datetime,
        scope: Scope = EVERYTHING,
    ) -> Plan:
        """Bind *query*; presets are resolved at *now*.

        Raises:
            QueryError, ScopeError: When its cursor comes from another order, or *scope* does not let it ask.
        """
        check_process()
        query = scope.bound(query)
        order = query.full_order()
        if query.position is not None and query.position.order != order:
            names = ", ".join(f"{'-' if down else ''}{name}" for name, down in query.position.order)
            raise QueryError(
                f"The cursor belongs to the order {names}, not to this query's; ask for the first page instead.",
                parameter="cursor",
            )
        return cls(
            snapshot=snapshot,
            tiers=tiers,
            region=region,
            period=query.time_range(now),
            conditions=tuple(_conjuncts(query.conditions)),
            order=order,
            maximum=_least(query.maximum, None if query.position is None else query.position.left),
            position=query.position,
            scope=scope,
        )

    # -- the answers --------------------------------------------------------------------------------------------

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls in order, as frames of *columns* with a bounded number of rows, none of them empty."""
        left = self.maximum
        for frame in self._ordered(self.scope.readable(columns)):
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            for at in range(0, frame.height, _ROWS_AT_ONCE):
                yield self.scope.shown(frame.slice(at, _ROWS_AT_ONCE), columns, self.region)
            if left == 0:
                return

    def count(self) -> int:
        """Return how many calls `frames` would give; columns that no condition needs are not read."""
        if self._is_rolled_up:
            return int(self.totals()["attempts"].sum())
        found = 0
        unsure: list[_Pick] = []
        for segment in self._segments():
            pick = self._picked(segment, counted=True)
            if pick is not None and pick.sure:
                found += len(pick.rows)
            elif pick is not None:
                unsure.append(pick)
            if self.maximum is not None and found >= self.maximum:
                return self.maximum
        found += sum(self._asked(part, []).height for part in _parts(unsure))
        return found if self.maximum is None else min(found, self.maximum)

    def explained(self, columns: Sequence[str]) -> Explanation:
        """Run the plan for *columns*, keep nothing of its answer, and return what was read for it."""
        plan = attrs.evolve(self, reading=Reading())
        began = perf_counter()
        rows = sum(frame.height for frame in plan.frames(columns))
        took = perf_counter() - began
        counts = attrs.asdict(plan.reading, filter=lambda about, _: about.name != "rolled_up")
        return Explanation(
            **counts,
            segments=len(self.snapshot.segments),
            calls=self.snapshot.rows,
            columns=len(columns),
            rows=rows,
            in_order=self._chronological,
            limit=self.maximum,
            seconds=took,
        )

    def totals(self, *by: str) -> pl.DataFrame:
        """Return the sums `SUMMED` over the calls that `frames` would give, by ``day``, ``currency`` or both.

        Roll-ups answer where they can; only calls at the edges of the period are looked at then.
        """
        if not self._is_rolled_up or not self.scope.hidden.isdisjoint(TOTAL_FIELDS):
            parts = [Totals(totals_of(frame)).brief for frame in self.frames(TOTAL_FIELDS)]
            return summed(pl.concat([NO_TOTALS, *parts]), *by)
        days = whole_days(self.period)
        covered: list[Segment] = []
        edges: list[Segment] = []
        for segment in self._segments():
            inside = days is not None or self._is_inside(segment)
            (covered if inside else edges).append(segment)
        self.reading.rolled_up += len(covered)
        picks = [pick for segment in edges if (pick := self._picked(segment))]
        rest = [totals_of(self._read(pick.segment, TOTAL_FIELDS, pick.rows)) for pick in picks]
        rolled = self._rolled_up(covered)
        if not rest and not self.conditions and days in (None, (None, None)):
            return rolled.whole(*by)
        return summed(pl.concat([rolled.matching(self.conditions, days or (None, None)), *rest]), *by)

    def matches(self) -> Iterator[tuple[Segment, pl.Series]]:
        """Yield each segment that may hold calls of the answer, with the numbers of its rows that do."""
        for segment in self._segments():
            rows = self._time_range(segment)
            yield segment, self._scanned(segment, rows).series()

    # -- in order -----------------------------------------------------------------------------------------------

    def _ordered(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        if self.maximum == 0 or self.period.is_empty:
            return
        if not self._chronological:
            yield self._sorted_whole(columns)
            return
        few: list[_Pick] = []
        waiting = 0
        for group in overlapping_groups(self._segments(), newest_first=self.order[0][1]):
            picks = [pick for segment in group if (pick := self._picked(segment))]
            if not picks:
                continue
            hits = sum(len(pick.rows) for pick in picks)
            if hits <= _FEW_HITS:
                few += picks
                waiting += hits
                if waiting < (_FEW_HITS if self.maximum is None else min(self.maximum, _FEW_HITS)):
                    continue
                picks = []
            if few:  # they come before this group, or are all that there is of it
                yield self._asked(few, columns)
                few, waiting = [], 0
            if len(picks) == 1:
                yield from self._alone(self._made_sure(picks[0]), columns)
            elif picks:
                yield from self._merged([self._made_sure(pick) for pick in picks], columns)
        if few:
            yield self._asked(few, columns)

    def _asked(self, picks: Sequence[_Pick], columns: Sequence[str]) -> pl.DataFrame:
        """Return *columns* of the few calls picked, in order, without those that the conditions do not hold for."""
        asked = () if all(pick.sure for pick in picks) else self.conditions
        if len(picks) == 1 and not asked:  # its own order is the answer's, or its reverse
            frame = self._fetched(picks[0].segment, columns, picks[0].rows)
            return frame.reverse() if self.order[0][1] else frame
        names = [*columns, *_names(asked), *(name for name, _ in self.order)]
        by_tier: dict[str, list[tuple[Segment, pl.Series]]] = {}
        for pick in picks:
            by_tier.setdefault(pick.segment.tier, []).append((pick.segment, pick.series()))
        unique = list(dict.fromkeys(names))
        frame = pl.concat([self.tiers[tier].gather(mine, unique) for tier, mine in by_tier.items()])
        self.reading.fetched += frame.height
        if asked:
            frame = frame.filter(self._mask(frame, asked))
        return self._sorted(frame).select(columns) if columns else frame

    def _alone(self, pick: _Pick, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls of a segment that overlaps no other: its own order is the answer's, or its reverse."""
        found = pick.rows
        for at in range(0, len(found), _ROWS_AT_ONCE):
            if self.order[0][1]:
                end = len(found) - at
                yield self._fetched(pick.segment, columns, found[max(0, end - _ROWS_AT_ONCE) : end]).reverse()
            else:
                yield self._fetched(pick.segment, columns, found[at : at + _ROWS_AT_ONCE])

    def _merged(self, picks: Sequence[_Pick], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls of segments that overlap: sorted by identity alone, then fetched piece by piece."""
        keys = []
        for place, pick in enumerate(picks):
            about = (pick.series().alias("_row"), pl.lit(place, dtype=pl.UInt32).alias("_segment"))
            keys.append(self._read(pick.segment, ["start", "call_id"], pick.rows).with_columns(*about))
        merged = self._sorted(pl.concat(keys)).head(self.maximum if self.maximum is not None else 1 << 62)
        for part in merged.iter_slices(_ROWS_AT_ONCE):
            pieces, places = [], []
            for (place,), mine in part.with_row_index("_place").group_by("_segment", maintain_order=True):
                ascending = mine.sort("_row")
                pieces.append(self._fetched(picks[int(str(place))].segment, columns, ascending["_row"]))
                places.append(ascending["_place"])
            yield pl.concat(pieces)[pl.concat(places).arg_sort()]

    @property
    def _chronological(self) -> bool:
        """Whether the order is that of the segments themselves, or its reverse."""
        return self.order in _CHRONOLOGICAL

    def _sorted_whole(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return all calls in an order that is not that of time; with a limit, only the best are kept meanwhile."""
        names = self._needed(columns)
        best = empty_frame(names)
        parts: list[pl.DataFrame] = []
        for segment in self._segments():
            pick = self._picked(segment)
            if pick is None or not len(rows := self._made_sure(pick).rows):
                continue
            parts.append(self._fetched(segment, names, rows))
            if self.maximum is not None:
                best = self._sorted(pl.concat([best, *parts])).head(self.maximum)
                parts = []
        return self._sorted(pl.concat([best, *parts])).select(columns)

    def _needed(self, columns: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([*columns, *(name for name, _ in self.order)]))

    def _sorted(self, frame: pl.DataFrame) -> pl.DataFrame:
        keys = [_sortable(name) for name, _ in self.order]
        return frame.sort(keys, descending=[down for _, down in self.order], nulls_last=True)

    # -- which segments, and which of their rows ------------------------------------------------------------------

    def _segments(self) -> list[Segment]:
        """Return the segments that may hold calls of the period, by their first call."""
        start, end = self._bounds()
        found = [
            segment
            for segment in self.snapshot.ordered
            if (end is None or segment.first < end) and (start is None or segment.last >= start)
        ]
        self.reading.in_period += len(found)
        return found

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

    def _time_range(self, segment: Segment) -> range:
        """Return the rows of *segment* within the period."""
        start, end = self._bounds()
        low, high = 0, segment.rows
        if start is not None and start > segment.first:
            low = self._read(segment, ["start"])["start"].search_sorted(start, "left")
        if end is not None and end <= segment.last:
            high = self._read(segment, ["start"])["start"].search_sorted(end, "left")
        return range(low, max(low, high))

    def _picked(self, segment: Segment, *, counted: bool = False) -> _Pick | None:
        """Return the rows of *segment* that can be in the answer: by roll-ups and number index, or by a look at them.

        None where there are none.

        Args:
            segment: One within the period.
            counted: Whether all of them are to be counted, whatever the limit.
        """
        tier = self.tiers[segment.tier]
        if self._telling and segment.rows >= _WORTH_SKIPPING:
            totals = tier.totals(segment)
            if totals is not None and not totals.may_hold(self._telling):
                self.reading.skipped += 1
                return None
        if self._search is not None:
            condition, search = self._search
            hits = tier.find(segment, search, condition.fields, self.region)
            if hits is not None:
                self.reading.indexed += 1
                found = hits.rows
                if not found.len():  # no column is worth reading, not even that of the times
                    return None
                self.reading.candidates += found.len()
                rows = self._time_range(segment)
                if rows != range(segment.rows):
                    found = found.filter(found.is_between(rows.start, rows.stop, closed="left"))
                sure = hits.exact and len(self.conditions) == 1 and not self.position
                return _Pick(segment, found, sure=sure) if found.len() else None
        limit = None if counted or not self._chronological else self.maximum
        scanned = self._scanned(segment, self._time_range(segment), limit)
        return scanned if len(scanned.rows) else None

    def _scanned(self, segment: Segment, rows: range, limit: int | None = None) -> _Pick:
        """Return those of *rows* that the conditions hold for; of more than *limit*, the first in the order."""
        newest_first = self.order[0][1]
        if not rows or (not self.conditions and self.position is None):
            if limit is not None:
                rows = rows[-limit:] if newest_first else rows[:limit]
            return _Pick(segment, rows, sure=True)
        self.reading.scanned += 1
        found: list[pl.Series] = []
        left = self._narrowed(segment, rows)
        look = len(left) if limit is None else max(_FIRST_LOOK, 2 * limit)
        while len(left) and (limit is None or sum(map(len, found)) < limit):
            part = left[-look:] if newest_first else left[:look]
            left = left[: len(left) - len(part)] if newest_first else left[len(part) :]
            look *= 2
            self.reading.rows_scanned += len(part)
            mask = self._mask(self._read(segment, sorted(self._asked_names), part), self.conditions)
            hits = mask.arg_true() + part.start if isinstance(part, range) else part.filter(mask)
            found.insert(0, hits) if newest_first else found.append(hits)
        whole = pl.concat(found) if len(found) > 1 else found[0] if found else pl.Series([], dtype=pl.UInt32)
        if limit is not None:
            whole = whole.tail(limit) if newest_first else whole.head(limit)
        return _Pick(segment, whole, sure=True)

    def _narrowed(self, segment: Segment, rows: range) -> Rows:
        """Return those of *rows* with the customers asked for, where the tier tells them sooner than a look does."""
        choice = next(filter(None, map(equality_values, self._telling)), None)
        found = choice and self.tiers[segment.tier].rows_with(segment, *choice, rows)
        return rows if found is None else found

    def _made_sure(self, pick: _Pick) -> _Pick:
        """Return *pick* with those of its rows that the conditions hold for."""
        if pick.sure:
            return pick
        frame = self._read(pick.segment, sorted(self._asked_names), pick.rows)
        return _Pick(pick.segment, pick.series().filter(self._mask(frame, self.conditions)), sure=True)

    @property
    def _asked_names(self) -> set[str]:
        """The fields that the conditions, and the cursor, look at."""
        order = () if self.position is None else (name for name, _ in self.order)
        return {*_names(self.conditions), *order}

    def _mask(self, frame: pl.DataFrame, conditions: Sequence[Expr]) -> pl.Series:
        """Return for each row of *frame* whether *conditions* hold, and whether it comes after the cursor."""
        numbers = {name for c in conditions for search in number_searches(c) for name in search.fields}
        if numbers:
            frame = frame.with_columns(
                normalize_column(frame[name], self.region).alias(number_column(name)) for name in sorted(numbers)
            )
        asked = [polars_condition(condition, self.region) for condition in conditions]
        if self.position is not None:
            asked.append(_beyond(self.order, self.position.values))
        return frame.select(functools.reduce(operator.and_, asked).fill_null(False).alias("mask")).to_series()

    @functools.cached_property
    def _search(self) -> tuple[NumberSearch, KeySearch] | None:
        """The condition that the number index answers, the narrowest of them, and where its numbers are."""
        found: list[tuple[int, int, NumberSearch, KeySearch]] = []
        for condition in self.conditions:
            if isinstance(condition, NumberSearch):
                patterns = [search_pattern(text, self.region, condition.match) for text in condition.texts]
                search = key_search(patterns)
                if search is not None:
                    width = sum(high - low for low, high in search.ranges)
                    found.append((width, len(found), condition, search))
        return min(found)[2:] if found else None

    @functools.cached_property
    def _telling(self) -> tuple[Expr, ...]:
        """The conditions on customers: roll-ups may tell that a segment has none of them."""
        return tuple(c for c in self.conditions if field_names(c) == {"customer_id"})

    # -- roll-ups -----------------------------------------------------------------------------------------------

    @property
    def _is_rolled_up(self) -> bool:
        """Whether roll-ups answer every condition, and there is nothing else to an answer."""
        return self.position is None and self.maximum is None and all(map(answers, self.conditions))

    def _is_inside(self, segment: Segment) -> bool:
        start, end = self.period.start, self.period.end
        return (start is None or start <= segment.first) and (end is None or segment.last < end)

    def _rolled_up(self, segments: Sequence[Segment]) -> TotalsOfMany:
        """Return the totals of *segments* together; the last ones asked for are kept with the snapshot."""
        memo = self.snapshot.memo.setdefault("totals", {})
        key = tuple(segment.id for segment in segments)
        found = memo.get(key)
        if found is None:
            found = TotalsOfMany([self._totals_of(segment) for segment in segments])
            if len(memo) >= _REMEMBERED:
                memo.clear()
            memo[key] = found
        assert isinstance(found, TotalsOfMany)
        return found

    def _totals_of(self, segment: Segment) -> Totals:
        found = self.tiers[segment.tier].totals(segment)
        return Totals(totals_of(self._read(segment, TOTAL_FIELDS))) if found is None else found

    # -- from the tiers -----------------------------------------------------------------------------------------

    def _fetched(self, segment: Segment, columns: Sequence[str], rows: Rows) -> pl.DataFrame:
        self.reading.fetched += len(rows)
        return self._read(segment, columns, rows)

    def _read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return self.tiers[segment.tier].read(segment, columns, rows)


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


def _conjuncts(conditions: Iterable[Expr]) -> Iterator[Expr]:
    """Yield the conditions all of which must hold, one by one."""
    for condition in conditions:
        yield from _conjuncts(condition.parts) if isinstance(condition, And) else (condition,)


def _names(conditions: Iterable[Expr]) -> set[str]:
    return set[str]().union(*map(field_names, conditions))


def _parts(picks: Sequence[_Pick]) -> Iterator[Sequence[_Pick]]:
    """Yield *picks* in runs of a bounded number of rows, but for a pick that is larger."""
    run: list[_Pick] = []
    for pick in picks:
        if run and sum(len(other.rows) for other in run) + len(pick.rows) > _ROWS_AT_ONCE:
            yield run
            run = []
        run.append(pick)
    if run:
        yield run
