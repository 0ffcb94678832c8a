"""A snapshot: the segments and settings of the store at one version."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import attrs

from cdrkit._model import from_microseconds, to_microseconds
from cdrkit.errors import CorruptDataError
from cdrkit.storage.log.commit import Commit
from cdrkit.storage.log.object_checksum import add_checksum, report_damage, verify_checksum
from cdrkit.storage.log.segment import Segment

__all__ = ["Snapshot"]


@attrs.frozen(kw_only=True, eq=False)
class Snapshot:
    """The immutable state of the store at one version.

    Attributes:
        version: The number of the version; -1 where no store exists.
        segments: The segments by id.
        settings: The settings that the store was created with.
        positions: How far each followed file was read, by the file's key.
        erased: The last version that erased calls; -1 if no version did. For a checkpoint that does not record this, it
            is the checkpoint's own version.
    """

    version: int
    segments: Mapping[str, Segment]
    settings: Mapping[str, Any]
    positions: Mapping[str, Any] = MappingProxyType({})
    erased: int = -1

    @property
    def region(self) -> str | None:
        """The region to which numbers in national form belong, or None.

        It is set when the store is created.
        """
        region: str | None = self.settings.get("region")
        return region

    @property
    def created(self) -> datetime | None:
        """When the store was created, in UTC; None if unknown.

        No segment of the store is older.
        """
        at = self.settings.get("created")
        return None if at is None else from_microseconds(at)

    @functools.cached_property
    def ordered(self) -> Sequence[Segment]:
        """The segments sorted by their first call."""
        return tuple(sorted(self.segments.values(), key=lambda segment: (segment.first, segment.id)))

    @property
    def rows(self) -> int:
        """The number of calls in the store."""
        return sum(segment.rows for segment in self.segments.values())

    def with_commit(self, commit: Commit, url: str) -> Snapshot:
        """Return the snapshot that results from applying *commit*.

        Args:
            commit: The commit of the next version.
            url: The commit's URL, for messages.

        Raises:
            CorruptDataError: When the commit removes a missing segment or adds one that is present.
        """
        segments = dict(self.segments)
        for gone in commit.removed:
            if segments.pop(gone, None) is None:
                raise CorruptDataError(
                    f"The commit {url} removes segment {gone!r}, which the store does not have. "
                    "Restore the commit from a backup, or make a new log with Store.maintenance.rebuild_log().",
                    url=url,
                )
        for segment in commit.added:
            if segments.setdefault(segment.id, segment) is not segment:
                raise CorruptDataError(
                    f"The commit {url} adds segment {segment.id!r}, which the store already has. "
                    "Restore the commit from a backup, or make a new log with Store.maintenance.rebuild_log().",
                    url=url,
                )
        settings = commit.facts.get("settings", self.settings)
        positions = MappingProxyType({**self.positions, **commit.facts.get("positions", {})})
        return Snapshot(
            version=commit.version,
            segments=MappingProxyType(segments),
            settings=settings,
            positions=positions,
            erased=commit.version if commit.action == "erase" else self.erased,
        )

    def encode(self, at: datetime) -> bytes:
        """Encode the snapshot as a checkpoint: JSON bytes with a checksum.

        Args:
            at: The time of writing, which `read_checkpoint_time` returns.
        """
        return add_checksum(
            {
                "version": self.version,
                "at": to_microseconds(at),
                "settings": dict(self.settings),
                "segments": [segment.to_dict() for segment in self.segments.values()],
                "positions": dict(self.positions),
                "erased": self.erased,
            }
        )

    @classmethod
    def decode(cls, data: bytes, url: str, version: int) -> Snapshot:
        """Decode the bytes that `encode` returned, and return the snapshot.

        Args:
            data: The bytes of a checkpoint.
            url: The checkpoint's URL, for messages.
            version: The version in the checkpoint's name.

        Raises:
            CorruptDataError: When *data* is not a checkpoint of that version or its checksum does not match.
            ConfigError: When a newer cdrkit wrote the checkpoint.
        """
        with report_damage(url):
            body = verify_checksum(data, url)
            segments = {item["id"]: Segment.from_dict(item) for item in body["segments"]}
            if body["version"] != version:
                raise ValueError(f"the checkpoint holds version {body['version']}, not {version}")
            return cls(
                version=version,
                segments=MappingProxyType(segments),
                settings=body["settings"],
                positions=MappingProxyType(dict(body.get("positions", {}))),
                erased=body.get("erased", version),
            )
