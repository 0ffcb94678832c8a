"""The commit log: segments, commits, snapshots and checkpoints."""

from __future__ import annotations

from cdrkit.storage.log.commit import Action, Commit
from cdrkit.storage.log.log import Log
from cdrkit.storage.log.segment import (
    APART,
    COMPANION,
    FORMAT,
    Segment,
    identity_of,
    month_of,
    overlapping_groups,
)
from cdrkit.storage.log.snapshot import Snapshot

__all__ = [
    "APART",
    "COMPANION",
    "FORMAT",
    "Action",
    "Commit",
    "Log",
    "Segment",
    "Snapshot",
    "identity_of",
    "month_of",
    "overlapping_groups",
]
