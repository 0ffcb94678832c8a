"""What a tier is: a place that keeps segments, in a format of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

import attrs
import polars as pl

from cdrkit._numbers import KeySearch
from cdrkit.errors import ConfigError, StorageError
from cdrkit.storage.indexes import Totals
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers.segment_file import SegmentFile

__all__ = ["Hits", "Rows", "Tier", "Tiers", "check_not_vacuumed"]

#: Whoever took longer to write its segments looks whether they are still there: vacuums spare them for a day.
_SAFE: Final = timedelta(hours=12)
#: What is older than that may be swept at any instant, also between that look and a commit.
_SWEPT: Final = timedelta(hours=23)
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Which rows of a segment: a run of them, or their numbers, ascending.
Rows: TypeAlias = "range | pl.Series"


@attrs.frozen
class Hits:
    """What a number index says.

    Attributes:
        rows: Rows that may have such a number, ascending; all others have none.
        exact: Whether all of them have one; where not, each row is to be checked.
    """

    rows: pl.Series
    exact: bool


class Tier(Protocol):
    """A place that keeps segments of calls.

    A tier never changes a segment: it writes one whole, reads it, and forgets it when told to. Which segments make up
    the store is the log's business.
    """

    @property
    def name(self) -> str:
        """What segments of this tier are marked with."""
        ...

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        """Write *frame* durably as one segment.

        Its facts had better have ``written``, the instant in microseconds since 1970 in UTC; without it, every commit
        looks whether the segment is still there.

        Args:
            frame: At least one call, all of one UTC day, sorted by (``start``, ``call_id``), in the frame types of the
                catalogue.
            region: The region of numbers in national form, as the store was made with; for a number index.

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

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        """Return those *columns* of rows of many segments, one segment after the other.

        It is `read` of each, put together; a tier may know a quicker way for few rows.

        Args:
            picks: At least one segment, each with the numbers of its rows, ascending.
            columns: As of `read`.
        """
        ...

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        """Return the rows with a number searched for in one of *fields*; None where no index tells.

        Args:
            segment: One of this tier.
            search: Where the numbers are among sorted keys.
            fields: ``source``, ``destination``, ``did``: which of them.
            region: As of `write`.

        Raises:
            CorruptDataError: When the index is not what was written.
        """
        ...

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        """Return those of *rows* whose field has one of *values*, ascending; None where a look is as quick.

        Args:
            segment: One of this tier.
            name: A field of text.
            values: The texts, none of them absent.
            rows: Where to look.

        Raises:
            CorruptDataError: When the column is not what was written.
        """
        ...

    def totals(self, segment: Segment) -> Totals | None:
        """Return the roll-ups of *segment*; None where there are none, and its calls must be looked at.

        Raises:
            CorruptDataError: When they are not what was written.
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

    def list_segments(self) -> Iterable[SegmentFile]:
        """Return the segments that lie in this tier's place, whether or not the log knows of them."""
        ...

    def delete_orphan(self, found: SegmentFile) -> None:
        """Remove a segment that no log knows of; nothing happens when it is gone."""
        ...

    def remove_temporary(self, before: datetime) -> int:
        """Remove what writes that were cut off before that instant left behind; return how many files that were."""
        ...

    def load(self, found: SegmentFile, region: str | None) -> Segment:
        """Return the segment in a file, by what the file says of itself.

        Args:
            found: One that is whole.
            region: The store's; a number index that was made for another one is of no use.

        Raises:
            CorruptDataError: When it is not what was written.
        """
        ...


class Tiers(dict[str, Tier]):
    """The tiers of a store, by name."""

    def __missing__(self, name: str) -> Tier:
        """Raise an error that says what to do.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"There are calls in the tier {name!r}, which this store was opened without: it has {', '.join(self)}. "
            "Open the store with the hot= or warm= that wrote them."
        )


def check_not_vacuumed(tiers: Mapping[str, Tier], segments: Iterable[Segment]) -> None:
    """Refuse to commit segments that a vacuum may have taken for orphans, so old they are, and did, or could just now.

    Raises:
        StorageError: When one is gone, or so old that it may be gone before the commit.
    """
    now = (datetime.now(UTC) - _EPOCH) // _MICROSECOND
    segments = tuple(segments)
    old = {(s.tier, s.id) for s in segments if now - s.facts.get("written", 0) > _SAFE // _MICROSECOND}
    if not old:
        return
    there = {(name, found.id) for name, tier in tiers.items() for found in tier.list_segments()}
    oldest = min(s.facts.get("written", now) for s in segments)
    if not there.issuperset(old) or now - oldest > _SWEPT // _MICROSECOND:
        raise StorageError(
            "This took so long that a vacuum may remove some of what it had written, or did; nothing was changed. Do "
            "it again, in smaller parts."
        )
