"""Laws of two tiers: the tier of a call changes no result."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Query, Store, TierOptions, open_store
from tests import truth
from tests.months import fewer, seldom
from tests.strategies import EPOCH, instants, queries, records, rolled_up
from tests.thresholds import Small, made_small, small

NOW = EPOCH + timedelta(hours=40)
LATER = NOW + timedelta(days=250)  # when even the newest of the calls are past a window of some months
_names = itertools.count()

#: Over eight months, though half of the calls lie within the three days that queries ask about.
starts: st.SearchStrategy[datetime] = st.one_of(
    instants,
    st.builds(
        lambda months, at: at - timedelta(days=30.5 * months),
        st.sampled_from([0, 0, 1, 1, 2, 3, 4, 5, 6, 7]),
        instants,
    ),
)


@st.composite
def wide_queries(draw: st.DrawFn) -> Query:
    """Return a query, at times over a period of months."""
    query = draw(queries())
    if draw(st.booleans()):
        first, last = sorted([draw(starts), draw(starts)])
        query = query.between(draw(st.sampled_from([None, first])), draw(st.sampled_from([None, last])))
    return query


#: Calls that arrive together, and what is done after it: the months that stay hot, or nothing.
histories = st.lists(
    st.tuples(
        st.lists(records(starts), max_size=10),
        st.sampled_from([None, (NOW, 0), (NOW, 2), (LATER, 0), (LATER, 3), (LATER, 9), "compact"]),
    ),
    min_size=1,
    max_size=4,
)
History = list[tuple[list[CallRecord], object]]


def lived(store: Store, history: History) -> list[CallRecord]:
    """Let *store* live through *history*; return what it must hold: first come, first kept."""
    kept: dict[object, CallRecord] = {}
    for batch, move in history:
        store.append(batch)
        for call in batch:
            kept.setdefault((call.start, call.call_id), call)
        moved(store, move)
    return list(kept.values())


def moved(store: Store, move: object) -> None:
    """Do one thing that moves calls."""
    if move == "compact":
        store.maintenance.compact()
    elif isinstance(move, tuple):
        store.maintenance.move_to_warm(now=move[0], keep_months=move[1])


def agree(store: Store, history: History, asked: list[Query]) -> None:
    """Hold every way out of *store* against a store that never moved anything, and against plain Python."""
    hot = open_store(f"memory://agree-{next(_names)}", region="GB")
    for batch, _ in history:
        hot.append(batch)
    kept = lived(store, history)
    for query in [Query(), *asked]:
        expected = truth.run(query, kept, region="GB", now=NOW)
        one, other = store.run(query, now=NOW), hot.run(query, now=NOW)
        assert list(one) == expected
        assert one.count() == other.count() == len(expected)
        assert one.to_polars().equals(other.to_polars())
        assert one.to_arrow().equals(other.to_arrow())
        assert b"".join(one.iter_csv()) == b"".join(other.iter_csv())
        totals = truth.daily_totals(query, kept, region="GB", now=NOW)
        assert list(store.daily_totals(query, now=NOW)) == list(hot.daily_totals(query, now=NOW)) == totals


def paged(store: Store, history: History, query: Query, size: int, moves: list[object]) -> None:
    """Follow cursors through *query* while calls move, and hold the pages against plain Python."""
    query = Query.from_dict({key: value for key, value in query.to_dict().items() if key != "limit"})
    expected = truth.run(query, lived(store, history), region="GB", now=NOW)
    seen: list[CallRecord] = []
    page = store.run(query, now=NOW).page(size)
    pending = iter(moves)
    while True:
        seen += page.records
        if page.next_cursor is None:
            break
        moved(store, next(pending, None))
        page = store.run(query.after(page.next_cursor), now=NOW).page(size)
    assert seen == expected


#: What may happen between two pages: late calls, calls that take others' place, and moves.
happenings = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["report", "replace"]), st.lists(records(starts), min_size=1, max_size=6)),
        st.sampled_from([(NOW, 0), (NOW, 3), (LATER, 0), (LATER, 4), "compact"]),
    ),
    max_size=6,
)


def paged_while_calls_come(
    store: Store, history: History, descending: bool, size: int, happening: list[object]
) -> None:
    """Follow cursors through all calls while others come and move; hold the pages against plain Python.

    A page is what comes next in the calls that there are by then: nothing that was there all along is missed or comes
    twice, and a late call comes if it lies ahead.
    """
    query = Query().newest_first() if descending else Query().oldest_first()
    kept = {(call.start, call.call_id): call for call in lived(store, history)}
    seen: list[CallRecord] = []
    pending, cursor = iter(happening), None
    while True:
        page = store.run(query if cursor is None else query.after(cursor), now=NOW).page(size)
        ahead = sorted(kept, reverse=descending)
        if seen:
            at = (seen[-1].start, seen[-1].call_id)
            ahead = [key for key in ahead if (key < at if descending else key > at)]
        assert list(page.records) == [kept[key] for key in ahead[:size]]
        seen += page.records
        cursor = page.next_cursor
        assert (cursor is None) == (len(ahead) <= size)
        if cursor is None:
            break
        happened = next(pending, None)
        if isinstance(happened, tuple) and isinstance(happened[1], list):
            store.append(happened[1], on_conflict=happened[0])
            for call in happened[1]:
                key = (call.start, call.call_id)
                if happened[0] == "replace" or key not in kept:
                    kept[key] = call
        else:
            moved(store, happened)
    keys = [(call.start, call.call_id) for call in seen]
    assert keys == sorted(set(keys), reverse=descending)


class TestHere:
    """A store with calls in both tiers answers as one that has them all in the hot tier."""

    @fewer
    @given(
        st.sampled_from(["memory", "memory", "local"]),
        histories,
        st.lists(st.one_of(wide_queries(), rolled_up()), min_size=4, max_size=4),
        small,
    )
    def test_the_same_answers(self, place: str, history: History, asked: list[Query], sizes: Small) -> None:
        """Records, counts, tables, CSV and totals are the same, whatever moved when."""
        with tempfile.TemporaryDirectory() as folder, made_small(sizes):
            url = folder if place == "local" else f"memory://agree-{next(_names)}"
            agree(open_store(url, region="GB"), history, asked)

    @fewer
    @given(
        histories,
        wide_queries(),
        st.integers(1, 4),
        st.lists(st.sampled_from([(NOW, 0), (NOW, 3), (LATER, 0), (LATER, 4), "compact"]), max_size=3),
        small,
    )
    def test_cursors_live_through_moves(
        self, history: History, query: Query, size: int, moves: list[object], sizes: Small
    ) -> None:
        """Pages give every call once, in order, though calls move between the pages."""
        with made_small(sizes):
            paged(open_store(f"memory://agree-{next(_names)}", region="GB"), history, query, size, moves)

    @fewer
    @given(histories, st.booleans(), st.integers(1, 4), happenings, small)
    def test_cursors_live_through_late_calls(
        self, history: History, descending: bool, size: int, happening: list[object], sizes: Small
    ) -> None:
        """Pages in either order miss nothing and give nothing twice, though calls come late, are replaced and move."""
        with made_small(sizes):
            store = open_store(f"memory://agree-{next(_names)}", region="GB")
            paged_while_calls_come(store, history, descending, size, happening)


@pytest.mark.s3
class TestOnS3:
    """The same holds on S3, for both tiers there and for the warm one alone."""

    @seldom
    @given(histories, st.lists(wide_queries(), min_size=4, max_size=4), st.booleans(), small)
    def test_the_same_answers(
        self,
        s3_store: Callable[[bool], Store],
        history: History,
        asked: list[Query],
        both: bool,
        sizes: Small,
    ) -> None:
        """Records, counts, tables, CSV and totals are the same, whatever moved when."""
        with made_small(sizes):
            agree(s3_store(both), history, asked)

    @seldom
    @given(histories, wide_queries(), st.integers(1, 4))
    def test_cursors_live_through_moves(
        self, s3_store: Callable[[bool], Store], history: History, query: Query, size: int
    ) -> None:
        """Pages give every call once, in order, though calls move between the pages."""
        paged(s3_store(False), history, query, size, [(NOW, 0), (LATER, 0)])

    @seldom
    @given(histories, st.booleans(), st.integers(1, 4), happenings, small)
    def test_cursors_live_through_late_calls(
        self,
        s3_store: Callable[[bool], Store],
        history: History,
        descending: bool,
        size: int,
        happening: list[object],
        sizes: Small,
    ) -> None:
        """Pages in either order miss nothing and give nothing twice, though calls come late, are replaced and move."""
        with made_small(sizes):
            paged_while_calls_come(s3_store(False), history, descending, size, happening)


@pytest.fixture(scope="session")
def s3_store(s3_options: dict[str, object]) -> Callable[[bool], Store]:
    """Return a maker of stores with the warm tier on S3, and the hot one there or in memory."""
    fsspec.filesystem("s3", **s3_options).mkdir("agree")

    def make(both: bool) -> Store:
        number = next(_names)
        warm = f"s3://agree/{number}/warm"
        if both:
            hot = f"s3://agree/{number}/hot"
            return open_store(
                hot=hot,
                warm=TierOptions(warm, storage_options=s3_options),
                storage_options=s3_options,
                region="GB",
            )
        return open_store(
            hot=f"memory://agree-{number}/hot",
            warm=TierOptions(warm, storage_options=s3_options),
            region="GB",
        )

    return make
