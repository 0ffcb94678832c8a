"""One append: rows in, segments written, duplicates and conflicts told apart, and a single commit at the end."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Self

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES
from cdrkit._runtime import check_process
from cdrkit._text import html_report
from cdrkit.errors import CdrError, ConfigError, ConflictError, NotFoundError
from cdrkit.storage.log import Commit, Log, Segment, Snapshot
from cdrkit.storage.tiers import Tier, check_not_vacuumed

__all__ = ["Append", "AppendReport", "Conflict"]

_ROWS_IN_MEMORY: Final = 1_000_000
#: Rows that are written while more come in, when they are of days that are over: later rows begin later.
_ROWS_WORTH_WRITING: Final = 400_000
_BYTES_WORTH_WRITING: Final = 128 << 20
_BYTES_IN_MEMORY: Final = 512 << 20  # whole documents may be kept in 'extra'
_ROWS_A_SEGMENT: Final = 1_000_000
_WORTH_THREADS: Final = 100_000
_MOST_THREADS: Final = 4
_TRIES: Final = 200
_CONFLICTS_SHOWN: Final = 100
_IDENTITY: Final = ["start", "call_id"]


@attrs.frozen
class Conflict:
    """A call that came again with other content.

    Attributes:
        start: Its start, in UTC.
        call_id: Its id.
        fields: The fields that differ from what is stored.
    """

    start: datetime
    call_id: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.call_id} at {self.start:%Y-%m-%dT%H:%M:%SZ}: {', '.join(self.fields)}"


@attrs.frozen(kw_only=True)
class AppendReport:
    """What became of the rows of one append.

    Without replacing, ``added + duplicates + conflicts`` is what came in. Where one call comes several times in one
    append, with different contents, how many of these are duplicates, conflicts or replaced depends on which of them
    were compared with each other; what is stored does not.

    Attributes:
        added: Rows stored by it; those that took an older one's place are among them.
        duplicates: Rows skipped because the same call with the same content was there already.
        conflicts: Rows kept out because the same call was there with other content.
        replaced: Rows, of the store or earlier in the same append, whose place a later one took (only with
            ``on_conflict="replace"``).
        conflicting: The first 100 of the conflicts.
    """

    added: int = 0
    duplicates: int = 0
    conflicts: int = 0
    replaced: int = 0
    conflicting: tuple[Conflict, ...] = ()

    def _repr_html_(self) -> str:
        return html_report(self)


class Append:
    """One append under way. Nothing of it can be seen before `commit`, and all of it at once after.

    Use it as a context manager: leaving the block without a commit removes what was written.
    """

    def __init__(
        self, log: Log, tiers: Mapping[str, Tier], hot: Tier, *, replace: bool, settings: Mapping[str, Any]
    ) -> None:
        check_process()
        self._log = log
        self._tiers = tiers
        self._hot = hot
        self._replace = replace
        self._settings = settings
        self._base = log.snapshot()
        self._attempt: Commit | None = None
        self._echoes: list[tuple[str, pl.DataFrame]] = []
        self._met: set[str] = set()  # segments of the store that hold calls which came again
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._fresh: dict[str, Segment] = {}  # rows of this append
        self._rewritten: dict[str, Segment] = {}  # what is left of older segments after replacements
        self._removed: dict[str, Segment] = {}  # those older segments
        self._duplicates = 0
        self._conflicts = 0
        self._replaced = 0  # in the store
        self._superseded = 0  # in this append
        self._conflicting: list[Conflict] = []
        self._pool: ThreadPoolExecutor | None = None
        self._writing: list[Future[None]] = []  # segments that are being written while more rows come in

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        # A commit that was cut off may have taken effect: then these segments are the store's.
        if self._attempt is None or self._log.is_refused(self._attempt):
            self._discard([*self._fresh.values(), *self._rewritten.values()])

    def add(self, frame: pl.DataFrame) -> None:
        """Take in a frame that fits the catalogue."""
        self._waiting.append(frame)
        self._waiting_bytes += int(frame.estimated_size())
        rows = sum(waiting.height for waiting in self._waiting)
        if rows >= _ROWS_IN_MEMORY or self._waiting_bytes >= _BYTES_IN_MEMORY:
            self._flush()
        elif frame.height and (rows >= _ROWS_WORTH_WRITING or self._waiting_bytes >= _BYTES_WORTH_WRITING):
            self._flush(before=_midnight(frame))

    def commit(self, facts: Mapping[str, Any] = MappingProxyType({})) -> AppendReport:
        """Make everything added visible, in one step; return what became of it.

        Args:
            facts: What the log shall keep about it.

        Raises:
            ConflictError: When other writers were faster too many times.
            StorageError: When something could not be written; the store is as it was.
        """
        self._flush()
        self._settle()
        if "positions" in facts and self._base.version < 0:  # rows were read, and none is there to store yet
            self._make_store()
        for attempt in range(_TRIES):
            if not self._fresh and not self._removed and "positions" not in facts:
                if self._met:
                    self._log.settle(self._base)  # what it says is there must stay there
                return self._report()
            check_not_vacuumed(self._tiers, [*self._fresh.values(), *self._rewritten.values()])
            self._attempt = self._log.draft(
                self._base,
                "replace" if self._removed else "append",
                added=[*self._fresh.values(), *self._rewritten.values()],
                removed=self._removed,
                facts=facts,
            )
            after = self._log.write(self._base, self._attempt)
            if after is not None:
                report = self._report()
                self._fresh, self._rewritten = {}, {}  # the store's now: leaving the block keeps them
                self._log.checkpoint_if_due(after)
                return report
            self._attempt = None
            time.sleep(random.uniform(0, 0.002 * min(attempt + 1, 50)))
            base = self._base
            try:
                self._rebase(self._log.snapshot())
            except NotFoundError as exc:
                if self._log.snapshot().erased <= base.version:
                    raise
                raise _erased() from exc
        raise ConflictError(
            f"Other writers committed first {_TRIES} times in a row; try again when it is quieter."
        )

    def _make_store(self) -> None:
        """Make the store, before anything is written into it: no segment is older than the log.

        Raises:
            ConfigError: When someone else made it meanwhile, with another region.
        """
        made = self._log.create(self._settings)
        wanted = self._settings["region"]
        if wanted is not None and made.region != wanted:
            raise ConfigError(
                f"The store was made with region={made.region!r} meanwhile; open it without region={wanted!r}."
            )
        self._base = made

    def _report(self) -> AppendReport:
        return AppendReport(
            added=sum(segment.rows for segment in self._fresh.values()),
            duplicates=self._duplicates,
            conflicts=self._conflicts,
            replaced=self._replaced + self._superseded,
            conflicting=tuple(self._conflicting),
        )

    # -- writing ------------------------------------------------------------------------------------------------

    def _flush(self, *, before: datetime | None = None) -> None:
        """Hand over what waits: all of it, or what began before the day *before*, should that be the better part."""
        waiting = [frame for frame in self._waiting if frame.height]
        if before is not None:
            over = sum(int((frame["start"] < before).sum()) for frame in waiting)
            if 2 * over < sum(frame.height for frame in waiting):
                return
        self._waiting, self._waiting_bytes = [], 0
        if not waiting:
            return
        if self._base.version < 0:
            self._make_store()
        columns = [name for name in FIELDS if any(name in frame.columns for frame in waiting)]
        whole = pl.concat([_with_columns(frame, columns) for frame in waiting])
        if not _is_in_order(whole):
            # Stable, so that of rows with one identity the first stays the first.
            whole = whole.sort(_IDENTITY, maintain_order=True)
        if before is not None:
            self._waiting, whole = [whole.slice(over)], whole.slice(0, over)
            self._waiting_bytes = int(self._waiting[0].estimated_size())
        days = whole["start"].dt.date()
        ends = [*(days != days.shift(1)).fill_null(True).arg_true().to_list(), whole.height]
        self._settle()  # what came before must be there to be compared with
        frames: list[pl.DataFrame] = []
        for low, high in itertools.pairwise(ends):
            frame = self._new_of_day(whole.slice(low, high - low))
            frames += [frame.slice(at, _ROWS_A_SEGMENT) for at in range(0, frame.height, _ROWS_A_SEGMENT)]
        self._write(frames)

    def _new_of_day(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the calls of *frame*, which are of one day, that are to be stored."""
        frame = self._against_itself(frame)
        for segment in self._overlapping(frame, self._world()):
            if not frame.height:
                break
            try:
                frame = self._against(frame, segment)
            except NotFoundError as exc:
                if segment.id in self._log.snapshot().segments:
                    raise
                raise _erased() from exc
        return frame

    def _write(self, frames: Sequence[pl.DataFrame]) -> None:
        """Write each of *frames* as a segment; if they are large, on as many threads as there are cores, and go on."""
        if sum(frame.height for frame in frames) < _WORTH_THREADS:
            for frame in frames:
                self._write_one(frame)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS))
        for frame in frames:
            try:
                self._writing.append(self._pool.submit(self._write_one, frame))
            except RuntimeError:  # the interpreter ends, and no thread begins any more
                self._write_one(frame)

    def _settle(self) -> None:
        """Wait until everything handed over is written.

        Raises:
            StorageError: When some of it could not be; the rest is not waited for.
        """
        writing, self._writing = self._writing, []
        for task in wait(writing, return_when=FIRST_EXCEPTION).done:
            task.result()

    def _write_one(self, frame: pl.DataFrame) -> None:
        segment = self._hot.write(frame, self._base.region)
        self._fresh[segment.id] = segment

    def _world(self) -> Iterable[Segment]:
        """Return the segments as they would be if the append were committed now."""
        kept = (s for s in self._base.segments.values() if s.id not in self._removed)
        return [*kept, *self._rewritten.values(), *self._fresh.values()]

    @staticmethod
    def _overlapping(frame: pl.DataFrame, segments: Iterable[Segment]) -> Iterator[Segment]:
        if not frame.height:
            return
        starts = frame["start"]
        first, last = starts[0], starts[-1]
        for segment in segments:
            # Within the whole span is not enough: one long-gone call in a batch must not open every segment since.
            if (
                segment.first <= last
                and segment.last >= first
                and starts.search_sorted(segment.first, "left") < starts.search_sorted(segment.last, "right")
            ):
                yield segment

    # -- telling duplicates and conflicts apart -----------------------------------------------------------------

    def _against_itself(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return *frame* with each identity once: the first of its rows, or the last when replacing."""
        same = (frame["start"] == frame["start"].shift(1)) & (frame["call_id"] == frame["call_id"].shift(1))
        same = same.fill_null(False)
        if not same.any():
            return frame
        group = (~same).cum_sum()
        kept = (~same.shift(-1, fill_value=False) if self._replace else ~same).arg_true()
        dropped = (same.shift(-1, fill_value=False) if self._replace else same).arg_true()
        differs = self._judge(frame[dropped], frame[kept][group[dropped] - 1])
        self._superseded += int(differs.sum()) if self._replace else 0
        return frame[kept]

    def _against(self, frame: pl.DataFrame, segment: Segment) -> pl.DataFrame:
        """Return the rows of *frame* that are to be stored beside *segment*."""
        tier = self._tiers[segment.tier]
        stored = tier.read(segment, _IDENTITY).with_row_index("_row")
        first, last = frame["start"][0], frame["start"][-1]
        stored = stored.filter(pl.col("start").is_between(first, last))
        hits = (
            frame.select(_IDENTITY)
            .with_row_index("_new")
            .join(stored, on=_IDENTITY, how="inner", maintain_order="left")
        )
        if not hits.height:
            return frame
        if segment.id in self._base.segments:
            self._met.add(segment.id)
        old = tier.read(segment, [*FIELDS], hits["_row"])
        differs = self._judge(frame[hits["_new"]], old)
        drop = hits["_new"]
        if self._replace:
            drop = drop.filter(~differs)
            if drop.len():
                self._echoes.append((segment.id, frame[drop]))
            if differs.any():
                self._take_out(segment, hits["_row"].filter(differs))
        return frame.with_row_index("_new").filter(~pl.col("_new").is_in(drop.implode())).drop("_new")

    def _judge(self, new: pl.DataFrame, old: pl.DataFrame) -> pl.Series:
        """Count each of the *new* rows as a duplicate of its *old* one or as a conflict; return which differ.

        When replacing, those that differ are no conflicts: the caller says what becomes of them.
        """
        unequal = _unequal(new, old)
        differs = unequal.select(pl.any_horizontal(pl.all())).to_series()
        conflicts = int(differs.sum())
        self._duplicates += differs.len() - conflicts
        if self._replace:
            return differs
        self._conflicts += conflicts
        for row in differs.arg_true().head(_CONFLICTS_SHOWN - len(self._conflicting)).to_list():
            fields = tuple(name for name in unequal.columns if unequal[name][row])
            self._conflicting.append(Conflict(new["start"][row].astimezone(UTC), new["call_id"][row], fields))
        return differs

    def _take_out(self, segment: Segment, rows: pl.Series) -> None:
        """Write *segment* anew without *rows*; both are settled by the commit."""
        whole = self._tiers[segment.tier].read(segment, [*FIELDS])
        left = whole.with_row_index("_row").filter(~pl.col("_row").is_in(rows.implode())).drop("_row")
        target = self._fresh if segment.id in self._fresh else self._rewritten
        if left.height:
            rewritten = self._tiers[segment.tier].write(left, self._base.region)
            target[rewritten.id] = rewritten
        if segment.id in self._base.segments:
            self._replaced += rows.len()
            self._removed[segment.id] = segment
        else:
            self._superseded += rows.len()
            target.pop(segment.id)
            self._discard([segment])

    # -- losing the race ----------------------------------------------------------------------------------------

    def _rebase(self, newer: Snapshot) -> None:
        """Go on from *newer*: rows that someone else stored meanwhile are judged again."""
        erased = newer.erased > self._base.version
        if erased and not self._met <= newer.segments.keys():
            raise _erased()
        news = [s for s in newer.segments.values() if s.id not in self._base.segments]
        gone = any(old not in newer.segments for old in self._removed)
        if (
            # An erasure removes such calls wherever they lie, also where no commit names them yet: these are written
            # anew, under names that it has not seen.
            not erased
            and not gone
            and not any(self._is_gone(stored, newer) for stored, _ in self._echoes)
            and not any(self._shares_identity(segment, news) for segment in self._fresh.values())
        ):
            self._base = newer
            return
        fresh, rewritten = self._fresh, self._rewritten
        # When replacing, rows that equalled a stored one must win against whoever replaced that one meanwhile; where
        # what is left of a segment held the stored one, that is written anew below.
        again = [rows for stored, rows in self._echoes if stored in rewritten or self._is_gone(stored, newer)]
        self._duplicates -= sum(rows.height for rows in again)
        self._echoes = [(stored, rows) for stored, rows in self._echoes if stored in newer.segments]
        self._base, self._fresh, self._rewritten, self._removed = newer, {}, {}, {}
        self._replaced = 0
        try:
            # Last comes what counts where an identity is in both.
            for rows in again:
                self.add(rows)
            for segment in fresh.values():
                self.add(self._hot.read(segment, [*FIELDS]))
            self._flush()
            self._settle()
        finally:
            self._discard([*fresh.values(), *rewritten.values()])

    def _is_gone(self, stored: str, newer: Snapshot) -> bool:
        """Return whether the segment *stored*, which this append met, is neither in *newer* nor its own."""
        return stored not in newer.segments and stored not in self._rewritten and stored not in self._fresh

    def _shares_identity(self, segment: Segment, news: Iterable[Segment]) -> bool:
        for other in news:
            if other.first <= segment.last and other.last >= segment.first:
                mine = self._hot.read(segment, _IDENTITY)
                theirs = self._tiers[other.tier].read(other, _IDENTITY)
                if mine.join(theirs, on=_IDENTITY, how="semi").height:
                    return True
        return False

    def _discard(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            with contextlib.suppress(CdrError):  # what stays behind is not part of the store
                self._tiers[segment.tier].remove(segment)


def _erased() -> ConflictError:
    return ConflictError(
        "Calls were erased that this append holds or was compared with; nothing was stored. Append again."
    )


def _midnight(frame: pl.DataFrame) -> datetime:
    """Return when the UTC day of the first call of *frame* began."""
    first = frame["start"].min()
    assert isinstance(first, datetime)
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def _is_in_order(frame: pl.DataFrame) -> bool:
    """Return whether the calls of *frame* are in the order of their identities."""
    start = frame["start"]
    if not start.is_sorted():
        return False
    ties = (start == start.shift(-1)).fill_null(False).arg_true()
    ids = frame["call_id"]
    return not ties.len() or bool((ids.gather(ties) <= ids.gather(ties + 1)).all())


def _with_columns(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=FRAME_TYPES[name]).alias(name)
        for name in columns
    )


def _unequal(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """Return, for each field and row, whether the two frames of equal height differ."""
    found: dict[str, pl.Series] = {}
    for name, kind in FRAME_TYPES.items():
        sides = [
            frame[name]
            if name in frame.columns
            else pl.Series(name, [None], dtype=kind).new_from_index(0, frame.height)
            for frame in (new, old)
        ]
        if isinstance(kind, pl.Categorical):
            sides = [side.cast(pl.String) for side in sides]
        found[name] = sides[0].ne_missing(sides[1])
    return pl.DataFrame(found)
