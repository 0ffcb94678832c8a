"""The commit log, which lists the segments of each version of the store.

A commit is one object, and creating that object is the commit: the writer that creates version *n* has committed it.
Every other writer reads that commit and tries *n* + 1. A reader uses one `Snapshot`, which never changes.

Every 64 commits a checkpoint stores the whole snapshot, so that a store opens with few reads. Commits before a
checkpoint are removed once the checkpoint is an hour old. A process whose newest snapshot is more than half an hour
old therefore lists the log again: the absence of the next version no longer proves that it was never written.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from cdrkit._files import Files
from cdrkit._model import to_microseconds
from cdrkit._runtime import Stopwatch
from cdrkit.errors import CorruptDataError, NotFoundError, StorageError
from cdrkit.storage.log.commit import Action, Commit
from cdrkit.storage.log.objects import LogObjects
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.log.snapshot import Snapshot

__all__ = ["COMMIT_GRACE", "Log"]

_CHECKPOINT_EVERY: Final = 64
#: How long commits are kept after a checkpoint has made them superfluous.
COMMIT_GRACE: Final = timedelta(hours=1)
_FRESH_SECONDS: Final = COMMIT_GRACE.total_seconds() / 2
_NO_STORE: Final = Snapshot(version=-1, segments=MappingProxyType({}), settings=MappingProxyType({}))


class Log:
    """A log of commits that caches the newest snapshot.

    A log may be used by several threads and processes at once.

    Args:
        files: The files below the root.
        on_removed: Called with the id of each segment that a newer version no longer has.
    """

    def __init__(self, files: Files, on_removed: Callable[[str], None] | None = None) -> None:
        self._objects = LogObjects(files)
        self._on_removed = on_removed
        self._latest = _NO_STORE
        self._listed: Stopwatch | None = None  # the time since the log was last listed

    # -- snapshots ----------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; its version is -1 if no store exists.

        Raises:
            CorruptDataError: When a commit or a checkpoint is damaged or missing.
        """
        latest, listed = self._latest, self._listed
        if latest.version < 0 or listed is None or listed.seconds > _FRESH_SECONDS:
            listed = Stopwatch()
            latest = self._list_from(latest)
            self._listed = listed
        latest = self._read_on(latest)
        # Where a look at a file is cheap: if the latest version was removed, the next one may have been, too.
        if latest.version >= 0 and self._objects.is_local and not self._objects.has_version(latest.version):
            latest = self._read_on(self._list_from(latest))
        if latest.version > self._latest.version:
            before, self._latest = self._latest, latest
            self._notify_removed(before.segments.keys() - latest.segments.keys())
        return latest

    def reset(self) -> None:
        """Discard the cached snapshot of a deleted log."""
        self._latest, self._listed = _NO_STORE, None

    def refresh(self) -> None:
        """Force the next snapshot() to list the log again.

        Without this call, snapshot() may only read the commits after the cached version.
        """
        self._listed = None

    @property
    def newest_seen(self) -> int:
        """The newest version that this process has read; -1 if it has read no version."""
        return self._latest.version

    @property
    def files(self) -> Files:
        """The files below the log's root."""
        return self._objects.files

    @property
    def exists(self) -> bool:
        """Whether the log folder contains any file."""
        return self._objects.any_exist

    def url_of(self, version: int) -> str:
        """Return the URL of the commit of *version*."""
        return self._objects.url_of(version)

    def _notify_removed(self, identities: Iterable[str]) -> None:
        if self._on_removed is not None:
            for identity in identities:
                self._on_removed(identity)

    def _read_on(self, latest: Snapshot) -> Snapshot:
        """Read and apply all commits after *latest*; return the resulting snapshot."""
        while (commit := self._objects.read_commit(latest.version + 1)) is not None:
            latest = latest.with_commit(commit, self.url_of(commit.version))
            self._notify_removed(commit.removed)  # including segments added since this process last looked
        return latest

    def _list_from(self, latest: Snapshot) -> Snapshot:
        """List the log; return its last checkpoint or *latest*, whichever is newer.

        Raises:
            CorruptDataError: When a version is missing.
        """
        commits, checkpoints = self._objects.list_versions()
        newest = max(checkpoints, default=-1)
        if newest > latest.version:
            latest = self._objects.read_checkpoint(newest)
        # A version that the listing lacks is looked up once more: a listing does not show a single instant.
        elif (
            newest < latest.version
            and latest.version not in commits
            and not self._objects.has_version(latest.version)
        ):
            raise self._missing(latest.version, "although it existed before")
        for version in range(latest.version + 1, max(commits, default=-1) + 1):
            if version not in commits and self._objects.read_commit(version) is None:
                raise self._missing(version, "although later commits exist")
        return latest

    def _missing(self, version: int, why: str) -> CorruptDataError:
        url = self.url_of(version)
        return CorruptDataError(
            f"{url} is missing, {why}. Restore the file from a backup, or make a new log with "
            "Store.maintenance.rebuild_log().",
            url=url,
        )

    # -- commits ------------------------------------------------------------------------------------------------

    def create(self, settings: Mapping[str, Any], *, added: Iterable[Segment] = ()) -> Snapshot:
        """Create the store with *settings* unless it exists; return its newest snapshot.

        Args:
            settings: The settings of the store, which cannot be changed later.
            added: The first segments, when a lost log is rebuilt.

        Raises:
            ConfigError: When the filesystem has no exclusive creation of files, which a log needs.
        """
        latest, added = self.snapshot(), tuple(added)
        if latest.version >= 0:
            return latest
        # Older segments at the root belong to some other log. A rebuilt log has older segments of its own.
        created = {} if added else {"created": to_microseconds(_now())}
        first = Commit(
            version=0,
            token=secrets.token_hex(8),
            at=_now(),
            action="rebuild" if added else "create",
            added=added,
            facts={"settings": {**settings, **created}},
        )
        self._objects.create_first(first)
        return self.snapshot()

    def draft(
        self,
        base: Snapshot,
        action: Action,
        *,
        added: Iterable[Segment] = (),
        removed: Iterable[str] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Commit:
        """Create a commit that follows *base*, but do not write the commit."""
        return Commit(
            version=base.version + 1,
            token=secrets.token_hex(8),
            at=_now(),
            action=action,
            added=tuple(added),
            removed=tuple(removed),
            facts=facts,
        )

    def commit(
        self,
        base: Snapshot,
        action: Action,
        *,
        added: Iterable[Segment] = (),
        removed: Iterable[str] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Snapshot | None:
        """Create a commit with `draft`, and write it with `write`.

        Callers that need `is_refused` afterwards use `draft` and `write`.
        """
        return self.write(base, self.draft(base, action, added=added, removed=removed, facts=facts))

    def write(self, base: Snapshot, commit: Commit) -> Snapshot | None:
        """Write a commit; return None if another writer committed first.

        Otherwise, return the new snapshot. `draft` must have created *commit* from *base*.

        Raises:
            ConfigError: When the filesystem has no exclusive creation of files.
            StorageError: When the commit could not be written. Its segments may be deleted if `is_refused` returns
                True.
        """
        after = base.with_commit(commit, self.url_of(commit.version))
        self._objects.check_exclusive_creation(base.version)
        start = Stopwatch()
        if not self._objects.create_commit(commit):
            return None
        if not self._objects.has_version(base.version):
            return self._take_back(commit, start)
        if self._latest.version < after.version:
            self._latest = after
            self._notify_removed(commit.removed)
        return after

    def is_refused(self, commit: Commit) -> bool:
        """Return True if an interrupted commit certainly will not take effect.

        On a remote filesystem the result is always False, because the request may still be in transit.
        """
        if not self._objects.is_local:
            return False
        try:
            # Where the version before is gone, the commit may have taken effect and been removed with it.
            return not self._objects.holds(commit) and self._objects.has_version(commit.version - 1)
        except StorageError:
            return False

    def make_durable(self, snapshot: Snapshot) -> None:
        """Make the commit of *snapshot* durable.

        The writer of the commit may not have done so yet.

        Raises:
            StorageError: When the commit cannot be made durable.
        """
        if snapshot.version >= 0:
            self._objects.make_durable(snapshot.version)

    def _take_back(self, commit: Commit, start: Stopwatch) -> Snapshot | None:
        """Remove a new commit whose base version is no longer in the log.

        Return None, or the newest snapshot if the commit has taken effect and only this check was late.

        Raises:
            StorageError: When it is unknown whether the commit has taken effect.
        """
        self.refresh()  # the cached snapshot is as old as the base
        self._objects.remove_commit(commit.version)  # a checkpoint holds the versions that took effect
        newest = self.snapshot()
        if any(segment.id in newest.segments for segment in commit.added):
            return newest
        if start.seconds > _FRESH_SECONDS:
            url = self.url_of(commit.version)
            raise StorageError(
                f"Writing {url} took so long that it is unknown whether the commit took effect. Repeat the operation: "
                "it does not store calls twice.",
                url=url,
            )
        return None

    # -- checkpoints and clean-up -------------------------------------------------------------------------------

    def checkpoint(self, snapshot: Snapshot) -> None:
        """Write a checkpoint of *snapshot*, so that readers can skip older commits."""
        # A version that was already removed must not become a checkpoint: a reader would take it for the newest.
        if self._objects.has_version(snapshot.version):
            self._objects.write_checkpoint(snapshot, _now())

    def checkpoint_if_due(self, snapshot: Snapshot) -> None:
        """Write a checkpoint if the version of *snapshot* is a multiple of 64.

        A failure is ignored, because a later checkpoint serves as well.
        """
        if snapshot.version and snapshot.version % _CHECKPOINT_EVERY == 0:
            with contextlib.suppress(StorageError):
                self.checkpoint(snapshot)

    def recent(self) -> list[Commit]:
        """Return the commits that still exist, oldest first."""
        commits, _ = self._objects.list_versions()
        return [
            commit
            for version in sorted(commits)
            if (commit := self._objects.read_commit(version)) is not None
        ]

    def problems(self) -> list[str]:
        """Return one sentence about each damaged commit or checkpoint.

        The check includes objects that are no longer needed.
        """
        problems: list[str] = []
        commits, checkpoints = self._objects.list_versions()
        reads: list[tuple[Callable[[int], object], set[int]]] = [
            (self._objects.read_commit, commits),
            (self._objects.read_checkpoint, checkpoints),
        ]
        for read, versions in reads:
            for version in sorted(versions):
                try:
                    read(version)
                except NotFoundError:
                    continue  # removed in the meantime
                except StorageError as exc:
                    problems.append(str(exc))
        return problems

    def clean(self, now: datetime) -> int:
        """Remove the commits and checkpoints that readers no longer need.

        The newest checkpoint that is older than the grace period stays. It replaces all removed objects.

        Args:
            now: The current time, by this machine's clock.

        Returns:
            The number of removed objects.
        """
        _, checkpoints = self._objects.list_versions()
        old = [
            version
            for version in checkpoints
            if now - self._objects.read_checkpoint_time(version) > COMMIT_GRACE
        ]
        return self._objects.remove_before(max(old)) if old else 0


def _now() -> datetime:
    return datetime.now(UTC)
