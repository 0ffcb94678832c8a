"""Results within a scope, compared with plain Python over the tenant's calls."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cdrkit
from cdrkit import FIELDS, CallRecord, Query, Store, field
from cdrkit._numbers import normalize_number, search_pattern
from cdrkit._query import Expr, IsNull, NumberSearch, field_names
from cdrkit.errors import (
    ScopeError,
    UnknownFieldError,
)
from tests import strategies, truth
from tests.access.tenants import START, prefix_counts, scope


@pytest.fixture(scope="module")
def calls() -> list[CallRecord]:
    """Return enough calls of two customers, on a day of a warm month and a day of a hot one, to be indexed."""
    return [
        CallRecord(
            call_id=f"{day:%m}-{number}",
            start=day + timedelta(seconds=number),
            customer_id="1003" if number % 2 else "1004",
            source=f"+44207946{number % 97:04d}",
            destination=f"+1212555{number % 89:04d}",
            duration=number % 5,
            charge=Decimal(number % 7) / 100,
            currency="GBP",
        )
        for day in (datetime(2026, 6, 3, tzinfo=UTC), START)
        for number in range(5_000)
    ]


@pytest.fixture(scope="module")
def large(calls: list[CallRecord], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of them, in both tiers."""
    made = cdrkit.open_store(tmp_path_factory.mktemp("large"), region="GB")
    made.append(calls)
    made.maintenance.move_to_warm(now=datetime(2026, 11, 25, tzinfo=UTC))
    assert [month.month for month in made.archive.months()] == ["2026-06"]
    return made


class TestLargeStore:
    """Indexes and roll-ups, which know whole numbers and all tenants, answer no more than the calls themselves do."""

    @pytest.mark.parametrize(
        "query",
        [
            Query(),
            Query().customer("1004"),
            Query().customer("1003", "1004").connected(),
            Query().number("+442079460003", role="source"),
            Query().number(["+442079460003", "+12125550004"]),
            Query().number("*0003").newest_first(),
            Query().number("+4420794600*", role="source").limit(7),
            Query().where((field("customer_id") == "1004") | (field("duration") > 3)),
            Query().between("2026-06-03T00:10", "2026-11-22T09:20").order_by("-charge").limit(50),
        ],
        ids=repr,
    )
    def test_without_masks(self, large: Store, calls: list[CallRecord], query: Query) -> None:
        """Counts, calls and totals are those of the tenant's calls alone."""
        scoped = scope(large)
        mine = [record for record in calls if record.customer_id == "1003"]
        expected = truth.run(query, mine, region="GB", now=START)
        assert list(scoped.run(query, now=START)) == expected
        assert scoped.count(query, now=START) == len(expected)
        for totals in (
            scoped.daily_totals(query, now=START),
            scoped.daily_totals(query, timezone="UTC", now=START),
        ):
            assert sum(total.attempts for total in totals) == len(expected)
            charged = sum((record.charge or Decimal(0) for record in expected), Decimal(0))
            assert sum((total.charges.get("GBP", Decimal(0)) for total in totals), Decimal(0)) == charged

    def test_masked_numbers(self, large: Store) -> None:
        """The number index is no way past a mask: each further digit finds all calls or none."""
        scoped = scope(large, mask=["source"])
        number = "+442079460003"
        assert prefix_counts(scoped, number) == [5_000] * 8 + [0] * 4
        found = scoped.run(Query().number("+44207946*", role="source").limit(3))
        assert {record.source for record in found} == {"+44207946****"}
        for refused in (Query().number(number), Query().cli(number), Query().number("*0003", role="source")):
            with pytest.raises(ScopeError, match="is masked"):
                scoped.count(refused)

    def test_hidden_amounts(self, large: Store) -> None:
        """Rollups reveal neither a hidden charge nor, with a hidden duration, the connected calls."""
        assert [dict(total.charges) for total in scope(large).daily_totals()] != [{}, {}]
        for totals in (
            scope(large, hide=["charge"]).daily_totals(),
            scope(large, hide=["charge"]).daily_totals(timezone="Asia/Tokyo"),
        ):
            assert [dict(total.charges) for total in totals] == [{}, {}]
            assert [total.attempts for total in totals] == [2_500, 2_500]
        silent = scope(large, hide=["duration"]).daily_totals()
        assert [(total.attempts, total.connected, total.duration) for total in silent] == [(2_500, 0, 0)] * 2

    def test_pages(self, large: Store) -> None:
        """Pages lead from the hot tier into the warm one, through the tenant's calls only."""
        scoped = scope(large)
        query = Query().newest_first().where(field("duration") == 4)
        seen: list[str] = []
        page = scoped.run(query).page(300)
        while True:
            seen += [record.call_id for record in page.records]
            assert {record.customer_id for record in page.records} == {"1003"}
            if page.next_cursor is None:
                break
            page = scoped.run(query.after(page.next_cursor)).page(300)
        assert len(seen) == len(set(seen)) == scoped.count(query) == 1_000


# -- the law ---------------------------------------------------------------------------------------------------

HIDE = ("charge", "provider_charge", "mos")
MASK = ("source",)
WITHOUT = frozenset({*HIDE, "extra"})
COVERED = frozenset({"source", "source_name", "recording"})


def as_seen(record: CallRecord) -> CallRecord:
    """Return *record* as the viewer sees it: in plain Python, letter by letter."""
    hidden: dict[str, Any] = dict.fromkeys(WITHOUT)
    found = attrs.evolve(record, **hidden)
    for name in COVERED:
        text = getattr(record, name)
        if text is None:
            continue
        canonical = normalize_number(text, "GB")
        digits = canonical.removeprefix("+")
        plain = name == "source" and digits.isascii() and digits.isdigit()
        seen = canonical[:-4] if plain else ""
        covered: dict[str, Any] = {name: seen + "****"}
        found = attrs.evolve(found, **covered)
    return found


def looks_behind(expr: Expr) -> bool:
    """Return whether a condition asks for what a mask covers."""
    parts = getattr(expr, "parts", None) or ([expr.inner] if hasattr(expr, "inner") else None)
    if parts:
        return any(looks_behind(part) for part in parts)
    if not field_names(expr) & COVERED or isinstance(expr, IsNull):
        return False
    return not isinstance(expr, NumberSearch) or any(
        search_pattern(text, "GB", expr.match).kind != "prefix" for text in expr.texts
    )


def named(query: Query) -> set[str]:
    """Return the fields that a query names."""
    asked = {name for condition in query.conditions for name in field_names(condition)}
    return asked | set(query.selected or ()) | {name for name, _ in query.order}


class TestLaw:
    """A query within a scope is the same query, over the tenant's calls only, as far as the viewer sees them."""

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
    @given(
        records=st.lists(strategies.records(), max_size=20),
        query=strategies.queries(),
        page=st.integers(1, 4),
    )
    def test_run(self, records: list[CallRecord], query: Query, page: int) -> None:
        """What is refused is what names hidden fields or looks behind masks; all else is as in plain Python."""
        calls = list({(record.start, record.call_id): record for record in records}.values())
        made = cdrkit.open_store(f"memory://law-{time.monotonic_ns()}", region="GB")
        made.append(calls)
        scoped = made.scoped(
            customer_id=["1001", "1002"], hide=HIDE, mask=MASK, earliest=strategies.EPOCH + timedelta(hours=3)
        )
        now = strategies.EPOCH + timedelta(hours=40)
        if named(query) & WITHOUT:
            with pytest.raises(UnknownFieldError):
                scoped.run(query, now=now)
            return
        if any(map(looks_behind, query.conditions)) or {name for name, _ in query.order} & COVERED:
            with pytest.raises(ScopeError):
                scoped.run(query, now=now)
            return
        mine = [
            as_seen(record)
            for record in calls
            if record.customer_id in ("1001", "1002")
            and record.start >= strategies.EPOCH + timedelta(hours=3)
        ]
        expected = truth.run(query, mine, region="GB", now=now)
        result = scoped.run(query, now=now)
        assert list(result) == expected
        assert result.count() == scoped.count(query, now=now) == len(expected)
        assert sum(total.attempts for total in scoped.daily_totals(query, now=now)) == len(expected)
        columns = query.selected or tuple(name for name in FIELDS if name not in WITHOUT)
        assert result.to_polars().columns == list(columns)
        assert result.to_polars().height == len(expected)
        paged: list[CallRecord] = []
        cursor: str | None = None
        while True:
            found = scoped.run(query if cursor is None else query.after(cursor), now=now).page(page)
            paged += found.records
            cursor = found.next_cursor
            if cursor is None:
                break
        assert paged == expected
