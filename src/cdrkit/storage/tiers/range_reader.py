"""Merge nearby byte ranges, and read the ranges of a remote file concurrently."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cdrkit._files import Files
from cdrkit.errors import CorruptDataError, StorageError
from cdrkit.storage.tiers.parquet import Span

__all__ = ["REQUESTS_AT_ONCE", "RangeReader", "merge_spans"]

#: How many requests run at the same time.
REQUESTS_AT_ONCE: Final = 8
#: Bytes that are cheaper to read and discard than to start another request.
_GAP: Final = 256 << 10
_LARGEST_RANGE: Final = 4 << 20


class RangeReader:
    """A reader of byte ranges of files below one root; it detects truncated files.

    Args:
        files: The files below the root.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, path: str, size_bytes: int, span: Span) -> bytes:
        """Read one byte range of a file.

        Args:
            path: The file.
            size_bytes: Its size when it was written.
            span: The start and the end (exclusive) of the range.

        Raises:
            CorruptDataError: When the file is shorter than when it was written.
            NotFoundError: When the file is missing.
        """
        start, stop = span
        try:
            data = self._files.read(path, start, stop)
        except StorageError as exc:
            # Object stores refuse a range that begins beyond the end.
            if type(exc) is StorageError and self._files.size(path) not in (None, size_bytes):
                raise self.damage(path, "it was cut off") from exc
            raise
        if len(data) != stop - start:
            raise self.damage(path, "it was cut off")
        return data

    def read_many(self, path: str, size_bytes: int, spans: Sequence[Span]) -> list[tuple[int, bytes]]:
        """Read several byte ranges of a file; return (start, bytes) pairs.

        Remote ranges are read concurrently.
        """
        if len(spans) < 2 or self._files.local_path(path) is not None:
            return [(span[0], self.read(path, size_bytes, span)) for span in spans]
        # A pool is made for each read: a lasting one would not survive a fork.
        with ThreadPoolExecutor(min(len(spans), REQUESTS_AT_ONCE)) as pool:
            parts = pool.map(lambda span: self.read(path, size_bytes, span), spans)
            return [(span[0], data) for span, data in zip(spans, parts, strict=True)]

    def damage(self, path: str, reason: str) -> CorruptDataError:
        """Return the error to raise about a damaged file."""
        url = self._files.url_of(path)
        return CorruptDataError(f"{url} is damaged: {reason}. Restore that file from a backup.", url=url)


def merge_spans(spans: Collection[Span]) -> list[Span]:
    """Merge nearby byte ranges in *spans*, and return the resulting ranges.

    Ranges are not merged if the result would be too large.
    """
    ranges: list[Span] = []
    for start, stop in sorted(spans):
        if ranges and start - ranges[-1][1] <= _GAP and stop - ranges[-1][0] <= _LARGEST_RANGE:
            ranges[-1] = (ranges[-1][0], stop)
        else:
            ranges.append((start, stop))
    return ranges
