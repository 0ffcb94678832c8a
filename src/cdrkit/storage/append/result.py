"""The result of an append: the counts of its rows and the conflicts among them."""

from __future__ import annotations

from datetime import datetime

import attrs

__all__ = ["AppendResult", "Conflict"]


@attrs.frozen
class Conflict:
    """A call that was appended although the store holds that call with other content.

    Attributes:
        start: The call's start, in UTC.
        call_id: The call's id.
        fields: The names of the fields that differ from the stored call.
    """

    start: datetime
    call_id: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        """Return the call and its differing fields as one line."""
        return f"{self.call_id} at {self.start:%Y-%m-%dT%H:%M:%SZ}: {', '.join(self.fields)}"


@attrs.frozen(kw_only=True)
class AppendResult:
    """The counts of one append's rows by outcome.

    Unless conflicts are replaced, ``added + duplicates + conflicts`` is the number of rows appended. One append may
    contain a call several times, with different contents. How many of those rows count as duplicates, as conflicts or
    as replaced then depends on which rows were compared with each other. The stored calls do not depend on that.

    Attributes:
        added: The rows stored, including those that replaced an older row.
        duplicates: The rows skipped because the store already holds the call with equal content.
        conflicts: The rows skipped because the store holds the call with other content.
        replaced: The rows, stored earlier or earlier in the append, that a later row replaced. Always 0 unless
            ``on_conflict="replace"``.
        conflicting: The first 100 conflicts.
    """

    added: int = 0
    duplicates: int = 0
    conflicts: int = 0
    replaced: int = 0
    conflicting: tuple[Conflict, ...] = ()
