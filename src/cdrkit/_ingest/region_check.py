"""The region check: a warning about numbers in national form.

A store without a region cannot find such numbers by their country code.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from cdrkit._numbers import normalize_column

__all__ = ["RegionCheck"]

_COLUMNS: Final = ("source", "destination", "did")
_MOST_NUMBERS: Final = 1_000
#: A normalised number of this many digits without a plus is not an extension: it lacks its country code.
_NATIONAL: Final = r"^[0-9]{7,15}$"


class RegionCheck:
    """A count of numbers in national form among the first numbers of an ingest.

    Equal numbers of a frame are counted once.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._national = 0
        self._example = ""

    def examine(self, frame: pl.DataFrame) -> None:
        """Count the numbers of *frame* in national form.

        Nothing is counted after the first 1,000 numbers.
        """
        columns = [frame[name].cast(pl.String) for name in _COLUMNS if name in frame.columns]
        room = _MOST_NUMBERS - self._seen
        if room <= 0 or not columns:
            return
        texts = pl.concat([column.rename("number") for column in columns]).drop_nulls()
        distinct = texts.unique(maintain_order=True).head(room)
        numbers = normalize_column(distinct, None)
        national = distinct.filter(numbers.str.contains(_NATIONAL))
        self._seen += len(distinct)
        self._national += len(national)
        if not self._example and len(national):
            self._example = national[0]

    def note(self) -> str | None:
        """Return a warning for the report; None without a number in national form."""
        if not self._national:
            return None
        return (
            f"{self._national:,} of the first {self._seen:,} numbers are in national form, such as "
            f"{self._example!r}, and the store has no region. A search for such a number with its country code "
            "(+44 20 …) does not find it, and neither does a search for another way of writing it. To set a region, "
            "such as GB: move the store's _log folder away, open the store with region='GB' and run "
            "maintenance.rebuild_log(), or run: cdrkit rebuild-log STORE --region GB."
        )
