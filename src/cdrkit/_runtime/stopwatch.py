"""The stopwatch: elapsed time, including the time in which the machine slept."""

from __future__ import annotations

import time

__all__ = ["Stopwatch"]


class Stopwatch:
    """The time since this object was created.

    It is the time of the monotonic clock or of the wall clock, whichever shows more. The monotonic clock stops while
    the machine sleeps or is paused. The wall clock may be set back.
    """

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall = time.time()

    @property
    def seconds(self) -> float:
        """The seconds since this object was created."""
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)
