"""Sort calls, and make the condition that selects the calls beyond a cursor."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import polars as pl

from cdrkit._model import FRAME_TYPES

__all__ = ["SortOrder", "beyond", "reverse_order", "sort_frame", "sorts_by_start"]

#: Pairs of a field name and whether it descends. The last pairs leave no two calls equal in order.
SortOrder: TypeAlias = tuple[tuple[str, bool], ...]

_CHRONOLOGICAL: Final = tuple(
    (("start", descending), ("call_id", descending)) for descending in (False, True)
)


def sorts_by_start(order: SortOrder) -> bool:
    """Return whether *order* sorts by start and id, both in the same direction."""
    return order in _CHRONOLOGICAL


def reverse_order(order: SortOrder) -> SortOrder:
    """Return *order* with every direction reversed."""
    return tuple((name, not descending) for name, descending in order)


def sort_frame(frame: pl.DataFrame, order: SortOrder, *, nulls_first: bool = False) -> pl.DataFrame:
    """Sort *frame* by *order*, with absent values last unless *nulls_first* is set."""
    keys = [_sort_key(name) for name, _ in order]
    return frame.sort(keys, descending=[descending for _, descending in order], nulls_last=not nulls_first)


def beyond(order: SortOrder, values: tuple[Any, ...], *, backward: bool = False) -> pl.Expr:
    """Return a condition for the rows that come after *values* in *order*.

    If *backward* is true, return a condition for the rows that come before *values* instead. Absent
    values come last in *order*.
    """
    result = pl.lit(False)
    for (name, descending), value in zip(reversed(order), reversed(values), strict=True):
        column = _sort_key(name)
        if value is None:
            result = (column.is_not_null() | result) if backward else (column.is_null() & result)
            continue
        kind = pl.String() if isinstance(FRAME_TYPES[name], pl.Categorical) else FRAME_TYPES[name]
        at = pl.lit(value, dtype=kind)
        further: pl.Expr = (column < at) if descending != backward else (column > at)
        result = further.fill_null(not backward) | ((column == at).fill_null(False) & result)
    return result


def _sort_key(name: str) -> pl.Expr:
    """Return the sort key for the field *name*; categories sort as text."""
    column = pl.col(name)
    return column.cast(pl.String) if isinstance(FRAME_TYPES[name], pl.Categorical) else column
