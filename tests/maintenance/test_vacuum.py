"""The vacuum, checkpoints and dropped commits: the files that are deleted and kept."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Store, open_store
from cdrkit._files import Files, open_files
from cdrkit._maintenance.vacuum import vacuum_store
from cdrkit._model import FIELDS
from cdrkit.storage.log.log import Log
from cdrkit.storage.log.snapshot import Snapshot
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.segment_file import SegmentFile
from tests.conftest import Place
from tests.maintenance.segments import HOUR, TICK, live, lying, new_store
from tests.months import NOW, calls_of, fewer, inside

# -- vacuum ----------------------------------------------------------------------------------------------------


def test_replaced_segments_go_after_their_grace(store: Store) -> None:
    """What a commit removed stays for the grace, to the microsecond, and goes after it; no answer changes."""
    made = calls_of("2026-05", "2026-11", each=3)
    store.append(made)
    store.maintenance.move_to_warm(now=NOW)
    at = inside(store).log.recent()[-1].at
    before = lying(store)
    report = store.maintenance.vacuum(now=at + HOUR)
    assert (report.segments, report.waiting) == (0, 3)
    assert lying(store) == before
    dry = store.maintenance.vacuum(now=at + HOUR + TICK, dry_run=True)
    assert (dry.segments, dry.waiting, dry.dry_run) == (3, 0, True)
    assert lying(store) == before
    report = store.maintenance.vacuum(now=at + HOUR + TICK)
    assert (report.segments, report.waiting) == (3, 0)
    assert lying(store) == live(store)
    assert list(store.run()) == made
    assert store.maintenance.vacuum(now=at + HOUR + TICK).segments == 0
    assert store.maintenance.verify().ok


@pytest.mark.parametrize("tier", ["hot", "warm"])
def test_orphans_go_after_a_day(tmp_path: Path, tier: str) -> None:
    """A segment that no commit ever named stays for a day after it was written: its append may be under way."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    parts = inside(store)
    segment = next(iter(parts.log.snapshot().segments.values()))
    orphan = parts.tiers[tier].write(parts.hot.read(segment, [*FIELDS]), "GB")
    lies = sorted((tmp_path / tier).rglob(f"{orphan.id}.*"))
    assert [path.suffix for path in lies] == ([".arrow"] if tier == "hot" else [".index", ".parquet"])
    at, day = datetime.now(UTC), timedelta(hours=24)
    for number, path in enumerate(lies):  # the younger one counts
        written = (at - number * HOUR).timestamp()
        os.utime(path, (written, written))
    at = datetime.fromtimestamp(os.stat(lies[0]).st_mtime, UTC)
    assert store.maintenance.verify().orphans == 1
    assert store.maintenance.vacuum(now=at + day).waiting == 1
    assert all(path.exists() for path in lies)
    assert store.maintenance.vacuum(now=at + day + TICK).segments == 1
    assert not any(path.exists() for path in lies)
    assert list(store.run()) == calls_of("2026-05")
    assert store.maintenance.verify().orphans == 0


def test_nothing_but_segments_is_swept(tmp_path: Path) -> None:
    """Files that are no segments of a tier's own are not its business, wherever they lie."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    others = [
        "hot/day=2026-05-01/notes.txt",
        "hot/x.arrow",
        "warm/month=2026-05/part-0.parquet",
        "warm/README",
    ]
    for name in others:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    assert store.maintenance.vacuum(now=NOW + timedelta(days=9)).segments == 0
    assert all((tmp_path / name).read_text() == "mine" for name in others)


def test_no_store_is_no_reason_to_sweep(tmp_path: Path) -> None:
    """Without a log nothing is removed: it may be the log that was lost, not the calls."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    shutil.rmtree(tmp_path / "hot" / "_log")
    assert open_store(tmp_path).maintenance.vacuum(now=NOW + timedelta(days=900)).segments == 0
    assert len(list(tmp_path.glob("hot/day=*/*.arrow"))) == 6


def test_a_filesystem_without_times(tmp_path: Path) -> None:
    """Where it is not known when a segment was written it is never taken for old, as it may be an append's."""

    class Timeless(HotTier):
        """A tier on a filesystem that does not say when a file was written."""

        def list_segments(self) -> Iterable[SegmentFile]:
            return [attrs.evolve(found, modified=None) for found in super().list_segments()]

    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    parts = inside(store)
    hot = Timeless(open_files(tmp_path / "hot"))
    segment = next(iter(parts.log.snapshot().segments.values()))
    fresh = hot.write(hot.read(segment, [*FIELDS]).with_columns(call_id=pl.lit("new")), "GB")
    report = vacuum_store(parts.log, {"hot": hot, "warm": parts.warm}, now=NOW + timedelta(days=9))
    assert (report.segments, report.waiting) == (0, 1)
    assert parts.log.commit(parts.log.snapshot(), "append", added=[fresh]) is not None
    assert open_store(tmp_path).count() == 7


def test_a_commit_in_the_midst_of_a_vacuum(tmp_path: Path) -> None:
    """A segment that is committed between the vacuum's looks at the log stays, however old its file is."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    parts = inside(store)
    segment = next(iter(parts.log.snapshot().segments.values()))
    fresh = parts.hot.write(parts.hot.read(segment, [*FIELDS]).with_columns(call_id=pl.lit("new")), "GB")

    class Overtaken(Log):
        """A log in which another writer commits right after each look at it."""

        def snapshot(self) -> Snapshot:
            found = super().snapshot()
            if fresh.id not in found.segments:
                parts.log.commit(found, "append", added=[fresh])
            return found

    report = vacuum_store(Overtaken(parts.files), parts.tiers, now=NOW + timedelta(days=900))
    assert report.segments == 0
    assert open_store(tmp_path).count() == 7
    assert open_store(tmp_path).maintenance.verify().ok


class TestGrace:
    """No segment goes that a version needs which was the newest one at any moment of the last hour."""

    @fewer
    @given(
        st.lists(
            st.tuples(st.sampled_from(["append", "replace", "compact", "rollover"]), st.integers(0, 70)),
            max_size=5,
        ),
        st.lists(st.integers(0, 300), min_size=1, max_size=3),
    )
    def test_readers_of_the_last_hour(self, steps: list[tuple[str, int]], pauses: list[int]) -> None:
        """After any history, vacuums at any minutes leave every version readable for an hour."""
        store, clock = new_store(), [NOW]
        held: list[tuple[datetime, Snapshot]] = []  # until when it was the newest, and what it is
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cdrkit.storage.log.log._now", lambda: clock[0])
            store.append(calls_of("2026-05"))
            for number, (step, minutes) in enumerate(steps):
                clock[0] += timedelta(minutes=minutes)
                before = inside(store).log.snapshot()
                if step == "append":
                    store.append(calls_of("2026-05", part=f"-{number}")[:2])
                elif step == "replace":
                    store.append(calls_of("2026-05", duration=number)[:3], on_conflict="replace")
                elif step == "compact":
                    store.maintenance.compact()
                else:
                    store.maintenance.move_to_warm(now=NOW)
                if inside(store).log.snapshot().version > before.version:
                    held.append((clock[0], before))
            expected = list(store.run())
            for pause in pauses:
                clock[0] += timedelta(minutes=pause)
                store.maintenance.vacuum(now=clock[0])
                there = lying(store)
                assert live(store) <= there
                for until, snapshot in held:
                    if clock[0] - until <= HOUR:
                        assert set(snapshot.segments) <= there
            clock[0] += timedelta(hours=30)
            store.maintenance.vacuum(now=clock[0])
            assert lying(store) == live(store)
            assert list(store.run()) == expected
            assert open_store(store._name).maintenance.verify().ok


# -- checkpoints and dropped commits ---------------------------------------------------------------------------


def commits_of(store: Store) -> list[str]:
    """Return the names of the log's objects, without the lease."""
    found = [entry.path for entry in inside(store).files.list("_log")]
    return [path for path in found if "lease" not in path]


def drop_commits(store: Store) -> None:
    """Make a checkpoint, and drop what it makes superfluous, as vacuums hours apart do."""
    store.maintenance.vacuum(now=datetime.now(UTC))
    assert store.maintenance.vacuum(now=datetime.now(UTC) + 2 * HOUR).commits


def look_away(store: Store) -> None:
    """Make *store* one that has not looked at the log's listing for longer than commits are kept."""
    inside(store).log.refresh()


def test_old_and_new_readers_after_commits_were_dropped(store: Store, place: Place) -> None:
    """After commits were dropped, a new process and one that was behind see everything, and write on."""
    behind = open_store(place.url, storage_options=place.options)
    store.append(calls_of("2026-05", each=2))
    assert behind.count() == 2
    held = behind.run()
    for part in range(3):
        store.append(calls_of("2026-06", each=1, part=f"-{part}"))
    drop_commits(store)
    store.append(calls_of("2026-07", each=1))
    assert not any("0001.json" in name and "checkpoint" not in name for name in commits_of(store))
    look_away(behind)
    rebuilt = open_store(place.url, storage_options=place.options)
    for each in (behind, rebuilt):
        assert each.count() == 6
        assert each.region == "GB"
    assert len(list(held)) == 2
    assert behind.append(calls_of("2026-05", each=3)).added == 1
    assert store.count() == rebuilt.count() == 7
    assert rebuilt.maintenance.verify().ok


def test_a_vacuum_of_a_quiet_store_drops_commits_too() -> None:
    """A store that nothing is written to sheds its old commits by daily vacuums, and stays as it is."""
    store = new_store()
    for part in range(3):
        store.append(calls_of("2026-06", part=f"-{part}"))
    assert len(commits_of(store)) == 4
    store.maintenance.vacuum()
    assert len(commits_of(store)) == 5
    assert store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=1)).commits == 4
    assert len(commits_of(store)) == 1
    assert store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2)).commits == 0
    assert open_store(store._name).count() == 18


def test_young_checkpoints_keep_their_commits() -> None:
    """Commits stay for an hour after their checkpoint: who looked before it still reads on without a listing."""
    store = new_store()
    store.append(calls_of("2026-06"))
    behind = open_store(store._name)
    assert behind.count() == 6
    store.append(calls_of("2026-07"))
    store.maintenance.vacuum()
    assert store.maintenance.vacuum(now=datetime.now(UTC) + HOUR - timedelta(minutes=1)).commits == 0
    assert behind.count() == 12


def test_a_writer_that_is_behind_does_not_commit_into_the_past() -> None:
    """A commit on a version whose successors were dropped is refused, not taken for the newest."""
    store = new_store()
    store.append(calls_of("2026-05"))
    behind = Log(inside(store).files)
    base = behind.snapshot()
    store.append(calls_of("2026-06"))
    drop_commits(store)
    behind.refresh()
    assert behind.commit(base, "append") is None
    assert behind.snapshot().version == inside(store).log.snapshot().version
    assert open_store(store._name).count() == 12


def test_a_commit_that_arrives_late_is_void() -> None:
    """A commit that was so slow that its version had been dropped meanwhile is undone and tried again on top."""
    store = new_store()
    store.append(calls_of("2026-05"))

    class Slow:
        """Files whose first creation arrives hours later, after others went on."""

        def __init__(self, files: Files) -> None:
            self._files = files
            self.log: Log | None = None

        def __getattr__(self, name: str) -> object:
            return getattr(self._files, name)

        def create(self, path: str, data: bytes) -> bool:
            if self.log is not None:
                self.log = None
                store.append(calls_of("2026-06"))
                drop_commits(store)
            return self._files.create(path, data)

    files = Slow(inside(store).files)
    log = Log(files)  # type: ignore[arg-type]
    base = log.snapshot()
    fresh = inside(store).hot.write(
        inside(store)
        .hot.read(next(iter(base.segments.values())), [*FIELDS])
        .with_columns(call_id=pl.lit("x")),
        "GB",
    )
    files.log = log
    before = inside(store).log
    assert log.commit(base, "append", added=[fresh]) is None
    assert open_store(store._name).count() == 12
    assert log.commit(log.snapshot(), "append", added=[fresh]) is not None
    assert open_store(store._name).count() == 13
    assert before.snapshot().version == log.snapshot().version


def test_a_checkpoint_every_so_many_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log with many commits is opened by reading few objects, and looking for news reads one."""
    store = new_store()
    for call in calls_of("2026-05", each=70):
        store.append([call])
    read: list[str] = []
    files = inside(store).files
    original: Callable[..., bytes] = type(files).read

    def counting(self: Files, path: str, *rest: int) -> bytes:
        read.append(path)
        return original(self, path, *rest)

    monkeypatch.setattr(type(files), "read", counting)
    fresh = Log(files)
    assert fresh.snapshot().rows == 70
    assert len(read) < 12
    read.clear()
    assert fresh.snapshot().version == 70
    assert len(read) == 1


@pytest.mark.parametrize("clock", ["monotonic", "time"])  # the one stands still while a machine sleeps
def test_listings_are_read_again_in_time(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """Who has not looked at the listing for half an hour looks at it again, whichever clock says so; before, not."""
    store = new_store()
    store.append(calls_of("2026-05"))
    log = Log(inside(store).files)
    log.snapshot()
    real, lists = getattr(time, clock), list[str]()
    files = inside(store).files
    original: Callable[..., object] = type(files).list

    def counting(self: Files, folder: str) -> object:
        lists.append(folder)
        return original(self, folder)

    monkeypatch.setattr(type(files), "list", counting)
    for minutes, expected in [(29, 0), (31, 1), (45, 1), (62, 2)]:
        monkeypatch.setattr(time, clock, lambda m=minutes: real() + m * 60)
        assert log.snapshot().version == 1
        assert len(lists) == expected
        monkeypatch.setattr(time, clock, real)


# -- settings and leftovers ------------------------------------------------------------------------------------


def test_maintain_does_what_is_due() -> None:
    """One call rolls over, compacts and sweeps; a second one finds nothing to do."""
    store = new_store()
    for part in range(2):
        store.append(calls_of("2026-05", "2026-11", part=f"-{part}"))
    expected: list[CallRecord] = list(store.run())
    moved, merged, swept = store.maintenance.run(now=datetime.now(UTC) + timedelta(days=400), keep_months=3)
    assert moved.rows == 24 if moved.months[-1] == "2026-11" else moved.rows == 12
    assert merged.rows + moved.rows in (24, 36)
    assert swept.segments + swept.waiting > 0
    store.maintenance.run(now=datetime.now(UTC) + timedelta(days=400), keep_months=3)
    assert list(store.run()) == expected
    assert lying(store) == live(store)


def test_remains_of_writes_are_swept(tmp_path: Path) -> None:
    """What a killed write left goes after a day, in every folder; what is younger, or only looks alike, stays."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    store.maintenance.move_to_warm(now=NOW)
    at = datetime.now(UTC).replace(microsecond=0)
    remains = [
        "hot/.tmp-0123456789abcdef",
        "hot/_log/.tmp-00112233445566aa",
        "warm/month=2026-05/.tmp-" + "f" * 16,
    ]
    others = [".tmp-notes", "hot/.tmp-notes", "hot/.tmp-0123456789abcdef0", "hot/x.tmp-0123456789abcdef"]
    for name in [*remains, *others]:
        (tmp_path / name).write_bytes(b"cut o")
        os.utime(tmp_path / name, (at.timestamp(), at.timestamp()))
    day = timedelta(hours=24)
    assert store.maintenance.vacuum(now=at + day).leftovers == 0
    assert store.maintenance.vacuum(now=at + day + TICK, dry_run=True).leftovers == 0
    assert store.maintenance.vacuum(now=at + day + TICK).leftovers == 3
    assert [name for name in remains if (tmp_path / name).exists()] == []
    assert [name for name in others if (tmp_path / name).exists()] == others
    assert list(store.run()) == calls_of("2026-05")
    assert store.maintenance.verify().ok
