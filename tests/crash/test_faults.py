"""Failing services and disks: an operation raises, and the store equals its state before or after it."""

from __future__ import annotations

import builtins
import contextlib
import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from cdrkit import Store, open_store
from cdrkit._files import local, open_files
from cdrkit.errors import CdrError
from cdrkit.storage.log.log import Log
from tests.crash.faulty import Faults, FaultyFileSystem, new_service
from tests.crash.model import (
    FAR,
    Operation,
    Runs,
    State,
    after,
    calls_of,
    check_whole,
    fill,
    perform,
)
from tests.crash.victim import draw

URL = "faulty://store"


def sequence(
    faults: Faults, rng: random.Random, url: str, state: State, length: int, refresh: Callable[[], None]
) -> None:
    """Do *length* operations while things fail; between some of them nothing fails and the store is looked at.

    What an operation that raised has done is unknown until the store is looked at: until then every state that it may
    have led to is possible.
    """
    possible: list[State] = [state]
    store, log = open_store(url), Log(open_files(f"{url}/hot"))
    story: list[object] = []

    def settled() -> State:
        faults.rate = 0
        found = check_whole(open_store(url), possible, story)
        assert list(store.run()) == calls_of(found), story  # the store that lived through the faults, too
        return found

    for _ in range(length):
        operation = draw(rng, possible[0])
        faults.rate = rng.choice([0, 0.01, 0.05, 0.2])
        faults.reached.clear()
        raised = attempt(store, log, operation)
        story.append([operation, raised, list(faults.reached)])
        changed = [after(each, operation) for each in possible]
        possible = changed if raised is None else [*possible, *changed]
        faults.rate = 0
        if operation[0] == "vacuum":
            refresh()
        if raised is not None or rng.random() < 0.2:
            possible = [settled()]
        if rng.random() < 0.3:
            store = open_store(url)
    state = settled()
    refresh()
    perform(store, log, ["append", 90_000])
    store.maintenance.move_to_warm(now=FAR)
    store.maintenance.compact()
    store.maintenance.vacuum(now=FAR)
    check_whole(open_store(url), [after(state, ["append", 90_000])], story)
    assert open_store(url).maintenance.verify().orphans == 0, story


def attempt(store: Store, log: Log, operation: Operation) -> str | None:
    """Do *operation*, and read everything; return what it raised, which must be an error of cdrkit's."""
    try:
        perform(store, log, operation)
    except CdrError as exc:
        return repr(exc)
    with contextlib.suppress(CdrError):
        list(store.run())
    return None


def test_failing_service(runs: Runs) -> None:
    """Errors, timeouts, lost answers, short reads and old listings: cdrkit's errors, and no call lost or doubled."""
    new_service(0)
    held = fill(URL)
    kept = dict(FaultyFileSystem.store)
    for run in range(runs.of(2, 150)):
        faults = new_service(runs.seed + run)
        FaultyFileSystem.store.update(kept)
        rng = random.Random(runs.seed + run)
        sequence(faults, rng, URL, held, 12, FaultyFileSystem.listing.clear)


class FaultyDisk:
    """The local disk, some of whose operations raise before or after they took effect; writes are torn."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put it in the place of the disk."""
        for name in ("link", "replace", "unlink", "mkdir", "fsync", "stat", "walk"):
            patch.setattr(os, name, self._around(name, getattr(os, name)))
        patch.setattr(local, "open", self._open, raising=False)

    def _error(self) -> OSError:
        code = self._faults.rng.choice([errno.EIO, errno.ENOSPC, errno.ETIMEDOUT, errno.EACCES])
        return OSError(code, f"{os.strerror(code)}, on purpose")

    def _around(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*args: Any, **kwargs: Any) -> Any:
            before, late = self._faults.around(f"{name} {args}")
            if before:
                raise self._error()
            result = original(*args, **kwargs)
            if late and name in ("link", "replace", "unlink", "mkdir"):
                raise self._error()
            return result

        return failing

    def _open(self, path: str, mode: str) -> IO[bytes]:
        if self._faults.strike(f"open of {path} for {mode} failed"):
            raise self._error()
        file: IO[bytes] = builtins.open(path, mode)  # noqa: SIM115  # the caller closes it
        if "x" in mode:
            original = file.write

            def write(data: memoryview) -> int:
                if self._faults.strike(f"write of {path} torn"):
                    original(data[: self._faults.rng.randrange(len(data))])
                    raise self._error()
                return original(data)

            file.write = write  # type: ignore[method-assign, assignment]
        return file


@pytest.fixture
def faulty_disk() -> Iterator[Faults]:
    """Make the local disk one that fails as the returned faults say."""
    faults = Faults(0)
    with pytest.MonkeyPatch.context() as patch:
        FaultyDisk(faults).install(patch)
        yield faults


def test_failing_disk(tmp_path: Path, faulty_disk: Faults, runs: Runs) -> None:
    """Torn writes and failing calls of a local disk: cdrkit's errors, and no call lost or doubled."""
    held = fill(tmp_path / "template")
    for run in range(runs.of(1, 100)):
        faulty_disk.rng = random.Random(runs.seed + run)
        folder = tmp_path / f"store-{run}"
        shutil.copytree(tmp_path / "template", folder)
        sequence(faulty_disk, random.Random(runs.seed + run), str(folder), held, 12, lambda: None)
        shutil.rmtree(folder)
