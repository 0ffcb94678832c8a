"""Ingesting: from a source's batches to one append, and the report of what became of every row."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
import polars as pl

from cdrkit._files import open_files, split_url
from cdrkit._ingest.report import AppendReport
from cdrkit._model import FRAME_TYPES, conform_frame
from cdrkit._output import guard_formulas
from cdrkit._runtime import prefetch_items
from cdrkit._text import html_report, sanitize_text
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import (
    CONTRADICTIONS,
    DatabaseSource,
    Inputs,
    JoiningSource,
    PendingCall,
    Reject,
    Source,
    SourceBatch,
)
from cdrkit.storage.append import Append, AppendResult

__all__ = ["IngestReport", "Progress", "Tally", "ingest"]

_SHOWN: Final = 5
_KEPT: Final = 100
#: Called with the bytes read so far and the bytes there are (None where that is not known).
Progress: TypeAlias = Callable[[int, int | None], None]

_FACTS: Final = (
    "source",
    "format",
    "read",
    "added",
    "duplicates",
    "conflicts",
    "rejected",
    "merged",
    "waiting",
    "replaced",
    "repeated_hour",
    "missing_hour",
    "contradictions",
    "rejects",
    "held_back",
    "conflicting",
)


@attrs.frozen(kw_only=True)
class IngestReport(AppendReport):
    """What became of every row that was read.

    ``read`` is ``added + duplicates + conflicts + rejected + merged + waiting``; most formats have a row a call, and
    the last two are 0. (With ``on_conflict="replace"``, rows of the file that a later row of it replaced are in
    ``replaced`` instead.)

    Attributes:
        source: What was read.
        format: The source format.
        inputs: How many files, members of archives or documents that was.
        read: Rows in them.
        rejects: The rows that could not be taken, each with its number in the file, the reason and the row itself.
        held_back: Calls that are still open, with what identifies them: not stored, ingest them again later.
        merged: Rows that are a part of another row's call, such as the end of a call whose beginning is one, too.
        repeated_hour: Local stamps that fell into an hour that the clock went through twice.
        missing_hour: Local stamps that fell into an hour that the clock skipped.
        contradictions: How many rows contradict themselves, by kind; `cdrkit.sources.CONTRADICTIONS` says what was
            done.
        header: The lines above the rows that they were read by, where there are any, such as the one of names.
    """

    source: str = ""
    format: str = ""
    inputs: int = 1
    read: int = 0
    rejects: tuple[Reject, ...] = ()
    held_back: tuple[PendingCall, ...] = ()
    merged: int = 0
    repeated_hour: int = 0
    missing_hour: int = 0
    contradictions: Mapping[str, int] = attrs.field(factory=dict, hash=False)
    header: str = ""

    @property
    def rejected(self) -> int:
        """How many rows could not be taken."""
        return len(self.rejects)

    @property
    def waiting(self) -> int:
        """How many rows belong to calls that were held back."""
        return sum(call.rows for call in self.held_back)

    def __str__(self) -> str:
        lines = [
            f"{self.source or 'input'} ({self.format}): {self.read:,} rows read, {self.added:,} added, "
            f"{self.duplicates:,} duplicates, {self.conflicts:,} conflicts, {self.rejected:,} rejected"
        ]
        for count, what in (
            (self.inputs if self.inputs != 1 else 0, "inputs"),
            (self.merged, "rows that are a part of another row's call"),
            (len(self.held_back), f"calls still open ({self.waiting:,} rows), not stored"),
            (self.replaced, "older rows replaced"),
            (self.repeated_hour, "local times in an hour that came twice (clock change)"),
            (self.missing_hour, "local times in a skipped hour (clock change)"),
        ):
            if count:
                lines.append(f"  {count:,} {what}")
        for kind, count in sorted(self.contradictions.items()):
            done = CONTRADICTIONS.get(kind, "see the format's page")
            lines.append(f"  {count:,} rows with {kind.replace('_', ' ')}: {done}")
        for reason, count in self.reasons.items():
            if count > 1:
                lines.append(f"  {count:,} rejected: {reason}")
        lines += [f"  {reject}" for reject in self.rejects[:_SHOWN]]
        if self.rejected > _SHOWN:
            lines.append(f"  … and {self.rejected - _SHOWN:,} more rejects")
        lines += [f"  open: {call}" for call in self.held_back[:_SHOWN]]
        if len(self.held_back) > _SHOWN:
            lines.append(f"  … and {len(self.held_back) - _SHOWN:,} more open calls")
        lines += [f"  conflict: {conflict}" for conflict in self.conflicting[:_SHOWN]]
        if self.conflicts > _SHOWN:
            lines.append(
                f"  … and {self.conflicts - _SHOWN:,} more conflicts; were the options the same the last time?"
            )
        return "\n".join(map(sanitize_text, lines))

    def _repr_html_(self) -> str:
        return html_report(self, *_FACTS)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; of rejects by reason, and of calls held back, the first hundred each."""
        counted: tuple[str, ...] = (
            "source",
            "format",
            "inputs",
            "read",
            "added",
            "duplicates",
            "conflicts",
            "replaced",
            "rejected",
            "merged",
            "waiting",
            "repeated_hour",
            "missing_hour",
        )
        examples: dict[str, dict[str, Any]] = {}
        for reject in self.rejects:
            reason = _general(reject.reason)
            if reason not in examples and len(examples) < _KEPT:
                about = {"input": reject.input, "row": reject.row, "reason": reject.reason}
                text = reject.text.encode("utf-8", "backslashreplace").decode()
                examples[reason] = {**about, "text": text}
        return {
            **{name: getattr(self, name) for name in counted},
            "contradictions": dict(self.contradictions),
            "reasons": [
                {"reason": reason, "rows": count, "example": examples[reason]}
                for reason, count in self.reasons.items()
                if reason in examples
            ],
            "held_back": [
                attrs.asdict(call, filter=lambda field, _: field.name != "text")
                for call in self.held_back[:_KEPT]
            ],
            "conflicting": [
                {"start": f"{c.start:%Y-%m-%dT%H:%M:%S.%fZ}", "call_id": c.call_id, "fields": list(c.fields)}
                for c in self.conflicting
            ],
        }

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many rows were rejected for which reason, most first; values and numbers in it are left out."""
        return dict(Counter(_general(reject.reason) for reject in self.rejects).most_common())

    def write_rejects(
        self,
        dest: str | os.PathLike[str],
        *,
        raw: bool = False,
        storage_options: Mapping[str, object] | None = None,
    ) -> int:
        """Write the rejected rows to a path or URL and return how many there are.

        Args:
            dest: Where to.
            raw: Write the rows alone, byte for byte, below the lines that they are read by, if any: to be mended
                and ingested again; otherwise a CSV of ``row, reason, text``, safe to open in a spreadsheet.
            storage_options: Options for the filesystem of a URL (credentials, endpoint).

        Raises:
            StorageError: When it cannot be written.
        """
        folder, name = split_url(dest)
        with open_files(folder, storage_options).writer(name) as file:
            if raw:
                if self.header and self.rejects:
                    file.write(self.header.encode("utf-8", "surrogateescape") + b"\n")
                file.writelines(
                    reject.text.encode("utf-8", "surrogateescape") + b"\n" for reject in self.rejects
                )
                return self.rejected
            texts = [reject.text.encode("utf-8", "replace").decode() for reject in self.rejects]
            safe = guard_formulas(pl.Series(texts, dtype=pl.String))
            page = io.StringIO(newline="")
            writer = csv.writer(page)
            writer.writerow(["row", "reason", "text"])
            writer.writerows(
                [reject.row, reject.reason, text] for reject, text in zip(self.rejects, safe, strict=True)
            )
            file.write(page.getvalue().encode())
        return self.rejected


def _general(reason: str) -> str:
    """Return *reason* without the values and numbers that differ from row to row."""
    return re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b[0-9]+\b", "…", reason)


def _batches(inputs: Inputs, source: Source) -> Generator[SourceBatch]:
    """Yield what *source* reads in *inputs*: all of them together, where it can, or one after the other."""
    if inputs.connection is not None:
        if not isinstance(source, DatabaseSource):
            raise ConfigError(
                "This format is read from files, not from a database; give a path, URL or bytes."
            )
        yield from source.read_connection(inputs.connection)
        inputs.count = 1
    elif isinstance(source, JoiningSource):
        for batch in _named(source.read_all(inputs), inputs.name):
            yield batch if inputs.are_many else _within(batch, "")
    else:
        for each in inputs:
            for batch in _named(source(each.stream), each.name):
                yield _within(batch, each.name) if inputs.are_many else batch


def _within(batch: SourceBatch, input: str) -> SourceBatch:
    """Return *batch* with *input* named in what refers to it."""
    if not batch.rejects and not batch.pending:
        return batch
    return attrs.evolve(
        batch,
        rejects=tuple(attrs.evolve(reject, input=input) for reject in batch.rejects),
        pending=tuple(attrs.evolve(call, input=input) for call in batch.pending),
    )


def _named(batches: Iterator[SourceBatch], name: str) -> Iterator[SourceBatch]:
    try:
        yield from batches
    except SchemaError as exc:
        raise SchemaError(f"{name}: {exc}", field=exc.field, row=exc.row) from exc


def _contradictions(frame: pl.DataFrame) -> dict[str, int]:
    """Return how many rows of *frame* contradict themselves, by kind."""
    columns = [name for name in ("start", "answer", "end", "duration") if name in frame.columns]
    whole = frame.select(columns).with_columns(
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in FRAME_TYPES.items()
        if name in ("answer", "end", "duration") and name not in columns
    )
    start, answer, end, talk = (pl.col(name) for name in ("start", "answer", "end", "duration"))
    # Two seconds: each of the two stamps and the length may have been rounded.
    most = (end - start).dt.total_microseconds() / 1_000_000 + 2
    counts = whole.select(
        answer_before_start=(answer < start).sum(),
        end_before_start=(end < start).sum(),
        end_before_answer=(end < answer).sum(),
        talk_longer_than_call=((end >= start) & (talk > most)).sum(),
        negative_length=(talk < 0).sum(),
    )
    return {kind: count for kind, count in counts.row(0, named=True).items() if count}


def ingest(
    inputs: Inputs,
    source: Source,
    append: Append,
    *,
    format: str,
    on_reject: Literal["report", "raise"],
    progress: Progress | None,
) -> IngestReport:
    """Read *inputs* by *source* into *append*, commit, and report.

    Raises:
        SchemaError: When a row cannot be taken and *on_reject* says ``raise``; nothing is stored then.
    """
    tally = Tally(inputs.name, format, on_reject)
    batches = _batches(inputs, source)
    # Whatever ends it, nothing is read any more when this returns.
    with contextlib.closing(prefetch_items(batches) if inputs.is_self_contained else batches) as read:
        for batch in read:
            append.add(tally.count(batch))
            if progress is not None:
                progress(inputs.bytes_read, inputs.size_bytes)
    return tally.report(append.commit(tally.facts()), inputs=inputs.count)


class Tally:
    """What became of the rows of an ingest, batch by batch."""

    def __init__(
        self, name: str, format: str, on_reject: str, *, refused: str = "Nothing was stored."
    ) -> None:
        if on_reject not in ("report", "raise"):
            raise ConfigError(f"on_reject cannot be {on_reject!r}; give 'report' or 'raise'.")
        self._name = name.encode("utf-8", "backslashreplace").decode()  # the name of a file need not be UTF-8
        self._format = format
        self._raises = on_reject == "raise"
        self._refused = refused
        self._counts = Counter[str]()
        self._contradictions = Counter[str]()
        self._header = ""
        self._rejects: list[Reject] = []
        self._held_back: list[PendingCall] = []

    def count(self, batch: SourceBatch) -> pl.DataFrame:
        """Count *batch* and return its calls as they are to be stored.

        Raises:
            SchemaError: When it does not fit the fields, or has a reject and that is to be raised.
        """
        if batch.rejects and self._raises:
            first = batch.rejects[0]
            where = f"{first.input or self._name}, row {first.row}"
            raise SchemaError(f"{where}: {first.reason} {self._refused}", row=first.row)
        frame = conform_frame(batch.frame)  # whoever wrote the source
        self._header = self._header or batch.header
        self._rejects += batch.rejects
        self._held_back += batch.pending
        self._contradictions.update(_contradictions(frame))
        self._contradictions.update(batch.contradictions)
        for key in ("read", "merged", "repeated_hour", "missing_hour"):
            self._counts[key] += getattr(batch, key)
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what the log shall keep of it."""
        return {
            "source": self._name,
            "format": self._format,
            "rows": self._counts["read"],
            "rejected": len(self._rejects),
        }

    def report(self, done: AppendResult, *, inputs: int = 1) -> IngestReport:
        """Return the report of it, *done* being what became of the calls."""
        return IngestReport(
            **{field.name: getattr(done, field.name) for field in attrs.fields(AppendResult)},
            source=self._name,
            format=self._format,
            inputs=inputs,
            read=self._counts["read"],
            rejects=tuple(self._rejects),
            held_back=tuple(self._held_back),
            merged=self._counts["merged"],
            repeated_hour=self._counts["repeated_hour"],
            missing_hour=self._counts["missing_hour"],
            contradictions=dict(self._contradictions),
            header=self._header,
        )
