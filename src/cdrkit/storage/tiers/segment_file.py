"""What tiers that keep one file a segment have in common: names that carry a checksum, checks, listings."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._files.files import Data, Entry, Files
from cdrkit._model.frames import FRAME_TYPES
from cdrkit._model.record import SCHEMA
from cdrkit.errors import CorruptDataError
from cdrkit.storage.log.commit import FORMAT, Segment, Snapshot

__all__ = [
    "APART",
    "COMPANION",
    "Found",
    "about_segment",
    "check_file",
    "checksum_of",
    "described",
    "few_values",
    "found_files",
    "identity_of",
    "is_older",
    "month_of",
    "new_identity",
    "taken_values",
]

#: The suffix of the file that belongs to a segment's own.
COMPANION: Final = ".index"
#: Where those of the warm tier lie, so that its other folders hold Parquet and nothing else: Spark, pandas and pyarrow
#: read a whole folder, but for what begins with an underscore.
APART: Final = "_index/"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: How far the clocks of a writer and of its storage may differ.
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_IDENTITY: Final = re.compile(r"[0-9a-f]{12}-([0-9a-f]{32})", re.ASCII)


@attrs.frozen
class Found:
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


def described(
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


def identity_of(path: str, suffix: str) -> str | None:
    """Return the id in the name of a segment's file, or None when it is no such name."""
    name = path.rpartition("/")[2].removesuffix(suffix)
    return name if path.endswith(suffix) and _IDENTITY.fullmatch(name) else None


def month_of(instant: datetime) -> str:
    """Return the UTC month of *instant*, as ``2026-08``; the year has four digits, also where it is small."""
    return instant.isoformat()[:7]


def found_files(files: Files, folder_prefix: str, suffix: str) -> Iterator[Found]:
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
        yield Found(identity, path, max(times, default=None), is_whole=bool(own))


def is_older(found: Found, snapshot: Snapshot) -> bool:
    """Return whether a segment that no commit names is from before the log."""
    made = snapshot.created
    return made is not None and found.modified is not None and found.modified < made - _CLOCKS_DIFFER


def few_values(name: str, parts: Sequence[tuple[pa.Array[Any] | None, Sequence[int]]]) -> pl.Series:
    """Return a few values of one column from many arrays, one array after the other.

    Args:
        name: The field.
        parts: Arrays of one type, each with the rows wanted of it; None for nulls.
    """
    if FRAME_TYPES[name] in (pl.String, pl.Categorical):
        texts = [None if array is None else array[row].as_py() for array, rows in parts for row in rows]
        return pl.Series(name, texts, dtype=FRAME_TYPES[name])
    plain = _plain_type(name, [array for array, _ in parts])
    pieces: list[pa.Array[Any]] = []
    for array, rows in parts:
        pieces += [pa.nulls(len(rows), plain)] if array is None else [array.slice(row, 1) for row in rows]
    return _joined(name, pieces)


def taken_values(
    name: str, parts: Sequence[tuple[pa.Array[Any] | None, pa.Array[pa.UInt32Scalar]]]
) -> pl.Series:
    """Return the same where there are more of them: of each array its rows at once."""
    is_text = FRAME_TYPES[name] in (pl.String, pl.Categorical)
    plain: Any = pa.large_string() if is_text else _plain_type(name, [array for array, _ in parts])
    pieces: list[pa.Array[Any]] = []
    for array, rows in parts:
        taken = pa.nulls(len(rows), plain) if array is None else array.take(rows)
        pieces.append(taken if taken.type == plain else taken.cast(plain))
    return _joined(name, pieces)


def _plain_type(name: str, arrays: Iterable[pa.Array[Any] | None]) -> Any:
    return next((array.type for array in arrays if array is not None), SCHEMA.field(name).type)


def _joined(name: str, pieces: Sequence[pa.Array[Any]]) -> pl.Series:
    found = pa.concat_arrays(pieces)
    if pa.types.is_decimal(found.type):
        found = found.cast(pa.decimal128(18, 6))
    series = pl.from_arrow(found)
    assert isinstance(series, pl.Series)
    return series.rename(name).cast(FRAME_TYPES[name])


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
