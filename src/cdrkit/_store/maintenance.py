"""Maintenance of a store: regular jobs, verification, status and log rebuild."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from cdrkit._maintenance import (
    MoveReport,
    StoreStatus,
    VacuumReport,
    VerifyReport,
    acquire_lease,
    compact_days,
    move_months,
    read_status,
    vacuum_store,
    verify_store,
    write_new_log,
)
from cdrkit._store.reader import check_now
from cdrkit.storage.log import Log, Snapshot
from cdrkit.storage.tiers import Tier

__all__ = ["Maintenance", "job_lease"]


class Maintenance:
    """The maintenance jobs of a store, available as `Store.maintenance`.

    Readers and writers never wait for a job, and every job can be interrupted at any instant. Only one
    job that changes the store runs at a time.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://maintenance-example")
        >>> at = datetime(2026, 5, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at)])
        >>> move, compaction, vacuum = store.maintenance.run(now=datetime(2026, 11, 1, tzinfo=timezone.utc))
        >>> move.months
        ('2026-05',)
        >>> store.maintenance.verify().ok
        True
    """

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
        """Move whole UTC months from the hot tier to the warm tier.

        A month moves when it ended more than *keep_months* calendar months ago. The written calls are read back and
        compared, and then one commit swaps the new segments in. Late-arriving calls of a month that is already in the
        warm tier are merged into that month. A later `vacuum` removes the hot files.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://move-to-warm-example")
            >>> store.maintenance.move_to_warm(keep_months=6, dry_run=True).months
            ()

        Args:
            keep_months: Calendar months that stay in the hot tier, 0 or more. More recent calls do not move.
            now: The current time, as an aware datetime. The default is the time of this machine.
            dry_run: Whether only to count the calls, and change nothing.

        Returns:
            A report of the calls, segments and months moved.

        Raises:
            ConfigError: When *keep_months* is not a whole number of 0 or more.
            QueryError: When *now* is naive.
            ConflictError: When another maintenance job is running.
            CorruptDataError: When the calls read back differ from the calls written. The store is then unchanged.
            StorageError: When the store cannot be read or written.
        """
        with self._lease("rollover", dry_run):
            return move_months(
                self._log,
                self._tiers,
                self._hot,
                self._warm,
                now=check_now(now),
                keep_months=keep_months,
                dry_run=dry_run,
            )

    def compact(self, dry_run: bool = False) -> MoveReport:
        """Merge the small hot segments of each UTC day, and build missing number indexes.

        Many small appends leave many small segments, which slow down reading. A segment lacks a number index after
        `rebuild_log` with another region, or if an old version of cdrkit wrote it. Number searches are slow in such a
        segment.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://compact-example")
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> for number in range(3):
            ...     _ = store.append([cdrkit.CallRecord(call_id=str(number), start=at)])
            >>> report = store.maintenance.compact()
            >>> report.read, report.written
            (3, 1)

        Args:
            dry_run: Whether only to count the calls, and change nothing.

        Returns:
            A report of the calls and segments merged.

        Raises:
            ConflictError: When another maintenance job is running.
            CorruptDataError: When the calls read back differ from the calls written. The store is then unchanged.
            StorageError: When the store cannot be read or written.
        """
        with self._lease("compact", dry_run):
            return compact_days(self._log, self._tiers, self._hot, dry_run=dry_run)

    def vacuum(self, now: datetime | None = None, dry_run: bool = False) -> VacuumReport:
        """Remove files that readers no longer need.

        A vacuum removes unused segments. A segment is removed an hour after a commit replaced it. An orphan, which no
        commit ever named, is removed after a day. A vacuum also removes old log objects and the temporary files of
        interrupted writes.

        Danger:
            A result or a backup that is older than an hour may refer to removed files. Run the query or make the backup
            again.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://vacuum-example").maintenance.vacuum(dry_run=True).segments
            0

        Args:
            now: The current time, as an aware datetime. The default is the time of this machine.
            dry_run: Whether only to count the segments, and remove nothing.

        Returns:
            A report of the segments and log objects removed, and of the segments kept.

        Raises:
            QueryError: When *now* is naive.
            ConflictError: When another maintenance job is running.
            StorageError: When the store cannot be read or written.
        """
        with self._lease("vacuum", dry_run):
            return vacuum_store(self._log, self._tiers, now=check_now(now), dry_run=dry_run)

    def run(
        self, keep_months: int = 3, now: datetime | None = None
    ) -> tuple[MoveReport, MoveReport, VacuumReport]:
        """Run the regular jobs: `move_to_warm`, `compact` and `vacuum`.

        Run these jobs once a day.

        Example:
            >>> import cdrkit
            >>> for report in cdrkit.open_store("memory://run-example").maintenance.run():
            ...     print(report)
            No calls were moved.
            No segments were merged.
            Removed 0 segments and 0 log objects.

        Args:
            keep_months: Calendar months that stay in the hot tier, 0 or more.
            now: The current time, as an aware datetime. The default is the time of this machine.

        Returns:
            The reports of the move to warm, the compaction and the vacuum, in this order.

        Raises:
            ConfigError: When *keep_months* is not a whole number of 0 or more.
            QueryError: When *now* is naive.
            ConflictError: When another maintenance job is running.
            CorruptDataError: When the calls read back differ from the calls written. That job then changes nothing.
            StorageError: When the store cannot be read or written.
        """
        return self.move_to_warm(keep_months, now), self.compact(), self.vacuum(now)

    def verify(self) -> VerifyReport:
        """Read and check every byte of the store.

        All checksums, row counts, time ranges, call orders and call identities are checked. Appends and other jobs may
        run at the same time.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://verify-example").maintenance.verify().problems
            ()

        Returns:
            A report of the problems found, and of the number of unused segments, which are harmless.

        Raises:
            StorageError: When the segments of a tier cannot be listed. Damage raises no error: it is in ``problems``.
            ConfigError: When a newer version of cdrkit wrote the log in another format.
        """
        return verify_store(self._log, self._tiers)

    def status(self, keep_months: int = 3, now: datetime | None = None) -> StoreStatus:
        """Return the size of each tier, the latest changes and the jobs that are due.

        The status is computed from the log and the tiers' file listings. No data file is read.

        Example:
            >>> import cdrkit
            >>> status = cdrkit.open_store("memory://status-example").maintenance.status()
            >>> status.calls, status.last_append, status.work_due
            (0, None, ())

        Args:
            keep_months: Calendar months that stay in the hot tier. Use the same number as in `run`.
            now: The current time, as an aware datetime. The default is the time of this machine.

        Returns:
            The status, which is empty if the store does not exist yet.

        Raises:
            ConfigError: When *keep_months* is not a whole number of 0 or more.
            QueryError: When *now* is naive.
            CorruptDataError: When the log is damaged.
            StorageError: When the log cannot be read or the segments of a tier cannot be listed.
        """
        self._snapshot()
        return read_status(
            self._log, self._tiers, self._hot, self._warm, now=check_now(now), keep_months=keep_months
        )

    def rebuild_log(self) -> int:
        """Make a new log from the segments if the old log was lost or moved.

        The old log recorded the store's region. The new log records the region that the store was opened with. To
        change a store's region:

        1. Stop all processes that use the store. Wait for more than an hour after the last job, then call `vacuum`,
           so that no replaced segment is left.
        2. Move the folder ``_log`` out of the store. In a store that is one folder, it is ``hot/_log``.
        3. Open the store with the new region, and call ``rebuild_log()``.
        4. Call `compact` to build new number indexes. Until then, number searches are correct but slow.

        Danger:
            The new log includes every intact segment, even replaced segments that no vacuum has removed yet. Their
            calls are merged with the calls that replaced them, and the newest version of each call is kept. This may
            return a month from the warm tier to the hot tier. The positions of `Store.follow` are lost: each file is
            read again from its beginning, and its calls are skipped as duplicates.

        Example:
            >>> import tempfile
            >>> from datetime import datetime, timezone
            >>> from pathlib import Path
            >>> import cdrkit
            >>> folder = Path(tempfile.mkdtemp()) / "calls"
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> call = cdrkit.CallRecord(call_id="1", start=at, source="020 7946 0018")
            >>> _ = cdrkit.open_store(folder).append([call])
            >>> _ = (folder / "hot" / "_log").rename(folder.parent / "old-log")
            >>> store = cdrkit.open_store(folder, region="GB")
            >>> store.maintenance.rebuild_log()
            1
            >>> store.count(cdrkit.Query().number("+44 20 7946 0018"))
            1

        Returns:
            The number of calls in the store.

        Raises:
            StorageError: When a log exists, a segment is damaged, or another process writes to the store.
            NotFoundError: When the store has no segments.
        """
        return write_new_log(self._log, self._tiers, self._hot, {"region": self._region}).rows

    def _lease(self, job: str, dry_run: bool) -> contextlib.AbstractContextManager[None]:
        return job_lease(self._log, self._snapshot, job, dry_run=dry_run)


@contextlib.contextmanager
def job_lease(log: Log, snapshot: Callable[[], Snapshot], job: str, *, dry_run: bool) -> Iterator[None]:
    """Hold the store's lease for *job*, unless the job is a dry run."""
    if dry_run or snapshot().version < 0:
        yield
    else:
        with acquire_lease(log.files, job):
            yield
