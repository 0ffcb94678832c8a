"""The types for a custom storage tier: the tier protocol, segments and files."""

from __future__ import annotations

from cdrkit._files import Entry, Files, open_files
from cdrkit._numbers import KeySearch
from cdrkit.storage.indexes import Totals
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers import Hits, Rows, SegmentFile, Tier, TierFactory

__all__ = [
    "Entry",
    "Files",
    "Hits",
    "KeySearch",
    "Rows",
    "Segment",
    "SegmentFile",
    "Tier",
    "TierFactory",
    "Totals",
    "open_files",
]
