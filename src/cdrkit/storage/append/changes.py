"""The segments that an append adds and removes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import polars as pl

from cdrkit.errors import CdrError
from cdrkit.storage.log import Segment, Snapshot
from cdrkit.storage.tiers import Tier

__all__ = ["SegmentChanges", "delete_segments", "select_overlapping"]


@attrs.define(eq=False)
class SegmentChanges:
    """The segments that an append adds and removes, keyed by id.

    Attributes:
        fresh: New segments that hold rows that the append adds to the store.
        rewritten: New segments that hold the remaining rows of segments of which some rows were replaced.
        removed: The snapshot's segments that the rewritten segments replace.
    """

    fresh: dict[str, Segment] = attrs.field(factory=dict)
    rewritten: dict[str, Segment] = attrs.field(factory=dict)
    removed: dict[str, Segment] = attrs.field(factory=dict)

    @property
    def added(self) -> Sequence[Segment]:
        """All segments that the append adds to the store."""
        return [*self.fresh.values(), *self.rewritten.values()]

    @property
    def rows(self) -> int:
        """The number of rows that the append adds."""
        return sum(segment.rows for segment in self.fresh.values())

    @property
    def is_empty(self) -> bool:
        """Whether the append changes nothing and needs no commit."""
        return not self.fresh and not self.removed

    def add(self, segment: Segment) -> None:
        """Add *segment*, which holds rows that the append adds to the store."""
        self.fresh[segment.id] = segment

    def apply(self, base: Snapshot) -> Sequence[Segment]:
        """Return the segments that result when these changes are applied to *base*."""
        unchanged = (segment for segment in base.segments.values() if segment.id not in self.removed)
        return [*unchanged, *self.rewritten.values(), *self.fresh.values()]

    def holds(self, identity: str) -> bool:
        """Return whether the append adds the segment with this id."""
        return identity in self.fresh or identity in self.rewritten


def select_overlapping(frame: pl.DataFrame, segments: Iterable[Segment]) -> Iterator[Segment]:
    """Yield the segments whose time range contains the start of a call in *frame*.

    *frame* is sorted by ``start``.
    """
    if not frame.height:
        return
    starts = frame["start"]
    first, last = starts[0], starts[-1]
    for segment in segments:
        # A segment within the span of the whole frame is not enough: a single very old call in the frame must not
        # open every segment since then.
        if (
            segment.first <= last
            and segment.last >= first
            and starts.search_sorted(segment.first, "left") < starts.search_sorted(segment.last, "right")
        ):
            yield segment


def delete_segments(tiers: Mapping[str, Tier], segments: Iterable[Segment]) -> None:
    """Delete uncommitted segments.

    No commit may name any of *segments*. A segment that cannot be deleted stays behind as an orphan.
    """
    for segment in segments:
        with contextlib.suppress(CdrError):
            tiers[segment.tier].remove(segment)
