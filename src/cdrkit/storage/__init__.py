"""Storage: where calls are kept, and what the author of another tier needs."""

from __future__ import annotations

from .._searches import KeySearch
from ._append import Append, AppendReport, Conflict
from ._cache import SegmentCache, default_cache_folder
from ._commits import Commit, Segment, Snapshot
from ._erasing import EraseReport, check_reason, erase
from ._explaining import Explanation
from ._files import Entry, Files, is_url, open_files, split_url
from ._hot import HotTier
from ._keeping import VacuumReport, VerifyReport, rebuild, vacuum, verify
from ._kinds import TierFactory, make_tier
from ._lease import lease
from ._log import Log
from ._moving import MoveReport, compact, rollover
from ._planner import Plan
from ._segmentfiles import Found
from ._tiers import Hits, Rows, Tier, Tiers
from ._totals import Totals
from ._warm import WarmTier

__all__ = [
    "Append",
    "AppendReport",
    "Commit",
    "Conflict",
    "Entry",
    "EraseReport",
    "Explanation",
    "Files",
    "Found",
    "Hits",
    "HotTier",
    "KeySearch",
    "Log",
    "MoveReport",
    "Plan",
    "Rows",
    "Segment",
    "SegmentCache",
    "Snapshot",
    "Tier",
    "TierFactory",
    "Tiers",
    "Totals",
    "VacuumReport",
    "VerifyReport",
    "WarmTier",
    "check_reason",
    "compact",
    "default_cache_folder",
    "erase",
    "is_url",
    "lease",
    "make_tier",
    "open_files",
    "rebuild",
    "rollover",
    "split_url",
    "vacuum",
    "verify",
]
