"""The tier protocol: each tier stores segments in a format of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

import attrs
import polars as pl

from cdrkit._numbers import KeySearch
from cdrkit.storage.indexes import Totals
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers.segment_file import SegmentFile

__all__ = ["Hits", "Rows", "Tier"]

#: Rows of a segment: a range, or row numbers in ascending order.
Rows: TypeAlias = "range | pl.Series"


@attrs.frozen
class Hits:
    """The candidate rows of a number search in one segment.

    Example:
        >>> import polars as pl
        >>> from cdrkit.storage import Hits
        >>> Hits(pl.Series([3, 17], dtype=pl.UInt32), exact=True).rows.to_list()
        [3, 17]

    Attributes:
        rows: Row numbers, ascending. Every row with a matching number is among them.
        exact: Whether every one of these rows has a matching number. If not, the query checks each row again.
    """

    rows: pl.Series
    exact: bool


class Tier(Protocol):
    """A component that stores segments of calls.

    A tier never changes a segment: it writes it once, reads it, and deletes it when the store no longer has it. The
    log decides which segments make up the store. A tier may be used by several threads at once.

    Test a tier with `cdrkit.testing.TierTests`. Give it to `cdrkit.open_store` as ``hot`` or ``warm``.

    Example:
        >>> from cdrkit.storage import Tier
        >>> sorted(name for name in vars(Tier) if not name.startswith("_"))  # doctest: +NORMALIZE_WHITESPACE
        ['check', 'delete_orphan', 'find', 'gather', 'list_segments', 'load', 'name', 'read', 'remove',
         'remove_temporary', 'rows_with', 'totals', 'write']
    """

    @property
    def name(self) -> str:
        """The permanent name of the tier in the log.

        Example:
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> WarmTier(open_files("memory://tier-name-example")).name
            'warm'
        """
        ...

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        """Write *frame* durably as one segment.

        The facts of the segment should contain ``written``, the present time in microseconds since 1970 in UTC. Without
        it, every commit checks that the segment still exists.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-write-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> tier.write(calls, region="GB").rows
            2

        Args:
            frame: At least one call, all of one UTC day in the hot tier and of one UTC month in the warm tier. The
                calls are sorted by (``start``, ``call_id``) and have the frame types of the catalogue of fields.
            region: The region to which numbers in national form belong, for a number index; None if the store has no
                region.

        Returns:
            The segment, with a new id.

        Raises:
            StorageError: When the segment could not be written; no part of it is visible then.
        """
        ...

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        """Return *columns* of a segment.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-read-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> tier.read(tier.write(calls, "GB"), ["call_id"], range(1, 2))["call_id"].to_list()
            ['b']

        Args:
            segment: A segment of this tier.
            columns: The fields to return, in this order. A field without a column in the segment is returned as nulls.
            rows: The rows to return, in ascending order; None returns all rows.

        Raises:
            CorruptDataError: When the data differ from what was written.
            NotFoundError: When the file is missing.
        """
        ...

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        """Return *columns* of selected rows from one or more segments.

        The result equals the concatenated results of `read` for each segment. A tier may have a faster method for few
        rows.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-gather-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> picks = [(tier.write(calls, "GB"), pl.Series([1], dtype=pl.UInt32))]
            >>> tier.gather(picks, ["call_id"])["call_id"].to_list()
            ['b']

        Args:
            picks: At least one segment, each with row numbers in ascending order.
            columns: The fields to return, in this order.

        Raises:
            CorruptDataError: When the data differ from what was written.
            NotFoundError: When a file is missing.
        """
        ...

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        """Return a number search's candidate rows, or None if *segment* has no index.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import KeySearch, open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-find-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start], "did": [None, "+442079460018"]})
            >>> key = 442079460018000 * 16 + 12
            >>> search = KeySearch(ranges=((key, key + 1),), exact=True, longer=False)
            >>> tier.find(tier.write(calls, "GB"), search, ["did"], "GB").rows.to_list()
            [1]

        Args:
            segment: A segment of this tier.
            search: The ranges of number keys to search for.
            fields: The fields to search in: any of ``source``, ``destination`` and ``did``.
            region: The region to which numbers in national form belong.

        Raises:
            CorruptDataError: When the index differs from what was written.
        """
        ...

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        """Return the rows in which a field equals one of *values*.

        Return None if reading the column is as fast.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-rows-with-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> tier.rows_with(tier.write(calls, "GB"), "call_id", ["b"], range(2)) is None  # reads the column
            True

        Args:
            segment: A segment of this tier.
            name: The name of a text field.
            values: The strings to search for, without nulls.
            rows: The rows to search in.

        Returns:
            Row numbers, ascending.

        Raises:
            CorruptDataError: When the column differs from what was written.
        """
        ...

    def totals(self, segment: Segment) -> Totals | None:
        """Return the rollup of a segment, or None if the tier has no rollups.

        Without a rollup, the calls are read instead.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-totals-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> tier.totals(tier.write(calls, "GB")).rows["attempts"].sum()
            2

        Raises:
            CorruptDataError: When the rollup differs from what was written.
        """
        ...

    def remove(self, segment: Segment) -> None:
        """Delete the files of a segment.

        Nothing happens if the files are already deleted.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-remove-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> segment = tier.write(calls, "GB")
            >>> tier.remove(segment)
            >>> list(tier.list_segments())
            []

        Raises:
            StorageError: When the files cannot be deleted.
        """
        ...

    def check(self, segment: Segment) -> None:
        """Read all of *segment* and verify its checksums.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-check-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> tier.check(tier.write(calls, "GB"))

        Raises:
            CorruptDataError: When the data differ from what was written.
            NotFoundError: When a file is missing.
        """
        ...

    def list_segments(self) -> Iterable[SegmentFile]:
        """Return all segments stored in this tier, including unused segments.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-list-segments-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> segment = tier.write(calls, "GB")
            >>> [file.id for file in tier.list_segments()] == [segment.id]
            True

        Raises:
            StorageError: When the files cannot be listed.
        """
        ...

    def delete_orphan(self, file: SegmentFile) -> None:
        """Delete the files of an unused segment, such as an orphan.

        Nothing happens if the files are already deleted.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-delete-orphan-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> _ = tier.write(calls, "GB")
            >>> for file in tier.list_segments():
            ...     tier.delete_orphan(file)
            >>> list(tier.list_segments())
            []

        Raises:
            StorageError: When the files cannot be deleted.
        """
        ...

    def remove_temporary(self, before: datetime) -> int:
        """Delete the leftovers of interrupted writes.

        Example:
            >>> from datetime import datetime, timezone
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-temporary-example"))
            >>> tier.remove_temporary(datetime(2026, 11, 22, tzinfo=timezone.utc))
            0

        Args:
            before: Leftovers changed at or after this time are kept, because their writer may still be active.

        Returns:
            The number of deleted files.

        Raises:
            StorageError: When the files cannot be deleted.
        """
        ...

    def load(self, file: SegmentFile, region: str | None) -> Segment:
        """Return the segment that the metadata in a file describes.

        A log is rebuilt from these segments.

        Example:
            >>> from datetime import datetime, timezone
            >>> import polars as pl
            >>> from cdrkit.storage import open_files
            >>> from cdrkit.storage.tiers import WarmTier
            >>> tier = WarmTier(open_files("memory://tier-load-example"))
            >>> start = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> calls = pl.DataFrame({"call_id": ["a", "b"], "start": [start, start]})
            >>> segment = tier.write(calls, "GB")
            >>> [tier.load(file, "GB") == segment for file in tier.list_segments()]
            [True]

        Args:
            file: A segment whose own file exists.
            region: The store's region. A number index that was made for another region is not used.

        Raises:
            CorruptDataError: When the file differs from what was written.
        """
        ...
