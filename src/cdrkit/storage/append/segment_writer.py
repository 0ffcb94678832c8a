"""The segment writer, which writes frames as hot segments on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Final

import polars as pl

from cdrkit.storage.log import Segment
from cdrkit.storage.tiers import Tier

__all__ = ["SegmentWriter"]

_ROWS_A_SEGMENT: Final = 1_000_000
_WORTH_THREADS: Final = 100_000
_MOST_THREADS: Final = 4


class SegmentWriter:
    """A writer that stores frames as segments in the hot tier.

    Args:
        hot: The tier to write to.
        on_written: Receives each segment, on the thread that wrote it.
    """

    def __init__(self, hot: Tier, on_written: Callable[[Segment], None]) -> None:
        self._hot = hot
        self._on_written = on_written
        self._pool: ThreadPoolExecutor | None = None
        self._running: list[Future[None]] = []

    def write(self, frames: Sequence[pl.DataFrame], region: str | None) -> None:
        """Write each frame as one segment, or a large frame as several segments.

        Threads write large amounts: one thread per core, at most four. `finish` waits for all of them.

        Args:
            frames: Frames sorted by identity, each with the calls of one UTC day. A frame may be empty.
            region: The store's region.

        Raises:
            StorageError: When this thread could not write a segment.
        """
        parts = [
            frame.slice(at, _ROWS_A_SEGMENT)
            for frame in frames
            for at in range(0, frame.height, _ROWS_A_SEGMENT)
        ]
        if sum(part.height for part in parts) < _WORTH_THREADS:
            for part in parts:
                self._write_segment(part, region)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS))
        for part in parts:
            try:
                self._running.append(self._pool.submit(self._write_segment, part, region))
            except RuntimeError:  # the interpreter is shutting down and starts no more threads
                self._write_segment(part, region)

    def finish(self) -> None:
        """Wait until all segments are written.

        Raises:
            StorageError: When a segment could not be written; other writes may still be in progress.
        """
        running, self._running = self._running, []
        for task in wait(running, return_when=FIRST_EXCEPTION).done:
            task.result()

    def close(self) -> None:
        """Cancel the writes that have not started and wait for the others to finish."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _write_segment(self, frame: pl.DataFrame, region: str | None) -> None:
        self._on_written(self._hot.write(frame, region))
