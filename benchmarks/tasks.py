"""The tasks that only cdrkit does: import of a switch's file, and a store of many segments."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

import cdrkit
from cdrkit.samples import synthesize_calls

from .data import DAYS, END, asterisk_file
from .measurement import seconds

_SEGMENTS: Final = 1000
_OPENING: Final = """
import sys, time
from cdrkit import open_store  # loaded here: cdrkit resolves its names lazily
started = time.perf_counter()
assert open_store(sys.argv[1]).exists
print(1000 * (time.perf_counter() - started))
"""


def ingested(work: Path, lines: int, *, rounds: int) -> float:
    """Return the number of Asterisk CSV lines that a new store imports a second."""
    path, folder = asterisk_file(work, lines), work / "cdrkit-ingest"
    taken = []
    for _ in range(rounds):
        shutil.rmtree(folder, ignore_errors=True)
        store = cdrkit.open_store(folder, region="GB")
        taken.append(
            seconds(lambda: store.ingest(path, format="asterisk-csv", timezone="Europe/London"))  # noqa: B023  # called at once
        )
        assert store.count() > 0.99 * lines
    shutil.rmtree(folder)
    return lines / statistics.median(taken)


def many_segments(work: Path) -> Path:
    """Return the folder of a new store with about 1,000 segments, one for each append."""
    folder = work / "cdrkit-segments"
    shutil.rmtree(folder, ignore_errors=True)
    store = cdrkit.open_store(folder, region="GB")
    calls = synthesize_calls(20 * _SEGMENTS, days=DAYS, end=END).combine_chunks()
    for number in range(_SEGMENTS):
        store.append(calls.slice(20 * number, 20))
    return folder


def opened(folder: Path, *, rounds: int) -> float:
    """Return the milliseconds to open a store in a new process, without the import."""
    call = [sys.executable, "-c", _OPENING, str(folder)]
    told = [subprocess.run(call, check=True, capture_output=True, text=True).stdout for _ in range(rounds)]
    return statistics.median(map(float, told))


def refreshed(folder: Path) -> float:
    """Return the milliseconds in which an open store detects that no version is new."""
    store = cdrkit.open_store(folder)
    assert store.exists
    return 1000 * statistics.median(seconds(lambda: store.exists) for _ in range(1000))
