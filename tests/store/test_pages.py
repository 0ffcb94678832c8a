"""Pages of a result: forward, backward and back to the first page, for any order, size and limit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrkit import CallRecord, Expr, Page, Query, Result, ScopedStore, Store, field, open_store
from cdrkit.errors import QueryError
from tests.months import NOW

FIRST = datetime(2026, 8, 1, tzinfo=UTC)
#: Ties, absent values and several segments in both tiers.
CALLS = [
    CallRecord(
        call_id=f"call-{number:02}",
        start=FIRST + timedelta(days=number // 3),
        customer_id=("1001", "1002")[number % 2],
        duration=(None, 0, 5, 60)[number % 4],
        codec=(None, "PCMA", "opus")[number % 3],
        charge=(None, "0.25")[number % 2],
    )
    for number in range(24)
]
ORDERS = (
    "start",
    "-start",
    "duration",
    "-duration",
    "codec",
    "-codec",
    "call_id",
    "-call_id",
    "charge",
    "-charge",
)
_numbers = itertools.count()


def make_store(location: object) -> Store:
    """Return a store with `CALLS` in several segments of both tiers."""
    store = open_store(str(location))
    for part in (CALLS[::3], CALLS[1::3], CALLS[2::3]):
        store.append(part)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store with calls in both tiers."""
    store = make_store(tmp_path_factory.mktemp("pages"))
    store.maintenance.move_to_warm(now=NOW)
    return store


def pages(reader: Store | ScopedStore, query: Query, size: int) -> Iterator[Page]:
    """Yield every page of a query."""
    page = reader.run(query).page(size)
    yield page
    while page.next_cursor is not None:
        page = reader.run(query.after(page.next_cursor)).page(size)
        yield page


def make_query(order: list[str], limit: int | None, conditions: tuple[Expr, ...]) -> Query:
    """Return a query of an order, a limit and conditions."""
    query = Query().order_by(*order).where(*conditions)
    return query if limit is None else query.limit(limit)


queries = st.builds(
    make_query,
    st.lists(st.sampled_from(ORDERS), min_size=1, max_size=2, unique_by=lambda name: name.strip("-")),
    st.none() | st.integers(1, 28),
    st.sampled_from([(), (field("codec").is_null(),), (field("duration") > 0,)]),
)


@given(queries, st.integers(1, 12), st.booleans())
@settings(max_examples=30)
def test_back_is_the_same_pages(store: Store, query: Query, size: int, scoped: bool) -> None:
    """Paging to the end and back gives the same pages, in a scope too."""
    reader = store.scoped(customer_id="1001") if scoped else store
    forward = list(pages(reader, query, size))
    page, backward = forward[-1], [forward[-1]]
    while page.previous_cursor is not None:
        page = reader.run(query.after(page.previous_cursor)).page(size)
        backward.append(page)
    calls = [page.records for page in forward]
    assert [page.records for page in backward[::-1]] == calls
    assert [call for page in calls for call in page] == list(reader.run(query))
    again = reader.run(query)
    for number, page in enumerate(backward[::-1]):
        assert (page.previous_cursor is None) == (number == 0)
        assert (page.next_cursor is None) == (number == len(backward) - 1)
        if page.next_cursor is not None:  # and forward again
            again = reader.run(query.after(page.next_cursor))
            assert again.page(size).records == calls[number + 1]
        assert again.total() == reader.count(query)


@given(queries, st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=12)
def test_the_calls_before_a_cursor(store: Store, query: Query, size: int, other: int) -> None:
    """A previous cursor selects the calls before its page, whatever the size of the next page."""
    whole = list(store.run(query))
    for page in pages(store, query, size):
        if page.previous_cursor is None:
            continue
        before = whole[: whole.index(page.records[0])]
        result = store.run(query.after(page.previous_cursor))
        assert list(result) == before
        assert (result.count(), result.total()) == (len(before), len(whole))
        assert list(result.page(other).records) == before[-other:]


def test_calls_that_arrive_before_the_first_page(make_call: Callable[..., CallRecord]) -> None:
    """Going back shows newer calls that arrived after the first page was read."""
    store = open_store(f"memory://pages-{next(_numbers)}")
    store.append([make_call() for _ in range(4)])
    newest = Query().newest_first()
    second = store.run(newest.after(str(store.run(newest).page(2).next_cursor))).page(2)
    store.append([make_call(), make_call()])
    first = store.run(newest.after(str(second.previous_cursor))).page(2)
    assert [call.call_id for call in first.records] == ["call-3", "call-2"]
    assert first.previous_cursor is not None
    newer = store.run(newest.after(first.previous_cursor)).page(2)
    assert [call.call_id for call in newer.records] == ["call-5", "call-4"]
    assert newer.previous_cursor is None


def test_the_calls_before_were_erased(make_call: Callable[..., CallRecord]) -> None:
    """Where no call precedes the cursor any more, the previous page is the first page."""
    store = open_store(f"memory://pages-{next(_numbers)}")
    store.append([make_call() for _ in range(6)])
    second = store.run(Query().after(str(store.run().page(2).next_cursor))).page(2)
    store.erase(Query().where(field("call_id").is_in(["call-0", "call-1"])), reason="test", dry_run=False)
    page = store.run(Query().after(str(second.previous_cursor))).page(2)
    assert page == store.run().page(2)
    assert page.previous_cursor is None


def test_old_cursors_remain_valid() -> None:
    """A cursor of before the previous page existed has the text that it had."""
    text = "WzEsW1sic3RhcnQiLGZhbHNlXSxbImNhbGxfaWQiLGZhbHNlXV0sWyIyMDI2LTA4LTAxVDAwOjAwOjAwWiIsImNhbGwtMDEiXSxudWxsXQ"
    query = Query().after(text)
    assert query.position is not None
    assert not query.position.backward
    assert query.position.encode() == text


def test_a_previous_cursor_belongs_to_its_scope(store: Store) -> None:
    """The previous cursor of one tenant is refused for another, and so is a changed one."""
    ours = store.scoped(customer_id="1001")
    second = ours.run(Query().after(str(ours.run().page(3).next_cursor))).page(3)
    cursor = str(second.previous_cursor)
    assert ours.run(Query().after(cursor)).page(3) == ours.run().page(3)
    payload = cursor.partition(".")[0]
    signature = str(ours.run().page(3).next_cursor).partition(".")[2]
    for reader, text in (
        (store.scoped(customer_id="1002"), cursor),
        (ours, payload),
        (ours, f"{payload}.{signature}"),
    ):
        with pytest.raises(QueryError):
            reader.run(Query().after(text)).page(3)


class TestSmallThings:
    """Lengths, dicts and totals."""

    def test_len(self, store: Store) -> None:
        """The length of a result is its count."""
        result = store.run(Query().customer("1001").limit(6))
        assert len(result) == result.count() == 6
        assert not store.run(Query().customer("nobody"))

    def test_a_dict_runs(self, store: Store) -> None:
        """A dict of `Query.to_dict` runs as its query."""
        query = Query().customer("1001").where(field("duration") > 0).newest_first().limit(5)
        for reader in (store, store.scoped(customer_id="1001")):
            assert list(reader.run(query.to_dict())) == list(reader.run(query))
            assert reader.count(query.to_dict()) == 5
            assert list(reader.daily_totals(query.to_dict())) == list(reader.daily_totals(query))
        whole = Query().customer("1001")
        assert store.erase(whole.to_dict(), reason="request 17") == store.erase(whole, reason="request 17")

    @pytest.mark.parametrize("given", [{"number": "2041"}, {"where": [], "connected": "1"}])
    def test_another_dict(self, store: Store, given: dict[str, Any]) -> None:
        """Parameters of a URL are refused, with the method for them."""
        with pytest.raises(QueryError, match=r"Query\.from_params"):
            store.run(given)

    @pytest.mark.parametrize("given", ["connected", None, 7, Query])
    def test_no_query(self, store: Store, given: Any) -> None:
        """Anything else is no query."""
        with pytest.raises(QueryError, match="is not a Query"):
            store.run(given)
        with pytest.raises(QueryError, match="is not a Query"):
            store.erase(given, reason="request 17")

    def test_hidden_fields_of_a_dict(self, store: Store) -> None:
        """In a scope, the error of a dict names visible fields only."""
        scoped = store.scoped(customer_id="1001", hide=["provider_charge"])
        for name in ("provider_charge", "provider_charg"):
            with pytest.raises(QueryError) as caught:
                scoped.run({"where": [{"field": name, "op": ">", "value": 0}]})
            assert "provider_charge'" not in str(caught.value).replace(f"'{name}'", "", 1)

    def test_total_of_a_result_without_cursor(self, store: Store) -> None:
        """Without a cursor, the total is the count."""
        result: Result = store.run(Query().limit(9))
        assert result.total() == result.count() == 9


class TestRefusals:
    """Errors that name the right method or argument."""

    def test_ingest_of_calls(self, store: Store) -> None:
        """A table or records are refused by ingest, which names append."""
        table = store.run().to_arrow()
        frames = [table, table.to_batches()[0], store.run().to_polars(), store.run().to_polars().lazy()]
        for calls in (*frames, CALLS, CALLS[0]):  # dicts are documents of JSON formats
            with pytest.raises(Exception, match=r"append\(\)"):
                store.ingest(calls, format="asterisk-csv", timezone="UTC")  # type: ignore[arg-type]

    @pytest.mark.parametrize("before", [None, "someday", datetime(2026, 1, 1), 7])
    def test_expire(self, store: Store, before: Any) -> None:
        """The errors of expire name before."""
        with pytest.raises(QueryError, match="(?i)before") as caught:
            store.expire(before)
        assert caught.value.parameter == "before"

    @pytest.mark.parametrize(
        "name", ["x.parquet", "calls.xlsx", "calls.csv.zip", "calls.parquet.gz", "calls.json", "CALLS.TXT"]
    )
    def test_suffixes(self, store: Store, tmp_path: Path, name: str) -> None:
        """A CSV does not get the suffix of another format."""
        with pytest.raises(Exception, match=r"\.csv, \.csv\.gz or \.csv\.zst"):
            store.run().write_csv(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "name", ["calls", "calls.CSV", "calls.gz", "calls.csv.zst", "calls-2026.11.22", ".calls"]
    )
    def test_good_suffixes(self, store: Store, tmp_path: Path, name: str) -> None:
        """A name without the suffix of another format is written."""
        assert store.run().write_csv(tmp_path / name) == len(CALLS)
