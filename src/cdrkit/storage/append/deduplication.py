"""Deduplication: compare incoming calls with each other and with stored calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Final

import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES
from cdrkit.storage.append.buffer import IDENTITY
from cdrkit.storage.append.result import AppendResult, Conflict
from cdrkit.storage.log import Segment
from cdrkit.storage.tiers import Tier

__all__ = ["Deduplication"]

_CONFLICTS_SHOWN: Final = 100


class Deduplication:
    """A comparison of one append's calls with the stored calls.

    It counts the outcomes.

    Args:
        tiers: The store's tiers by name; segments are read from them.
        replace: Whether an incoming call replaces the stored call if their contents differ.

    Attributes:
        replaced: Rows of committed segments that incoming rows replaced.
        superseded: Rows of this append that later rows of this append replaced.
        echoes: If *replace* is set: frames of incoming rows that equal stored rows, each paired with the stored
            segment's id.
    """

    def __init__(self, tiers: Mapping[str, Tier], *, replace: bool) -> None:
        self._tiers = tiers
        self._replace = replace
        self._duplicates = 0
        self._conflicts = 0
        self._conflicting: list[Conflict] = []
        self.replaced: int = 0
        self.superseded: int = 0
        self.echoes: list[tuple[str, pl.DataFrame]] = []

    def result(self, added: int) -> AppendResult:
        """Return the result of an append that stored *added* rows."""
        return AppendResult(
            added=added,
            duplicates=self._duplicates,
            conflicts=self._conflicts,
            replaced=self.replaced + self.superseded,
            conflicting=tuple(self._conflicting),
        )

    def drop_repeats(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Keep the first row of each call; in replace mode, keep the last row.

        *frame* is sorted by identity.
        """
        same = (frame["start"] == frame["start"].shift(1)) & (frame["call_id"] == frame["call_id"].shift(1))
        same = same.fill_null(False)
        if not same.any():
            return frame
        group = (~same).cum_sum()
        remaining = (~same.shift(-1, fill_value=False) if self._replace else ~same).arg_true()
        dropped = (same.shift(-1, fill_value=False) if self._replace else same).arg_true()
        differs = self._compare(frame[dropped], frame[remaining][group[dropped] - 1])
        self.superseded += int(differs.sum()) if self._replace else 0
        return frame[remaining]

    def match(self, frame: pl.DataFrame, segment: Segment) -> pl.DataFrame:
        """Pair the rows of *frame* and *segment* that have the same identity.

        Args:
            frame: At least one call, sorted by identity.
            segment: A segment of one of the tiers.

        Returns:
            A frame of row numbers: ``_new`` counts in *frame*, ``_row`` in *segment*.
        """
        stored = self._tiers[segment.tier].read(segment, IDENTITY).with_row_index("_row")
        first, last = frame["start"][0], frame["start"][-1]
        stored = stored.filter(pl.col("start").is_between(first, last))
        incoming = frame.select(IDENTITY).with_row_index("_new")
        return incoming.join(stored, on=IDENTITY, how="inner", maintain_order="left").select("_new", "_row")

    def drop_stored(
        self, frame: pl.DataFrame, segment: Segment, matches: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.Series]:
        """Compare the matching rows of *frame* and *segment*.

        Args:
            frame: Calls, sorted by identity.
            segment: The segment that *matches* refers to.
            matches: At least one pair of rows, as returned by `match`.

        Returns:
            The rows of *frame* to store, and the rows of *segment* that they replace (none unless replacing).
        """
        stored = self._tiers[segment.tier].read(segment, [*FIELDS], matches["_row"])
        differs = self._compare(frame[matches["_new"]], stored)
        dropped = matches["_new"]
        replaced = matches["_row"].clear()
        if self._replace:
            dropped = dropped.filter(~differs)
            if dropped.len():
                self.echoes.append((segment.id, frame[dropped]))
            replaced = matches["_row"].filter(differs)
        rest = frame.with_row_index("_new").filter(~pl.col("_new").is_in(dropped.implode())).drop("_new")
        return rest, replaced

    def restart(self, stored: frozenset[str], repeat: frozenset[str]) -> list[pl.DataFrame]:
        """Prepare to repeat the comparison against a newer version of the store.

        Args:
            stored: The ids of the newer version's segments.
            repeat: The ids of segments whose echoes must be compared again.

        Returns:
            The echoes of the segments in *repeat*. These echoes are no longer counted as duplicates.
        """
        again = [rows for segment, rows in self.echoes if segment in repeat]
        self._duplicates -= sum(rows.height for rows in again)
        self.echoes = [(segment, rows) for segment, rows in self.echoes if segment in stored]
        self.replaced = 0
        return again

    def _compare(self, new: pl.DataFrame, old: pl.DataFrame) -> pl.Series:
        """Compare two frames row by row, and return which rows differ.

        An equal row counts as a duplicate, and a different row as a conflict.

        When replacing, rows that differ are not conflicts: the caller counts them.
        """
        unequal = _find_differences(new, old)
        differs = unequal.select(pl.any_horizontal(pl.all())).to_series()
        conflicts = int(differs.sum())
        self._duplicates += differs.len() - conflicts
        if self._replace:
            return differs
        self._conflicts += conflicts
        for row in differs.arg_true().head(_CONFLICTS_SHOWN - len(self._conflicting)).to_list():
            fields = tuple(name for name in unequal.columns if unequal[name][row])
            self._conflicting.append(Conflict(new["start"][row].astimezone(UTC), new["call_id"][row], fields))
        return differs


def _find_differences(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """Return a Boolean frame: True where *new* and *old* have different values.

    Both frames have the same number of rows.
    """
    differences: dict[str, pl.Series] = {}
    for name, kind in FRAME_TYPES.items():
        sides = [
            frame[name]
            if name in frame.columns
            else pl.Series(name, [None], dtype=kind).new_from_index(0, frame.height)
            for frame in (new, old)
        ]
        if isinstance(kind, pl.Categorical):
            sides = [side.cast(pl.String) for side in sides]
        differences[name] = sides[0].ne_missing(sides[1])
    return pl.DataFrame(differences)
