"""The running process: prefetching, entry points, forks and elapsed time."""

from __future__ import annotations

from cdrkit._runtime.entry_points import names_of, plugged_in
from cdrkit._runtime.fork_guard import check_process
from cdrkit._runtime.prefetch import ahead
from cdrkit._runtime.stopwatch import Elapsed

__all__ = ["Elapsed", "ahead", "check_process", "names_of", "plugged_in"]
