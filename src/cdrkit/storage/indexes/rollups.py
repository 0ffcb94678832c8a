"""Rollups: the sums of a segment's calls, by UTC day and group.

The calls of a group share customer, reseller, direction and currency, and are all connected or all unconnected.

Queries for counts and totals read rollups instead of calls. Rollups also show whether a segment has calls of a
customer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import UTC, date, time
from typing import Final

import polars as pl

from cdrkit._model import FRAME_TYPES, TimeRange
from cdrkit._query import (
    And,
    Comparison,
    Expr,
    In,
    IsNull,
    Not,
    Or,
    equality_values,
    field_names,
    polars_condition,
)

__all__ = [
    "NO_TOTALS",
    "SUMMED",
    "TOTAL_FIELDS",
    "Totals",
    "TotalsOfMany",
    "is_answerable",
    "sum_totals",
    "totals_of",
    "whole_days",
]

#: The fields by which calls are grouped, besides their day and whether they were connected.
_GROUPED: Final = ("customer_id", "reseller_id", "direction", "currency")
_KEYS: Final = ("day", *_GROUPED, "connected")
#: The fields that totals are computed from.
TOTAL_FIELDS: Final = ("start", "duration", "billed_duration", "charge", *_GROUPED)
#: The sums: calls, connected calls, their seconds, their billed seconds, and their charge.
SUMMED: Final = ("attempts", "connections", "duration", "billed_duration", "charge")
_MONEY: Final = pl.Decimal(38, 6)
_MIDNIGHT: Final = time(tzinfo=UTC)
_SCHEMA: Final = {
    "day": pl.Date(),
    **dict.fromkeys(_GROUPED, pl.String()),
    "connected": pl.Boolean(),
    "attempts": pl.Int64(),
    "duration": pl.Int64(),
    "billed_duration": pl.Int64(),
    "charge": _MONEY,
}
#: The totals of no calls.
NO_TOTALS: Final = pl.DataFrame(schema=_SCHEMA)


def totals_of(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the totals of the calls in *frame*, one row for each day and group.

    ``connected`` is the value of ``duration > 0``, which is null if the duration is null. ``charge`` is null if no call
    of the group has a charge.
    """
    frame = frame.with_columns(
        pl.lit(None, dtype=FRAME_TYPES[name]).alias(name)
        for name in TOTAL_FIELDS
        if name not in frame.columns
    )
    has_charge = pl.col("charge").is_not_null().any()
    return (
        frame.group_by(
            pl.col("start").dt.date().alias("day"),
            *_GROUPED,
            (pl.col("duration") > 0).alias("connected"),
        )
        .agg(
            attempts=pl.len().cast(pl.Int64),
            duration=pl.col("duration").cast(pl.Int64).sum(),
            billed_duration=pl.col("billed_duration").cast(pl.Int64).sum(),
            charge=pl.when(has_charge).then(pl.col("charge").cast(_MONEY).sum()),
        )
        .with_columns(pl.col(name).cast(pl.String) for name in _GROUPED)
        .select(*_SCHEMA)
        .sort(_KEYS)
    )


def sum_totals(totals: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Group *totals* by the given keys, and sum each group.

    *by* lists the keys. The result has these keys as columns, and then the columns `SUMMED`.
    """
    has_charge = pl.col("charge").is_not_null().any()
    sums = [
        pl.col("attempts").sum(),
        pl.col("attempts").filter(pl.col("connected").fill_null(False)).sum().alias("connections"),
        pl.col("duration").sum(),
        pl.col("billed_duration").sum(),
        pl.when(has_charge).then(pl.col("charge").sum()).alias("charge"),
    ]
    return totals.group_by(by).agg(sums) if by else totals.select(sums)


def is_answerable(condition: Expr) -> bool:
    """Return whether rollups are enough to evaluate *condition*."""
    if isinstance(condition, (And, Or)):
        return all(map(is_answerable, condition.parts))
    if isinstance(condition, Not):
        return is_answerable(condition.inner)
    if isinstance(condition, Comparison) and condition.field == "duration":
        return condition.op == ">" and condition.value == 0
    return isinstance(condition, (Comparison, In, IsNull)) and condition.field in _GROUPED


class Totals:
    """The rollup of one segment.

    A tier that has rollups returns one from `Tier.totals`.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit, polars as pl
        >>> from cdrkit.storage import Totals
        >>> from cdrkit.storage.indexes import totals_of
        >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> calls = pl.DataFrame({"call_id": ["17"], "start": [start], "duration": [42]})
        >>> Totals(totals_of(calls)).rows["duration"].sum()
        42

    Args:
        rows: A row for each day and group. ``day`` is a UTC day; ``customer_id``, ``reseller_id``, ``direction`` and
            ``currency`` are text; ``connected`` is a truth value. The sums are ``attempts``, ``duration`` and
            ``billed_duration``, in seconds, and ``charge``.

    Attributes:
        rows: The rows given.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows

    @functools.cached_property
    def brief(self) -> pl.DataFrame:
        """The totals grouped only by day, currency and ``connected``.

        The columns of the other keys are null.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import Totals
            >>> from cdrkit.storage.indexes import totals_of
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> totals = Totals(totals_of(pl.DataFrame({"call_id": ["17"], "start": [start]})))
            >>> totals.brief["attempts"].to_list()
            [1]
        """
        return (
            sum_totals(self.rows, "day", "currency", "connected")
            .with_columns(
                pl.lit(None, dtype=pl.String).alias(name) for name in _GROUPED if name != "currency"
            )
            .select(*_SCHEMA)
        )

    @property
    def size_bytes(self) -> int:
        """The estimated size of the rows in memory, in bytes.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import Totals
            >>> from cdrkit.storage.indexes import totals_of
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> totals = Totals(totals_of(pl.DataFrame({"call_id": ["17"], "start": [start]})))
            >>> totals.size_bytes > 0
            True
        """
        return int(self.rows.estimated_size())

    def may_hold(self, conditions: Iterable[Expr]) -> bool:
        """Return whether the segment may hold calls that satisfy all *conditions*.

        False means that the segment certainly holds no such call.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit, polars as pl
            >>> from cdrkit.storage import Totals
            >>> from cdrkit.storage.indexes import totals_of
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["17"], "start": [start], "customer_id": ["1003"]})
            >>> totals = Totals(totals_of(calls))
            >>> totals.may_hold([cdrkit.field("customer_id") == "1004"])
            False
        """
        return all(self._may_hold_customer(condition) for condition in conditions)

    def _may_hold_customer(self, condition: Expr) -> bool:
        choice = equality_values(condition)
        if choice is None or choice[0] != "customer_id":
            return True
        return not self._customers.isdisjoint(choice[1])

    @functools.cached_property
    def _customers(self) -> frozenset[str | None]:
        return frozenset(self.rows["customer_id"].unique().to_list())


class TotalsOfMany:
    """The combined totals of several segments, computed when first used.

    Args:
        parts: The totals of each segment.
    """

    def __init__(self, parts: Sequence[Totals]) -> None:
        self._parts = parts
        self._sums: dict[tuple[str, ...], pl.DataFrame] = {}

    def whole(self, *by: str) -> pl.DataFrame:
        """Return the totals of the calls of all segments, grouped by the given keys.

        *by* lists the keys. The result has the columns that `sum_totals` returns, and is cached.
        """
        if by not in self._sums:
            self._sums[by] = sum_totals(self._brief, *by)
        return self._sums[by]

    @functools.cached_property
    def _rows(self) -> pl.DataFrame:
        """All rows, sorted by customer so that each customer's rows are contiguous."""
        rows = pl.concat([NO_TOTALS, *(part.rows for part in self._parts)], rechunk=True)
        return rows.sort("customer_id", "day", maintain_order=True)

    @functools.cached_property
    def _customers(self) -> dict[str | None, tuple[int, int]]:
        """For each customer, the index of the first row and the number of rows."""
        runs = self._rows["customer_id"].rle().struct.unnest()
        begins = runs["len"].cum_sum() - runs["len"]
        return dict(zip(runs["value"], zip(begins, runs["len"], strict=True), strict=True))

    @functools.cached_property
    def _brief(self) -> pl.DataFrame:
        return pl.concat([NO_TOTALS, *(part.brief for part in self._parts)], rechunk=True)

    def matching(self, conditions: Sequence[Expr], days: tuple[date | None, date | None]) -> pl.DataFrame:
        """Return the totals of the calls that satisfy all *conditions*.

        Args:
            conditions: Conditions for which `is_answerable` is true.
            days: The first UTC day and the day after the last; None means no bound.
        """
        fields = set[str]().union(*map(field_names, conditions))
        totals = self._rows if fields & {"customer_id", "reseller_id", "direction"} else self._brief
        rest = list(conditions)
        for condition in conditions:
            choice = equality_values(condition)
            if choice is not None and choice[0] == "customer_id":
                spans = [self._customers[each] for each in set(choice[1]) if each in self._customers]
                totals = pl.concat([NO_TOTALS, *(self._rows.slice(*span) for span in spans)])
                rest.remove(condition)
                break
        first, after = days
        filters = [polars_condition(condition, None) for condition in rest]
        filters += [] if first is None else [pl.col("day") >= first]
        filters += [] if after is None else [pl.col("day") < after]
        if not filters:
            return totals
        # The only answerable condition on the duration is "above 0": "connected" serves as the duration.
        prepared = totals.lazy().with_columns(
            pl.col("duration").alias("_seconds"), pl.col("connected").cast(pl.Int64).alias("duration")
        )
        sums = [pl.col("_seconds").alias("duration") if name == "duration" else name for name in _SCHEMA]
        return prepared.filter(pl.all_horizontal(filters)).select(sums).collect()


def whole_days(period: TimeRange) -> tuple[date | None, date | None] | None:
    """Return a period's bounds as UTC days, or None if a bound is not midnight UTC.

    The end is exclusive.
    """
    bounds = (period.start, period.end)
    if any(at is not None and at.astimezone(UTC).timetz() != _MIDNIGHT for at in bounds):
        return None
    start, end = (None if at is None else at.astimezone(UTC).date() for at in bounds)
    return start, end
