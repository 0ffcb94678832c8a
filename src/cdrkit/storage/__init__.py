"""Storage: where calls are kept, and what the author of another tier needs."""

from __future__ import annotations

from ._append import Append, AppendReport, Conflict
from ._files import Entry, Files, open_files, split_url
from ._hot import HotTier
from ._log import Commit, Log, Segment, Snapshot
from ._planner import Plan
from ._tiers import Tier

__all__ = [
    "Append",
    "AppendReport",
    "Commit",
    "Conflict",
    "Entry",
    "Files",
    "HotTier",
    "Log",
    "Plan",
    "Segment",
    "Snapshot",
    "Tier",
    "open_files",
    "split_url",
]
