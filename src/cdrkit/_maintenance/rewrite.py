"""Rewrites: write new segments, check them, and replace the old segments.

An interrupted job leaves the store unchanged. The vacuum removes the segments that the job had written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._engine import Plan
from cdrkit._maintenance.fingerprint import Fingerprint
from cdrkit._model import FIELDS
from cdrkit._query import Query
from cdrkit.errors import CdrError, CorruptDataError
from cdrkit.storage.log import Action, Commit, Log, Segment, Snapshot
from cdrkit.storage.tiers import Tier, check_not_vacuumed

__all__ = ["discard_segments", "read_segments", "rewrite_segments", "swap_segments"]

#: The number of rows read at once to compare written segments.
_ROWS_COMPARED: Final = 61_440


def read_segments(
    snapshot: Snapshot, tiers: Mapping[str, Tier], segments: Sequence[Segment]
) -> Iterator[pl.DataFrame]:
    """Yield the calls of *segments* in chronological order, using bounded memory."""
    narrowed = attrs.evolve(snapshot, segments={segment.id: segment for segment in segments})
    plan = Plan.of(Query().oldest_first(), narrowed, tiers, snapshot.region, datetime.now(UTC))
    return plan.frames(tuple(FIELDS))


def rewrite_segments(
    log: Log,
    tier: Tier,
    frames: Iterable[pl.DataFrame],
    sources: Sequence[Segment],
    tiers: Mapping[str, Tier],
    *,
    rows_each: int,
) -> list[Segment]:
    """Write the calls of *sources* to new segments, and check the new segments.

    The check reads the new segments back, and compares their calls with those of *sources*.

    Args:
        log: The store's log.
        tier: The tier to write to.
        frames: The calls of *sources*, in chronological order.
        sources: The segments that hold the calls now.
        tiers: The tiers by name.
        rows_each: The approximate number of rows in each new segment.

    Raises:
        CorruptDataError: When the new segments differ from the sources. The new segments are removed.
    """
    region = log.snapshot().region
    fresh: list[Segment] = []
    rows = sum(segment.rows for segment in sources)
    pieces = -(-rows * 4 // (rows_each * 5))  # a segment may exceed rows_each by a quarter
    try:
        for piece in _split_evenly(frames, rows, pieces):
            fresh.append(tier.write(piece, region))
            del piece  # free the last piece before the comparison
        expected = Fingerprint.of(_read_pieces(sources, tiers))
        actual = Fingerprint.of(_read_pieces(fresh, tiers))
        if expected != actual:
            raise CorruptDataError(
                f"cdrkit wrote {expected.rows} calls to the {tier.name} tier, but the {actual.rows} calls that it read "
                "back differ. The store is unchanged. Check the storage, then try again."
            )
    except BaseException:
        discard_segments(tiers, fresh)
        raise
    return fresh


def _split_evenly(frames: Iterable[pl.DataFrame], rows: int, pieces: int) -> Iterator[pl.DataFrame]:
    """Split the rows of *frames* into parts of about equal size.

    *rows* is the total number of rows, and *pieces* is the number of parts. Parts of equal size prevent each job from
    writing a small segment for the remainder.
    """
    pending: list[pl.DataFrame] = []
    for frame in frames:
        pending.append(frame)
        while pieces > 1 and sum(part.height for part in pending) > (even := -(-rows // pieces)):
            whole = pl.concat(pending)
            cut = _cut_row(whole["start"], even)
            yield whole.head(cut)
            pending = [whole.slice(cut)]
            rows, pieces = rows - cut, pieces - 1
    left = pl.concat(pending)
    if left.height:
        yield left


def _read_pieces(segments: Iterable[Segment], tiers: Mapping[str, Tier]) -> Iterator[pl.DataFrame]:
    """Yield all calls of *segments* in frames of bounded size."""
    for segment in segments:
        for at in range(0, segment.rows, _ROWS_COMPARED):
            rows = range(at, min(at + _ROWS_COMPARED, segment.rows))
            yield tiers[segment.tier].read(segment, [*FIELDS], rows)


def _cut_row(starts: pl.Series, row: int) -> int:
    """Move the cut back to the first row whose start time equals that of *row*.

    Switches write whole seconds. Two segments that share a second overlap, so a page from the later segment would read
    both. If too many calls share the instant, the cut is at *row* itself.
    """
    before = starts.search_sorted(starts[row], "left")
    return before if 2 * before > row else row


def swap_segments(
    log: Log,
    tiers: Mapping[str, Tier],
    action: Action,
    sources: Sequence[Segment],
    fresh: Sequence[Segment],
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Snapshot | None:
    """Replace the segments *sources* with the new segments *fresh* in one commit.

    Returns:
        The new snapshot. None if another writer has already replaced one of *sources*; *fresh* is then removed.
    """
    attempt: Commit | None = None
    try:
        while True:
            base = log.snapshot()
            if any(source.id not in base.segments for source in sources):
                discard_segments(tiers, fresh)
                return None
            check_not_vacuumed(tiers, fresh)
            attempt = log.draft(base, action, added=fresh, removed=[s.id for s in sources], facts=facts)
            after = log.write(base, attempt)
            if after is not None:
                break
            attempt = None
    except BaseException:
        # An interrupted commit may have taken effect. The fresh segments then belong to the store.
        if attempt is None or log.is_refused(attempt):
            discard_segments(tiers, fresh)
        raise
    log.checkpoint_if_due(after)
    return after


def discard_segments(tiers: Mapping[str, Tier], segments: Iterable[Segment]) -> None:
    """Try to remove uncommitted segments; the vacuum removes those that remain."""
    for segment in segments:
        with contextlib.suppress(CdrError):
            tiers[segment.tier].remove(segment)
