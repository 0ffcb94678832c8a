"""Orphans: segments that are not in any commit.

A vacuum may mistake uncommitted segments for orphans, so each commit checks the age of its segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cdrkit._model import MICROSECOND, to_microseconds
from cdrkit.errors import StorageError
from cdrkit.storage.log import Segment, Snapshot
from cdrkit.storage.tiers.segment_file import SegmentFile
from cdrkit.storage.tiers.tier import Tier

__all__ = ["check_not_vacuumed", "is_older"]

#: The greatest difference between the clocks of a writer and of its storage.
_CLOCK_DIFFERENCE: Final = timedelta(minutes=5)
#: Segments older than this are looked up before they are committed. A vacuum spares orphans for a day.
_SAFE: Final = timedelta(hours=12)
#: Segments older than this are never committed: a vacuum may delete them between the look-up and the commit.
_AT_RISK: Final = timedelta(hours=23)


def is_older(file: SegmentFile, snapshot: Snapshot) -> bool:
    """Return whether an orphan was written before the log was created."""
    created = snapshot.created
    return created is not None and file.modified is not None and file.modified < created - _CLOCK_DIFFERENCE


def check_not_vacuumed(tiers: Mapping[str, Tier], segments: Iterable[Segment]) -> None:
    """Raise an error if a vacuum may have deleted *segments* as orphans.

    Args:
        tiers: The tiers of the store by name.
        segments: The segments to commit.

    Raises:
        StorageError: When a segment is missing, or may be deleted before the commit.
    """
    now = to_microseconds(datetime.now(UTC))
    segments = tuple(segments)
    old = {(s.tier, s.id) for s in segments if now - s.facts.get("written", 0) > _SAFE // MICROSECOND}
    if not old:
        return
    existing = {(name, file.id) for name, tier in tiers.items() for file in tier.list_segments()}
    oldest = min(s.facts.get("written", now) for s in segments)
    if not existing.issuperset(old) or now - oldest > _AT_RISK // MICROSECOND:
        raise StorageError(
            "This operation took so long that a vacuum may have deleted some of the operation's files. Nothing was "
            "changed. Repeat the operation in smaller parts."
        )
