"""Calls that are read one by one, gathered into batches: for formats whose rows no fast reader can take."""

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

BATCH_CALLS: Final = 5_000
_TIMES: Final = ("start", "answer", "end")


class RowError(Exception):  # noqa: N818  # it ends a row, not a program
    """Why a row cannot be taken; *contradiction* is its kind, where it contradicts itself."""

    def __init__(self, reason: str, contradiction: str | None = None) -> None:
        super().__init__(reason)
        self.contradiction = contradiction


@attrs.define
class BatchBuilder:
    """Calls and rejects on their way to a batch. Times may be aware, or local: then *timezone* is theirs."""

    origin: str
    timezone: str | None = None
    calls: list[Mapping[str, Any]] = attrs.field(factory=list)
    rejects: list[Reject] = attrs.field(factory=list)
    contradictions: dict[str, int] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self.calls) + len(self.rejects)

    def add_reject(self, row: int, why: RowError, text: str, input: str = "") -> None:
        """Take in a row that is no call."""
        if why.contradiction is not None:
            self.contradictions[why.contradiction] = self.contradictions.get(why.contradiction, 0) + 1
        self.rejects.append(Reject(row, str(why), text, input))

    def batch(self, position: int) -> SourceBatch:
        """Return what was gathered, and begin anew."""
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
                found = self._instants(values, columns.get("start"))
                columns[name] = found.utc
                repeated, missing = repeated + found.repeated, missing + found.missing
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

    def _instants(self, values: list[datetime | None], start: pl.Series | None) -> Instants:
        aware = [at if at is not None and at.tzinfo is not None else None for at in values]
        utc = pl.Series(aware, dtype=pl.Datetime("us", "UTC"))
        if not any(at is not None and at.tzinfo is None for at in values):
            return Instants(utc=utc, repeated=0, missing=0)
        assert self.timezone is not None  # whoever gathers local stamps has asked for it
        local = pl.Series(
            [at if at is not None and at.tzinfo is None else None for at in values], dtype=pl.Datetime("us")
        )
        found = resolve_instants(local, self.timezone, not_before=start)
        return Instants(
            utc=pl.select(pl.coalesce(utc, found.utc)).to_series(),
            repeated=found.repeated,
            missing=found.missing,
        )
