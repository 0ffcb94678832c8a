"""The number of requests of a query and a download, counted by a filesystem."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cdrkit import Query, Store, field, open_store
from cdrkit.samples import synthesize_calls

MONTH = Query().between("2026-08-01", "2026-09-01")
SHOWN = ("start", "source", "destination", "duration", "charge", "call_id")
asked: list[tuple[str, str, int]] = []
_lock = threading.Lock()
_numbers = itertools.count()


class CountingFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files in memory, and a list of all that was asked for: the request, the path, the bytes."""

    protocol = ("counting",)
    store: dict[str, Any] = {}  # noqa: RUF012  # as its parent has it
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.replace("counting://", "memory://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        data = bytes(super().cat_file(path, start, end, **options))
        with _lock:
            asked.append(("get", path, len(data)))
        return data

    def info(self, path: str, **options: Any) -> Any:
        with _lock:
            asked.append(("look", path, 0))
        return super().info(path, **options)

    def find(self, path: str, *args: Any, **options: Any) -> Any:
        with _lock:
            asked.append(("list", path, 0))
        return super().find(path, *args, **options)


fsspec.register_implementation("counting", CountingFileSystem, clobber=True)


@pytest.fixture(scope="module")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    """Return a function that opens a store again; its warm tier has three months of some 5,000 calls each."""
    hot, warm = tmp_path_factory.mktemp("requests") / "hot", f"counting://warm-{next(_numbers)}"

    def make() -> Store:
        return open_store(hot=hot, warm=warm, region="GB")

    store = make()
    store.append(synthesize_calls(15_000, days=92, end=datetime(2026, 10, 1, tzinfo=UTC)))
    assert store.maintenance.move_to_warm(now=datetime(2027, 2, 1, tzinfo=UTC)).written == 3
    return make


def _page(store: Store, query: Query) -> int:
    return len(store.run(query.newest_first()).page(100).records)


def _two_pages(store: Store) -> int:
    page = store.run(MONTH.newest_first().columns(*SHOWN)).page(100)
    assert page.next_cursor is not None
    return _page(store, MONTH.columns(*SHOWN).after(page.next_cursor))


def _number(store: Store) -> str:
    """Return a number that was called in August."""
    calls = store.run(MONTH.where(field("destination").starts_with("+44")).columns("destination").limit(1))
    return str(next(iter(calls)).destination)


#: A question, how many requests it takes at most, and of those how many still when it is asked again.
QUESTIONS: dict[str, tuple[Callable[[Store, str], object], int, int]] = {
    # Of each month: the end of the index and a block; the footer and the columns of the answer.
    "a number, all months": (lambda s, n: s.run(Query().number(n).columns(*SHOWN)).to_arrow(), 12, 3),
    "a number, one month": (lambda s, n: s.run(MONTH.number(n).columns(*SHOWN)).to_arrow(), 4, 1),
    "a beginning": (lambda s, n: s.run(MONTH.number(f"{n[:6]}*").columns(*SHOWN)).to_arrow(), 4, 1),
    "a page": (lambda s, n: _page(s, MONTH.columns(*SHOWN)), 2, 0),
    "a page, all columns": (lambda s, n: _page(s, MONTH), 2, 0),
    "two pages": (lambda s, n: _two_pages(s), 2, 0),
    "a page of a customer": (lambda s, n: _page(s, MONTH.customer("1003").columns(*SHOWN)), 4, 0),
    "daily totals": (lambda s, n: s.daily_totals(MONTH).to_polars(), 1, 0),
    "a count": (lambda s, n: s.count(MONTH), 1, 0),
    "a count without a rollup": (lambda s, n: s.count(MONTH.where(field("sip_code") == 486)), 2, 0),
    "a CSV": (lambda s, n: s.run(MONTH.columns(*SHOWN)).write_csv(io.BytesIO()), 2, 0),
    "a CSV, all columns": (lambda s, n: s.run(MONTH).write_csv(io.BytesIO()), 2, 0),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_takes_few_requests(make_store: Callable[[], Store], question: str) -> None:
    """A store just opened asks a month for a footer and what is needed; later nothing, or a block of numbers."""
    number = _number(make_store())
    ask, first, again = QUESTIONS[question]
    store = make_store()
    for most in (first, again):
        asked.clear()
        ask(store, number)
        assert {kind for kind, _, _ in asked} <= {"get"}
        assert len(asked) <= most, asked
        if question != "a number, all months":
            assert all("month=2026-08" in path for _, path, _ in asked), "no other month is looked at"


def test_what_no_column_needs_is_not_fetched(make_store: Callable[[], Store]) -> None:
    """A count by one column fetches a tenth of what a CSV of all columns does."""
    fetched = []
    for question in ("a count without a rollup", "a CSV, all columns"):
        asked.clear()
        QUESTIONS[question][0](make_store(), "")
        fetched.append(sum(size for _, _, size in asked))
    assert 10 * fetched[0] < fetched[1]


def test_a_download_takes_each_file_once(make_store: Callable[[], Store], tmp_path: Path) -> None:
    """The Parquet files of a month are fetched whole, each byte once, and no index."""
    store = make_store()
    (month,) = [each for each in store.archive.months() if each.month == "2026-08"]
    asked.clear()
    store.archive.download("2026-08", tmp_path / "down")
    assert len(asked) == month.items
    assert sum(size for _, _, size in asked) == month.size_bytes
    asked.clear()
    store.archive.download("2026-08", tmp_path / "down")
    assert asked == []
