"""The commit log: which segments make up the store, version by version.

One commit is one object, and creating that object is the commit: whoever creates version *n* has committed it,
everyone else looks at it and tries *n* + 1. A reader holds one `Snapshot` and is never disturbed.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs

from ..errors import ConfigError, CorruptDataError, NotFoundError
from ._files import Files

__all__ = ["FORMAT", "Commit", "Log", "Segment", "Snapshot"]

FORMAT: Final = 1
_FOLDER: Final = "_log"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NAME: Final = re.compile(r"[\w.=-]+(/[\w.=-]+)*", re.ASCII)

Action = Literal["create", "append", "replace"]


def _frozen(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(found))


@attrs.frozen(kw_only=True)
class Segment:
    """One immutable file of calls, sorted by (``start``, ``call_id``).

    Attributes:
        id: Unique, for ever.
        tier: Name of the tier that wrote it.
        path: Where it lies below that tier's root.
        rows: How many calls.
        size_bytes: How large the file is.
        first: Earliest ``start`` in it.
        last: Latest ``start`` in it; inclusive.
        checksum: BLAKE2b of the whole file, as hex digits.
        columns: CRC-32 of each column that it holds; what is null throughout is not written.
        facts: What else its tier wants to remember of it.
    """

    id: str
    tier: str
    path: str
    rows: int
    size_bytes: int
    first: datetime
    last: datetime
    checksum: str
    columns: Mapping[str, int] = attrs.field(converter=_frozen, hash=False)
    facts: Mapping[str, int] = attrs.field(converter=_frozen, hash=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; instants are microseconds since 1970 in UTC."""
        plain = {a.name: getattr(self, a.name) for a in attrs.fields(Segment)}
        return plain | {
            "first": (self.first - _EPOCH) // _MICROSECOND,
            "last": (self.last - _EPOCH) // _MICROSECOND,
            "columns": dict(self.columns),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Segment:
        """Return the segment whose `to_dict` gave *data*."""
        found = cls(
            **{
                **data,
                "first": _EPOCH + data["first"] * _MICROSECOND,
                "last": _EPOCH + data["last"] * _MICROSECOND,
            }
        )
        if not _NAME.fullmatch(found.path) or found.rows < 1 or found.last < found.first:
            raise ValueError(f"segment {found.id!r} makes no sense")
        return found


@attrs.frozen(kw_only=True)
class Commit:
    """One change of the store.

    Attributes:
        version: Its place in the log; 0 made the store.
        token: Random; tells a writer that lost the answer whether the commit is its own.
        at: When, by the writer's clock.
        action: What it was.
        added: Segments that are there from now on.
        removed: Ids of segments that are not any more.
        facts: What else is worth keeping: the source of an ingest; of version 0, the store's settings.
    """

    version: int
    token: str
    at: datetime
    action: str
    added: tuple[Segment, ...] = ()
    removed: tuple[str, ...] = ()
    facts: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def encode(self) -> bytes:
        """Return it as the bytes of its object: JSON, with a checksum."""
        body = {
            "format": FORMAT,
            "version": self.version,
            "token": self.token,
            "at": (self.at - _EPOCH) // _MICROSECOND,
            "action": self.action,
            "added": [segment.to_dict() for segment in self.added],
            "removed": list(self.removed),
            "facts": dict(self.facts),
        }
        return _dump({"checksum": _checksum(body), "commit": body})

    @classmethod
    def decode(cls, data: bytes, url: str) -> Commit:
        """Return the commit that `encode` made *data* of.

        Raises:
            CorruptDataError: When it is not one, or its checksum does not hold.
            ConfigError: When a newer cdrkit wrote it.
        """
        try:
            whole = json.loads(data)
            body = whole["commit"]
            if whole["checksum"] != _checksum(body):
                raise ValueError("its checksum does not hold")
            if body["format"] > FORMAT:
                raise ConfigError(
                    f"{url} is of format {body['format']}, this cdrkit reads up to {FORMAT}; install a newer cdrkit."
                )
            return cls(
                version=body["version"],
                token=body["token"],
                at=_EPOCH + body["at"] * _MICROSECOND,
                action=body["action"],
                added=tuple(map(Segment.from_dict, body["added"])),
                removed=tuple(body["removed"]),
                facts=body["facts"],
            )
        except ConfigError:
            raise
        except (ValueError, TypeError, KeyError) as exc:
            raise CorruptDataError(
                f"{url} is damaged: {exc}. Restore that file from a backup before using the store.", url=url
            ) from exc


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _checksum(body: object) -> str:
    return hashlib.blake2b(_dump(body), digest_size=16).hexdigest()


@attrs.frozen(kw_only=True, eq=False)
class Snapshot:
    """The store at one version. Nothing in it ever changes.

    Attributes:
        version: The version; -1 where there is no store yet.
        segments: The segments by id.
        settings: What the store was made with.
    """

    version: int
    segments: Mapping[str, Segment]
    settings: Mapping[str, Any]

    def with_commit(self, commit: Commit, url: str) -> Snapshot:
        """Return the snapshot after *commit*.

        Raises:
            CorruptDataError: When it does not follow from this one.
        """
        segments = dict(self.segments)
        for gone in commit.removed:
            if segments.pop(gone, None) is None:
                raise CorruptDataError(f"{url} removes segment {gone!r}, which was not there.", url=url)
        for segment in commit.added:
            if segments.setdefault(segment.id, segment) is not segment:
                raise CorruptDataError(f"{url} adds segment {segment.id!r} a second time.", url=url)
        settings = commit.facts if commit.version == 0 else self.settings
        return Snapshot(version=commit.version, segments=MappingProxyType(segments), settings=settings)

    @property
    def rows(self) -> int:
        """How many calls there are."""
        return sum(segment.rows for segment in self.segments.values())


_NOTHING: Final = Snapshot(version=-1, segments=MappingProxyType({}), settings=MappingProxyType({}))


class Log:
    """The log below one root. It remembers the newest snapshot it saw; reading on from there is cheap."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._latest = _NOTHING

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; version -1 where no store was made yet.

        Raises:
            CorruptDataError: When a commit is damaged or missing.
        """
        latest = self._latest
        while True:
            path = _path(latest.version + 1)
            try:
                data = self._files.read(path)
            except NotFoundError:
                break
            url = self._files.url_of(path)
            commit = Commit.decode(data, url)
            if commit.version != latest.version + 1:
                raise CorruptDataError(f"{url} holds version {commit.version}.", url=url)
            latest = latest.with_commit(commit, url)
        if latest.version < 0 and self._files.list(_FOLDER):
            url = self._files.url_of(_path(0))
            raise CorruptDataError(f"{url} is missing, though later commits are there; restore it.", url=url)
        self._latest = latest
        return latest

    def create(self, settings: Mapping[str, Any]) -> Snapshot:
        """Make the store with *settings*, unless there is one by now; return its newest snapshot.

        Raises:
            ConfigError: When the filesystem cannot create exclusively: no log can live there.
        """
        first = Commit(version=0, token=secrets.token_hex(8), at=_now(), action="create", facts=settings)
        if self._files.create(_path(0), first.encode()) and self._files.create(_path(0), first.encode()):
            raise ConfigError(
                f"{self._files.url} overwrites where it should refuse: it has no exclusive creation, so two writers "
                "could lose each other's calls. Keep the hot tier on another filesystem; the warm tier may live there."
            )
        return self.snapshot()

    def commit(
        self,
        base: Snapshot,
        action: Action,
        *,
        added: Iterable[Segment] = (),
        removed: Iterable[str] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Snapshot | None:
        """Commit on top of *base*; return the new snapshot, or None when someone else was first."""
        commit = Commit(
            version=base.version + 1,
            token=secrets.token_hex(8),
            at=_now(),
            action=action,
            added=tuple(added),
            removed=tuple(removed),
            facts=facts,
        )
        path = _path(commit.version)
        url = self._files.url_of(path)
        # A retry below us may have met the object that its own lost first try had made: the token tells.
        made = self._files.create(path, commit.encode())
        if not made and Commit.decode(self._files.read(path), url).token != commit.token:
            return None
        after = base.with_commit(commit, url)
        if self._latest.version < after.version:
            self._latest = after
        return after


def _path(version: int) -> str:
    return f"{_FOLDER}/{version:020d}.json"


def _now() -> datetime:
    return datetime.now(UTC)
