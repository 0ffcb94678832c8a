"""Erasure and retention: no file has an erased call, and all other calls are unchanged."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Query, Store, TimeRange, field, open_store
from cdrkit._files import Entry, open_files
from cdrkit._files.local import LocalFiles
from cdrkit._maintenance.erasure import EraseReport, erase_calls
from cdrkit._model import FIELDS
from cdrkit.errors import CdrError, ConflictError, QueryError, StorageError
from cdrkit.storage.append import Append, buffer
from cdrkit.storage.log.log import Log
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.log.snapshot import Snapshot
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.segment_file import SegmentFile
from cdrkit.storage.tiers.tier import Rows
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
    "compacted": lambda store: store.maintenance.compact(),
    "warm": lambda store: store.maintenance.move_to_warm(now=LATER, keep_months=0),
    "both": lambda store: store.maintenance.move_to_warm(now=NOW, keep_months=3),
    "replaced": lambda store: store.append(secret_calls(*MONTHS, duration=4), on_conflict="replace"),
    "replaced when warm": lambda store: (
        store.maintenance.move_to_warm(now=LATER, keep_months=0),
        store.append(secret_calls("2026-05", duration=4), on_conflict="replace"),
        store.maintenance.move_to_warm(now=LATER, keep_months=0),
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
    assert store.maintenance.verify().ok
    assert store.erase(query, reason="again", dry_run=False).rows == 0


def test_the_log_keeps_reason_and_count(tmp_path: Path) -> None:
    """The commit of an erasure says why and how many, and nothing else about the calls."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS[:2]) + secret_calls(*MONTHS[:2]))
    store.maintenance.move_to_warm(now=NOW, keep_months=6)
    store.erase(Query().number(SECRETS[0]), reason="letter of 24 November", dry_run=False)
    commit = inside(store).log.recent()[-1]
    assert commit.action == "erase"
    assert dict(commit.facts) == {"reason": "letter of 24 November", "rows": 4}


def test_segments_without_such_calls_stay(tmp_path: Path) -> None:
    """Only segments that hold such calls are rewritten; one that held nothing else is removed whole."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-10") + secret_calls("2026-10"))
    before = set(inside(store).log.snapshot().segments)
    report = store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
    assert report.segments == 2, "the 1st, with another call, and the 17th, alone"
    after = set(inside(store).log.snapshot().segments)
    assert (len(before), len(before & after), len(after)) == (7, 5, 6)


def test_dry_run_is_the_default(tmp_path: Path) -> None:
    """By default, erase and expire count and touch nothing."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS[:3]))
    store.maintenance.move_to_warm(now=NOW, keep_months=5)
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
        (Query().between(None, None), "why", "every call"),
        (Query(period=TimeRange()), "why", "every call"),
        (Query().connected().limit(3), "why", "a limit"),
        (Query().connected(), "", "reason"),
        (Query().connected(), " \n", "reason"),
        (Query().connected(), None, "reason"),
        (Query().customer("1001"), "Customer 1001 asked", "identifies no person"),
        (Query().where(field("source_name") == "Eve Adams"), "for EVE ADAMS.", "identifies no person"),
        (
            Query().where((field("card_id") == "c-77") | field("did").is_null()),
            "card c-77",
            "identifies no person",
        ),
        (Query().number("020 7946 0018"), "letter of +44 (20) 7946-0018", "identifies no person"),
        (Query().number(["1", "+442079460018"]), "for 02079460018", "identifies no person"),
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
    with pytest.raises(QueryError, match="a cursor"):
        store.erase(Query().connected().after(cursor), reason="why", dry_run=False)
    assert (list(store.run()), inside(store).log.snapshot().version) == before


@pytest.mark.parametrize(
    "reason", ["ticket 11001", "of 24 November 2026", "0018 times", "any customer_id", "exact words"]
)
def test_reasons_that_only_look_alike(tmp_path: Path, reason: str) -> None:
    """A reason may share letters with what is erased, and the words of the query itself."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    query = Query().customer("1001").number("+442079460018", match="exact")
    assert store.erase(query, reason=reason, dry_run=False).rows == 2


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
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
    at = calls_of("2026-06", each=2)[1].start
    assert store.expire(at).rows == 4
    assert store.expire(at, dry_run=False).rows == 4
    assert list(store.run()) == [call for call in made if call.start >= at]
    assert store.expire(at, dry_run=False).rows == 0
    assert inside(store).log.recent()[-1].facts["reason"] == "retention"
    assert store.maintenance.verify().ok


def test_no_instant_is_not_every_instant() -> None:
    """Where the instant is missing nothing expires, neither for all nor for a customer: it may be a rule not found."""
    store = open_store(f"memory://erasing-{next(_names)}")
    store.append(calls_of("2026-05"))
    for customers in ([], ["1001"]):
        with pytest.raises(QueryError, match="before=None"):
            store.expire(None, *customers, dry_run=False)  # type: ignore[arg-type]
    assert store.count() == 6


def test_expire_by_customer() -> None:
    """Named customers' calls go, each other customer's stay, however old."""
    store = open_store(f"memory://erasing-{next(_names)}")
    made = calls_of(*MONTHS)
    store.append(made)
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
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
                store.maintenance.move_to_warm(now=LATER, keep_months=0)
        gone = truth.run(query, kept.values(), region="GB", now=now)
        report = store.erase(query, reason="law", dry_run=False, now=now)
        assert report.rows == len(gone)
        left = [call for call in kept.values() if call not in gone]
        assert list(store.run()) == in_order(left)
        assert store.erase(query, reason="law", dry_run=False, now=now).rows == 0
        assert store.maintenance.verify().problems == ()


# -- beside others, and after a cut -----------------------------------------------------------------------------


def test_calls_that_move_meanwhile_are_erased_too(tmp_path: Path) -> None:
    """An erasure that a roll-over, and late calls, overtake begins again and erases them where they are now."""
    store = open_store(tmp_path)
    store.append(calls_of(*MONTHS) + secret_calls(*MONTHS[:4]))
    parts = inside(store)

    class Overtaken(Log):
        """A log in which others commit right after the first looks at it."""

        steps: tuple[Callable[[], object], ...] = (
            lambda: store.maintenance.move_to_warm(now=NOW, keep_months=3),
            lambda: store.append(secret_calls("2026-11")),
            lambda: store.maintenance.move_to_warm(now=NOW, keep_months=2),
        )

        def snapshot(self) -> Snapshot:
            found = super().snapshot()
            if self.steps:
                step, Overtaken.steps = self.steps[0], self.steps[1:]
                step()
            return found

    report = erase_calls(
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
    assert store.maintenance.verify().ok


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
        erase_calls(parts.log, {"hot": stubborn, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False)
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
        erase_calls(parts.log, {"hot": full, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False)
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
    with pytest.raises(ConflictError, match="In each of 20 attempts"):
        erase_calls(
            parts.log,
            {"hot": restless, "warm": parts.warm},
            Query().customer("SECRET-CUSTOMER"),
            now=NOW,
            facts={},
            dry_run=False,
        )
    assert store.count() == 2
    assert store.maintenance.verify().ok


# -- what no commit names ----------------------------------------------------------------------------------------


def orphans_of(store: Store) -> list[Segment]:
    """Write all segments of *store* once more into both tiers, as jobs do that are killed before their commit."""
    parts = inside(store)
    return [
        tier.write(parts.tiers[segment.tier].read(segment, [*FIELDS]), "GB")
        for segment in parts.log.snapshot().segments.values()
        for tier in (parts.hot, parts.warm)
    ]


def lies(folder: Path, segment: Segment) -> bool:
    """Return whether the file of *segment* is there."""
    return (folder / segment.tier / segment.path).exists()


def test_what_killed_jobs_left_is_erased_too(tmp_path: Path) -> None:
    """No remains of killed jobs hold an erased value, and a new log brings none of them back."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of(*MONTHS[:3]) + secret_calls(*MONTHS[:3]))
    orphans = orphans_of(store)
    half = next(segment for segment in orphans if segment.tier == "warm")
    os.unlink(tmp_path / "warm" / half.path)  # cut off while it was removed: its index is still there
    damaged = next(segment for segment in orphans if segment.tier == "hot")
    with open(tmp_path / "hot" / damaged.path, "ab") as file:
        file.write(SECRETS[0].encode())
    others = {s.id for s in orphans if s.rows == 1 and s.first.day not in (1, 17)}
    assert len(others) == 2 * 3 * 5
    assert store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False).rows == 6
    assert_nowhere(tmp_path)
    assert all(lies(tmp_path, segment) for segment in orphans if segment.id in others), (
        "they hold no such call"
    )
    assert store.maintenance.verify().ok
    shutil.rmtree(tmp_path / "hot" / "_log")
    rebuilt = open_store(tmp_path, region="GB")
    rebuilt.maintenance.rebuild_log()
    assert list(rebuilt.run()) == calls_of(*MONTHS[:3])


def test_a_dry_run_leaves_what_killed_jobs_left(tmp_path: Path) -> None:
    """Counting touches no file, and counts no call twice because killed jobs left it, too."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05") + secret_calls("2026-05"))
    orphans_of(store)
    before = every_file(tmp_path)
    assert store.erase(Query().customer("SECRET-CUSTOMER"), reason="why").rows == 2
    assert every_file(tmp_path) == before


def test_writes_that_were_cut_off_go(tmp_path: Path) -> None:
    """Halves of files that nobody has written to for an hour go; a younger one may be under way."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    old, young = (tmp_path / "hot" / f".tmp-{letter * 16}" for letter in "ab")
    for path, hours in ((old, 1.1), (young, 0.9)):
        path.write_bytes(SECRETS[0].encode())
        at = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
        os.utime(path, (at, at))
    store.erase(Query().customer("SECRET-CUSTOMER"), reason="why")
    assert old.exists()
    store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
    assert (old.exists(), young.exists()) == (False, True)


def test_an_append_under_way_goes_on(tmp_path: Path) -> None:
    """An append that has written its segments, none of which hold such calls, commits all of them after an erasure."""
    store = open_store(tmp_path)
    store.append(secret_calls("2026-05"))
    with store._append("report") as append:
        append.add(pl.from_arrow(open_with(calls_of("2026-10")).run().to_arrow()))  # type: ignore[arg-type]
        append.flush()
        store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
        assert append.commit().added == 6
    assert list(open_store(tmp_path).run()) == calls_of("2026-10")
    assert store.maintenance.verify().ok


def test_an_append_under_way_is_partly_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it has written before an erasure, it holds no more of it at once than while it took it in."""
    most = 10
    monkeypatch.setattr(buffer, "_ROWS_IN_MEMORY", most)
    store = open_store(tmp_path)
    store.append(secret_calls("2026-05"))
    calls = calls_of("2026-09", "2026-10", each=30)
    waiting: list[int] = []
    with store._append("report") as append:
        append.add(pl.from_arrow(open_with(calls).run().to_arrow()))  # type: ignore[arg-type]
        append.flush()
        store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
        read = HotTier.read

        def counted(
            self: HotTier, segment: Segment, columns: Sequence[str], rows: Rows | None = None
        ) -> pl.DataFrame:
            waiting.append(append._buffer._rows)
            return read(self, segment, columns, rows)

        monkeypatch.setattr(HotTier, "read", counted)
        assert append.commit().added == len(calls)
    assert 0 < max(waiting) < most
    assert list(open_store(tmp_path).run()) == in_order(calls)
    assert store.maintenance.verify().ok


def test_an_append_under_way_of_which_a_listing_saw_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment written during the listing, which then has its index file and not its own, is no leftover."""
    monkeypatch.setattr("cdrkit.storage.tiers.hot.INDEXED_ROWS", 1)
    store = open_store(tmp_path)
    store.append(secret_calls("2026-05"))
    with store._append("report") as append:
        append.add(pl.from_arrow(open_with(calls_of("2026-10")).run().to_arrow()))  # type: ignore[arg-type]
        append.flush()
        missed = {segment.path for segment in append._changes.fresh.values()}
        listed = LocalFiles.list

        def early(self: LocalFiles, folder: str) -> list[Entry]:
            entries = [entry for entry in listed(self, folder) if entry.path not in missed]
            if folder == "":
                missed.clear()
            return entries

        monkeypatch.setattr(LocalFiles, "list", early)
        store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
        assert not missed
        assert append.commit().added == 6
    assert list(open_store(tmp_path).run()) == calls_of("2026-10")
    assert store.maintenance.verify().ok


@pytest.mark.parametrize("dropped", [False, True], ids=["at once", "dropped"])
def test_an_append_under_way_of_such_calls_is_refused(tmp_path: Path, dropped: bool) -> None:
    """An append whose segments were erased before it committed them says so and stores nothing; again, it stores.

    So it is when the erasure's commit was dropped from the log before the append looked again.
    """
    store, other = open_store(tmp_path), open_store(tmp_path)
    store.append(calls_of("2026-05"))
    made = pl.from_arrow(open_with(secret_calls("2026-05", "2026-06")).run().to_arrow())
    with store._append("report") as append:
        append.add(made)  # type: ignore[arg-type]
        append.flush()
        other.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
        if dropped:
            other.maintenance.vacuum()
            assert other.maintenance.vacuum(now=datetime.now(UTC) + timedelta(hours=2)).commits
            inside(store).log.refresh()
        with pytest.raises(ConflictError, match="Append again"):
            append.commit()
    assert_nowhere(tmp_path)
    assert store.maintenance.verify().ok
    assert list(store.run()) == calls_of("2026-05")
    assert store.append(made).added == 4
    assert store.maintenance.verify().ok


def test_an_append_whose_segments_go_while_it_compares(tmp_path: Path) -> None:
    """An erasure that comes while an append compares its segments with newer ones is reported as one, too."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    parts = inside(store)
    query = Query().customer("SECRET-CUSTOMER")

    class Overtaken(HotTier):
        """A tier in which such calls are erased when identities are first read."""

        done = False

        def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
            if not self.done and len(columns) == 2:
                Overtaken.done = True
                store.erase(query, reason="why", dry_run=False)
            return super().read(segment, columns, rows)

    hot = Overtaken(open_files(tmp_path / "hot"))
    tiers = {"hot": hot, "warm": parts.warm}
    with Append(Log(parts.files), tiers, hot, replace=False, settings={"region": None}) as append:
        append.add(pl.from_arrow(open_with(secret_calls("2026-06")).run().to_arrow()))  # type: ignore[arg-type]
        append.flush()
        store.append(calls_of("2026-06"))
        with pytest.raises(ConflictError, match="Append again"):
            append.commit()
    assert hot.done
    assert list(store.run()) == calls_of("2026-05", "2026-06")
    assert store.maintenance.verify().ok
    assert_nowhere(tmp_path)


@pytest.mark.parametrize("history", ["none", "erased before"])
def test_an_append_that_slept_through_maintenance_alone(tmp_path: Path, history: str) -> None:
    """One that goes on from a newer checkpoint is not taken for one that an erasure overtook: its segments are kept."""
    store, other = open_store(tmp_path), open_store(tmp_path)
    store.append(secret_calls("2026-05"))
    if history == "erased before":
        store.erase(Query().customer("SECRET-CUSTOMER"), reason="why", dry_run=False)
    store.append(calls_of("2026-10"))
    store.append(calls_of("2026-10", part="more"))
    made = pl.from_arrow(open_with(calls_of("2026-10", "2026-11")).run().to_arrow())
    with store._append("report") as append:
        append.add(made)  # type: ignore[arg-type]
        append.flush()
        written = {*append._changes.fresh}
        assert other.maintenance.compact().read
        other.maintenance.vacuum()
        inside(store).log.refresh()
        report = append.commit()
    assert (report.added, report.duplicates) == (6, 6)
    assert written <= {*inside(store).log.snapshot().segments}
    assert store.maintenance.verify().ok


def test_an_append_that_commits_in_the_midst_of_an_erasure(tmp_path: Path) -> None:
    """Segments that were found uncommitted, and are committed before the erasure is, lose such calls and no others."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05") + secret_calls("2026-05"))
    parts = inside(store)
    with store._append("report") as append:
        append.add(pl.from_arrow(open_with(calls_of("2026-10") + secret_calls("2026-10")).run().to_arrow()))  # type: ignore[arg-type]
        append.flush()

        class Overtaken(HotTier):
            """A tier in which the append commits while what is left of the others is written."""

            done = False

            def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
                if not self.done:
                    Overtaken.done = True
                    assert append.commit().added == 8
                return super().write(frame, region)

        hot = Overtaken(open_files(tmp_path / "hot"))
        query = Query().customer("SECRET-CUSTOMER")
        report = erase_calls(
            Log(parts.files), {"hot": hot, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False
        )
    assert report.rows == 4
    assert_nowhere(tmp_path)
    assert list(open_store(tmp_path).run()) == calls_of("2026-05", "2026-10")
    assert store.maintenance.verify().ok


def test_an_append_that_commits_right_after_an_erasure(tmp_path: Path) -> None:
    """Calls that an append commits between an erasure's commit and its removals stay: their files have new names."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05") + secret_calls("2026-05"))
    parts = inside(store)
    again = secret_calls("2026-10")
    with store._append("report") as append:
        append.add(pl.from_arrow(open_with(again).run().to_arrow()))  # type: ignore[arg-type]
        append.flush()

        class Overtaken(HotTier):
            """A tier that forgets nothing before the append has committed."""

            done = False

            def delete_orphan(self, found: SegmentFile) -> None:
                if not self.done:
                    Overtaken.done = True
                    assert append.commit().added == 2
                super().delete_orphan(found)

        hot = Overtaken(open_files(tmp_path / "hot"))
        query = Query().customer("SECRET-CUSTOMER")
        report = erase_calls(
            Log(parts.files), {"hot": hot, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False
        )
    assert hot.done
    assert report.rows == 2
    rebuilt = open_store(tmp_path)
    assert list(rebuilt.run()) == in_order(calls_of("2026-05") + again)
    assert rebuilt.maintenance.verify().ok


def test_calls_that_come_meanwhile_are_erased_too(tmp_path: Path) -> None:
    """Such calls that are stored after the erasure looked, and before it committed, go as well, and are counted."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05") + secret_calls("2026-05"))
    parts = inside(store)
    late = itertools.count(6)

    class Busy(HotTier):
        """A tier in which another writer stores more such calls while others are rewritten, twice."""

        def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
            if (number := next(late)) < 8:
                store.append(secret_calls(f"2026-{number:02}") + calls_of(f"2026-{number:02}"))
            return super().write(frame, region)

    busy = Busy(open_files(tmp_path / "hot"))
    query = Query().customer("SECRET-CUSTOMER")
    report = erase_calls(
        parts.log, {"hot": busy, "warm": parts.warm}, query, now=NOW, facts={}, dry_run=False
    )
    assert report.rows == 6
    assert_nowhere(tmp_path)
    assert list(store.run()) == calls_of("2026-05", "2026-06", "2026-07")
    assert store.maintenance.verify().ok


def test_segments_of_a_lost_log_are_not_passed_over(tmp_path: Path) -> None:
    """Segments from before the log that hold such calls are reported and stay: only they hold their other calls."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05") + secret_calls("2026-05"))
    earlier = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    for path in tmp_path.rglob("*.arrow"):
        os.utime(path, (earlier, earlier))
    shutil.rmtree(tmp_path / "hot" / "_log")
    late = open_store(tmp_path, region="GB")
    late.append(secret_calls("2026-10"))
    query = Query().customer("SECRET-CUSTOMER")
    with pytest.raises(
        StorageError,
        match=r"2 calls were erased, but 2 segments were not changed.* older than the log.* rebuild_log\(\)",
    ):
        late.erase(query, reason="why", dry_run=False)
    assert late.count() == 0
    shutil.rmtree(tmp_path / "hot" / "_log")
    rebuilt = open_store(tmp_path, region="GB")
    rebuilt.maintenance.rebuild_log()
    assert rebuilt.erase(query, reason="why", dry_run=False).rows == 2
    assert_nowhere(tmp_path)
    assert list(rebuilt.run()) == calls_of("2026-05")


def open_with(calls: list[CallRecord]) -> Store:
    """Return a store in memory that holds *calls*."""
    store = open_store(f"memory://erasing-{next(_names)}")
    store.append(calls)
    return store


def test_a_customer_named_as_the_reason_of_the_library(tmp_path: Path) -> None:
    """Calls expire whatever their customer is called; only a reason that somebody gives is looked at."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05", customer_id="retention"))
    assert store.expire("2027-01-01", "retention", dry_run=False).rows == 6
    with pytest.raises(QueryError, match="identifies no person"):
        store.erase(Query().customer("retention"), reason="their retention", dry_run=False)
