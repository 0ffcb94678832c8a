"""The fork guard: raise an error if a process fork stopped Polars' threads.

Polars' threads do not survive a fork. A child process that needs the threads would wait forever; the guard raises an
error instead.
"""

from __future__ import annotations

import os
from typing import Final

from cdrkit.errors import ConfigError

__all__ = ["check_process"]


class _ForkGuard:
    """A record of whether this process or its parent process has used Polars.

    Attributes:
        has_computed: Whether this process has computed with Polars.
        is_cut_off: Whether this process was forked from a process that had computed with Polars.
    """

    def __init__(self) -> None:
        self.has_computed = False
        self.is_cut_off = False

    def enter_child(self) -> None:
        """In a forked child process, record whether the parent process had used Polars."""
        self.is_cut_off = self.has_computed


_GUARD: Final = _ForkGuard()
os.register_at_fork(after_in_child=_GUARD.enter_child)


def check_process() -> None:
    """Record that Polars is in use; raise an error if a process fork stopped it.

    Raises:
        ConfigError: When this process was forked from a process that had computed with Polars.
    """
    if _GUARD.is_cut_off:
        raise ConfigError(
            "This process was forked from a process that had used a store, and Polars' threads do not survive a "
            "fork. You can open a store before the fork, but use the store only after the fork. Alternatively, start "
            "processes with multiprocessing's 'spawn' or 'forkserver'."
        )
    _GUARD.has_computed = True
