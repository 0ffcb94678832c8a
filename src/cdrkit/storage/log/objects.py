"""The objects of the log: one JSON object per commit or checkpoint."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from typing import Final

from cdrkit._files import Files
from cdrkit._model import from_microseconds
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError, StorageError
from cdrkit.storage.log.commit import Commit
from cdrkit.storage.log.object_checksum import report_damage, verify_checksum
from cdrkit.storage.log.snapshot import Snapshot

__all__ = ["LogObjects"]

_FOLDER: Final = "_log"
_CHECKPOINT: Final = re.compile(r"_log/checkpoint-(\d{20})\.json", re.ASCII)
_COMMIT: Final = re.compile(r"_log/(\d{20})\.json", re.ASCII)


class LogObjects:
    """The commits and checkpoints below one root, each stored as a JSON object.

    The name of the object contains the version.

    Args:
        files: The files below that root.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._is_exclusive = False  # whether the filesystem has proved to create exclusively

    @property
    def is_local(self) -> bool:
        """Whether the log is on the local disk.

        A failed write to the local disk cannot take effect later.
        """
        return self.files.local_path(_commit_path(0)) is not None

    @property
    def any_exist(self) -> bool:
        """Whether the log contains any object."""
        return bool(self.files.list(_FOLDER))

    def url_of(self, version: int) -> str:
        """Return the URL of a version's commit."""
        return self.files.url_of(_commit_path(version))

    def list_versions(self) -> tuple[set[int], set[int]]:
        """List the versions that have a commit, and the versions that have a checkpoint."""
        names = [entry.path for entry in self.files.list(_FOLDER)]
        commits = {int(match[1]) for name in names if (match := _COMMIT.fullmatch(name))}
        return commits, {int(match[1]) for name in names if (match := _CHECKPOINT.fullmatch(name))}

    def has_version(self, version: int) -> bool:
        """Return whether the log has a commit or a checkpoint of *version*."""
        paths = (_commit_path(version), _checkpoint_path(version))
        return any(self.files.size(path) is not None for path in paths)

    # -- commits ------------------------------------------------------------------------------------------------

    def read_commit(self, version: int) -> Commit | None:
        """Return the commit of *version*, or None if that commit does not exist.

        Raises:
            CorruptDataError: When the object is damaged or holds another version.
        """
        try:
            data = self.files.read(_commit_path(version))
        except NotFoundError:
            return None
        url = self.url_of(version)
        commit = Commit.decode(data, url)
        if commit.version != version:
            raise CorruptDataError(
                f"{url} is damaged: the commit holds version {commit.version}, not {version}. Restore the file "
                "from a backup, or make a new log with Store.maintenance.rebuild_log().",
                url=url,
            )
        return commit

    def holds(self, commit: Commit) -> bool:
        """Return whether *commit* is in the log.

        Another commit of the same version does not count.
        """
        stored = self.read_commit(commit.version)
        return stored is not None and stored.token == commit.token

    def create_commit(self, commit: Commit) -> bool:
        """Write *commit* as a new object; return whether the commit is now in the log.

        If the filesystem reports a failure, the log is read to verify it.

        Raises:
            StorageError: When the object could not be created.
        """
        try:
            if self.files.create(_commit_path(commit.version), commit.encode()):
                return True
        except StorageError:
            if not self.holds(commit):
                raise
        # The filesystem may have retried a request whose lost first try had created the object.
        if not self.holds(commit):
            return False
        # The error may have been that the object could not be made durable.
        self.make_durable(commit.version)
        return True

    def make_durable(self, version: int) -> None:
        """Make the commit of *version* durable.

        The writer of the commit may not have done so yet.

        Raises:
            StorageError: When the commit cannot be made durable.
        """
        self.files.make_durable(_commit_path(version))

    def remove_commit(self, version: int) -> None:
        """Remove the commit of *version*."""
        self.files.remove(_commit_path(version))

    # -- checkpoints --------------------------------------------------------------------------------------------

    def read_checkpoint(self, version: int) -> Snapshot:
        """Return the snapshot in the checkpoint of *version*.

        Raises:
            CorruptDataError: When the checkpoint is damaged.
            NotFoundError: When the checkpoint does not exist.
        """
        path = _checkpoint_path(version)
        return Snapshot.decode(self.files.read(path), self.files.url_of(path), version)

    def read_checkpoint_time(self, version: int) -> datetime:
        """Return the write time stored in the checkpoint of *version*.

        The time comes from the writer's clock.

        Raises:
            CorruptDataError: When the checkpoint is damaged.
            NotFoundError: When the checkpoint does not exist.
        """
        path = _checkpoint_path(version)
        url = self.files.url_of(path)
        with report_damage(url):
            return from_microseconds(int(verify_checksum(self.files.read(path), url)["at"]))

    def write_checkpoint(self, snapshot: Snapshot, at: datetime) -> None:
        """Write a checkpoint of *snapshot*.

        Args:
            snapshot: The snapshot to store.
            at: The current time, by this machine's clock.
        """
        self.files.put(_checkpoint_path(snapshot.version), snapshot.encode(at))

    def remove_before(self, version: int) -> int:
        """Remove the objects that the checkpoint of *version* replaces.

        Return the number of removed objects.

        Objects are removed version by version, oldest first, so an interrupted removal leaves no gaps. A late writer
        detects that it is late because the version before its own is missing.
        """
        commits, checkpoints = self.list_versions()
        superseded = [(number, _commit_path(number)) for number in commits if number <= version]
        superseded += [(number, _checkpoint_path(number)) for number in checkpoints if number < version]
        for _, path in sorted(superseded):
            self.files.remove(path)
        return len(superseded)

    # -- exclusive creation -------------------------------------------------------------------------------------

    def create_first(self, commit: Commit) -> None:
        """Create the first object of a log, unless another writer created it first.

        Raises:
            ConfigError: When the filesystem has no exclusive creation of files, which a log needs.
        """
        path = _commit_path(0)
        if not self.files.create(path, commit.encode()):
            return
        try:
            self._check_second_creation(path, commit.encode())
        except ConfigError:
            self.files.remove(
                path
            )  # otherwise a store would exist, and the next writer would not check again
            raise

    def check_exclusive_creation(self, version: int) -> None:
        """Check that the filesystem refuses to create a file that already exists.

        The log may have been copied to a filesystem without exclusive creation.

        The check is skipped on the local disk, where links are exclusive, and after an earlier check.

        Args:
            version: A version whose object is used for the check.

        Raises:
            ConfigError: When an existing object can be created a second time.
        """
        if self._is_exclusive or self.is_local:
            return
        for path in (_commit_path(version), _checkpoint_path(version)):
            with contextlib.suppress(NotFoundError):
                data = self.files.read(path)
                if self.files.create(
                    path, data
                ):  # the object was overwritten, or removed from the log just before
                    self._check_second_creation(path, data)
                    self.files.remove(path)
                self._is_exclusive = True
                return

    def _check_second_creation(self, path: str, data: bytes) -> None:
        """Check that the filesystem refuses to create a file that already exists.

        Raises:
            ConfigError: When the file can be created again.
        """
        if self.files.create(path, data):
            raise ConfigError(
                f"The filesystem of {self.files.url} has no exclusive creation: it overwrites a file that already "
                "exists. Two writers could lose each other's calls. Keep the hot tier on another filesystem; the warm "
                "tier may stay on this filesystem."
            )
        self._is_exclusive = True


def _commit_path(version: int) -> str:
    return f"{_FOLDER}/{version:020d}.json"


def _checkpoint_path(version: int) -> str:
    return f"{_FOLDER}/checkpoint-{version:020d}.json"
