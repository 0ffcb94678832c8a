"""What a result tells of how it was read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdrkit import Query, Store, field, open_store
from cdrkit.errors import ScopeError
from cdrkit.samples import synthesize_calls

END = datetime(2026, 11, 23, tzinfo=UTC)
CALLS = synthesize_calls(60_000, days=10, end=END, customers=20)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of ten days, each with a number index and roll-ups."""
    found = open_store(tmp_path_factory.mktemp("explained") / "calls", region="GB")
    found.append(CALLS)
    return found


def test_index(store: Store) -> None:
    """A number is found by the index alone: no row is scanned, and only hits are fetched."""
    number = CALLS["source"][77].as_py()
    result = store.run(Query().number(number, role="source").columns("start", "source"))
    told = result.explain()
    assert told.indexed == told.in_period == told.segments
    assert (told.scanned, told.rows_scanned) == (0, 0)
    assert told.rows == told.fetched == told.candidates == result.count() > 0
    assert f"it named {told.candidates:,} rows" in str(told)


def test_early_stop(store: Store) -> None:
    """A page of the newest calls looks at the newest day alone."""
    told = store.run(Query().connected().newest_first().limit(50)).explain()
    assert (told.rows, told.scanned, told.limit) == (50, 1, 50)
    assert told.rows_scanned < told.calls / 10
    assert f"{told.segments - 1} segments were not scanned" in str(told)


def test_period(store: Store) -> None:
    """Days outside the period are not opened."""
    told = store.run(Query().between(END - timedelta(days=2), END).where(field("sip_code") == 486)).explain()
    assert told.in_period == told.scanned == 2
    assert told.segments == 10


def test_customers_that_are_not_there(store: Store) -> None:
    """Roll-ups tell that nobody of that name called."""
    told = store.run(Query().customer("nobody")).explain()
    large = sum(
        total.attempts >= 4_096 for total in store.daily_totals()
    )  # the others are looked at as quickly
    assert (told.skipped, told.scanned, told.rows) == (large, 10 - large, 0)
    assert large > 5
    assert f"{large} segments hold no call of the customer" in str(told)


def test_other_orders(store: Store) -> None:
    """An order that is not that of time compares every call, and says so."""
    told = store.run(Query().order_by("-duration").limit(5)).explain()
    assert not told.in_order
    assert "every matching call was compared" in str(told)


def test_a_scope_tells_nothing(store: Store) -> None:
    """What was read for a tenant tells of other tenants."""
    scoped = store.scoped(customer_id="1003")
    with pytest.raises(ScopeError, match="other tenants"):
        scoped.run().explain()
