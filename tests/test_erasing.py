"""Erasure and retention: what was erased is nowhere any more, and everything else is as it was."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Query, Store, field, open_store
from cdrkit.errors import CdrError, ConflictError, QueryError, StorageError
from cdrkit.storage import EraseReport, HotTier, Log, Rows, Segment, Snapshot, erase, open_files
from tests import truth
from tests.months import MONTHS, NOW, calls_of, every_file, fewer, in_order, inside
from tests.strategies import EPOCH, queries, records

SECRETS = ["+447700900123", "SECRET-CUSTOMER", "SECRET-NAME", "secret-id"]
LATER = NOW + timedelta(days=40)
_names = itertools.count()


def secret_calls(*months: str, **fields: object) -> list[CallRecord]:
    """Return calls that are to be erased, two in each month."""
    return [
        CallRecord(
            call_id=f"secret-id-{month}-{day}",
            start=datetime.fromisoformat(f"{month}-{day}T00:00:00+00:00"),
            **{"source": SECRETS[0], "customer_id": SECRETS[1], "source_name": SECRETS[2], **fields},  # type: ignore[arg-type]
        )
        for month in months
        for day in ("01", "17")
    ]


def assert_nowhere(folder: Path) -> None:
    """Look for the erased values in the raw bytes of every file, and in what its columns say."""
    for name, data in every_file(folder).items():
        text = data
        if name.endswith(".parquet"):
            text += json.dumps(pl.read_parquet(data).to_dicts(), default=str).encode()
        for secret in SECRETS:
            assert secret.encode() not in text, name


HISTORIES: dict[str, Callable[[Store], object]] = {
    "hot": lambda store: None,
    "compacted": Store.compact,
    "warm": lambda store: store.rollover(LATER, 0),
    "both": lambda store: store.rollover(NOW, 3),
    "replaced": lambda store: store.append(secret_calls(*MONTHS, duration=4), on_conflict="replace"),
    "replaced when warm": lambda store: (
        store.rollover(LATER, 0),
        store.append(secret_calls("2026-05", duration=4), on_conflict="replace"),
        store.rollover(LATER, 0),
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_nothing_of_it_is_left(tmp_path: Path, history: str) -> None:
    """Afterwards no file of the store holds an erased value, files that only wait for the vacuum included."""
    store = open_store(tmp_path)
    others = calls_of(*MONTHS, each=3)
    store.append(others)
    store.append(secret_calls(*MONTHS))
    HISTORIES[history](store)
    query = Query().customer("SECRET-CUSTOMER")
    dry = store.erase(query, reason="letter of 24 November")
    assert (dry.rows, dry.dry_run) == (16, True)
    report = store.erase(query, reason="letter of 24 November", dry_run=False)
    assert report == EraseReport(rows=16, segments=dry.segments)
    assert_nowhere(tmp_path)
    assert list(store.run()) == in_order(others)
    assert list(open_store(tmp_path).run()) == in_order(others)
    assert store.verify().ok
    assert store.erase(query, reason="again", dry_run=False).rows == 0


def test_the_log_keeps_reason_and_count(tmp_path: Path) -> None:
    """The commit of an erasure says why and how many, and nothing else about the calls."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS[:2]) + secret_calls(*MONTHS[:2]))
    store.rollover(NOW, 6)
    store.erase(Query().number(SECRETS[0]), reason="letter of 24 November", dry_run=False)
    commit = inside(store).log.recent()[-1]
    assert commit.action == "erase"
    assert dict(commit.facts) == {"reason": "letter of 24 November", "rows": 4}


def test_segments_without_such_calls_stay(tmp_path: Path) -> None:
    """Only segments that hold such calls are written anew; one that held nothing else is removed whole."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-10") + secret_calls("2026-10"))
    before = set(inside(store).log.snapshot().segments)
    report = store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
    assert report.segments == 2, "the 1st, with another call, and the 17th, alone"
    after = set(inside(store).log.snapshot().segments)
    assert (len(before), len(before & after), len(after)) == (7, 5, 6)


def test_dry_run_is_the_default(tmp_path: Path) -> None:
    """Unless told otherwise, erase and expire count and touch nothing."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS[:3]))
    store.rollover(NOW, 5)
    before = every_file(tmp_path)
    assert store.erase(Query().customer("1001"), reason="why").rows == 6
    assert store.expire(NOW).rows == 18
    assert every_file(tmp_path) == before


@pytest.mark.parametrize(
    ("query", "reason", "words"),
    [
        (Query(), "why", "every call"),
        (Query().newest_first(), "why", "every call"),
        (Query().columns("start"), "why", "every call"),
        (Query().connected().limit(3), "why", "no limit"),
        (Query().connected(), "", "reason"),
        (Query().connected(), " \n", "reason"),
        (Query().connected(), None, "reason"),
    ],
)
def test_refusals(tmp_path: Path, query: Query, reason: str, words: str) -> None:
    """An erasure of everything, of a page, or without a reason is refused, dry or not."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS[:2]))
    before = list(store.run()), inside(store).log.snapshot().version
    for dry_run in (True, False):
        with pytest.raises(QueryError, match=words):
            store.erase(query, reason=reason, dry_run=dry_run)
    cursor = store.run().page(2).next_cursor
    assert cursor is not None
    with pytest.raises(QueryError, match="no cursor"):
        store.erase(Query().connected().after(cursor), reason="why", dry_run=False)
    assert (list(store.run()), inside(store).log.snapshot().version) == before


def test_the_order_and_columns_of_the_query_do_not_matter() -> None:
    """A query with an order and columns erases whole calls, all of them."""
    store = open_store(f"memory://erasing-{next(_names)}")
    store.append(calls_of(*MONTHS[:2]))
    query = Query().customer("1001").order_by("-charge").columns("source")
    assert store.erase(query, reason="why", dry_run=False).rows == 4
    assert store.count() == 8


# -- retention -------------------------------------------------------------------------------------------------


def test_expire_by_age(store: Store) -> None:
    """Calls that began before the instant go, in both tiers; one that began at it stays."""
    made = calls_of("2026-05", "2026-06", "2026-11", each=3)
    store.append(made)
    store.rollover(NOW, 3)
    at = calls_of("2026-06", each=2)[1].start
    assert store.expire(at).rows == 4
    assert store.expire(at, dry_run=False).rows == 4
    assert list(store.run()) == [call for call in made if call.start >= at]
    assert store.expire(at, dry_run=False).rows == 0
    assert inside(store).log.recent()[-1].facts["reason"] == "retention"
    assert store.verify().ok


def test_expire_by_customer() -> None:
    """Named customers' calls go, each other customer's stay, however old."""
    store = open_store(f"memory://erasing-{next(_names)}")
    made = calls_of(*MONTHS)
    store.append(made)
    store.rollover(NOW, 3)
    before = datetime(2026, 9, 1, tzinfo=UTC)
    assert store.expire(before, "1001", "1003", dry_run=False).rows == 20
    assert list(store.run()) == [
        call for call in made if call.start >= before or call.customer_id not in ("1001", "1003")
    ]
    with pytest.raises(CdrError, match="naive|zone"):
        store.expire(datetime(2026, 9, 1), dry_run=False)


# -- laws ------------------------------------------------------------------------------------------------------


class TestErase:
    """Erasing what a query asks for leaves what it does not ask for, and nothing else."""

    @fewer
    @given(
        st.lists(st.lists(records(), max_size=10), min_size=1, max_size=3),
        queries().filter(lambda query: query.conditions or query.presets or query.period is not None),
        st.booleans(),
    )
    def test_leaves_the_rest(self, batches: list[list[CallRecord]], query: Query, moved: bool) -> None:
        """What is left, and the count, are those of plain Python; a second time there is nothing to erase."""
        query = Query.from_dict({key: value for key, value in query.to_dict().items() if key != "limit"})
        store, now = open_store(f"memory://erasing-{next(_names)}", region="GB"), EPOCH + timedelta(hours=40)
        kept: dict[object, CallRecord] = {}
        for batch in batches:
            store.append(batch)
            for call in batch:
                kept.setdefault((call.start, call.call_id), call)
            if moved:
                store.rollover(LATER, 0)
        gone = truth.run(query, kept.values(), region="GB", now=now)
        report = store.erase(query, reason="law", dry_run=False, now=now)
        assert report.rows == len(gone)
        left = [call for call in kept.values() if call not in gone]
        assert list(store.run()) == in_order(left)
        assert store.erase(query, reason="law", dry_run=False, now=now).rows == 0
        assert store.verify().problems == ()


# -- beside others, and after a cut -----------------------------------------------------------------------------


def test_calls_that_move_meanwhile_are_erased_too(tmp_path: Path) -> None:
    """An erasure that a roll-over, and late calls, overtake begins again and erases them where they are now."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS) + secret_calls(*MONTHS[:4]))
    parts = inside(store)

    class Overtaken(Log):
        """A log in which others commit right after the first looks at it."""

        steps: tuple[Callable[[], object], ...] = (
            lambda: store.rollover(NOW, 3),
            lambda: store.append(secret_calls("2026-11")),
            lambda: store.rollover(NOW, 2),
        )

        def snapshot(self) -> Snapshot:
            found = super().snapshot()
            if self.steps:
                step, Overtaken.steps = self.steps[0], self.steps[1:]
                step()
            return found

    report = erase(
        Overtaken(parts.files),
        parts.tiers,
        Query().customer("SECRET-CUSTOMER"),
        now=NOW,
        facts={},
        dry_run=False,
    )
    assert report.rows == 10
    assert_nowhere(tmp_path)
    assert list(store.run()) == calls_of(*MONTHS)
    assert store.verify().ok


def test_files_that_could_not_be_removed_go_the_next_time(tmp_path: Path) -> None:
    """When a file cannot be removed after the commit, the error says so; doing it again removes it."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05") + secret_calls("2026-05"))
    parts = inside(store)

    class Stubborn(HotTier):
        """A tier that removes nothing."""

        def remove(self, segment: Segment) -> None:
            raise StorageError(f"{segment.path} is held by someone")

    stubborn = Stubborn(open_files(tmp_path / "hot"))
    query = Query().customer("SECRET-CUSTOMER")
    with pytest.raises(StorageError, match="held by someone"):
        erase(parts.log, {"hot": stubborn, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False)
    assert list(store.run()) == calls_of("2026-05")
    assert any(SECRETS[0].encode() in data for data in every_file(tmp_path).values())
    assert store.erase(query, reason="again", dry_run=False).rows == 0
    assert_nowhere(tmp_path)


def test_no_room_leaves_everything(tmp_path: Path) -> None:
    """When what is left cannot be written, nothing is erased and nothing stays behind."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05", each=12))
    parts, before = inside(store), every_file(tmp_path)

    class Full(HotTier):
        """A tier on a disk that is full after one more file."""

        written = 0

        def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
            self.written += 1
            if self.written > 1:
                raise StorageError("No space left. Make room")
            return super().write(frame, region)

    full = Full(open_files(tmp_path / "hot"))
    query = Query().where(field("call_id").is_in([f"2026-05-{number}" for number in range(6)]))
    with pytest.raises(StorageError, match="Make room"):
        erase(parts.log, {"hot": full, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False)
    assert full.written == 2
    assert every_file(tmp_path) == before


def test_calls_that_never_rest_are_a_conflict(tmp_path: Path) -> None:
    """When the calls change each time before they can be erased, that is said, and nothing is erased."""
    store = open_store(tmp_path)
    store.append(secret_calls("2026-05"))
    parts = inside(store)
    replacements = itertools.count(1)

    class Restless(HotTier):
        """A tier in which another writer replaces the calls whenever they are read whole."""

        def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
            if len(columns) > 30:
                store.append(secret_calls("2026-05", duration=next(replacements)), on_conflict="replace")
            return super().read(segment, columns, rows)

    restless = Restless(open_files(tmp_path / "hot"))
    with pytest.raises(ConflictError, match="20 times"):
        erase(
            parts.log,
            {"hot": restless, "warm": parts.warm},
            Query().customer("SECRET-CUSTOMER"),
            now=NOW,
            facts={},
            dry_run=False,
        )
    assert store.count() == 2
    assert store.verify().ok
