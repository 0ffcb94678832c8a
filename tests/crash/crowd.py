"""One of many processes that use a store at the same time, until a given moment.

Run as ``python -m tests.crash.crowd ROLE FOLDER NUMBER UNTIL``. Each writer notes which batches it began and which
are done, in a file of its own; a reader compares the calls it sees with these notes.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cdrkit import CallRecord, Query, Store, open_store
from cdrkit.errors import ConflictError
from tests.crash.model import CODES, NOW

#: Batch *k* holds the tens *k* and *k* + 1: each ten is in two batches, and in no store alone.
TEN = 10
REPLACED = 6
#: Seconds in which a busy machine has started a process.
PATIENCE = 60
_FIRST = datetime(2026, 6, 2, tzinfo=UTC)


def ten(number: int) -> list[CallRecord]:
    """Return ten calls; the tens go through six months over and over."""
    start = _FIRST + timedelta(days=number * 37 % 170, seconds=number)
    return [
        CallRecord(
            call_id=f"{number:05d}-{at}", start=start + timedelta(minutes=at), customer_id="overlapping"
        )
        for at in range(TEN)
    ]


def overlapping(number: int) -> list[CallRecord]:
    """Return the calls of one of the overlapping batches."""
    return [*ten(number), *ten(number + 1)]


def replaced(number: int, code: int) -> list[CallRecord]:
    """Return one of the batches that are replaced by one another: the codes that it may read have an even parity."""
    start = _FIRST + timedelta(days=number * 28, hours=5)
    return [
        CallRecord(
            call_id=f"r{number}-{at}",
            start=start + timedelta(days=at % 3, minutes=at),
            customer_id="replaced",
            duration=code >> at % 3 & 1,
        )
        for at in range(9)
    ]


class Notes:
    """What the writers note: a line for each batch begun and done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at: dict[Path, int] = {}
        self.begun: set[int] = set()
        self.done: set[int] = set()

    def read(self) -> None:
        """Read what was noted since."""
        for path in self._folder.glob("notes-*"):
            with path.open("rb") as file:
                file.seek(self._at.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._at[path] = self._at.get(path, 0) + len(line)
                    what, number = json.loads(line)
                    (self.begun if what == "begin" else self.done).add(number)


def tens_of(batches: Iterable[int]) -> set[int]:
    """Return the tens that are in these overlapping batches."""
    return {number for batch in batches for number in (batch, batch + 1)}


def write(store: Store, folder: Path, number: int, until: float) -> dict[str, int]:
    """Append overlapping batches that other writers append, too, and replace some that others replace, too."""
    rng = random.Random(number)
    note = os.open(folder / f"notes-{number}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    added = turns = 0
    while time.time() < until:
        batch = turns // 2 + rng.randrange(6)
        os.write(note, json.dumps(["begin", batch]).encode() + b"\n")
        added += store.append(overlapping(batch)).added
        os.write(note, json.dumps(["done", batch]).encode() + b"\n")
        if rng.random() < 0.25:
            calls = replaced(rng.randrange(REPLACED), rng.choice(CODES))
            store.append(calls, on_conflict="replace")
        turns += 1
    return {"turns": turns, "added": added}


def wait_for(store: Store) -> None:
    """Wait until a writer has made the store: before that there is nothing to see."""
    begun = time.monotonic()
    while not store.exists:
        assert time.monotonic() - begun < PATIENCE, "no writer made the store"
        time.sleep(0.01)


def keep(store: Store, folder: Path, number: int, until: float) -> dict[str, int]:
    """Compact, roll over and vacuum, over and over."""
    turns = moved = busy = 0
    while time.time() < until:
        for job in (
            store.maintenance.compact,
            lambda: store.maintenance.move_to_warm(now=NOW),
            store.maintenance.vacuum,
        ):
            try:
                report = job()
                moved += getattr(report, "written", 0)
            except ConflictError:
                busy += 1
        turns += 1
    return {"turns": turns, "moved": moved, "busy": busy}


def pages(store: Store, query: Query, size: int) -> Iterator[CallRecord]:
    """Yield the calls of *query*, page by page, each page of the store as it is then."""
    cursor = None
    for _ in itertools.count():
        page = store.run(query if cursor is None else query.after(cursor)).page(size)
        yield from page.records
        cursor = page.next_cursor
        if cursor is None:
            return


def read(store: Store, folder: Path, number: int, until: float) -> dict[str, int]:
    """Ask over and over, in turn: for counts, for everything at once, page by page; check each answer."""
    rng = random.Random(number)
    notes = Notes(folder)
    mine, theirs = (Query().customer(name) for name in ("overlapping", "replaced"))
    seen: set[int] = set()
    counted = turns = 0
    while time.time() < until:
        notes.read()
        certain = tens_of(notes.done) | seen
        if rng.random() < 0.2:
            store = open_store(folder / "store")
        way = rng.choice(["count", "whole", "whole", "pages"])
        if way == "count":
            found = store.count(mine)
            assert found % TEN == 0, found
            counted = max(counted, found)
            assert found >= max(counted, TEN * len(certain)), (found, counted, len(certain))
        else:
            query = mine if rng.random() < 0.5 else mine.newest_first()
            calls = (
                list(store.run(query))
                if way == "whole"
                else list(pages(store, query, rng.choice([7, 40, 200])))
            )
            keys = [(call.start, call.call_id) for call in calls]
            assert keys == sorted(set(keys), reverse=query != mine), "out of order, or twice"
            ids = {call.call_id for call in calls}
            found_tens = {int(call_id[:5]) for call_id in ids}
            assert certain <= found_tens, f"lost: {sorted(certain - found_tens)}"
            seen |= found_tens if way == "whole" else set()
            if way == "whole":
                assert ids == {call.call_id for one in found_tens for call in ten(one)}, "half a batch"
                alone = {n for n in found_tens if n - 1 not in found_tens and n + 1 not in found_tens}
                assert not alone, f"half a batch: {sorted(alone)}"
                assert len(calls) >= counted, (len(calls), counted)
                counted = len(calls)
        check_replaced(list(store.run(theirs)))
        notes.read()
        assert seen <= tens_of(notes.begun), "never appended"
        turns += 1
    return {"turns": turns}


def check_replaced(calls: list[CallRecord]) -> None:
    """Check that each of the replaced batches is there whole, with one of its contents."""
    for number in {call.call_id.partition("-")[0] for call in calls}:
        found = [call for call in calls if call.call_id.startswith(f"{number}-")]
        possible = [replaced(int(number[1:]), code) for code in CODES]
        assert sorted(found, key=lambda call: call.call_id) in possible, f"a mixture: {found}"


def main(role: str, folder: str, number: str, seconds: str) -> None:
    """Do what the module says, for so long: from now on, as a busy machine takes its time to start a process."""
    work = {"write": write, "keep": keep, "read": read}[role]
    place = Path(folder)
    store = open_store(place / "store")
    if role != "write":
        wait_for(store)
    sys.stdout.write(json.dumps(work(store, place, int(number), time.time() + float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
