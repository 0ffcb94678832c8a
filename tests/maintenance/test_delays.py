"""Writers and maintenance jobs that were paused, asleep or cut off, and logs that lost a part."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cdrkit import Query, Store, open_store
from cdrkit._files import Files, local
from cdrkit._maintenance import compaction, tiering, verification
from cdrkit._maintenance.vacuum import vacuum_store
from cdrkit.errors import ConfigError, ConflictError, CorruptDataError, StorageError
from cdrkit.storage.log.segment import Segment
from tests.conftest import Place
from tests.files.flushes import flushes
from tests.maintenance.segments import HOUR, TICK
from tests.maintenance.test_vacuum import drop_commits
from tests.months import NOW, calls_of, inside

DAY = timedelta(days=1)


def another(place: Place) -> Store:
    """Return the store at *place*, as another process has it."""
    return open_store(place.url, storage_options=place.options)


def calls_in(place: Place) -> int:
    """Return how many calls a new process finds, having verified them all."""
    store = another(place)
    assert store.maintenance.verify().problems == ()
    return store.count()


def once(patch: pytest.MonkeyPatch, owner: Any, method: str, act: Callable[[], object]) -> None:
    """Let *act* happen once, right after the next call of that method."""
    original: Callable[..., Any] = getattr(owner, method)

    def acting(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        patch.setattr(owner, method, original)
        act()
        return result

    patch.setattr(owner, method, acting)


def sleep(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clock on the wall be that much later, as after a sleep: the monotonic one stood still."""
    real = time.time
    patch.setattr(time, "time", lambda: real() + seconds)


# -- who comes late --------------------------------------------------------------------------------------------


def test_a_writer_that_slept(store: Store, place: Place) -> None:
    """A writer who knows nothing of dropped commits learns of them from its void commit, and appends all the same."""
    store.append(calls_of("2026-05"))
    sleeper = another(place)
    assert sleeper.count() == 6
    store.append(calls_of("2026-06"))
    drop_commits(store)
    assert sleeper.append(calls_of("2026-07")).added == 6
    assert sleeper.append(calls_of("2026-06")).duplicates == 6
    assert calls_in(place) == 18


def test_a_vacuum_that_slept(store: Store, place: Place) -> None:
    """Calls that came, and whose commits were dropped, while a keeper slept are no orphans to it."""
    store.append(calls_of("2026-05"))
    sleeper = another(place)
    assert sleeper.count() == 6
    store.append(calls_of("2026-06"))
    drop_commits(store)
    store.append(calls_of("2026-07"))
    assert sleeper.maintenance.vacuum(now=datetime.now(UTC) + 3 * DAY).segments == 0
    assert calls_in(place) == 18


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("job", ["append", "rollover"])
def test_paused_between_a_commit_and_the_look_at_it(
    store: Store, place: Place, monkeypatch: pytest.MonkeyPatch, job: str, merged: bool
) -> None:
    """A writer that was paused right after its commit, for so long that this was dropped, does not undo what counts.

    When its segments have been merged with others by then, the outcome is unknown, and an error says so.
    """
    store.append(calls_of("2026-05"))
    store.append(calls_of("2026-11"))
    slow = another(place)
    slow.count()

    def pause() -> None:
        if merged:
            store.append(calls_of("2026-05", "2026-11", part="-more"))
            store.maintenance.move_to_warm(now=NOW, keep_months=0)
            store.maintenance.move_to_warm(now=datetime(2027, 1, 1, tzinfo=UTC), keep_months=0)
        log = inside(store).log
        log.checkpoint(log.snapshot())
        assert log.clean(datetime.now(UTC) + 2 * HOUR)
        sleep(monkeypatch, 7200)

    # The lease is not what keeps them apart.
    act: Callable[[], object] = (
        (lambda: slow.append(calls_of("2026-11", part="-mine")))
        if job == "append"
        else lambda: tiering.move_months(
            inside(slow).log, inside(slow).tiers, inside(slow).hot, inside(slow).warm, now=NOW, keep_months=3
        )
    )
    once(monkeypatch, inside(slow).log._objects, "create_commit", pause)
    if merged:
        with pytest.raises(StorageError, match="unknown whether"):
            act()
    else:
        act()
    expected = 12 + 12 * merged + 6 * (job == "append")
    assert calls_in(place) == expected
    act()
    assert calls_in(place) == expected


class PulledError(Exception):
    """Stands for a kill: whatever was under way goes no further."""


@pytest.mark.parametrize("removals", range(2))
def test_late_after_a_clean_that_was_killed(
    store: Store, place: Place, monkeypatch: pytest.MonkeyPatch, removals: int
) -> None:
    """However much of the log a vacuum had dropped when it was killed, nobody commits into what is dropped."""
    store.append(calls_of("2026-05"))
    store.maintenance.vacuum()  # a checkpoint of that version
    late = another(place)
    base = inside(late).log.snapshot()
    fresh = inside(late).hot.write(
        inside(late)
        .hot.read(next(iter(base.segments.values())), ["start", "call_id"])
        .with_columns(call_id=pl.lit("late")),
        "GB",
    )
    store.append(calls_of("2026-06"))
    store.maintenance.vacuum(now=datetime.now(UTC) + 2 * HOUR)
    store.append(calls_of("2026-07"))
    log, left = inside(store).log, [removals]
    original = type(log.files).remove

    def remove(self: Files, path: str) -> None:
        if not left[0]:
            raise PulledError
        left[0] -= 1
        original(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(log.files), "remove", remove)
        with pytest.raises(PulledError):
            log.clean(datetime.now(UTC) + 5 * HOUR)
    after = inside(late).log.commit(base, "append", added=[fresh])
    assert after is None
    assert calls_in(place) == 18


def test_a_late_checkpoint_brings_no_version_back(store: Store, place: Place) -> None:
    """A checkpoint that was so slow that its version is history is not written: a late writer might go by it."""
    store.append(calls_of("2026-05"))
    old = inside(store).log.snapshot()
    store.append(calls_of("2026-06"))
    drop_commits(store)
    before = [entry.path for entry in inside(store).files.list("_log")]
    inside(another(place)).log.checkpoint(old)
    assert [entry.path for entry in inside(store).files.list("_log")] == before


@pytest.mark.parametrize("move", ["rollover", "compact"])
def test_a_move_that_took_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: str) -> None:
    """What a vacuum took for orphans, because it took a day to commit them, takes no call's place."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    store.append(calls_of("2026-05", part="-more"))
    module = tiering if move == "rollover" else compaction
    original: Callable[..., list[Segment]] = module.rewrite_segments

    def slow(*args: Any, **kwargs: Any) -> list[Segment]:
        fresh = original(*args, **kwargs)
        log, tiers = inside(store).log, inside(store).tiers
        assert vacuum_store(log, tiers, now=datetime.now(UTC) + DAY + HOUR).segments == len(fresh)
        sleep_of_datetime(monkeypatch, DAY + HOUR)
        return fresh

    monkeypatch.setattr(module, "rewrite_segments", slow)
    with pytest.raises(StorageError, match="took so long"):
        store.maintenance.move_to_warm(now=NOW) if move == "rollover" else store.maintenance.compact()
    assert open_store(tmp_path).count() == 12
    assert open_store(tmp_path).maintenance.verify().problems == ()


def sleep_of_datetime(patch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let the storage take what it wrote so far for that much older."""
    from cdrkit.storage.tiers import orphans

    patch.setattr(orphans, "_SAFE", orphans._SAFE - by)


# -- what is not durable yet -----------------------------------------------------------------------------------


def test_a_commit_that_could_not_be_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the log's folder cannot be flushed, the append is not acknowledged; done again, it is, and only then."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    original = local._sync_folder

    def failing(folder: str) -> None:
        if folder.endswith("_log"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        original(folder)

    with monkeypatch.context() as patch:
        patch.setattr(local, "_sync_folder", failing)
        for _ in range(2):  # the second time its calls are there already
            with pytest.raises(StorageError, match="Input/output"):
                store.append(calls_of("2026-06"))
            with pytest.raises(StorageError, match="Input/output"):
                store.maintenance.move_to_warm(now=NOW)
    assert store.append(calls_of("2026-06")).duplicates == 6
    assert store.count() == 12
    assert open_store(tmp_path).maintenance.verify().problems == ()


def test_duplicates_are_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Duplicates are durable when they are reported, also if their first writer has not flushed them yet."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    flushed = flushes(monkeypatch)
    assert store.append(calls_of("2026-05")).duplicates == 6
    assert flushed == [str(tmp_path / "hot" / "_log")]


# -- what is no place for a log --------------------------------------------------------------------------------


class Changeable(MemoryFileSystem):  # type: ignore[misc]
    """A filesystem that creates exclusively, or overwrites instead."""

    protocol = "changeable"
    overwrites = True

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: object) -> None:
        super().pipe_file(path, value, mode="overwrite" if self.overwrites else mode, **kwargs)


def test_a_filesystem_that_overwrites_is_refused_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refusal leaves nothing behind that would let the second writer in, and no copied log does either."""
    fsspec.register_implementation("changeable", Changeable, clobber=True)
    for _ in range(2):
        with pytest.raises(ConfigError, match="exclusive creation"):
            open_store("changeable://late").append(calls_of("2026-05"))
        assert not open_store("changeable://late").exists
    monkeypatch.setattr(Changeable, "overwrites", False)
    store = open_store("changeable://late")
    store.append(calls_of("2026-05"))
    store.maintenance.vacuum()
    inside(store).log.clean(datetime.now(UTC) + 2 * HOUR)
    for kept in ("checkpoint", "commit"):
        if kept == "commit":
            store.append(calls_of("2026-06"))
        monkeypatch.setattr(Changeable, "overwrites", True)  # the log was copied to where none can live
        with pytest.raises(ConfigError, match="exclusive creation"):
            open_store("changeable://late").append(calls_of("2026-07"))
        monkeypatch.setattr(Changeable, "overwrites", False)
    assert open_store("changeable://late").count() == 12
    assert open_store("changeable://late").maintenance.verify().problems == ()


# -- what is gone ----------------------------------------------------------------------------------------------


def test_the_newest_commit_is_gone(tmp_path: Path) -> None:
    """Who has seen a commit that is gone says so instead of answering as if it were there, or writing over the gap."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    store.append(calls_of("2026-06"))
    path = tmp_path / "hot" / "_log" / f"{2:020d}.json"
    data = path.read_bytes()
    path.unlink()
    jobs: list[Callable[[], object]] = [
        store.count,
        lambda: store.append(calls_of("2026-07")),
        store.maintenance.vacuum,
        store.maintenance.compact,
    ]
    for job in jobs:
        with pytest.raises(CorruptDataError, match=path.name):
            job()
    (problem,) = store.maintenance.verify().problems
    assert path.name in problem
    path.write_bytes(data)
    assert store.append(calls_of("2026-07")).added == 6
    assert open_store(tmp_path).count() == 18


@pytest.mark.parametrize("lost", ["log", "checkpoint"])
def test_verification_without_a_log(tmp_path: Path, lost: str) -> None:
    """Segments without any log are no empty store that is well."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    assert open_store(tmp_path / "none").maintenance.verify().ok
    if lost == "log":
        shutil.rmtree(tmp_path / "hot" / "_log")
    else:
        drop_commits(store)
        (path,) = (tmp_path / "hot" / "_log").glob("checkpoint-*")
        path.unlink()
    report = open_store(tmp_path).maintenance.verify()
    (problem,) = report.problems
    assert "6 segments" in problem
    assert "rebuild_log()" in problem


def test_a_new_log_beside_a_writer_of_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append that outlives its log takes nothing away from the new log of its segments."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))

    def lose() -> None:
        shutil.rmtree(tmp_path / "hot" / "_log")
        open_store(tmp_path).maintenance.rebuild_log()

    once(monkeypatch, inside(store).hot, "write", lose)
    with pytest.raises((CorruptDataError, ConflictError)):
        store.append(calls_of("2026-06")[:1])
    found = open_store(tmp_path)
    assert found.count() == 7
    assert found.maintenance.verify().problems == ()


# -- verification beside others --------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["erase", "compact and vacuum"])
@pytest.mark.parametrize("at", ["_check_segment", "find_duplicates"])
def test_verification_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, at: str
) -> None:
    """Files that go by right while a verification is under way are no damage; what is damaged is."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05", "2026-06"))
    store.append(calls_of("2026-05", "2026-06", part="-more"))

    def others() -> None:
        other = open_store(tmp_path)
        if job == "erase":
            other.erase(Query().customer("1001"), reason="why", dry_run=False)
        else:
            other.maintenance.compact()
            other.maintenance.vacuum(now=datetime.now(UTC) + HOUR + TICK)

    with monkeypatch.context() as patch:
        once(patch, verification, at, others)
        assert store.maintenance.verify().problems == ()
    path = max((tmp_path / "hot").glob("day=*/*.arrow"))
    with monkeypatch.context() as patch:
        once(patch, verification, "_check_segment", path.unlink)
        (problem,) = store.maintenance.verify().problems
        assert path.name in problem
