"""A segment as the log records it, and the names of its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import attrs

__all__ = [
    "APART",
    "COMPANION",
    "FORMAT",
    "_EPOCH",
    "_MICROSECOND",
    "Segment",
    "identity_of",
    "month_of",
    "overlapping_groups",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)


#: The suffix of the file that belongs to a segment's own.
COMPANION: Final = ".index"

#: Where those of the warm tier lie, so that its other folders hold Parquet and nothing else: Spark, pandas and pyarrow
#: read a whole folder, but for what begins with an underscore.
APART: Final = "_index/"

_IDENTITY: Final = re.compile(r"[0-9a-f]{12}-([0-9a-f]{32})", re.ASCII)


#: What is written; everything since 1 can be read.
FORMAT: Final = 3

_ID: Final = re.compile(r"[0-9A-Za-z][\w-]*", re.ASCII)  # it becomes a file's name in caches

_NAME: Final = re.compile(r"[\w.=-]+(/[\w.=-]+)*", re.ASCII)


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


def identity_of(path: str, suffix: str) -> str | None:
    """Return the id in the name of a segment's file, or None when it is no such name."""
    name = path.rpartition("/")[2].removesuffix(suffix)
    return name if path.endswith(suffix) and _IDENTITY.fullmatch(name) else None


def month_of(instant: datetime) -> str:
    """Return the UTC month of *instant*, as ``2026-08``; the year has four digits, also where it is small."""
    return instant.isoformat()[:7]
