"""Measurement of times, in rounds of all peers, and of the memory of a process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_LONGEST_TURN: Final = 0.1  # seconds for which a fast query is repeated in one round
_MOST_REPEATS: Final = 30
_SLOW: Final = 1.5  # seconds from which fewer rounds are enough


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds of one run of *work*."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(
    workloads: Mapping[str, Callable[[], object]], *, rounds: int, first: Mapping[str, float]
) -> dict[str, list[float]]:
    """Return the seconds of each run, over rounds in which every peer runs once.

    Args:
        workloads: The functions by the peer's name. Each has run once, so that caches are warm.
        rounds: The number of rounds.
        first: The seconds of that first run.
    """
    taken: dict[str, list[float]] = {name: [] for name in workloads}
    for number in range(rounds):
        for name, work in workloads.items():
            if number >= 3 and first[name] > _SLOW:
                continue
            repeats = max(1, min(_MOST_REPEATS, int(_LONGEST_TURN / max(first[name], 1e-6))))
            gc.collect()
            taken[name] += [seconds(work) for _ in range(repeats)]
    return taken


def peak_memory(folder: Path, rows: int, peer: str, question: str) -> int:
    """Return the peak memory of a separate process for one query, without mapped files, in bytes."""
    call = [sys.executable, "-m", "benchmarks.query_process", json.dumps([str(folder), rows, peer, question])]
    child = subprocess.Popen(call, cwd=Path(__file__).parents[1])
    peak = 0
    while child.poll() is None:
        peak = max(peak, _anonymous_bytes(child.pid))
        time.sleep(0.005)
    if child.returncode:
        raise RuntimeError(f"{peer} failed to run {question} in a separate process")
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
