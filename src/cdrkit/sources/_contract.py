"""What a source is: a callable from a stream of bytes to batches of rows, good ones and rejected ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Protocol

import attrs
import polars as pl

__all__ = ["Reject", "Source", "SourceBatch"]


@attrs.frozen
class Reject:
    """A row that could not be taken, and why.

    Attributes:
        row: The number of the line on which the row starts, counted from 1.
        reason: One plain sentence.
        text: The row itself, without its line end. It was decoded as UTF-8 with ``surrogateescape``, whatever
            the file's encoding, so ``text.encode("utf-8", "surrogateescape")`` gives its bytes back exactly.
    """

    row: int
    reason: str
    text: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.reason}"


@attrs.frozen(kw_only=True)
class SourceBatch:
    """Some rows of a file, in its order.

    Attributes:
        frame: The good rows; its columns are fields of the catalogue.
        rejects: The others.
        repeated_hour: How many local stamps of the good rows fell into an hour that the clock went through
            twice.
        missing_hour: How many of them fell into an hour that the clock skipped.
        bytes_read: How far into the stream the batch reaches.
    """

    frame: pl.DataFrame
    rejects: tuple[Reject, ...] = ()
    repeated_hour: int = 0
    missing_hour: int = 0
    bytes_read: int = 0

    @property
    def read(self) -> int:
        """How many rows were read for this batch, good and rejected."""
        return self.frame.height + len(self.rejects)


class Source(Protocol):
    """Reads one format: called with a stream of bytes, it yields batches whose memory is bounded.

    It reads and nothing else: no number is normalised, no price computed, nothing stored. A row is in a
    batch's ``frame`` or in its ``rejects``, never in neither. The same row gets the same ``call_id`` at each
    reading, and every native column without a field goes into ``extra``.
    """

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield what *stream* holds.

        Raises:
            SchemaError: When it is empty or not of this format at all.
            ConfigError: When an option is needed that only the rows could tell.
        """
        ...
