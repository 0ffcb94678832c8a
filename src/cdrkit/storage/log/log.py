"""The commit log: which segments make up the store, version by version.

One commit is one object, and creating that object is the commit: whoever creates version *n* has committed it,
everyone else looks at it and tries *n* + 1. A reader holds one `Snapshot` and is never disturbed.

Every so many commits a checkpoint holds the whole snapshot, so that opening a store reads few objects. Commits
before a checkpoint are dropped once it is an hour old; whoever knows nothing newer than half of that looks at the
listing again instead of trusting that the next version is not there.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from cdrkit._files import Files
from cdrkit._runtime import Elapsed
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError, StorageError
from cdrkit.storage.log.commit import Action, Commit, Snapshot, add_checksum, report_damage, verify_checksum
from cdrkit.storage.log.segment import Segment

__all__ = ["COMMIT_GRACE", "Log"]

_FOLDER: Final = "_log"
_CHECKPOINT: Final = re.compile(r"_log/checkpoint-(\d{20})\.json", re.ASCII)
_COMMIT: Final = re.compile(r"_log/(\d{20})\.json", re.ASCII)
_CHECKPOINT_EVERY: Final = 64
#: How long commits are kept after a checkpoint made them superfluous.
COMMIT_GRACE: Final = timedelta(hours=1)
_FRESH_SECONDS: Final = COMMIT_GRACE.total_seconds() / 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = Snapshot(version=-1, segments=MappingProxyType({}), settings=MappingProxyType({}))


class Log:
    """The log below one root. It remembers the newest snapshot it saw; reading on from there is cheap.

    Safe to use from several threads and processes.

    Args:
        files: Where it lies.
        on_removed: Is told the id of each segment that a newer version no longer has.
    """

    def __init__(self, files: Files, on_removed: Callable[[str], None] | None = None) -> None:
        self._files = files
        self._on_removed = on_removed
        self._latest = _NOTHING
        self._looked: Elapsed | None = None  # since the listing was last read
        self._is_exclusive = False  # whether creation was seen to be so

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; version -1 where no store was made yet.

        Raises:
            CorruptDataError: When a commit or a checkpoint is damaged or missing.
        """
        latest, looked = self._latest, self._looked
        if latest.version < 0 or looked is None or looked.seconds > _FRESH_SECONDS:
            looked = Elapsed()
            latest = self._listed(latest)
            self._looked = looked
        latest = self._read_on(latest)
        # Where asking costs nothing, a version that is gone tells that the next one may be, too.
        if latest.version >= 0 and self.answers_are_final and not self._is_kept(latest.version):
            latest = self._read_on(self._listed(latest))
        if latest.version > self._latest.version:
            before, self._latest = self._latest, latest
            self._tell_removed(before.segments.keys() - latest.segments.keys())
        return latest

    def _tell_removed(self, identities: Iterable[str]) -> None:
        if self._on_removed is not None:
            for identity in identities:
                self._on_removed(identity)

    def reset(self) -> None:
        """Forget what was read: the log that it stood in is gone."""
        self._latest, self._looked = _NOTHING, None

    def refresh(self) -> None:
        """Let the next snapshot come from the listing, for who must not go by what is half an hour old."""
        self._looked = None

    @property
    def newest_seen(self) -> int:
        """The newest version that was ever seen; -1 where none was."""
        return self._latest.version

    def _read_on(self, latest: Snapshot) -> Snapshot:
        while (commit := self._read(latest.version + 1)) is not None:
            latest = latest.with_commit(commit, self.url_of(commit.version))
            self._tell_removed(commit.removed)  # also of what was there before this process was
        return latest

    @property
    def files(self) -> Files:
        """The files among which the log lies."""
        return self._files

    @property
    def exists(self) -> bool:
        """Whether there is anything of a log."""
        return bool(self._files.list(_FOLDER))

    @property
    def answers_are_final(self) -> bool:
        """Whether a commit that failed can not take effect later, as one can that is still on its way to a service."""
        return self._files.local_path(_path(0)) is not None

    def url_of(self, version: int) -> str:
        """Return where the commit of *version* lies."""
        return self._files.url_of(_path(version))

    def _read(self, version: int) -> Commit | None:
        try:
            data = self._files.read(_path(version))
        except NotFoundError:
            return None
        commit = Commit.decode(data, self.url_of(version))
        if commit.version != version:
            url = self.url_of(version)
            raise CorruptDataError(f"{url} holds version {commit.version}.", url=url)
        return commit

    def _listed(self, latest: Snapshot) -> Snapshot:
        """Return the newest checkpoint that is later than *latest*, or *latest*, having seen that no gap follows."""
        versions, checkpoints = self._versions()
        newest = max(checkpoints, default=-1)
        if newest > latest.version:
            latest = self._checkpoint(newest)
        # What a listing lacks is asked for once more: it is no instant.
        elif newest < latest.version and latest.version not in versions and not self._is_kept(latest.version):
            raise self._missing(latest.version, "though it was there before")
        later = range(latest.version + 1, max(versions, default=-1) + 1)
        for missing in (
            version for version in later if version not in versions and self._read(version) is None
        ):
            raise self._missing(missing, "though later commits are there")
        return latest

    def _missing(self, version: int, why: str) -> CorruptDataError:
        url = self.url_of(version)
        return CorruptDataError(
            f"{url} is missing, {why}. Restore it from a backup, or make a new log with rebuild().", url=url
        )

    def _versions(self) -> tuple[set[int], set[int]]:
        """Return the versions of which there is a commit, and those of which there is a checkpoint."""
        names = [entry.path for entry in self._files.list(_FOLDER)]
        commits = {int(match[1]) for name in names if (match := _COMMIT.fullmatch(name))}
        return commits, {int(match[1]) for name in names if (match := _CHECKPOINT.fullmatch(name))}

    # -- checkpoints --------------------------------------------------------------------------------------------

    def checkpoint(self, snapshot: Snapshot) -> None:
        """Write *snapshot* whole, so that later readers need no older commit."""
        if not self._is_kept(snapshot.version):
            return  # so late that it is history: who comes as late must not take that version for the newest
        body = {
            "version": snapshot.version,
            "at": (_now() - _EPOCH) // _MICROSECOND,
            "settings": dict(snapshot.settings),
            "segments": [segment.to_dict() for segment in snapshot.segments.values()],
            "positions": dict(snapshot.positions),
            "erased": snapshot.erased,
        }
        self._files.put(_checkpoint_path(snapshot.version), add_checksum(body))

    def _checkpoint(self, version: int) -> Snapshot:
        url = self._files.url_of(_checkpoint_path(version))
        data = self._files.read(_checkpoint_path(version))
        with report_damage(url):
            body = verify_checksum(data, url)
            segments = {found.id: found for found in map(Segment.from_dict, body["segments"])}
            if body["version"] != version:
                raise ValueError(f"it holds version {body['version']}")
            return Snapshot(
                version=version,
                segments=MappingProxyType(segments),
                settings=body["settings"],
                positions=MappingProxyType(dict(body.get("positions", {}))),
                erased=body.get("erased", version),
            )

    def recent(self) -> list[Commit]:
        """Return the commits that are still there, oldest first."""
        versions, _ = self._versions()
        return [commit for version in sorted(versions) if (commit := self._read(version)) is not None]

    def problems(self) -> list[str]:
        """Return what is wrong with commits and checkpoints, a sentence each, whether or not they are still needed."""
        found: list[str] = []
        versions, checkpoints = self._versions()
        reading: list[tuple[Callable[[int], object], set[int]]] = [
            (self._read, versions),
            (self._checkpoint, checkpoints),
        ]
        for read, numbers in reading:
            for version in sorted(numbers):
                try:
                    read(version)
                except NotFoundError:
                    continue  # cleaned away meanwhile
                except StorageError as exc:
                    found.append(str(exc))
        return found

    def clean(self, now: datetime) -> int:
        """Drop commits and checkpoints that a checkpoint older than the grace made superfluous; return how many.

        Args:
            now: The present, by this machine's clock.
        """
        versions, checkpoints = self._versions()
        settled = [version for version in checkpoints if now - self._checkpoint_time(version) > COMMIT_GRACE]
        if not settled:
            return 0
        keep = max(settled)
        dropped = [(v, _path(v)) for v in versions if v <= keep]
        dropped += [(v, _checkpoint_path(v)) for v in checkpoints if v < keep]
        # Version by version, each in both its forms: where one is gone, so is the one before it, by which a writer
        # that is late tells that it is, even if this is cut off.
        for _, path in sorted(dropped):
            self._files.remove(path)
        return len(dropped)

    def _checkpoint_time(self, version: int) -> datetime:
        url = self._files.url_of(_checkpoint_path(version))
        with report_damage(url):
            body = verify_checksum(self._files.read(_checkpoint_path(version)), url)
            return _EPOCH + int(body["at"]) * _MICROSECOND

    # -- commits ------------------------------------------------------------------------------------------------

    def create(self, settings: Mapping[str, Any], *, added: Iterable[Segment] = ()) -> Snapshot:
        """Make the store with *settings*, unless there is one by now; return its newest snapshot.

        Args:
            settings: What is settled for good.
            added: Segments that it begins with, where a lost log is made anew.

        Raises:
            ConfigError: When the filesystem cannot create exclusively: no log can live there.
        """
        latest, added = self.snapshot(), tuple(added)
        if latest.version >= 0:
            return latest
        # Segments that lie there already were some other log's; those of a rebuilt one are older than it.
        made = {} if added else {"created": (_now() - _EPOCH) // _MICROSECOND}
        first = Commit(
            version=0,
            token=secrets.token_hex(8),
            at=_now(),
            action="rebuild" if added else "create",
            added=added,
            facts={"settings": {**settings, **made}},
        )
        if self._files.create(_path(0), first.encode()):
            try:
                self._check_exclusive(_path(0), first.encode())
            except ConfigError:
                self._files.remove(_path(0))  # or else there is a store that the next one does not ask about
                raise
        return self.snapshot()

    def _check_exclusive(self, path: str, data: bytes) -> None:
        """See that *path*, which is there and holds *data*, cannot be created a second time.

        Raises:
            ConfigError: When it can.
        """
        if self._files.create(path, data):
            raise ConfigError(
                f"{self._files.url} overwrites where it should refuse: it has no exclusive creation, so two writers "
                "could lose each other's calls. Keep the hot tier on another filesystem; the warm tier may live there."
            )
        self._is_exclusive = True

    def _check_place(self, version: int) -> None:
        """Do that with what there is of *version*: a log may have been copied to where none can live."""
        if self._is_exclusive or self.answers_are_final:  # on the local disk, links are
            return
        for path in (_path(version), _checkpoint_path(version)):
            with contextlib.suppress(NotFoundError):
                data = self._files.read(path)
                if self._files.create(path, data):  # it overwrites; or that was dropped from the log just now
                    self._check_exclusive(path, data)
                    self._files.remove(path)
                self._is_exclusive = True
                return

    def draft(
        self,
        base: Snapshot,
        action: Action,
        *,
        added: Iterable[Segment] = (),
        removed: Iterable[str] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Commit:
        """Return a commit on top of *base*; nothing is written."""
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
        """Draft and write a commit at once, for those who need not ask `is_refused` afterwards."""
        return self.write(base, self.draft(base, action, added=added, removed=removed, facts=facts))

    def write(self, base: Snapshot, commit: Commit) -> Snapshot | None:
        """Write *commit*, drafted on *base*; return the new snapshot, or None when someone else was first.

        Raises:
            ConfigError: When the filesystem does not create exclusively.
            StorageError: When it could not be written; `is_refused` tells whether what it adds may be removed then.
        """
        after = base.with_commit(commit, self.url_of(commit.version))
        self._check_place(base.version)
        begun = Elapsed()
        if not self._made(commit):
            return None
        if not self._is_kept(base.version):
            return self._taken_back(commit, begun)
        if self._latest.version < after.version:
            self._latest = after
            self._tell_removed(commit.removed)
        return after

    def is_refused(self, commit: Commit) -> bool:
        """Return whether *commit* certainly did not and will not take effect, after its writing was cut off."""
        if not self.answers_are_final:
            return False
        try:
            # Where the version before is gone, the commit may have counted, and been dropped with it.
            return not self._is_there(commit) and self._is_kept(commit.version - 1)
        except StorageError:
            return False

    def make_durable(self, snapshot: Snapshot) -> None:
        """Make durable that *snapshot* is there: whoever committed it may not have come so far yet.

        Raises:
            StorageError: When that fails.
        """
        if snapshot.version >= 0:
            self._files.make_durable(_path(snapshot.version))

    def checkpoint_if_due(self, snapshot: Snapshot) -> None:
        """Write a checkpoint at every so many versions; when that fails, a later one will do."""
        if snapshot.version and snapshot.version % _CHECKPOINT_EVERY == 0:
            with contextlib.suppress(StorageError):
                self.checkpoint(snapshot)

    def _made(self, commit: Commit) -> bool:
        """Create the object of *commit*; return whether it is there, whatever the filesystem's answer was."""
        try:
            if self._files.create(_path(commit.version), commit.encode()):
                return True
        except StorageError:
            if not self._is_there(commit):
                raise
        # A retry below us may have met the object that its own lost first try had made.
        if not self._is_there(commit):
            return False
        # The answer may have been that it could not be made durable.
        self._files.make_durable(_path(commit.version))
        return True

    def _is_there(self, commit: Commit) -> bool:
        found = self._read(commit.version)
        return found is not None and found.token == commit.token

    def _taken_back(self, commit: Commit, begun: Elapsed) -> Snapshot | None:
        """Undo *commit*, which came so late that the version before it had been dropped from the log, and return None.

        When only this look at it came late, and it counts, return the newest snapshot.

        Raises:
            StorageError: When that cannot be told.
        """
        self.refresh()  # whoever comes that late knows nothing newer
        self._files.remove(_path(commit.version))  # by now a checkpoint says what counts
        newest = self.snapshot()
        if any(segment.id in newest.segments for segment in commit.added):
            return newest
        if begun.seconds > _FRESH_SECONDS:
            url = self.url_of(commit.version)
            raise StorageError(
                f"Writing {url} took so long that whether it counted cannot be told any more. Do it again; what is "
                "done is not done twice.",
                url=url,
            )
        return None

    def _is_kept(self, version: int) -> bool:
        """Return whether *version* is still in the log: as a commit, or as the checkpoint that took its place."""
        paths = (_path(version), _checkpoint_path(version))
        return any(self._files.size(path) is not None for path in paths)


def _path(version: int) -> str:
    return f"{_FOLDER}/{version:020d}.json"


def _checkpoint_path(version: int) -> str:
    return f"{_FOLDER}/checkpoint-{version:020d}.json"


def _now() -> datetime:
    return datetime.now(UTC)
