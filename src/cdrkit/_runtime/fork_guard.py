"""The fork guard: an error where Polars' threads do not run after a fork.

Polars' threads do not survive a fork. A child process that needs them waits forever;
with this guard it raises an error.
"""

from __future__ import annotations

import os
from typing import Final

from cdrkit.errors import ConfigError

__all__ = ["check_process"]


class _ForkGuard:
    """The state of this process: its use of Polars, and its fork.

    Attributes:
        has_computed: Whether this process has computed with Polars.
        is_cut_off: Whether this process was forked from a process that had computed with Polars.
    """

    def __init__(self) -> None:
        self.has_computed = False
        self.is_cut_off = False

    def enter_child(self) -> None:
        """Adapt the state to a fork, in the child process."""
        self.is_cut_off = self.has_computed


_GUARD: Final = _ForkGuard()
os.register_at_fork(after_in_child=_GUARD.enter_child)


def check_process() -> None:
    """Record that this process computes with Polars, if it can.

    Raises:
        ConfigError: When it was forked from a process that had computed with Polars.
    """
    if _GUARD.is_cut_off:
        raise ConfigError(
            "This process was forked from one that had used a store, and Polars' threads do not survive a fork. Use "
            "stores in the child only; to open one before the fork is fine. Or start processes with "
            "multiprocessing's 'spawn' or 'forkserver'."
        )
    _GUARD.has_computed = True
