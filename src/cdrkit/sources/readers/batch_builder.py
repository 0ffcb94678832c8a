"""A builder that collects calls, one by one, into batches.

Some formats cannot be read as whole columns, which is faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.local_time import Instants, resolve_instants

__all__ = ["BATCH_CALLS", "BatchBuilder", "RowError"]

#: The least total of calls and rejects in a batch; only the last batch may have fewer.
BATCH_CALLS: Final = 5_000
_TIMES: Final = ("start", "answer", "end")


class RowError(Exception):
    """Raised when a row cannot be stored; this error does not stop the ingest.

    Attributes:
        contradiction: The kind of contradiction in the row; None if the row does not contradict itself.
    """

    def __init__(self, reason: str, contradiction: str | None = None) -> None:
        super().__init__(reason)
        self.contradiction: str | None = contradiction


@attrs.define
class BatchBuilder:
    """A collector of calls and rejects for the next batch.

    Attributes:
        origin: The value of the field ``origin`` in every call.
        timezone: The IANA zone of times without an offset. None: all times have an offset.
        calls: The calls, each as field values by name.
        rejects: The rows that cannot be stored.
        contradictions: The number of rejects that contradict themselves, by kind.
    """

    origin: str
    timezone: str | None = None
    calls: list[Mapping[str, Any]] = attrs.field(factory=list)
    rejects: list[Reject] = attrs.field(factory=list)
    contradictions: dict[str, int] = attrs.field(factory=dict)

    def __len__(self) -> int:
        """Return the total number of calls and rejects in the next batch."""
        return len(self.calls) + len(self.rejects)

    def add_reject(self, row: int, error: RowError, text: str, input: str = "") -> None:
        """Add a reject, which is a row that cannot be stored.

        Args:
            row: The number of the row.
            error: The reason.
            text: The row itself.
            input: The name of the input that has the row; empty: the only input.
        """
        if error.contradiction is not None:
            self.contradictions[error.contradiction] = self.contradictions.get(error.contradiction, 0) + 1
        self.rejects.append(Reject(row, str(error), text, input))

    def take_batch(self, position: int) -> SourceBatch:
        """Return the collected batch, and start the next batch.

        Args:
            position: The number of bytes of the stream that were read.
        """
        calls, rejects, contradictions = self.calls, self.rejects, self.contradictions
        self.calls, self.rejects, self.contradictions = [], [], {}
        present = {name for call in calls for name in call}
        columns: dict[str, pl.Series] = {}
        repeated = missing = 0
        for name in FIELDS:
            if name not in present:
                continue
            values = [call.get(name) for call in calls]
            if name in _TIMES:
                instants = self._make_instants(values, columns.get("start"))
                columns[name] = instants.utc
                repeated, missing = repeated + instants.repeated, missing + instants.missing
            else:
                kind = FRAME_TYPES[name]
                plain = pl.String() if isinstance(kind, pl.Categorical) else kind
                columns[name] = pl.Series(name, values, dtype=plain).cast(kind)
        columns["origin"] = pl.Series([self.origin] * len(calls), dtype=FRAME_TYPES["origin"])
        schema = {name: FRAME_TYPES[name] for name in FIELDS if name in columns}
        frame = pl.DataFrame({name: columns[name] for name in schema}, schema=schema)
        if not calls:
            frame = pl.DataFrame(schema={name: FRAME_TYPES[name] for name in ("call_id", "start")})
        return SourceBatch(
            frame=frame,
            rejects=tuple(rejects),
            contradictions=contradictions,
            repeated_hour=repeated,
            missing_hour=missing,
            bytes_read=position,
        )

    def _make_instants(self, values: list[datetime | None], start: pl.Series | None) -> Instants:
        aware = [at if at is not None and at.tzinfo is not None else None for at in values]
        utc = pl.Series(aware, dtype=pl.Datetime("us", "UTC"))
        if not any(at is not None and at.tzinfo is None for at in values):
            return Instants(utc=utc, repeated=0, missing=0)
        assert self.timezone is not None  # A source with local times requires a zone.
        local = pl.Series(
            [at if at is not None and at.tzinfo is None else None for at in values], dtype=pl.Datetime("us")
        )
        resolved = resolve_instants(local, self.timezone, not_before=start)
        return Instants(
            utc=pl.select(pl.coalesce(utc, resolved.utc)).to_series(),
            repeated=resolved.repeated,
            missing=resolved.missing,
        )
