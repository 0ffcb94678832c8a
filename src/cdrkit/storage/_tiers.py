"""What a tier is: a place that keeps segments, in a format of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

import polars as pl

from ._log import Segment
from ._segmentfiles import Found

__all__ = ["Rows", "Tier"]

#: Which rows of a segment: a run of them, or their numbers, ascending.
Rows: TypeAlias = "range | pl.Series"


class Tier(Protocol):
    """A place that keeps segments of calls.

    A tier never changes a segment: it writes one whole, reads it, and forgets it when told to. Which segments make up
    the store is the log's business.
    """

    @property
    def name(self) -> str:
        """What segments of this tier are marked with."""
        ...

    def write(self, frame: pl.DataFrame) -> Segment:
        """Write *frame* durably as one segment.

        Args:
            frame: At least one call, all of one UTC day, sorted by (``start``, ``call_id``), in the frame types of the
                catalogue.

        Raises:
            StorageError: When it could not be written; nothing of it is left in sight.
        """
        ...

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        """Return those *columns* of *segment*; a column it lacks comes back as nulls.

        Args:
            segment: One of this tier.
            columns: Fields of the catalogue, in the order wanted.
            rows: Which rows; None: all of them. They come in their order.

        Raises:
            CorruptDataError: When what is read is not what was written.
            NotFoundError: When the file is gone.
        """
        ...

    def remove(self, segment: Segment) -> None:
        """Remove what *segment* occupies; nothing happens when it is gone."""
        ...

    def check(self, segment: Segment) -> None:
        """Read all of *segment* and compare it with its checksum.

        Raises:
            CorruptDataError: When it is not what was written.
            NotFoundError: When it is gone.
        """
        ...

    def found(self) -> Iterable[Found]:
        """Return the segments that lie in this tier's place, whether or not the log knows of them."""
        ...

    def forget(self, found: Found) -> None:
        """Remove a segment that no log knows of; nothing happens when it is gone."""
        ...

    def adopt(self, found: Found) -> Segment:
        """Return the segment in a file, by what the file says of itself.

        Raises:
            CorruptDataError: When it is not what was written.
        """
        ...
