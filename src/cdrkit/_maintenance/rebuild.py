"""Rebuild a lost log: make a new log from the stored segments."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from cdrkit._maintenance.verification import IDENTITY, find_duplicates
from cdrkit._model import FIELDS, from_microseconds
from cdrkit.errors import NotFoundError, StorageError
from cdrkit.storage.log import Log, Segment, Snapshot, overlapping_groups
from cdrkit.storage.tiers import Tier

__all__ = ["write_new_log"]


def write_new_log(log: Log, tiers: Mapping[str, Tier], hot: Tier, settings: Mapping[str, Any]) -> Snapshot:
    """Make a new log from the stored segments.

    The new log includes every intact segment. A call may occur more than once, if a segment that a commit replaced was
    not yet removed by a vacuum. The version of the call in the newest segment is kept.

    Number indexes for a region other than ``settings["region"]`` are ignored.

    Args:
        log: The store's log, which must be empty.
        tiers: The tiers by name.
        hot: The tier that new segments are written to.
        settings: The settings of the store, such as ``region``.

    Raises:
        StorageError: When a log exists, a segment is damaged, or another process writes to the store.
        NotFoundError: When the store has no segments.
    """
    if log.exists:
        raise StorageError(
            f"{log.files.url} still has a log. Move its _log folder away before you make a new log."
        )
    log.reset()
    stored = [(tier, file) for tier in tiers.values() for file in tier.list_segments() if file.is_whole]
    region = settings["region"]
    if not stored:
        raise NotFoundError(
            f"The log cannot be rebuilt: {log.files.url} has no segments. Check the store's location.",
            url=log.files.url,
        )
    segments = sorted(
        (tier.load(file, region) for tier, file in stored), key=lambda segment: (segment.first, segment.id)
    )
    modified = {file.id: file.modified for _, file in stored}
    written = {segment.id: _written_at(segment, modified[segment.id]) for segment in segments}
    added: list[Segment] = []
    for group in overlapping_groups(segments):
        added += (
            group
            if len(group) == 1 or not find_duplicates(group, tiers)
            else _merge_segments(group, tiers, hot, region, written)
        )
    after = log.create(settings, added=added)  # one commit: before it, an interrupted rebuild leaves no log
    if any(segment.id not in after.segments for segment in added):
        raise StorageError(
            f"Another process wrote to {log.files.url} while its log was rebuilt. No call was lost. Try again."
        )
    return after


def _written_at(segment: Segment, modified: datetime | None) -> datetime:
    """Return the write time stored in *segment*, or the time of the segment's file.

    If neither is known, return the start of the segment's first call.
    """
    if "written" in segment.facts:
        return from_microseconds(segment.facts["written"])
    return segment.first if modified is None else modified


def _merge_segments(
    group: Sequence[Segment],
    tiers: Mapping[str, Tier],
    hot: Tier,
    region: str | None,
    written: Mapping[str, datetime],
) -> Iterable[Segment]:
    """Write the newest version of each call in *group* to new segments."""
    newest_first = sorted(group, key=lambda segment: (written[segment.id], segment.id), reverse=True)
    whole = pl.concat([tiers[segment.tier].read(segment, [*FIELDS]) for segment in newest_first])
    whole = whole.unique(IDENTITY, keep="first", maintain_order=True).sort(IDENTITY)
    days = whole["start"].dt.date()
    bounds = [*(days != days.shift(1)).fill_null(True).arg_true().to_list(), whole.height]
    return [hot.write(whole.slice(low, high - low), region) for low, high in itertools.pairwise(bounds)]
