"""Many processes at once: writers of overlapping batches, maintenance and readers. None may fail."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cdrkit import Query, open_store
from cdrkit.errors import StorageError
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers.hot import HotTier
from tests.crash.crowd import REPLACED, TEN, Notes, check_replaced, replaced, tens_of
from tests.crash.model import CODES, FAR, Runs, start


def test_many_processes(tmp_path: Path, runs: Runs) -> None:
    """Every answer of every reader is a state that existed, nobody fails, and in the end each call is there once."""
    seconds = str(runs.of(12, 62))
    roles = ["write"] * 4 + ["keep"] + ["read"] * 2
    crowd = [start("crowd", role, str(tmp_path), str(number), seconds) for number, role in enumerate(roles)]
    outcomes = [process.communicate(timeout=300) for process in crowd]
    assert not any(process.returncode for process in crowd), [errors for _, errors in outcomes]
    answers = [
        {"role": role, **json.loads(output)} for role, (output, _) in zip(roles, outcomes, strict=True)
    ]
    assert all(one["turns"] for one in answers), answers

    store = open_store(tmp_path / "store")
    notes = Notes(tmp_path)
    notes.read()
    assert notes.begun == notes.done
    query = Query().customer("overlapping")
    assert {int(call.call_id[:5]) for call in store.run(query)} == tens_of(notes.done)
    assert store.count(query) == TEN * len(tens_of(notes.done)) == sum(one.get("added", 0) for one in answers)
    check_replaced(list(store.run(Query().customer("replaced"))))
    assert store.count(Query().customer("replaced")) % 9 == 0
    assert store.count(Query().customer("replaced")) <= REPLACED * 9
    assert store.maintenance.verify().ok, store.maintenance.verify().problems
    count = store.count()
    store.maintenance.run(now=FAR)
    store.maintenance.vacuum(now=FAR)
    assert open_store(tmp_path / "store").count() == count
    assert store.maintenance.verify().ok, store.maintenance.verify().problems
    if runs.full:
        print(answers, count)  # noqa: T201  # how much was done, for who runs it in full


def meanwhile(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let *act* happen once, right after the next segment is written."""
    original = HotTier.write

    def write(tier: HotTier, frame: pl.DataFrame, region: str | None) -> Segment:
        segment = original(tier, frame, region)
        patch.undo()
        act()
        return segment

    patch.setattr(HotTier, "write", write)


@pytest.mark.parametrize("tier", ["hot", "warm"])
@pytest.mark.parametrize(("mine", "theirs"), [*itertools.permutations(CODES[1:], 2)])
def test_replacements_that_meet_do_not_mix(
    mine: int, theirs: int, tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two replacements of a batch at the same time one is the last, whatever they share with what was there."""
    store, rival = open_store(tmp_path), open_store(tmp_path)
    store.append(replaced(0, 0))
    if tier == "warm":  # where one segment holds all days of the batch
        store.maintenance.move_to_warm(now=FAR)
    meanwhile(monkeypatch, lambda: rival.append(replaced(0, theirs), on_conflict="replace"))
    store.append(replaced(0, mine), on_conflict="replace")
    check_replaced(list(store.run()))


def test_vacuum_beside_an_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an append wrote and did not commit yet survives a vacuum, however often it looks."""
    store, keeper = open_store(tmp_path), open_store(tmp_path)
    store.append(replaced(0, 0))
    meanwhile(monkeypatch, keeper.maintenance.vacuum)
    store.append([*replaced(0, 0), *replaced(1, 0)])
    assert store.count() == 18
    assert store.maintenance.verify().ok


def test_erasing_beside_an_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append that meets an erasure of calls that it brings again is not stored half."""
    store, rival = open_store(tmp_path), open_store(tmp_path)
    calls = replaced(0, 0)
    store.append(calls[:5])
    query = Query().customer("replaced")
    meanwhile(monkeypatch, lambda: rival.erase(query, reason="a test", dry_run=False))
    with contextlib.suppress(StorageError):  # a file that it was reading may be gone
        store.append(calls)
    assert store.count() in (0, 9)
    store.append(calls)
    check_replaced(list(store.run()))
    assert store.count() == 9
