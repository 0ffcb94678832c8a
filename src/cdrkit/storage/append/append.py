"""The append operation: write frames of calls as segments; commit in one step."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self

import polars as pl

from cdrkit._model import FIELDS
from cdrkit._runtime import check_process
from cdrkit.errors import ConflictError, NotFoundError
from cdrkit.storage.append.buffer import IDENTITY, RowBuffer
from cdrkit.storage.append.changes import SegmentChanges, delete_segments, select_overlapping
from cdrkit.storage.append.deduplication import Deduplication
from cdrkit.storage.append.result import AppendResult
from cdrkit.storage.append.segment_writer import SegmentWriter
from cdrkit.storage.append.transaction import Transaction
from cdrkit.storage.log import Log, Segment, Snapshot
from cdrkit.storage.tiers import Tier

__all__ = ["Append"]

_TRIES: Final = 200


class Append:
    """An append operation in progress.

    Readers see none of the added calls before `commit`, and all of them afterwards.

    Use it as a context manager: leaving the block without a commit deletes the segments written so far.

    Args:
        log: The store's log.
        tiers: The store's tiers by name.
        hot: The tier that new segments are written to.
        replace: Whether a call replaces the stored call if their contents differ. If not, the call is a conflict.
        settings: The settings of the store, used if it must be created.
    """

    def __init__(
        self, log: Log, tiers: Mapping[str, Tier], hot: Tier, *, replace: bool, settings: Mapping[str, Any]
    ) -> None:
        check_process()
        self._tiers = tiers
        self._hot = hot
        self._transaction = Transaction(log, tiers, settings)
        self._deduplication = Deduplication(tiers, replace=replace)
        self._buffer = RowBuffer()
        self._changes = SegmentChanges()
        self._writer = SegmentWriter(hot, self._add_segment)
        self._compared: set[str] = set()  # ids of committed segments that hold calls which came again

    def __enter__(self) -> Self:
        """Return this append operation."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Delete the written segments, unless a commit may have added them."""
        self._writer.close()
        # A commit whose writing was interrupted may have taken effect: the segments then belong to the store.
        if self._changes.added and not self._transaction.may_have_committed:
            delete_segments(self._tiers, self._changes.added)

    def add(self, frame: pl.DataFrame) -> None:
        """Add the calls of *frame*, whose columns match the catalogue of fields."""
        self._buffer.add(frame)
        if self._buffer.is_full:
            self.flush()
        elif frame.height and self._buffer.is_worth_writing:
            day = _day_start(frame)
            if self._buffer.is_mostly_before(day):
                self._write_rows(self._buffer.take_before(day))

    def commit(self, facts: Mapping[str, Any] = MappingProxyType({})) -> AppendResult:
        """Commit all added calls in one step, and return an `AppendResult`.

        The result counts the rows that were added, skipped and replaced.

        Args:
            facts: More information for the log to keep with the commit.

        Raises:
            ConflictError: When other writers committed first too many times.
            StorageError: When a file could not be written; the store is unchanged.
        """
        self.flush()
        self._writer.finish()
        has_positions = "positions" in facts
        if has_positions:  # rows were read, although none of them may be a call to store yet
            self._transaction.create_store()
        for attempt in range(_TRIES):
            if self._changes.is_empty and not has_positions:
                if self._compared:
                    self._transaction.make_base_durable()
                return self._deduplication.result(added=0)
            after = self._transaction.commit(self._changes, facts)
            if after is not None:
                result = self._deduplication.result(added=self._changes.rows)
                self._changes = SegmentChanges()  # the segments belong to the store now: do not delete them
                self._transaction.finish(after)
                return result
            time.sleep(random.uniform(0, 0.002 * min(attempt + 1, 50)))
            base = self._transaction.base
            try:
                self._rebase(self._transaction.newest())
            except NotFoundError as exc:
                if self._transaction.newest().erased <= base.version:
                    raise
                raise _erasure_conflict() from exc
        raise ConflictError(
            f"The commit failed {_TRIES} times, because other writers committed first. Try again when fewer writers "
            "are active."
        )

    def flush(self) -> None:
        """Write the buffered rows as segments.

        Background threads write large amounts.
        """
        if self._buffer:
            self._write_rows(self._buffer.take_all())

    # -- segments -----------------------------------------------------------------------------------------------

    def _write_rows(self, rows: pl.DataFrame) -> None:
        """Deduplicate the sorted *rows* day by day and write the rows that remain."""
        self._transaction.create_store()
        days = rows["start"].dt.date()
        bounds = [*(days != days.shift(1)).fill_null(True).arg_true().to_list(), rows.height]
        self._writer.finish()  # earlier rows must be readable to be compared with
        frames = [self._deduplicate(rows.slice(low, high - low)) for low, high in itertools.pairwise(bounds)]
        self._writer.write(frames, self._transaction.base.region)

    def _add_segment(self, segment: Segment) -> None:
        self._changes.add(segment)

    def _deduplicate(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Deduplicate *frame*, the calls of one day, and return the calls to store."""
        frame = self._deduplication.drop_repeats(frame)
        for segment in select_overlapping(frame, self._changes.apply(self._transaction.base)):
            if not frame.height:
                break
            try:
                frame = self._compare_with(frame, segment)
            except NotFoundError as exc:
                if segment.id in self._transaction.newest().segments:
                    raise
                raise _erasure_conflict() from exc
        return frame

    def _compare_with(self, frame: pl.DataFrame, segment: Segment) -> pl.DataFrame:
        """Compare *frame* with *segment*, and return the rows of *frame* to store.

        If these rows replace rows of the segment, the replaced rows are removed from it.
        """
        matches = self._deduplication.match(frame, segment)
        if not matches.height:
            return frame
        if segment.id in self._transaction.base.segments:
            self._compared.add(segment.id)
        rest, replaced = self._deduplication.drop_stored(frame, segment, matches)
        if replaced.len():
            self._take_out(segment, replaced)
        return rest

    def _take_out(self, segment: Segment, rows: pl.Series) -> None:
        """Take *rows* out of *segment*: write its remaining rows to a new segment.

        If *segment* is in the store, the commit replaces it with the new segment. If this append wrote *segment*,
        the method deletes it at once.
        """
        tier, changes = self._tiers[segment.tier], self._changes
        whole = tier.read(segment, [*FIELDS])
        rest = whole.with_row_index("_row").filter(~pl.col("_row").is_in(rows.implode())).drop("_row")
        target = changes.fresh if segment.id in changes.fresh else changes.rewritten
        if rest.height:
            rewritten = tier.write(rest, self._transaction.base.region)
            target[rewritten.id] = rewritten
        if segment.id in self._transaction.base.segments:
            self._deduplication.replaced += rows.len()
            changes.removed[segment.id] = segment
        else:
            self._deduplication.superseded += rows.len()
            target.pop(segment.id)
            delete_segments(self._tiers, [segment])

    # -- after another writer's commit --------------------------------------------------------------------------

    def _rebase(self, newer: Snapshot) -> None:
        """Rebase the append onto *newer*, a later version of the store.

        The rows of the append are compared again if that version requires it.
        """
        base, changes = self._transaction.base, self._changes
        erased = newer.erased > base.version
        if erased and not self._compared <= newer.segments.keys():
            raise _erasure_conflict()
        added = [segment for segment in newer.segments.values() if segment.id not in base.segments]
        gone = {
            stored
            for stored, _ in self._deduplication.echoes
            if stored not in newer.segments and not changes.holds(stored)
        }
        if (
            # An erasure deletes its calls from uncommitted segments, too. The calls are written again, as segments
            # that the erasure has not seen.
            not erased
            and all(removed in newer.segments for removed in changes.removed)
            and not gone
            and not any(self._shares_identity(segment, added) for segment in changes.fresh.values())
        ):
            self._transaction.base = newer
            return
        # With replace: incoming rows that equalled a stored row must win over a writer that replaced that row in the
        # meantime. Rows that equalled one in a rewritten segment are compared again because it is written again.
        again = self._deduplication.restart(
            stored=frozenset(newer.segments), repeat=frozenset(gone | changes.rewritten.keys())
        )
        self._transaction.base, self._changes = newer, SegmentChanges()
        try:
            # Of rows with equal identities the last one counts: rows of this append come last.
            for rows in again:
                self.add(rows)
            for segment in changes.fresh.values():
                self.add(self._hot.read(segment, [*FIELDS]))
            self.flush()
            self._writer.finish()
        finally:
            delete_segments(self._tiers, changes.added)

    def _shares_identity(self, segment: Segment, others: Iterable[Segment]) -> bool:
        """Return whether any call of the new hot *segment* is also in one of *others*."""
        for other in others:
            if other.first <= segment.last and other.last >= segment.first:
                mine = self._hot.read(segment, IDENTITY)
                theirs = self._tiers[other.tier].read(other, IDENTITY)
                if mine.join(theirs, on=IDENTITY, how="semi").height:
                    return True
        return False


def _erasure_conflict() -> ConflictError:
    return ConflictError(
        "An erasure removed calls that this append contains or was compared with. Nothing was stored. Append again."
    )


def _day_start(frame: pl.DataFrame) -> datetime:
    """Return the UTC midnight at or before the earliest call in *frame*."""
    first = frame["start"].min()
    assert isinstance(first, datetime)
    return first.replace(hour=0, minute=0, second=0, microsecond=0)
