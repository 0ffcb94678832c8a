"""Tiers: how hot and warm segments are written and read."""

from __future__ import annotations

from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.orphans import check_not_vacuumed, is_older
from cdrkit.storage.tiers.registry import TierFactory, Tiers, make_tier
from cdrkit.storage.tiers.segment_cache import SegmentCache, default_cache_folder
from cdrkit.storage.tiers.segment_file import SegmentFile
from cdrkit.storage.tiers.tier import Hits, Rows, Tier
from cdrkit.storage.tiers.warm import WarmTier

__all__ = [
    "Hits",
    "HotTier",
    "Rows",
    "SegmentCache",
    "SegmentFile",
    "Tier",
    "TierFactory",
    "Tiers",
    "WarmTier",
    "check_not_vacuumed",
    "default_cache_folder",
    "is_older",
    "make_tier",
]
