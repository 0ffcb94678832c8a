"""A commit: one change to the store, written as one JSON object in the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import attrs

from cdrkit._model import from_microseconds, to_microseconds
from cdrkit.storage.log.object_checksum import add_checksum, report_damage, verify_checksum
from cdrkit.storage.log.segment import Segment

__all__ = ["Action", "Commit"]

#: The kinds of changes, as the log stores them.
Action: TypeAlias = Literal["append", "replace", "compact", "rollover", "erase", "rebuild"]


@attrs.frozen(kw_only=True)
class Commit:
    """One change to the store.

    Attributes:
        version: The number of the version that the commit creates. Version 0 creates the store.
        token: A random string. A writer whose request failed recognises its own commit by the token.
        at: The time of the commit, by the writer's clock, in UTC.
        action: The kind of change.
        added: The segments that the store has from this version on.
        removed: The ids of the segments that the store no longer has.
        facts: More information about the change, such as the source of an ingest. The first commit has ``settings``.
    """

    version: int
    token: str
    at: datetime
    action: str
    added: tuple[Segment, ...] = ()
    removed: tuple[str, ...] = ()
    facts: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def encode(self) -> bytes:
        """Encode the commit as JSON bytes with a checksum."""
        return add_checksum(
            {
                "version": self.version,
                "token": self.token,
                "at": to_microseconds(self.at),
                "action": self.action,
                "added": [segment.to_dict() for segment in self.added],
                "removed": list(self.removed),
                "facts": dict(self.facts),
            }
        )

    @classmethod
    def decode(cls, data: bytes, url: str) -> Commit:
        """Decode a commit from *data*, the output of `encode`.

        Args:
            data: The bytes of the object.
            url: The object's URL, for messages.

        Raises:
            CorruptDataError: When *data* is not a commit or its checksum does not match.
            ConfigError: When a newer cdrkit wrote the commit.
        """
        with report_damage(url):
            body = verify_checksum(data, url)
            return cls(
                version=body["version"],
                token=body["token"],
                at=from_microseconds(body["at"]),
                action=body["action"],
                added=tuple(map(Segment.from_dict, body["added"])),
                removed=tuple(body["removed"]),
                facts=body["facts"],
            )
