"""Processes killed by SIGKILL, at random instants and at every step: no acknowledged call is lost."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from cdrkit import open_store
from tests.crash.model import (
    FAR,
    STEPPED,
    Operation,
    Runs,
    State,
    after,
    calls_of,
    check,
    check_whole,
    leftovers,
    log_of,
    perform,
    start,
)


def possible(before: State, notes: Path) -> list[State]:
    """Return the states that a process which left *notes* may leave behind: its last operation is open."""
    state, lines = before, notes.read_text().splitlines() if notes.exists() else []
    under_way: Operation | None = None
    for line in lines:
        try:
            what, operation = json.loads(line)
        except ValueError:  # the kill cut this line
            break
        if what == "done":
            state, under_way = after(state, operation), None
        else:
            under_way = operation
    return [state] if under_way is None else [state, after(state, under_way)]


def check_after_kill(folder: Path, states: list[State], story: object) -> State:
    """Check what a kill left: one of *states*, and a store that works on; return what it holds in the end."""
    store = open_store(folder)
    state = check_whole(store, states, story)
    fresh: Operation = ["append", max([499, *state]) + 1]
    perform(store, log_of(folder), fresh)
    state = after(state, fresh)
    check(open_store(folder), [state], story)
    store.maintenance.compact()  # a lease of the dead is nobody's
    store.maintenance.vacuum(now=FAR)
    check(store, [state], story)
    reopened = open_store(folder)
    check_whole(reopened, [state], story)
    assert reopened.maintenance.verify().orphans == 0, story
    assert leftovers(folder) == [], story
    return state


def killed(source: Path, folder: Path, operation: Operation, step: int) -> tuple[Path, str]:
    """Do *operation* on a copy of *source* in *folder*, killed at that step; return its notes and what it was at."""
    notes = folder.with_name(f"{folder.name}-notes")
    shutil.copytree(source, folder)
    victim = start("victim", str(folder), str(notes), "steps", str(step), json.dumps(operation))
    _, errors = victim.communicate(timeout=120)
    assert victim.returncode == -signal.SIGKILL, errors
    return notes, f"{operation} killed at step {step}"


def steps_of(source: Path, folder: Path, operation: Operation) -> list[str]:
    """Return the names of the steps that *operation* takes on a copy of *source* in *folder*."""
    notes = folder.with_name(f"{folder.name}-notes")
    shutil.copytree(source, folder)
    victim = start("victim", str(folder), str(notes), "steps", "-1", json.dumps(operation))
    output, errors = victim.communicate(timeout=120)
    assert victim.returncode == 0, errors
    names: list[str] = json.loads(output)
    return names


@pytest.mark.parametrize("name", STEPPED)
def test_killed_at_a_step(name: str, template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """Killed at any step of any operation, the store holds what it held before or after it, and works on."""
    source, before = template
    operation = STEPPED[name]
    names = steps_of(source, tmp_path / "whole", operation)
    for step in runs.some(range(len(names)), 1):
        folder = tmp_path / f"store-{step}"
        notes, story = killed(source, folder, operation, step)
        check_after_kill(folder, possible(before, notes), f"{story}, {names[step]}")
        shutil.rmtree(folder)


def test_killed_while_rebuilding_a_lost_log(template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """A rebuild that is killed at any step made the whole log or none, and can be done again."""
    source, state = tmp_path / "source", template[1]
    shutil.copytree(template[0], source)
    open_store(source).maintenance.vacuum(now=FAR)
    shutil.rmtree(source / "hot" / "_log")
    names = steps_of(source, tmp_path / "whole", ["rebuild"])
    for step in runs.some(range(len(names)), 1):
        folder = tmp_path / f"store-{step}"
        _, story = killed(source, folder, ["rebuild"], step)
        if not open_store(folder).exists:
            assert open_store(folder).maintenance.rebuild_log() == len(calls_of(state))
        check_after_kill(folder, [state], f"{story}, {names[step]}")
        shutil.rmtree(folder)


def test_killed_at_random_instants(template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """Killed at any instant of any sequence of operations, over and over, the store loses and doubles no call."""
    source, before = template
    rng = random.Random(runs.seed)
    folder = tmp_path / "store"
    for run in itertools.count():
        if run == runs.of(3, 300):
            break
        if run % 20 == 0:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder)
            state = before
        notes = tmp_path / f"notes-{run}"
        victim = start(
            "victim", str(folder), str(notes), "random", str(rng.getrandbits(32)), json.dumps(state)
        )
        while not notes.exists() and victim.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.5))
        victim.kill()
        _, errors = victim.communicate()
        assert victim.returncode == -signal.SIGKILL, errors
        state = check_after_kill(folder, possible(state, notes), f"run {run}: {notes.read_text()}")
