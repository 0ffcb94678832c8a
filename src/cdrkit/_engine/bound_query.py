"""Bound queries: queries tied to a store version, an instant and a scope."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import attrs

from cdrkit._access import EVERYTHING, Scope
from cdrkit._engine.sort_keys import SortOrder, reverse_order, sorts_by_start
from cdrkit._model import MICROSECOND, TimeRange
from cdrkit._numbers import KeySearch, key_search, search_pattern
from cdrkit._query import And, Cursor, Expr, NumberSearch, Query, field_names
from cdrkit._runtime import check_process
from cdrkit.errors import QueryError
from cdrkit.storage.indexes import is_answerable
from cdrkit.storage.log import Segment, Snapshot
from cdrkit.storage.tiers import Tier

__all__ = ["BoundQuery", "NumberLookup", "all_field_names"]

_LATEST: Final = datetime.max.replace(tzinfo=UTC)


@attrs.frozen
class NumberLookup:
    """A number search, with the key ranges to look up in a number index.

    Attributes:
        condition: The number search.
        keys: The key ranges of the numbers searched for.
    """

    condition: NumberSearch
    keys: KeySearch

    @property
    def width(self) -> int:
        """The total number of keys in the ranges; fewer keys mean a narrower search."""
        return sum(high - low for low, high in self.keys.ranges)


@attrs.frozen(kw_only=True)
class BoundQuery:
    """A query bound to a snapshot, an instant, a region and a scope.

    Attributes:
        snapshot: The version of the store to read.
        tiers: The tiers by name.
        region: The region to which numbers in national form belong, or None.
        period: The period in which the calls started.
        conditions: The other conditions. A call must match all of them.
        order: The sort order.
        maximum: The largest number of calls in the answer, or None.
        position: The cursor beyond which the calls lie, or None.
        reverse: Whether `order` is the reverse of the query's order. Absent values then come first.
        scope: The part of the calls that the reader may see. `conditions` already includes the scope's conditions.
    """

    snapshot: Snapshot
    tiers: Mapping[str, Tier]
    region: str | None
    period: TimeRange
    conditions: tuple[Expr, ...]
    order: SortOrder
    maximum: int | None
    position: Cursor | None
    reverse: bool = False
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
    ) -> Self:
        """Bind *query*, and resolve presets such as ``last_7_days`` relative to *now*.

        Raises:
            QueryError: When the query's cursor was made for another order.
            ScopeError: When *scope* does not allow the query.
        """
        check_process()
        query = scope.restrict(query)
        order = query.full_order()
        if query.position is not None and query.position.order != order:
            names = ", ".join(
                f"{'-' if descending else ''}{name}" for name, descending in query.position.order
            )
            raise QueryError(
                f"The cursor was made for the order {names}, but the query sorts differently. Request the first page "
                "instead.",
                parameter="cursor",
            )
        return cls(
            snapshot=snapshot,
            tiers=tiers,
            region=region,
            period=query.time_range(now),
            conditions=tuple(_flatten(query.conditions)),
            order=order,
            maximum=_largest_answer(query),
            position=query.position,
            scope=scope,
        )

    @property
    def is_chronological(self) -> bool:
        """Whether the query sorts calls by start and id, in either direction."""
        return sorts_by_start(self.order)

    def backward(self) -> Self:
        """Return a query that selects the same calls in reverse order."""
        return attrs.evolve(self, order=reverse_order(self.order), reverse=not self.reverse)

    @property
    def newest_first(self) -> bool:
        """Whether the query sorts calls by its first sort field in descending order."""
        return self.order[0][1]

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the range of start times to search; the end is exclusive.

        In chronological order, a cursor narrows the period. The range includes the cursor's own instant: calls
        that started at this instant may lie beyond the cursor.
        """
        start, end = self.period.start, self.period.end
        if self.position is not None and self.is_chronological:
            at = self.position.values[0]
            if self.position.order[0][1] == self.position.backward:
                start = at if start is None else max(start, at)
            elif at < _LATEST:  # a microsecond after the latest instant does not exist
                end = at + MICROSECOND if end is None else min(end, at + MICROSECOND)
        return start, end

    def contains(self, segment: Segment) -> bool:
        """Return whether every call in *segment* started within the period."""
        start, end = self.period.start, self.period.end
        return (start is None or start <= segment.first) and (end is None or segment.last < end)

    @functools.cached_property
    def number_lookup(self) -> NumberLookup | None:
        """The narrowest number search that a number index can answer, if any."""
        lookups: list[NumberLookup] = []
        for condition in self.conditions:
            if isinstance(condition, NumberSearch):
                patterns = [search_pattern(text, self.region, condition.match) for text in condition.texts]
                keys = key_search(patterns)
                if keys is not None:
                    lookups.append(NumberLookup(condition, keys))
        return min(lookups, key=lambda lookup: lookup.width, default=None)

    @functools.cached_property
    def customer_conditions(self) -> tuple[Expr, ...]:
        """The conditions that use only the field ``customer_id``.

        Rollups use these conditions to exclude segments.
        """
        return tuple(c for c in self.conditions if field_names(c) == {"customer_id"})

    @functools.cached_property
    def filter_fields(self) -> Sequence[str]:
        """The sorted names of the fields that the conditions and the cursor use."""
        order = () if self.position is None else (name for name, _ in self.order)
        return sorted({*all_field_names(self.conditions), *order})

    @property
    def is_rolled_up(self) -> bool:
        """Whether rollups can answer the query.

        They can if they support every condition, and the query has neither a limit nor a cursor.
        """
        return self.position is None and self.maximum is None and all(map(is_answerable, self.conditions))


def all_field_names(conditions: Iterable[Expr]) -> set[str]:
    """Return the names of all fields that *conditions* use."""
    return set[str]().union(*map(field_names, conditions))


def _largest_answer(query: Query) -> int | None:
    """Return how many calls *query* can return at most; None means no limit."""
    cursor = query.position
    if cursor is None or cursor.left is None:
        return query.maximum
    if not cursor.backward:
        return cursor.left if query.maximum is None else min(query.maximum, cursor.left)
    return None if query.maximum is None else max(0, query.maximum - cursor.left)


def _flatten(conditions: Iterable[Expr]) -> Iterator[Expr]:
    """Yield *conditions*, with each `And` replaced by its parts."""
    for condition in conditions:
        yield from _flatten(condition.parts) if isinstance(condition, And) else (condition,)
