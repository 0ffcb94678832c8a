"""The result of an append: row counts and conflicts."""

from __future__ import annotations

from datetime import datetime

import attrs

__all__ = ["AppendResult", "Conflict"]


@attrs.frozen
class Conflict:
    """An appended call that the store already holds with different content.

    Attributes:
        start: The call's start, in UTC.
        call_id: The call's id.
        fields: The names of the fields that differ from the stored call.

    Example:
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://conflict-example")
        >>> call = {"call_id": "17", "start": "2026-11-22T09:30:00Z"}
        >>> report = store.append([call])
        >>> print(store.append([call | {"duration": 34}]).conflicting[0])
        17 at 2026-11-22T09:30:00Z: duration
    """

    start: datetime
    call_id: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line that names the call and the fields that differ."""
        return f"{self.call_id} at {self.start:%Y-%m-%dT%H:%M:%SZ}: {', '.join(self.fields)}"


@attrs.frozen(kw_only=True)
class AppendResult:
    """The result of an append: the numbers of added, skipped and replaced rows.

    Unless ``on_conflict="replace"``, ``added + duplicates + conflicts`` is the number of rows appended. One append may
    contain a call several times, with different contents. The counts of duplicates, conflicts and replaced rows then
    depend on which rows were compared with each other. The stored calls do not depend on the order of comparison.

    Attributes:
        added: The rows stored, including those that replaced an older row.
        duplicates: The rows skipped because the store already holds the call with equal content.
        conflicts: The rows skipped because the store holds the call with different content.
        replaced: The rows that a later row replaced, whether in the store or in the same append. Always 0 unless
            ``on_conflict="replace"``.
        conflicting: The first 100 conflicts.
    """

    added: int = 0
    duplicates: int = 0
    conflicts: int = 0
    replaced: int = 0
    conflicting: tuple[Conflict, ...] = ()
