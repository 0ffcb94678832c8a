"""Measuring: rounds in which all take their turn, and the memory of a process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_LONGEST_TURN: Final = 0.1  # seconds that a quick question is repeated for, in one turn
_MOST_REPEATS: Final = 30
_SLOW: Final = 1.5  # seconds from which fewer rounds will do


def seconds(work: Callable[[], object]) -> float:
    """Return how long *work* takes once."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(
    works: Mapping[str, Callable[[], object]], *, rounds: int, first: Mapping[str, float]
) -> dict[str, list[float]]:
    """Return the seconds of each work, over rounds in which every peer has its turn.

    Args:
        works: What to do, by the peer's name. Each was done once before, so that caches are warm.
        rounds: How many.
        first: How long that took.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        for name, work in works.items():
            if number >= 3 and first[name] > _SLOW:
                continue
            repeats = max(1, min(_MOST_REPEATS, int(_LONGEST_TURN / max(first[name], 1e-6))))
            gc.collect()
            taken[name] += [seconds(work) for _ in range(repeats)]
    return taken


def peak_memory(folder: Path, rows: int, peer: str, question: str) -> int:
    """Return the most bytes that a process of its own had beyond mapped files, while *peer* answered there."""
    call = [sys.executable, "-m", "benchmarks.alone", json.dumps([str(folder), rows, peer, question])]
    child = subprocess.Popen(call, cwd=Path(__file__).parents[1])
    peak = 0
    while child.poll() is None:
        peak = max(peak, _anonymous_bytes(child.pid))
        time.sleep(0.005)
    if child.returncode:
        raise RuntimeError(f"{peer} could not do {question} in a process of its own")
    return peak


def _anonymous_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
