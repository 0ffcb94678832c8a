"""How long ago something was, also where the machine slept meanwhile."""

from __future__ import annotations

import time

__all__ = ["Elapsed"]


class Elapsed:
    """The time since it was made, by whichever clock says more.

    The monotonic clock stands still while a machine sleeps or is paused; the other one may be set back.
    """

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall = time.time()

    @property
    def seconds(self) -> float:
        """How long that is."""
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)
