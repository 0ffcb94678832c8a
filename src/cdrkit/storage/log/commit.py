"""What the log is made of: segments, commits, snapshots, and the sealed objects that hold them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs

from cdrkit.errors import ConfigError, CorruptDataError

__all__ = [
    "FORMAT",
    "Action",
    "Commit",
    "Segment",
    "Snapshot",
    "damage_named",
    "overlapping_groups",
    "sealed",
    "unsealed",
]

#: What is written; everything since 1 can be read.
FORMAT: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ID: Final = re.compile(r"[0-9A-Za-z][\w-]*", re.ASCII)  # it becomes a file's name in caches
_NAME: Final = re.compile(r"[\w.=-]+(/[\w.=-]+)*", re.ASCII)

Action = Literal["append", "replace", "compact", "rollover", "erase", "rebuild"]


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
        columns: CRC-32 of each column that it holds; what it does not hold is null throughout.
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
        named = _ID.fullmatch(found.id) and _NAME.fullmatch(found.path)
        if not named or found.rows < 1 or found.last < found.first:
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
        return sealed(
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
        with damage_named(url):
            body = unsealed(data, url)
            return cls(
                version=body["version"],
                token=body["token"],
                at=_EPOCH + body["at"] * _MICROSECOND,
                action=body["action"],
                added=tuple(map(Segment.from_dict, body["added"])),
                removed=tuple(body["removed"]),
                facts=body["facts"],
            )


def sealed(body: Mapping[str, Any]) -> bytes:
    """Return *body* as the bytes of an object that tells whether it is whole."""
    body = {"format": FORMAT, **body}
    return _dump({"checksum": _checksum(body), "commit": body})


def unsealed(data: bytes, url: str) -> Any:
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
def damage_named(url: str) -> Iterator[None]:
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


def overlapping_groups(segments: Iterable[Segment], *, newest_first: bool = False) -> list[list[Segment]]:
    """Return *segments*, sorted by their first call, in groups: time ranges overlap within a group only."""
    groups: list[list[Segment]] = []
    last: datetime | None = None
    for segment in segments:
        if last is not None and segment.first <= last:
            groups[-1].append(segment)
            last = max(last, segment.last)
        else:
            groups.append([segment])
            last = segment.last
    return groups[::-1] if newest_first else groups
