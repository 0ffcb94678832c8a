"""Count the rows of an ingest, batch by batch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import polars as pl

from cdrkit._ingest.region_check import RegionCheck
from cdrkit._ingest.report import IngestReport
from cdrkit._model import FRAME_TYPES, conform_frame
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import PendingCall, Reject, SourceBatch
from cdrkit.storage.append import AppendResult

__all__ = ["Tally"]


class Tally:
    """A set of counts for one ingest: rows read, rows merged and rows rejected."""

    def __init__(
        self,
        name: str,
        format: str,
        on_reject: str,
        *,
        refused: str = "Nothing was stored.",
        region_check: RegionCheck | None = None,
    ) -> None:
        if on_reject not in ("report", "raise"):
            raise ConfigError(f"on_reject={on_reject!r} is not valid. Give 'report' or 'raise'.")
        self._name = name.encode("utf-8", "backslashreplace").decode()  # a file name may be invalid UTF-8
        self._format = format
        self._raises = on_reject == "raise"
        self._refused = refused
        self._region_check = region_check
        self._counts = Counter[str]()
        self._contradictions = Counter[str]()
        self._header = ""
        self._rejects: list[Reject] = []
        self._pending: list[PendingCall] = []

    def count(self, batch: SourceBatch) -> pl.DataFrame:
        """Count the rows of *batch*, and return its calls converted to the field types.

        Raises:
            SchemaError: When the frame does not fit the fields, or the batch has a reject and *on_reject* is ``raise``.
        """
        if batch.rejects and self._raises:
            first = batch.rejects[0]
            where = f"{first.input or self._name}, row {first.row}"
            raise SchemaError(f"{where}: {first.reason} {self._refused}", row=first.row)
        frame = conform_frame(batch.frame)  # sources of other packages may give other types
        if self._region_check is not None:
            self._region_check.examine(frame)
        self._header = self._header or batch.header
        self._rejects += batch.rejects
        self._pending += batch.pending
        self._contradictions.update(_count_contradictions(frame))
        self._contradictions.update(batch.contradictions)
        for key in ("read", "merged", "repeated_hour", "missing_hour"):
            self._counts[key] += getattr(batch, key)
        return frame

    def facts(self) -> dict[str, Any]:
        """Return facts for the commit: the source, the format and the row counts."""
        return {
            "source": self._name,
            "format": self._format,
            "rows": self._counts["read"],
            "rejected": len(self._rejects),
        }

    def report(self, result: AppendResult, *, inputs: int = 1) -> IngestReport:
        """Return the report of the ingest, including the *result* of its append."""
        return IngestReport(
            **{field.name: getattr(result, field.name) for field in attrs.fields(AppendResult)},
            source=self._name,
            format=self._format,
            inputs=inputs,
            read=self._counts["read"],
            rejects=tuple(self._rejects),
            pending=tuple(self._pending),
            merged=self._counts["merged"],
            repeated_hour=self._counts["repeated_hour"],
            missing_hour=self._counts["missing_hour"],
            contradictions=dict(self._contradictions),
            header=self._header,
            notes=() if self._region_check is None else self._region_check.take_notes(),
        )


def _count_contradictions(frame: pl.DataFrame) -> dict[str, int]:
    """Return the number of contradictions of each kind in *frame*."""
    columns = [name for name in ("start", "answer", "end", "duration") if name in frame.columns]
    whole = frame.select(columns).with_columns(
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in FRAME_TYPES.items()
        if name in ("answer", "end", "duration") and name not in columns
    )
    start, answer, end, talk = (pl.col(name) for name in ("start", "answer", "end", "duration"))
    # Two seconds more, because both timestamps and the duration may be rounded.
    most = (end - start).dt.total_microseconds() / 1_000_000 + 2
    counts = whole.select(
        answer_before_start=(answer < start).sum(),
        end_before_start=(end < start).sum(),
        end_before_answer=(end < answer).sum(),
        talk_longer_than_call=((end >= start) & (talk > most)).sum(),
        negative_length=(talk < 0).sum(),
    )
    return {kind: count for kind, count in counts.row(0, named=True).items() if count}
