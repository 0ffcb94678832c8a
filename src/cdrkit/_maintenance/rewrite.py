"""Moving calls between segments: compaction within the hot tier, and roll-over from the hot tier to the warm one.

Both write new segments, read them back, compare them with what they were made from, and only then swap them in
one commit. Cut off anywhere, the store is as before; what was written meanwhile is swept up by `vacuum`.
"""

from __future__ import annotations

import contextlib
import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._engine import Plan
from cdrkit._model import FIELDS, FRAME_TYPES, months_before
from cdrkit._query import Query
from cdrkit._text import html_report
from cdrkit.errors import CdrError, ConfigError, CorruptDataError
from cdrkit.storage.log import Action, Commit, Log, Segment, Snapshot, month_of
from cdrkit.storage.tiers import Tier, check_not_vacuumed

__all__ = ["Fingerprint", "MoveReport", "compact_days", "move_months", "rewritten", "swapped"]

#: A hot segment with fewer rows than this is worth merging with its neighbours.
_SMALL: Final = 250_000
_ROWS_A_HOT_SEGMENT: Final = 1_000_000
#: Rows of a warm segment: what a search has to read when a number index points at one call in it.
_ROWS_A_WARM_SEGMENT: Final = 245_760
#: Rows that are read at once when what was written is compared.
_ROWS_COMPARED: Final = 61_440
_SEEDS: Final = (20_261_124, 4_211_620_102)


@attrs.frozen(kw_only=True)
class MoveReport:
    """What a compaction or a roll-over did.

    Attributes:
        rows: Calls that were written anew.
        read: Segments that they were in before.
        written: Segments that they are in now.
        months: The UTC months that were moved, as ``2026-08``; of a compaction, none.
        skipped: Months or days left for the next time because someone else changed them meanwhile.
        dry_run: Whether it was only looked at what there is to do; ``written`` is 0 then.
    """

    rows: int = 0
    read: int = 0
    written: int = 0
    months: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    dry_run: bool = False

    def _repr_html_(self) -> str:
        return html_report(self)


@attrs.frozen
class Fingerprint:
    """The count and an order-independent checksum of rows; two sets of rows with the same one are the same."""

    rows: int
    sums: tuple[int, ...]

    @classmethod
    def of(cls, frames: Iterable[pl.DataFrame]) -> Fingerprint:
        """Return the fingerprint of all rows of *frames* together; it holds within this process only."""
        rows, sums = 0, [0] * len(_SEEDS)
        for frame in frames:
            whole = frame.select(
                pl.col(name).cast(pl.String) if isinstance(kind, pl.Categorical) else pl.col(name)
                for name, kind in FRAME_TYPES.items()
            )
            rows += whole.height
            for place, seed in enumerate(_SEEDS):
                sums[place] += int(whole.hash_rows(seed=seed).cast(pl.Int128).sum())
        return cls(rows, tuple(sums))


# -- compaction ----------------------------------------------------------------------------------------------


def compact_days(log: Log, tiers: Mapping[str, Tier], hot: Tier, *, dry_run: bool = False) -> MoveReport:
    """Merge the small hot segments of each UTC day into few; whatever is not small stays as it is."""
    days: dict[str, list[Segment]] = defaultdict(list)
    for segment in log.snapshot().segments.values():
        if segment.tier == hot.name and segment.rows < _SMALL:
            days[f"{segment.first:%Y-%m-%d}"].append(segment)
    total = MoveReport(dry_run=dry_run)
    for day, segments in sorted(days.items()):
        if len(segments) < 2:
            continue
        if dry_run:
            total = _plus(total, segments, [])
            continue
        frames = _in_order(log.snapshot(), tiers, segments)
        fresh = rewritten(log, hot, frames, segments, tiers, rows_each=_ROWS_A_HOT_SEGMENT)
        if swapped(log, tiers, "compact", segments, fresh) is None:
            total = attrs.evolve(total, skipped=(*total.skipped, day))
        else:
            total = _plus(total, segments, fresh)
    return total


# -- roll-over -----------------------------------------------------------------------------------------------


def move_months(
    log: Log,
    tiers: Mapping[str, Tier],
    hot: Tier,
    warm: Tier,
    *,
    now: datetime,
    keep: int,
    dry_run: bool = False,
) -> MoveReport:
    """Move whole UTC months that ended more than *keep* months before *now* to the warm tier.

    Late calls for a month that is warm already are folded into it.

    Raises:
        ConfigError: When *keep* is not a whole number of 0 or more, or reaches back beyond the year 1.
        CorruptDataError: When what was read back is not what was written; nothing is swapped then.
    """
    if not isinstance(keep, int) or isinstance(keep, bool) or keep < 0:
        raise ConfigError(f"keep is a whole number of months of 0 or more, not {keep!r}.")
    try:
        before = months_before(now, keep)
    except OverflowError:
        raise ConfigError(f"keep={keep} months before {now} is before the year 1; give fewer.") from None
    months: dict[str, list[Segment]] = defaultdict(list)
    for segment in log.snapshot().segments.values():
        if segment.tier == hot.name and segment.last < before:
            months[month_of(segment.first)].append(segment)
    total = MoveReport(dry_run=dry_run)
    for month, late in sorted(months.items()):
        snapshot = log.snapshot()
        there = [s for s in snapshot.ordered if s.tier == warm.name and month_of(s.first) == month]
        sources = _with_overlapping(late, there)
        if dry_run:
            total = _plus(total, sources, [], month)
            continue
        fresh: list[Segment] = []
        try:
            for stretch in _stretches(sources, there):
                frames = _in_order(snapshot, tiers, stretch)
                fresh += rewritten(log, warm, frames, stretch, tiers, rows_each=_ROWS_A_WARM_SEGMENT)
        except BaseException:
            discard(tiers, fresh)
            raise
        if swapped(log, tiers, "rollover", sources, fresh, {"month": month}) is None:
            total = attrs.evolve(total, skipped=(*total.skipped, month))
        else:
            total = _plus(total, sources, fresh, month)
    return total


def _with_overlapping(late: Sequence[Segment], warm: Iterable[Segment]) -> list[Segment]:
    """Return *late* and those of *warm* whose time range meets one of theirs, by their first call."""
    touched = [s for s in warm if any(s.first <= other.last and s.last >= other.first for other in late)]
    return sorted([*late, *touched], key=lambda segment: (segment.first, segment.id))


def _stretches(sources: Sequence[Segment], warm: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Yield *sources* in runs, between which one of *warm* begins that stays: what is written reaches over none."""
    staying = [segment.first for segment in warm if segment not in sources]
    for _, stretch in itertools.groupby(sources, key=lambda segment: bisect_left(staying, segment.first)):
        yield list(stretch)


def _in_order(
    snapshot: Snapshot, tiers: Mapping[str, Tier], segments: Sequence[Segment]
) -> Iterator[pl.DataFrame]:
    """Yield the calls of *segments* in order, a bounded number at a time, however many segments overlap."""
    held = attrs.evolve(snapshot, segments={segment.id: segment for segment in segments})
    plan = Plan.of(Query().oldest_first(), held, tiers, snapshot.region, datetime.now(UTC))
    return plan.frames(tuple(FIELDS))


# -- writing anew, and the swap ------------------------------------------------------------------------------


def rewritten(
    log: Log,
    tier: Tier,
    frames: Iterable[pl.DataFrame],
    sources: Sequence[Segment],
    tiers: Mapping[str, Tier],
    *,
    rows_each: int,
) -> list[Segment]:
    """Write *frames*, which are in order, as segments of *tier*, and compare them with *sources* once read back.

    Raises:
        CorruptDataError: When they differ; what was written is removed again.
    """
    region = log.snapshot().region
    fresh: list[Segment] = []
    rows = sum(segment.rows for segment in sources)
    pieces = -(-rows * 4 // (rows_each * 5))  # a quarter more is no reason for another one
    try:
        for piece in _evenly(frames, rows, pieces):
            fresh.append(tier.write(piece, region))
            del piece  # the last is not to take up memory while they are compared
        wanted = Fingerprint.of(_in_parts(sources, tiers))
        found = Fingerprint.of(_in_parts(fresh, tiers))
        if wanted != found:
            raise CorruptDataError(
                f"{found.rows} calls read back from the {tier.name} tier are not the {wanted.rows} that were written; "
                "nothing was changed. Check that storage, then try again."
            )
    except BaseException:
        discard(tiers, fresh)
        raise
    return fresh


def _evenly(frames: Iterable[pl.DataFrame], rows: int, pieces: int) -> Iterator[pl.DataFrame]:
    """Yield *frames*, which have so many *rows* together, in so many *pieces*.

    Evenly, lest few calls that are left over get a segment of their own, each time that some come late.
    """
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        while pieces > 1 and sum(part.height for part in waiting) > (even := -(-rows // pieces)):
            whole = pl.concat(waiting)
            cut = _place_to_cut(whole["start"], even)
            yield whole.head(cut)
            waiting = [whole.slice(cut)]
            rows, pieces = rows - cut, pieces - 1
    left = pl.concat(waiting)
    if left.height:
        yield left


def _in_parts(segments: Iterable[Segment], tiers: Mapping[str, Tier]) -> Iterator[pl.DataFrame]:
    """Yield all calls of *segments*, a bounded number at a time."""
    for segment in segments:
        for at in range(0, segment.rows, _ROWS_COMPARED):
            rows = range(at, min(at + _ROWS_COMPARED, segment.rows))
            yield tiers[segment.tier].read(segment, [*FIELDS], rows)


def _place_to_cut(starts: pl.Series, row: int) -> int:
    """Return where to cut near *row*: between calls of one instant only where there are very many of them.

    Switches write whole seconds. Segments that share one overlap, and a page that needs the last would read them all.
    """
    before = starts.search_sorted(starts[row], "left")
    return before if 2 * before > row else row


def swapped(
    log: Log,
    tiers: Mapping[str, Tier],
    action: Action,
    sources: Sequence[Segment],
    fresh: Sequence[Segment],
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Snapshot | None:
    """Commit *fresh* in the place of *sources*; None when one of those is gone, and *fresh* is removed then."""
    attempt: Commit | None = None
    try:
        while True:
            base = log.snapshot()
            if any(source.id not in base.segments for source in sources):
                discard(tiers, fresh)
                return None
            check_not_vacuumed(tiers, fresh)
            attempt = log.draft(base, action, added=fresh, removed=[s.id for s in sources], facts=facts)
            after = log.write(base, attempt)
            if after is not None:
                break
            attempt = None
    except BaseException:
        # A commit that was cut off may have taken effect: then these segments are the store's.
        if attempt is None or log.is_refused(attempt):
            discard(tiers, fresh)
        raise
    log.checkpoint_if_due(after)
    return after


def discard(tiers: Mapping[str, Tier], segments: Iterable[Segment]) -> None:
    """Remove segments that no commit names; what cannot be removed now is left for `vacuum`."""
    for segment in segments:
        with contextlib.suppress(CdrError):
            tiers[segment.tier].remove(segment)


def _plus(total: MoveReport, read: Sequence[Segment], written: Sequence[Segment], *months: str) -> MoveReport:
    return attrs.evolve(
        total,
        months=(*total.months, *months),
        rows=total.rows + sum(segment.rows for segment in read),
        read=total.read + len(read),
        written=total.written + len(written),
    )
