"""Explanations of results: the counts and the sentences."""

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
    store = open_store(tmp_path_factory.mktemp("explained") / "calls", region="GB")
    store.append(CALLS)
    return store


def test_index(store: Store) -> None:
    """A number is found by the index alone: no row is scanned, and only hits are fetched."""
    number = CALLS["source"][77].as_py()
    result = store.run(Query().number(number, role="source").columns("start", "source"))
    explanation = result.explain()
    assert explanation.indexed == explanation.in_period == explanation.segments
    assert (explanation.scanned, explanation.rows_scanned) == (0, 0)
    assert explanation.rows == explanation.fetched == explanation.candidates == result.count() > 0
    assert f"it named {explanation.candidates:,} rows" in str(explanation)


def test_early_stop(store: Store) -> None:
    """A page of the newest calls looks at the newest day alone."""
    explanation = store.run(Query().connected().newest_first().limit(50)).explain()
    assert (explanation.rows, explanation.scanned, explanation.limit) == (50, 1, 50)
    assert explanation.rows_scanned < explanation.calls / 10
    assert f"{explanation.segments - 1} segments were not scanned" in str(explanation)


def test_period(store: Store) -> None:
    """Days outside the period are not opened."""
    explanation = store.run(
        Query().between(END - timedelta(days=2), END).where(field("sip_code") == 486)
    ).explain()
    assert explanation.in_period == explanation.scanned == 2
    assert explanation.segments == 10


def test_customers_that_are_not_there(store: Store) -> None:
    """Rollups exclude the segments: no customer has that name."""
    explanation = store.run(Query().customer("nobody")).explain()
    large = sum(
        total.attempts >= 4_096 for total in store.daily_totals()
    )  # the others are looked at as quickly
    assert (explanation.skipped, explanation.scanned, explanation.rows) == (large, 10 - large, 0)
    assert large > 5
    assert f"{large} segments hold no call of the customer" in str(explanation)


def test_other_orders(store: Store) -> None:
    """An order that is not that of time compares every call, and says so."""
    explanation = store.run(Query().order_by("-duration").limit(5)).explain()
    assert not explanation.in_order
    assert "every matching call was compared" in str(explanation)


def test_a_scope_explains_nothing(store: Store) -> None:
    """A scope refuses an explanation: its counts depend on the calls of other tenants."""
    scoped = store.scoped(customer_id="1003")
    with pytest.raises(ScopeError, match="other tenants"):
        scoped.run().explain()
