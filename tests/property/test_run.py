"""Laws of running a query."""

from __future__ import annotations

import itertools
import struct
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Query, Store, field, open_store  # noqa: F401  # repr() evaluates with these names
from cdrkit._query import Cursor
from tests import truth
from tests.strategies import EPOCH, queries, records, rolled_up
from tests.thresholds import Small, made_small, small

NOW = EPOCH + timedelta(hours=40)
_names = itertools.count()


def stored(batches: list[list[CallRecord]], region: str | None = "GB") -> tuple[Store, list[CallRecord]]:
    """Return a store that took *batches* one after the other, and what it must hold: first come, first kept."""
    store = open_store(f"memory://run-{next(_names)}", region=region)
    kept: dict[object, CallRecord] = {}
    for batch in batches:
        store.append(batch)
        for record in batch:
            kept.setdefault((record.start, record.call_id), record)
    return store, list(kept.values())


batches_of_records = st.lists(st.lists(records(), max_size=12), min_size=1, max_size=4)


class TestRun:
    """A query gives the calls for which its conditions hold, in its order, up to its limit."""

    @given(batches_of_records, st.lists(queries(), min_size=8, max_size=8), small)
    def test_agrees_with_plain_python(
        self, batches: list[list[CallRecord]], asked: list[Query], sizes: Small
    ) -> None:
        """Iteration, count and tables equal a plain evaluation over the records, by whatever way they are found."""
        with made_small(sizes):
            store, kept = stored(batches)
            for query in asked:
                expected = truth.run(query, kept, region="GB", now=NOW)
                result = store.run(query, now=NOW)
                assert list(result) == expected
                assert result.count() == len(expected)
                assert result.to_polars().rows() == [_row(record, result.columns) for record in expected]

    @given(batches_of_records, st.lists(rolled_up(), min_size=8, max_size=8), small)
    def test_totals_agree_with_plain_python(
        self, batches: list[list[CallRecord]], asked: list[Query], sizes: Small
    ) -> None:
        """Totals and counts equal a plain sum over the records, also where roll-ups give them."""
        with made_small(sizes):
            store, kept = stored(batches)
            for query in asked:
                expected = truth.daily_totals(query, kept, region="GB", now=NOW)
                assert list(store.daily_totals(query, now=NOW)) == expected
                assert store.count(query, now=NOW) == sum(total.attempts for total in expected)

    @given(batches_of_records, queries(), st.integers(1, 4), st.lists(records(), max_size=6), small)
    def test_pages_are_the_whole(
        self, batches: list[list[CallRecord]], query: Query, size: int, late: list[CallRecord], sizes: Small
    ) -> None:
        """Following next_cursor gives every call once, in order; calls that arrive meanwhile do not disturb."""
        with made_small(sizes):
            self.turn_pages(batches, query, size, late)

    @staticmethod
    def turn_pages(batches: list[list[CallRecord]], query: Query, size: int, late: list[CallRecord]) -> None:
        """Follow cursors through *query* while *late* arrive, and hold the pages against plain Python."""
        store, kept = stored(batches)
        expected = truth.run(query, kept, region="GB", now=NOW)
        held = {(record.start, record.call_id) for record in kept}
        seen: list[CallRecord] = []
        page = store.run(query, now=NOW).page(size)
        while True:
            seen += page.records
            assert len(page.records) == size or page.next_cursor is None
            if page.next_cursor is None:
                break
            store.append(late)
            page = store.run(query.after(page.next_cursor), now=NOW).page(size)
        assert [record for record in seen if (record.start, record.call_id) in held] == expected

    @given(batches_of_records, queries(), st.integers(0, 20))
    def test_after_any_place(self, batches: list[list[CallRecord]], query: Query, place: int) -> None:
        """A cursor gives just the calls that come after it in the order."""
        store, kept = stored(batches)
        everything = truth.run(
            Query().order_by(*_order(query)) if _order(query) else Query(), kept, region="GB", now=NOW
        )
        if not everything:
            return
        order = query.full_order()
        last = everything[place % len(everything)]
        cursor = Cursor(order, tuple(getattr(last, name) for name, _ in order)).encode()
        asked = query.after(cursor)
        assert list(store.run(asked, now=NOW)) == truth.run(asked, kept, region="GB", now=NOW)


def _order(query: Query) -> list[str]:
    return [f"-{name}" if descending else name for name, descending in query.order]


def _row(record: CallRecord, columns: tuple[str, ...]) -> tuple[object, ...]:
    """Return *record* as a table gives it: its 32-bit floats are not rounded on the way out."""
    values = {name: getattr(record, name) for name in columns}
    if values.get("mos") is not None:
        (values["mos"],) = struct.unpack("f", struct.pack("f", values["mos"]))
    return tuple(values.values())


class TestQueryAsData:
    """A query is a value: it can be written down and read back."""

    @given(queries())
    def test_dict_round_trip(self, query: Query) -> None:
        """Query.from_dict(q.to_dict()) == q."""
        assert Query.from_dict(query.to_dict()) == query
        assert hash(Query.from_dict(query.to_dict())) == hash(query)

    @given(queries())
    def test_params_round_trip(self, query: Query) -> None:
        """Query.from_params(q.to_params()) == q, by way of a real URL too."""
        assert Query.from_params(query.to_params()) == query
        assert Query.from_params(parse_qsl(urlencode(query.to_params()))) == query

    @given(queries())
    def test_repr_evaluates(self, query: Query) -> None:
        """eval(repr(q)) == q."""
        assert eval(repr(query)) == query
