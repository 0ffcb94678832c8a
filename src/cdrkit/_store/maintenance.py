"""Maintenance of a store: moving to warm, compaction, vacuum, verification and a new log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from cdrkit._maintenance import (
    MoveReport,
    VacuumReport,
    VerifyReport,
    compact_days,
    lease,
    move_months,
    rebuild_log,
    vacuum_store,
    verify_store,
)
from cdrkit._store.reader import present
from cdrkit.storage.log import Log, Snapshot
from cdrkit.storage.tiers import Tier

__all__ = ["Maintenance", "hold_lease"]


class Maintenance:
    """The maintenance jobs of one store, as `Store.maintenance` gives them. Readers and writers never wait for them."""

    def __init__(
        self,
        *,
        log: Log,
        tiers: Mapping[str, Tier],
        hot: Tier,
        warm: Tier,
        region: str | None,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._log = log
        self._tiers = tiers
        self._hot = hot
        self._warm = warm
        self._region = region
        self._snapshot = snapshot

    def move_to_warm(
        self, keep_months: int = 3, now: datetime | None = None, dry_run: bool = False
    ) -> MoveReport:
        """Move whole UTC months past the hot window to the warm tier.

        A month moves when it ended more than *keep_months* months ago: no call younger than that ever moves. What is
        written is read back and compared before one commit swaps it; readers and writers go on meanwhile. Calls that
        came late for a month that is warm already are folded into it. The hot files go with a later `vacuum`.

        Args:
            keep_months: Calendar months that stay hot.
            now: The present; by default, this machine's.
            dry_run: Only say what there is to do.

        Raises:
            ConflictError: When another maintenance job is under way.
            CorruptDataError: When what was read back is not what was written; nothing is swapped then.
        """
        with self._lease("rollover", dry_run):
            return move_months(
                self._log,
                self._tiers,
                self._hot,
                self._warm,
                now=present(now),
                keep=keep_months,
                dry_run=dry_run,
            )

    def compact(self, dry_run: bool = False) -> MoveReport:
        """Merge the small hot segments of each UTC day, which many small appends leave, into few.

        Raises:
            ConflictError: When another maintenance job is under way.
        """
        with self._lease("compact", dry_run):
            return compact_days(self._log, self._tiers, self._hot, dry_run=dry_run)

    def vacuum(self, now: datetime | None = None, dry_run: bool = False) -> VacuumReport:
        """Remove files that no reader needs any more: an hour after their commit, a day when none ever named them.

        Raises:
            ConflictError: When another maintenance job is under way.
        """
        with self._lease("vacuum", dry_run):
            return vacuum_store(self._log, self._tiers, now=present(now), dry_run=dry_run)

    def run(
        self, keep_months: int = 3, now: datetime | None = None
    ) -> tuple[MoveReport, MoveReport, VacuumReport]:
        """Do what is due: `move_to_warm`, `compact` and `vacuum`; return their reports. Run it once a day or so."""
        return self.move_to_warm(keep_months, now), self.compact(), self.vacuum(now)

    def verify(self) -> VerifyReport:
        """Read every byte of the store and check every checksum, count, range, order and identity."""
        return verify_store(self._log, self._tiers)

    def rebuild_log(self) -> int:
        """Make a new log from the segments alone, after the log was lost; return how many calls it has.

        Open the store with the region that it had: that was in the log, too.

        Raises:
            StorageError: When there still is a log, or a segment is damaged.
        """
        return rebuild_log(self._log, self._tiers, self._hot, {"region": self._region}).rows

    def _lease(self, job: str, dry_run: bool) -> contextlib.AbstractContextManager[None]:
        return hold_lease(self._log, self._snapshot, job, dry_run=dry_run)


@contextlib.contextmanager
def hold_lease(log: Log, snapshot: Callable[[], Snapshot], job: str, *, dry_run: bool) -> Iterator[None]:
    """Hold the store's one lease of maintenance, where there is a store and something is to be changed."""
    if dry_run or snapshot().version < 0:
        yield
    else:
        with lease(log.files, job):
            yield
