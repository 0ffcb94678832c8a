"""A stopwatch that continues to count while the machine sleeps."""

from __future__ import annotations

import time

__all__ = ["Stopwatch"]


class Stopwatch:
    """A stopwatch that starts when it is created.

    The elapsed time is measured with the monotonic clock and the wall clock; the longer time counts. The monotonic
    clock stops while the machine sleeps or is paused. The wall clock may be set back.
    """

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall = time.time()

    @property
    def seconds(self) -> float:
        """The number of seconds since this object was created."""
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)
