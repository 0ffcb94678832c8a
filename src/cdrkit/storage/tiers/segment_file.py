"""What tiers that keep one file a segment have in common: names that carry a checksum, checks, listings."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._files import Data, Entry, Files
from cdrkit.errors import CorruptDataError
from cdrkit.storage.log import APART, COMPANION, FORMAT, Segment, Snapshot, identity_of

__all__ = [
    "SegmentFile",
    "about_segment",
    "check_file",
    "checksum_of",
    "describe_segment",
    "is_older",
    "list_segment_files",
    "new_identity",
]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: How far the clocks of a writer and of its storage may differ.
_CLOCKS_DIFFER: Final = timedelta(minutes=5)


@attrs.frozen
class SegmentFile:
    """A segment in a tier's place, whether or not the log knows of it.

    Attributes:
        id: The segment's id.
        path: Where its file lies below the tier's root, or would lie: of a segment whose writing was cut off, there
            may be only the file beside it.
        modified: When it was last written to, where the filesystem tells.
        is_whole: Whether its own file is there.
    """

    id: str
    path: str
    modified: datetime | None
    is_whole: bool = True


def about_segment(frame: pl.DataFrame) -> dict[str, Any]:
    """Return what a segment's file says of itself, in its metadata."""
    first, last = frame["start"][0], frame["start"][-1]
    return {
        "format": FORMAT,
        "rows": frame.height,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "written": (datetime.now(UTC) - _EPOCH) // _MICROSECOND,
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
    """Return the segment of which *about* is what its file says of itself."""
    written = {"written": about["written"]} if "written" in about else {}  # not in format 1
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


def checksum_of(data: Data) -> str:
    """Return the BLAKE2b of a whole file, as hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def new_identity(data: Data) -> str:
    """Return an id for a segment whose file is *data*: random, then its checksum."""
    return f"{secrets.token_hex(6)}-{checksum_of(data)}"


def list_segment_files(files: Files, folder_prefix: str, suffix: str) -> Iterator[SegmentFile]:
    """Yield the segments below the root, in folders whose name begins with *folder_prefix*."""
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


def is_older(found: SegmentFile, snapshot: Snapshot) -> bool:
    """Return whether a segment that no commit names is from before the log."""
    made = snapshot.created
    return made is not None and found.modified is not None and found.modified < made - _CLOCKS_DIFFER


def check_file(files: Files, segment: Segment) -> bytes:
    """Return the whole file of *segment*.

    Raises:
        CorruptDataError: When it is not what was written.
        NotFoundError: When it is gone.
    """
    data = files.read(segment.path)
    if len(data) != segment.size_bytes or checksum_of(data) != segment.checksum:
        url = files.url_of(segment.path)
        raise CorruptDataError(
            f"{url} is damaged: its checksum does not hold. Restore that file from a backup.", url=url
        )
    return data
