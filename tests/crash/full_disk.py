"""A process whose disk fills up in the middle of an operation, at every file it writes.

Run as ``python -m tests.crash.full_disk SOURCE FOLDER HELD OPERATION SAMPLE``; SOURCE holds the store to copy, and HELD
what is in it. It prints how often the disk was full.
"""

from __future__ import annotations

import builtins
import json
import resource
import shutil
import signal
import sys
from typing import IO

from cdrkit import open_store
from cdrkit._files import local
from cdrkit.errors import StorageError
from tests.crash.model import Operation, Runs, State, after, check, check_whole, leftovers, log_of, perform

_SOFT, _HARD = resource.getrlimit(resource.RLIMIT_FSIZE)


class Disk:
    """A disk that has but so many bytes left for each file, from the *nth* file on that is written."""

    def __init__(self, nth: int, room: int) -> None:
        self.nth, self.room = nth, room
        self.written = 0
        local.open = self.open  # type: ignore[attr-defined]

    def open(self, path: str, mode: str) -> IO[bytes]:
        """Open a file as `open` does."""
        if "x" in mode:
            if self.written == self.nth:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, _HARD))
            self.written += 1
        return builtins.open(path, mode)


def fill_disk(
    source: str, folder: str, held: State, operation: Operation, nth: int, room: int
) -> tuple[bool, int]:
    """Do *operation* on a copy while the disk fills up; return whether it was refused, and the files it wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    store, log = open_store(folder), log_of(folder)
    disk = Disk(nth, room)
    refused = False
    try:
        perform(store, log, operation)
    except StorageError as exc:
        refused = True
        assert "Make room" in str(exc), exc
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_SOFT, _HARD))
        disk.nth = -1
    story = f"{operation} with {room} bytes from file {nth} on, {'refused' if refused else 'done'}"
    wanted = held if refused else after(held, operation)
    check(store, [wanted], story)
    check_whole(open_store(folder), [wanted], story)
    assert leftovers(folder) == [], story
    perform(store, log, operation)
    wanted = after(wanted, operation)
    check(store, [wanted], story)
    return refused, disk.written


def main(source: str, folder: str, held: str, operation: str, sample: str) -> None:
    """Do what the module says."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    state: State = {int(key): code for key, code in json.loads(held).items()}
    about: Operation = json.loads(operation)
    refused, written = fill_disk(source, folder, state, about, -1, 0)
    assert not refused
    runs = Runs(sample == "0", 0)
    first, *others = [(nth, room) for room in (0, 100, 4096) for nth in range(written)]
    cases = [first, *runs.some(others, int(sample))]
    found = [fill_disk(source, folder, state, about, nth, room)[0] for nth, room in cases]
    sys.stdout.write(f"{sum(found)} {len(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
