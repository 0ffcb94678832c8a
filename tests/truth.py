"""The result of a query in plain Python over a list of records, with which the fast path is compared."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from cdrkit import CallRecord, DailyTotal, Expr, Query
from cdrkit._numbers import normalize_number, search_pattern
from cdrkit._query import (
    And,
    Comparison,
    In,
    IsNull,
    Not,
    NumberSearch,
    Or,
    TextMatch,
    field_names,
)
from cdrkit.reports.daily import OUTCOME

OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(expr: Expr, record: CallRecord, region: str | None) -> bool | None:
    """Return whether *expr* holds for *record*: SQL's three values, None for unknown."""
    if isinstance(expr, (And, Or)):
        found = [holds(part, record, region) for part in expr.parts]
        decisive = isinstance(expr, Or)
        if decisive in found:
            return decisive
        return None if None in found else not decisive
    if isinstance(expr, Not):
        inner = holds(expr.inner, record, region)
        return None if inner is None else not inner
    if isinstance(expr, NumberSearch):
        values = [getattr(record, name) for name in expr.fields]
        patterns = [search_pattern(text, region, expr.match) for text in expr.texts]
        return any(
            p.matches(normalize_number(value, region))
            for value in values
            if value is not None
            for p in patterns
        )
    assert isinstance(expr, (Comparison, In, IsNull, TextMatch))
    value = getattr(record, expr.field)
    if isinstance(expr, IsNull):
        return value is None
    if value is None:
        return None
    if isinstance(expr, In):
        return value in expr.values
    if isinstance(expr, TextMatch):
        tests = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}
        return bool(tests[expr.how](value, expr.text))
    return bool(OPERATORS[expr.op](value, expr.value))


def compare(order: tuple[tuple[str, bool], ...], left: tuple[Any, ...], right: tuple[Any, ...]) -> int:
    """Compare two lists of values in *order*; None comes last, whatever the direction."""
    for (_, descending), a, b in zip(order, left, right, strict=True):
        if a == b:
            continue
        if a is None or b is None:
            return 1 if a is None else -1
        return (1 if a > b else -1) * (-1 if descending else 1)
    return 0


def run(
    query: Query, records: Iterable[CallRecord], *, region: str | None, now: datetime
) -> list[CallRecord]:
    """Return what *query* asks for among *records*."""
    order = query.full_order()

    def key(record: CallRecord) -> tuple[Any, ...]:
        return tuple(getattr(record, name) for name, _ in order)

    found = [
        record
        for record in records
        if query.time_range(now).contains(record.start)
        and all(holds(condition, record, region) is True for condition in query.conditions)
    ]

    def by_order(left: CallRecord, right: CallRecord) -> int:
        return compare(order, key(left), key(right))

    found.sort(key=functools.cmp_to_key(by_order))
    if query.position is not None:
        position = query.position
        found = [record for record in found if compare(order, key(record), position.values) > 0]
        if position.left is not None:
            found = found[: position.left]
    return found if query.maximum is None else found[: query.maximum]


def daily_totals(
    query: Query, records: Iterable[CallRecord], *, region: str | None, now: datetime
) -> list[DailyTotal]:
    """Return what the calls that *query* asks for add up to, per UTC day."""
    days: dict[date, list[CallRecord]] = {}
    for record in run(query, records, region=region, now=now):
        days.setdefault(record.start.astimezone(UTC).date(), []).append(record)
    by_outcome = any(field_names(condition) & OUTCOME for condition in query.conditions)
    return [_total(day, days[day], by_outcome) for day in sorted(days)]


def _total(day: date, calls: list[CallRecord], by_outcome: bool) -> DailyTotal:
    charges: dict[str, Decimal] = {}
    for call in calls:
        if call.charge is not None:
            currency = call.currency or "XXX"
            charges[currency] = charges.get(currency, Decimal(0)) + call.charge
    return DailyTotal(
        day=day,
        attempts=len(calls),
        connected=sum((call.duration or 0) > 0 for call in calls),
        duration=sum(call.duration or 0 for call in calls),
        billed_duration=sum(call.billed_duration or 0 for call in calls),
        charges=charges,
        by_outcome=by_outcome,
    )
