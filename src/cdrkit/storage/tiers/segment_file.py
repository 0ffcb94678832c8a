"""Segment files: build and read their metadata, and list the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import polars as pl

from cdrkit._files import Entry, Files
from cdrkit._model import to_microseconds
from cdrkit.storage.log import APART, COMPANION, FORMAT, Segment, identity_of

__all__ = ["SegmentFile", "about_segment", "describe_segment", "list_segment_files"]


@attrs.frozen
class SegmentFile:
    """A segment's file in a tier, whether or not a commit contains the segment.

    Example:
        >>> from cdrkit.storage import SegmentFile
        >>> SegmentFile(id="a1", path="day=2026-11-22/a1.arrow", modified=None).is_whole
        True

    Attributes:
        id: The segment's id.
        path: The path of its file below the tier's root. After an interrupted write, this file may be missing although
            its index file exists.
        modified: The time of the last change, in UTC; None where the filesystem does not record it.
        is_whole: Whether the segment's own file exists.
    """

    id: str
    path: str
    modified: datetime | None
    is_whole: bool = True


def about_segment(frame: pl.DataFrame) -> dict[str, Any]:
    """Return the metadata to store in a segment's file."""
    first, last = frame["start"][0], frame["start"][-1]
    return {
        "format": FORMAT,
        "rows": frame.height,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "written": to_microseconds(datetime.now(UTC)),
    }


def describe_segment(
    tier: str,
    identity: str,
    path: str,
    size_bytes: int,
    about: Mapping[str, Any],
    columns: Mapping[str, int],
    facts: Mapping[str, int],
) -> Segment:
    """Build a `Segment` from the metadata of its file.

    Args:
        tier: The tier's name.
        identity: The id in the file's name.
        path: The file's path.
        size_bytes: The file's size.
        about: The description in the file's metadata, as from `about_segment`.
        columns: The checksums of its columns.
        facts: More facts about it.
    """
    written = {"written": about["written"]} if "written" in about else {}  # format 1 lacks it
    return Segment(
        id=identity,
        tier=tier,
        path=path,
        rows=about["rows"],
        size_bytes=size_bytes,
        first=datetime.fromisoformat(about["first"]),
        last=datetime.fromisoformat(about["last"]),
        checksum=identity.partition("-")[2],
        columns=columns,
        facts={**facts, **written},
    )


def list_segment_files(files: Files, folder_prefix: str, suffix: str) -> Iterator[SegmentFile]:
    """Yield the segment files of a tier.

    Args:
        files: The files below the tier's root.
        folder_prefix: How the names of folders with segments begin.
        suffix: How the names of segments end.
    """
    segments: dict[str, list[Entry]] = {}
    for entry in files.list(""):
        identity = identity_of(entry.path, suffix) or identity_of(entry.path, COMPANION)
        if identity is not None and entry.path.removeprefix(APART).startswith(folder_prefix):
            segments.setdefault(identity, []).append(entry)
    for identity, entries in segments.items():
        own = [entry.path for entry in entries if entry.path.endswith(suffix)]
        path = own[0] if own else entries[0].path.removeprefix(APART).removesuffix(COMPANION) + suffix
        times = [entry.modified for entry in entries if entry.modified is not None]
        yield SegmentFile(identity, path, max(times, default=None), is_whole=bool(own))
