"""What the log is made of: segments, commits, snapshots, and the sealed objects that hold them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import attrs

from cdrkit.errors import ConfigError, CorruptDataError
from cdrkit.storage.log.segment import _EPOCH, _MICROSECOND, FORMAT, Segment

__all__ = ["Action", "Commit", "Snapshot", "add_checksum", "report_damage", "verify_checksum"]


Action = Literal["append", "replace", "compact", "rollover", "erase", "rebuild"]


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
        facts: What else is worth keeping: the source of an ingest; ``settings`` of the store, where it was made.
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
        return add_checksum(
            {
                "version": self.version,
                "token": self.token,
                "at": (self.at - _EPOCH) // _MICROSECOND,
                "action": self.action,
                "added": [segment.to_dict() for segment in self.added],
                "removed": list(self.removed),
                "facts": dict(self.facts),
            }
        )

    @classmethod
    def decode(cls, data: bytes, url: str) -> Commit:
        """Return the commit that `encode` made *data* of.

        Raises:
            CorruptDataError: When it is not one, or its checksum does not hold.
            ConfigError: When a newer cdrkit wrote it.
        """
        with report_damage(url):
            body = verify_checksum(data, url)
            return cls(
                version=body["version"],
                token=body["token"],
                at=_EPOCH + body["at"] * _MICROSECOND,
                action=body["action"],
                added=tuple(map(Segment.from_dict, body["added"])),
                removed=tuple(body["removed"]),
                facts=body["facts"],
            )


def add_checksum(body: Mapping[str, Any]) -> bytes:
    """Return *body* as the bytes of an object that tells whether it is whole."""
    body = {"format": FORMAT, **body}
    return _dump({"checksum": _checksum(body), "commit": body})


def verify_checksum(data: bytes, url: str) -> Any:
    whole = json.loads(data)
    body = whole["commit"]
    if whole["checksum"] != _checksum(body):
        raise ValueError("its checksum does not hold")
    if body["format"] > FORMAT:
        raise ConfigError(
            f"{url} is of format {body['format']}, this cdrkit reads up to {FORMAT}; install a newer cdrkit."
        )
    return body


@contextlib.contextmanager
def report_damage(url: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CorruptDataError(
            f"{url} is damaged: {exc}. Restore that file from a backup, or make a new log with rebuild().",
            url=url,
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
        positions: How far each file that is followed was taken; commits bring news of them.
        erased: The last version that erased calls, -1 where none did; from a checkpoint that does not say so, its own.
        memo: What readers worked out about this version and want to find again.
    """

    version: int
    segments: Mapping[str, Segment]
    settings: Mapping[str, Any]
    positions: Mapping[str, Any] = MappingProxyType({})
    erased: int = -1
    memo: dict[Any, Any] = attrs.field(init=False, factory=dict, repr=False)

    @property
    def region(self) -> str | None:
        """The region of numbers in national form, as the store was made with."""
        found: str | None = self.settings.get("region")
        return found

    @property
    def created(self) -> datetime | None:
        """When the store was made, where that is known: no segment of it is older."""
        at = self.settings.get("created")
        return None if at is None else _EPOCH + at * _MICROSECOND

    @property
    def ordered(self) -> Sequence[Segment]:
        """The segments by their first call."""
        if "ordered" not in self.memo:
            by_first = sorted(self.segments.values(), key=lambda segment: (segment.first, segment.id))
            self.memo["ordered"] = tuple(by_first)
        found: Sequence[Segment] = self.memo["ordered"]
        return found

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
        settings = commit.facts.get("settings", self.settings)
        positions = MappingProxyType({**self.positions, **commit.facts.get("positions", {})})
        return Snapshot(
            version=commit.version,
            segments=MappingProxyType(segments),
            settings=settings,
            positions=positions,
            erased=commit.version if commit.action == "erase" else self.erased,
        )

    @property
    def rows(self) -> int:
        """How many calls there are."""
        return sum(segment.rows for segment in self.segments.values())
