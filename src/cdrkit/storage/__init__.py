"""Storage: where calls are kept, and what the author of another tier needs."""

from __future__ import annotations

from cdrkit._engine.explain import Explanation
from cdrkit._engine.plan import Plan
from cdrkit._files.files import Entry, Files, is_url, open_files, split_url
from cdrkit._maintenance.erasure import EraseReport, check_reason, erase
from cdrkit._maintenance.lease import lease
from cdrkit._maintenance.rewrite import MoveReport, compact, rollover
from cdrkit._maintenance.vacuum import VacuumReport, VerifyReport, rebuild, vacuum, verify
from cdrkit._numbers.search import KeySearch
from cdrkit.storage.append import Append, AppendReport, Conflict
from cdrkit.storage.indexes.rollups import Totals
from cdrkit.storage.log.commit import Commit, Segment, Snapshot
from cdrkit.storage.log.log import Log
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.registry import TierFactory, make_tier
from cdrkit.storage.tiers.segment_cache import SegmentCache, default_cache_folder
from cdrkit.storage.tiers.segment_file import Found
from cdrkit.storage.tiers.tier import Hits, Rows, Tier, Tiers
from cdrkit.storage.tiers.warm import WarmTier

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
