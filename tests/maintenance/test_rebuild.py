"""The rebuild of a log: accepted and refused segments, and segments from before the log."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrkit import Query, Store, open_store
from cdrkit._maintenance.rebuild import write_new_log
from cdrkit.errors import CorruptDataError, NotFoundError, StorageError
from cdrkit.storage.log.log import Log
from tests.maintenance.segments import HOUR, flip_byte, live, lying, new_store
from tests.months import NOW, calls_of, every_file, in_order, inside, months_in


def _replace(store: Store) -> None:
    store.append(calls_of("2026-05", "2026-10", duration=5)[2:9], on_conflict="replace")


def _late(store: Store) -> None:
    store.append(calls_of("2026-05", part="-late"))


def _erase(store: Store) -> None:
    store.erase(Query().customer("1002"), reason="asked for", dry_run=False)


HISTORIES: dict[str, list[Callable[[Store], object]]] = {
    "appends": [],
    "replace": [_replace],
    "compact": [_late, lambda store: store.maintenance.compact()],
    "rollover": [lambda store: store.maintenance.move_to_warm(now=NOW)],
    "replace, then rollover": [_replace, lambda store: store.maintenance.move_to_warm(now=NOW)],
    "rollover, then replace": [lambda store: store.maintenance.move_to_warm(now=NOW), _replace],
    "rollover twice": [
        lambda store: store.maintenance.move_to_warm(now=NOW),
        _late,
        lambda store: store.maintenance.move_to_warm(now=NOW, keep_months=0),
    ],
    "erase": [lambda store: store.maintenance.move_to_warm(now=NOW), _erase],
    "all": [
        _replace,
        lambda store: store.maintenance.compact(),
        lambda store: store.maintenance.move_to_warm(now=NOW),
        _late,
        _replace,
        lambda store: store.maintenance.move_to_warm(now=NOW),
        _erase,
        lambda store: store.maintenance.move_to_warm(now=NOW, keep_months=0),
    ],
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("swept", [False, True], ids=["before a vacuum", "after it"])
def test_a_lost_log_is_rebuilt(tmp_path: Path, history: str, swept: bool) -> None:
    """From the segments alone the same calls come back, each once, as they were last; the store works on."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05", "2026-10")[::2])
    store.append(calls_of("2026-05", "2026-10")[1::2])
    for step in HISTORIES[history]:
        time.sleep(0.02)  # of two files, the newer one has the later time
        step(store)
    if swept:
        store.maintenance.vacuum(now=datetime.now(UTC) + 30 * HOUR)
    expected = list(store.run())
    shutil.rmtree(tmp_path / "hot" / "_log")
    rebuilt = open_store(tmp_path, region="GB")
    assert not rebuilt.exists
    assert rebuilt.maintenance.rebuild_log() == len(expected)
    assert list(rebuilt.run()) == expected
    assert list(open_store(tmp_path).run()) == expected
    assert rebuilt.region == "GB"
    assert rebuilt.maintenance.verify().problems == ()
    assert rebuilt.append(expected).duplicates == len(expected)
    rebuilt.maintenance.move_to_warm(now=NOW, keep_months=0)
    rebuilt.maintenance.vacuum(now=datetime.now(UTC) + 30 * HOUR)
    assert months_in(rebuilt, "hot") == []
    assert list(rebuilt.run()) == expected
    assert lying(rebuilt) == live(rebuilt)


def test_an_existing_log_is_not_rebuilt(verified: Store, tmp_path: Path) -> None:
    """While there is anything of a log, even a damaged one, rebuild refuses and touches nothing."""
    for path in tmp_path.glob("hot/_log/0*.json"):
        path.write_bytes(b"damaged")
    before = every_file(tmp_path)
    with pytest.raises(StorageError, match="still has a log"):
        open_store(tmp_path).maintenance.rebuild_log()
    assert every_file(tmp_path) == before


def test_no_log_is_made_of_nothing(tmp_path: Path) -> None:
    """An empty or mistyped place gets no log."""
    with pytest.raises(NotFoundError, match="no segments"):
        open_store(tmp_path / "typo").maintenance.rebuild_log()
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("kind", ["hot/day=*/*.arrow", "warm/month=*/*.parquet"])
def test_no_log_is_made_over_damage(verified: Store, tmp_path: Path, kind: str) -> None:
    """A damaged segment is named instead of left out; once it is restored or taken away, rebuild goes on."""
    shutil.rmtree(tmp_path / "hot" / "_log")
    path = min(tmp_path.glob(kind))
    data = path.read_bytes()
    flip_byte(path)
    with pytest.raises(CorruptDataError, match=path.name):
        open_store(tmp_path).maintenance.rebuild_log()
    assert not (tmp_path / "hot" / "_log").exists()
    path.write_bytes(data)
    assert open_store(tmp_path).maintenance.rebuild_log() == 12


def test_an_append_after_the_log_was_lost(tmp_path: Path) -> None:
    """A new log beside older segments: vacuums spare them, verification says so, and rebuild brings all back."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05", "2026-10"))
    store.maintenance.move_to_warm(now=NOW)
    store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2))
    earlier = (datetime.now(UTC) - HOUR).timestamp()
    for path in tmp_path.rglob("*=*/*"):
        os.utime(path, (earlier, earlier))
    shutil.rmtree(tmp_path / "hot" / "_log")

    late = open_store(tmp_path, region="GB")
    late.append(calls_of("2026-11"))
    assert list(late.run()) == calls_of("2026-11")
    segments = len(lying(late)) - len(live(late))
    report = late.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=900))
    assert (report.segments, report.older) == (0, segments)
    verified = late.maintenance.verify()
    (problem,) = verified.problems
    assert f"{segments} segments are older than the log" in problem
    assert "rebuild_log()" in problem
    assert verified.orphans == segments

    shutil.move(tmp_path / "hot" / "_log", tmp_path / "_log_of_november")
    assert late.maintenance.rebuild_log() == 18
    rebuilt = open_store(tmp_path, region="GB")
    assert list(rebuilt.run()) == in_order(calls_of("2026-05", "2026-10", "2026-11"))
    assert rebuilt.maintenance.verify().problems == ()
    assert rebuilt.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=900)).segments == 0


def test_the_newest_word_counts_whatever_the_files_say(tmp_path: Path) -> None:
    """Where a call lies in two files, that one is kept that was written last, though a copy turned the files' times."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05"))
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.arrow")}
    time.sleep(0.002)
    store.append(calls_of("2026-05", duration=9), on_conflict="replace")
    for path, data in first.items():
        path.write_bytes(data)  # as restored from a backup: the older ones are the younger files
    later = (datetime.now(UTC) + HOUR).timestamp()
    for path in first:
        os.utime(path, (later, later))
    shutil.rmtree(tmp_path / "hot" / "_log")
    rebuilt = open_store(tmp_path, region="GB")
    assert rebuilt.maintenance.rebuild_log() == 6
    assert list(rebuilt.run()) == calls_of("2026-05", duration=9)


def test_a_new_log_for_another_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes that were made for another region are left aside: numbers are found as the new region reads them."""
    monkeypatch.setattr("cdrkit.storage.tiers.hot.INDEXED_ROWS", 1)
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05", "2026-11", source="020 7946 0018"))
    store.maintenance.move_to_warm(now=NOW)
    assert store.count(Query().number("+442079460018")) == 12
    shutil.rmtree(tmp_path / "hot" / "_log")
    rebuilt = open_store(tmp_path, region="US")
    rebuilt.maintenance.rebuild_log()
    assert rebuilt.count(Query().number("+442079460018")) == 0
    assert rebuilt.count(Query().number("020 7946 0018")) == 12
    assert rebuilt.maintenance.verify().problems == ()


def test_the_function_takes_any_settings() -> None:
    """The new log holds the settings it is given, and says what it is."""
    store = new_store()
    store.append(calls_of("2026-06"))
    files = inside(store).files
    for entry in files.list("_log"):
        files.remove(entry.path)
    log = Log(files)
    assert write_new_log(log, inside(store).tiers, inside(store).hot, {"region": "US"}).rows == 6
    assert log.recent()[-1].action == "rebuild"
    assert open_store(store._name).region == "US"
    assert in_order(list(open_store(store._name).run())) == calls_of("2026-06")
