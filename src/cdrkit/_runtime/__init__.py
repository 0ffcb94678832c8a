"""Services for the running process: prefetch, plugins, fork guard and stopwatch."""

from __future__ import annotations

from cdrkit._runtime.entry_points import load_plugin, plugin_names
from cdrkit._runtime.fork_guard import check_process
from cdrkit._runtime.prefetch import prefetch_items
from cdrkit._runtime.stopwatch import Stopwatch

__all__ = ["Stopwatch", "check_process", "load_plugin", "plugin_names", "prefetch_items"]
