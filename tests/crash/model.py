"""The expected content of a store: batches of calls, and the effect of each operation on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs

from cdrkit import CallRecord, Query, Store, open_store
from cdrkit._files import open_files
from cdrkit.storage.log.log import Log

#: The present of every roll-over: June and July are past the hot window of three months then.
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
#: When every grace is over.
FAR = datetime(2099, 1, 1, tzinfo=UTC)
#: How a batch may read: replacing one by another changes some of its calls only, and no mixture of two is a third.
CODES = (0b000, 0b011, 0b101, 0b110)
CALLS = 12
_FIRST_MONTH, _MONTHS = 6, 6

#: Batch numbers, and the code that each batch has.
State: TypeAlias = Mapping[int, int]
#: An operation's name and what it is about: ``["replace", 3, 0b011]``.
Operation: TypeAlias = Sequence[Any]

_T = TypeVar("_T")


@attrs.frozen
class Runs:
    """How much of everything is to be done, and what chance is seeded with."""

    full: bool
    seed: int

    def of(self, sample: int, full: int) -> int:
        """Return the one number, or the other when everything is to be done."""
        return full if self.full else sample

    def some(self, things: Sequence[_T], sample: int) -> list[_T]:
        """Return all *things*, or only so many of them, spread evenly."""
        if self.full or len(things) <= sample:
            return list(things)
        return [things[(2 * at + 1) * len(things) // (2 * sample)] for at in range(sample)]


#: Operations that are cut off at every one of their steps, on the store that `fill` makes.
STEPPED: dict[str, Operation] = {
    "append": ["append", 35],
    "append to a warm month": ["append", 36],
    "replace": ["replace", 9, 0b110],
    "replace in a warm month": ["replace", 1, 0b110],
    "compact": ["compact"],
    "rollover": ["rollover"],
    "vacuum": ["vacuum", "far"],
    "erase": ["erase", 0, 3],
    "checkpoint": ["checkpoint"],
}


def batch(number: int, code: int = 0) -> list[CallRecord]:
    """Return the calls of one batch: on three days of one of six months, with a customer of their own."""
    month, day = _FIRST_MONTH + number % _MONTHS, 3 + number // _MONTHS // 3 % 20
    first = datetime(2026, month, day, 8, tzinfo=UTC) + timedelta(seconds=number)
    return [
        CallRecord(
            call_id=f"{number:05d}-{at:02d}",
            start=first + timedelta(days=at % 3, minutes=at),
            customer_id=f"b{number}",
            source=f"+4420794{number:05d}",
            switch=f"switch-{number % 2}",
            duration=code >> at % 3 & 1,
            charge=f"0.{number % 10}1" if code else None,
        )
        for at in range(CALLS)
    ]


def calls_of(state: State) -> list[CallRecord]:
    """Return the calls of *state* in the order of the store."""
    calls = [call for number, code in state.items() for call in batch(number, code)]
    return sorted(calls, key=lambda call: (call.start, call.call_id))


def after(state: State, operation: Operation) -> State:
    """Return what *operation* makes of *state*."""
    name, *about = operation
    if name == "append":
        return {about[0]: 0, **state}
    if name == "replace":
        return {**state, about[0]: about[1]}
    if name == "erase":
        return {number: code for number, code in state.items() if number not in about}
    return state


def perform(store: Store, log: Log, operation: Operation) -> None:
    """Do *operation* to *store*, whose log is *log*."""
    name, *about = operation
    if name == "append":
        store.append(batch(about[0]))
    elif name == "replace":
        store.append(batch(*about), on_conflict="replace")
    elif name == "erase":
        query = Query().customer(*(f"b{number}" for number in about))
        store.erase(query, reason="a test", dry_run=False)
    elif name == "compact":
        store.maintenance.compact()
    elif name == "rollover":
        store.maintenance.move_to_warm(now=NOW)
    elif name == "vacuum":
        store.maintenance.vacuum(now=FAR if about else None)
    elif name == "checkpoint":
        log.checkpoint(log.snapshot())
    elif name == "rebuild":
        store.maintenance.rebuild_log()
    else:
        raise AssertionError(f"no such operation: {name}")


def log_of(folder: str | Path) -> Log:
    """Return the log of the store in *folder*."""
    return Log(open_files(f"{folder}/hot"))


def fill(folder: str | Path) -> State:
    """Make a store in which each operation has something to do; return what it holds."""
    store, log = open_store(folder), log_of(folder)
    operations: list[Operation] = [["append", number] for number in range(12)]
    operations += [["rollover"], ["vacuum", "far"], ["replace", 4, 0b011], ["erase", 5]]
    operations += [["append", number] for number in range(12, 21)]
    operations += [["replace", 2, 0b101], ["compact"], ["append", 21], ["append", 22]]
    state: State = {}
    for operation in operations:
        perform(store, log, operation)
        state = after(state, operation)
    return state


def check(store: Store, possible: Iterable[State], story: object = None) -> State:
    """Return which of the *possible* states *store* holds, exactly; an error shows *story* if it holds another."""
    found = list(store.run())
    for state in possible:
        if found == calls_of(state):
            assert store.count() == len(found), story
            return state
    raise AssertionError(
        f"{len(found)} calls that are no possible state: {_differences(found, possible)}; {story}"
    )


def check_whole(store: Store, possible: Iterable[State], story: object = None) -> State:
    """Do the same as `check`, and verify the store."""
    state = check(store, possible, story)
    report = store.maintenance.verify()
    assert report.ok, (report.problems, story)
    assert report.rows == len(calls_of(state)), story
    return state


def _differences(found: list[CallRecord], possible: Iterable[State]) -> list[str]:
    differences = []
    for state in possible:
        wanted = calls_of(state)
        lost = [call.call_id for call in wanted if call not in found]
        extra = [call.call_id for call in found if call not in wanted]
        twice = len(found) - len({(call.start, call.call_id) for call in found})
        differences.append(f"lost {lost[:20]}, extra {extra[:20]}, repeated {twice}")
    return differences


def leftovers(folder: str | Path) -> list[str]:
    """Return the temporary files that lie below *folder*."""
    return [name for _, _, names in os.walk(folder) for name in names if name.startswith(".tmp-")]


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python process of its own that runs *module* of these tests."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.crash.{module}", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
