"""Forks: Polars' threads do not survive one, and a child that needs them waits for ever; here it is told so instead."""

from __future__ import annotations

import os
from typing import Final

from cdrkit.errors import ConfigError

__all__ = ["check_process"]

_state: Final = {"computed": False, "cut_off": False}


def check_process() -> None:
    """Remember that this process computes with Polars, unless it cannot.

    Raises:
        ConfigError: When it was forked from a process that had done so.
    """
    if _state["cut_off"]:
        raise ConfigError(
            "This process was forked from one that had used a store, and Polars' threads do not survive a fork. Use "
            "stores in the child only (opening one before the fork is fine), or start processes with "
            "multiprocessing's 'spawn' or 'forkserver'."
        )
    _state["computed"] = True


def _after_in_child() -> None:
    _state["cut_off"] = _state["computed"]


os.register_at_fork(after_in_child=_after_in_child)
