"""The region check: warn about telephone numbers in national form.

A store without a region cannot find such numbers by their country code.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from cdrkit._numbers import normalize_column
from cdrkit._text import format_count

__all__ = ["RegionCheck"]

_COLUMNS: Final = ("source", "destination", "did")
_MOST_NUMBERS: Final = 1_000
#: A normalised number of this many digits without a plus is not an extension: it lacks its country code.
_NATIONAL: Final = r"^[0-9]{7,15}$"


class RegionCheck:
    """A check of an ingest's first rows for telephone numbers in national form.

    The check examines the first 1,000 numbers. Equal numbers in one frame count once.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._national = 0
        self._example = ""
        self._is_done = False

    def examine(self, frame: pl.DataFrame) -> None:
        """Count the telephone numbers in *frame* that are in national form.

        Only the first 1,000 numbers of an ingest count.
        """
        columns = [frame[name].cast(pl.String) for name in _COLUMNS if name in frame.columns]
        room = _MOST_NUMBERS - self._seen
        if self._is_done or room <= 0 or not columns:
            return
        texts = pl.concat([column.rename("number") for column in columns]).drop_nulls()
        distinct = texts.unique(maintain_order=True).head(room)
        numbers = normalize_column(distinct, None)
        national = distinct.filter(numbers.str.contains(_NATIONAL))
        self._seen += len(distinct)
        self._national += len(national)
        if not self._example and len(national):
            self._example = national[0]

    def take_notes(self) -> tuple[str, ...]:
        """Return the warnings for a report.

        The result is empty if no number is in national form, or if an earlier call returned the warnings.
        """
        if not self._national or self._is_done:
            return ()
        self._is_done = True
        verb = "is" if self._national == 1 else "are"
        return (
            f"{self._national:,} of the first {format_count(self._seen, 'number')} {verb} in national form, such as "
            f"{self._example!r}, and the store has no region. A search for the number with its country code does not "
            "find these calls.",
            "To set a region, stop all processes that use the store. Run cdrkit vacuum STORE more than an hour after "
            "the last job. Move the folder STORE/hot/_log away (with --warm: STORE/_log). Run cdrkit rebuild-log STORE "
            "--region CODE, and then cdrkit compact STORE. In Python, use the methods of Maintenance and open the "
            "store with the region.",
        )
