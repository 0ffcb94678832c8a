"""The log's entries for segments, and the names of segment files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import attrs

from cdrkit._model import from_microseconds, to_microseconds

__all__ = ["APART", "COMPANION", "FORMAT", "Segment", "identity_of", "month_of", "overlapping_groups"]

#: The storage format that is written. All formats since 1 can be read.
FORMAT: Final = 3
#: The suffix of a segment's index file.
COMPANION: Final = ".index"
#: The folder of the warm tier's index files. The tier's other folders then hold nothing but Parquet files: Spark,
#: pandas and pyarrow read whole folders and skip names that begin with an underscore.
APART: Final = "_index/"

#: The id of a segment file: twelve random hex digits, then the file's checksum.
_FILE_ID: Final = re.compile(r"[0-9a-f]{12}-([0-9a-f]{32})", re.ASCII)
#: An id that the log may contain. Caches use it as a file name.
_ID: Final = re.compile(r"[0-9A-Za-z][\w-]*", re.ASCII)
_PATH: Final = re.compile(r"[\w.=-]+(/[\w.=-]+)*", re.ASCII)


def _freeze(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@attrs.frozen(kw_only=True)
class Segment:
    """An immutable file of calls, sorted by (``start``, ``call_id``).

    A tier returns a segment after writing it. The log stores it as JSON.

    Example:
        >>> from datetime import datetime, timezone
        >>> from cdrkit.storage import Segment
        >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> place = {"id": "a1", "tier": "memory", "path": "a1", "size_bytes": 100, "checksum": ""}
        >>> segment = Segment(**place, rows=1, first=start, last=start, columns={})
        >>> Segment.from_dict(segment.to_dict()) == segment
        True

    Attributes:
        id: The unique id. It is never used again, not even after the segment is deleted.
        tier: The name of the tier that wrote the segment.
        path: The path of its file below the tier's root.
        rows: The number of calls; at least 1.
        size_bytes: The size of the file in bytes.
        first: The earliest ``start`` in the segment, in UTC.
        last: The latest ``start`` in the segment, in UTC; inclusive.
        checksum: The BLAKE2b digest (16 bytes) of the whole file, as hex digits.
        columns: The CRC-32 of each column in the file. A field without a column is null in every call.
        facts: More numbers that the tier needs to read the segment. ``written``, in microseconds since 1970 in UTC,
            is the time of writing.
    """

    id: str
    tier: str
    path: str
    rows: int
    size_bytes: int
    first: datetime
    last: datetime
    checksum: str
    columns: Mapping[str, int] = attrs.field(converter=_freeze, hash=False)
    facts: Mapping[str, int] = attrs.field(converter=_freeze, hash=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the segment as JSON values; instants are microseconds since 1970 in UTC.

        Example:
            >>> from datetime import datetime, timezone
            >>> from cdrkit.storage import Segment
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> place = {"id": "a1", "tier": "memory", "path": "a1", "size_bytes": 100, "checksum": ""}
            >>> segment = Segment(**place, rows=1, first=start, last=start, columns={})
            >>> segment.to_dict()["first"]
            1795338000000000
        """
        plain = {a.name: getattr(self, a.name) for a in attrs.fields(Segment)}
        return plain | {
            "first": to_microseconds(self.first),
            "last": to_microseconds(self.last),
            "columns": dict(self.columns),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Segment:
        """Convert *data*, the output of `to_dict`, to a segment.

        Example:
            >>> from datetime import datetime, timezone
            >>> from cdrkit.storage import Segment
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> place = {"id": "a1", "tier": "memory", "path": "a1", "size_bytes": 100, "checksum": ""}
            >>> segment = Segment(**place, rows=1, first=start, last=start, columns={})
            >>> Segment.from_dict(segment.to_dict()) == segment
            True

        Raises:
            ValueError: When the id, path, number of rows or times are not valid for a segment.
        """
        segment = cls(
            **{**data, "first": from_microseconds(data["first"]), "last": from_microseconds(data["last"])}
        )
        is_named = _ID.fullmatch(segment.id) and _PATH.fullmatch(segment.path)
        if not is_named or segment.rows < 1 or segment.last < segment.first:
            raise ValueError(f"the entry of segment {segment.id!r} is not valid")
        return segment


def overlapping_groups(segments: Iterable[Segment], *, newest_first: bool = False) -> list[list[Segment]]:
    """Put segments with overlapping time ranges into the same group.

    Args:
        segments: Segments sorted by ``first``.
        newest_first: Whether the latest group comes first.
    """
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
    """Return the segment id in a file name, or None if the name has no id.

    Args:
        path: The file's path.
        suffix: The end of the file name, after the id.
    """
    name = path.rpartition("/")[2].removesuffix(suffix)
    return name if path.endswith(suffix) and _FILE_ID.fullmatch(name) else None


def month_of(instant: datetime) -> str:
    """Return the UTC month of an instant, such as ``2026-08``.

    Years before 1000 have four digits, too.
    """
    return instant.isoformat()[:7]
