"""Reports of appends and ingests: the number of rows for each outcome.

A report can be displayed as text or HTML, and converted to JSON values.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._files import open_files, split_url
from cdrkit._output import guard_formulas
from cdrkit._text import format_count, html_facts, html_report, sanitize_text
from cdrkit.sources import CONTRADICTIONS, PendingCall, Reject
from cdrkit.storage.append import AppendResult, Conflict

__all__ = ["AppendReport", "Conflict", "IngestReport", "report_append"]

_LINES_SHOWN: Final = 5
_MOST_IN_DICT: Final = 100
_FACTS: Final = (
    "source",
    "format",
    "read",
    "added",
    "duplicates",
    "conflicts",
    "rejected",
    "merged",
    "pending_rows",
    "replaced",
    "repeated_hour",
    "missing_hour",
    "contradictions",
    "rejects",
    "pending",
    "conflicting",
    "notes",
)
_COUNTS: Final = (
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
    "pending_rows",
    "repeated_hour",
    "missing_hour",
)


@attrs.frozen(kw_only=True)
class AppendReport(AppendResult):
    """A report of one append: the number of rows for each outcome.

    Notebooks show the report as a table.

    Unless conflicts are replaced, ``added + duplicates + conflicts`` is the number of rows appended. One append may
    contain a call several times, with different contents. The numbers of duplicates, conflicts and replaced rows then
    depend on which rows cdrkit compared with each other. The stored calls do not depend on these comparisons.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://append-report-example")
        >>> call = cdrkit.CallRecord(call_id="17", start=datetime(2026, 11, 22, 9, tzinfo=timezone.utc))
        >>> store.append([call, call])
        AppendReport(added=1, duplicates=1, conflicts=0, replaced=0, conflicting=())

    Attributes:
        added: The rows stored, including those that replaced an older row.
        duplicates: The rows skipped because the store already has the call with equal content.
        conflicts: The rows skipped because the store already has the call with different content.
        replaced: The rows, from the store or from this append, that a later row replaced. Always 0 unless
            ``on_conflict="replace"``.
        conflicting: The first 100 conflicts.
    """

    def _repr_html_(self) -> str:
        return html_report(self)


def report_append(result: AppendResult) -> AppendReport:
    """Convert the result of `Append.commit` to the public report."""
    return AppendReport(**attrs.asdict(result, recurse=False))


@attrs.frozen(kw_only=True)
class IngestReport(AppendReport):
    """A report of one ingest: the number of rows for each outcome.

    Every row read counts once. ``read`` is ``added + duplicates + conflicts + rejected + merged + pending_rows``. In
    most formats a row is a call, and ``merged`` and ``pending_rows`` are 0. With ``on_conflict="replace"``,
    ``replaced`` counts the rows of the file that a later row of the file replaced.

    Example:
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://ingest-report-example")
        >>> csv = b"call_id,start,source\\n17,2026-11-22T09:00:00Z,1001\\n18,yesterday,1002\\n"
        >>> report = store.ingest(csv, format="cdrkit-csv")
        >>> report.read, report.added, report.rejected
        (2, 1, 1)
        >>> report.rejects[0].row
        3

    Attributes:
        source: Name of the input.
        format: Name of the source format.
        inputs: Number of files, archive members or documents.
        read: Rows in the inputs.
        rejects: The rejected rows, each with its line number, the reason and its text.
        pending: Calls that still wait for later rows. They are not stored; ingest their rows again later.
        merged: Rows that belong to the same call as another row. For example, a call's start and end may be two rows.
        repeated_hour: Local times within an hour that occurs twice because clocks go back.
        missing_hour: Local times within an hour that does not exist because clocks go forward.
        contradictions: For each kind of contradiction, the number of rows that have it;
            `cdrkit.sources.CONTRADICTIONS` describes each kind.
        header: The header lines that a source needs to read rows, such as column names; empty if the format has none.
        notes: Warnings as sentences. The first ingest into a store without a region warns about numbers in national
            form.
    """

    source: str = ""
    format: str = ""
    inputs: int = 1
    read: int = 0
    rejects: tuple[Reject, ...] = ()
    pending: tuple[PendingCall, ...] = ()
    merged: int = 0
    repeated_hour: int = 0
    missing_hour: int = 0
    contradictions: Mapping[str, int] = attrs.field(factory=dict, hash=False)
    header: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The fields with their default values, mostly 0, would hide the others.
        empty = IngestReport()
        values = {name: getattr(self, name) for name in attrs.fields_dict(IngestReport)}
        shown = [f"{name}={value!r}" for name, value in values.items() if value != getattr(empty, name)]
        return f"IngestReport({', '.join(shown)})"

    @property
    def rejected(self) -> int:
        """The number of rejected rows.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://report-rejected")
            >>> csv = b"call_id,start\\n17,yesterday\\n"
            >>> report = store.ingest(csv, format="cdrkit-csv")
            >>> report.rejected
            1
        """
        return len(self.rejects)

    @property
    def pending_rows(self) -> int:
        """The number of rows that belong to pending calls.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://report-pending")
            >>> csv = b"call_id,start\\n17,yesterday\\n"
            >>> report = store.ingest(csv, format="cdrkit-csv")
            >>> report.pending_rows
            0
        """
        return sum(call.rows for call in self.pending)

    @property
    def reasons(self) -> Mapping[str, int]:
        """The number of rejected rows for each reason, the most frequent first.

        ``…`` replaces values and numbers in a reason.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://report-reasons")
            >>> csv = b"call_id,start\\n17,yesterday\\n"
            >>> report = store.ingest(csv, format="cdrkit-csv")
            >>> report.reasons
            {'The value … of start is not a time in UTC such as ….': 1}
        """
        return dict(Counter(_generalize(reject.reason) for reject in self.rejects).most_common())

    def __str__(self) -> str:
        lines = [self._summary()]
        for count, description in (
            (self.inputs if self.inputs != 1 else 0, "inputs"),
            (self.merged, "rows that are part of another row's call"),
            (len(self.pending), f"pending calls ({self.pending_rows:,} rows), not stored"),
            (self.replaced, "older rows replaced"),
            (self.repeated_hour, "local times in an hour that occurs twice (clock change)"),
            (self.missing_hour, "local times in a skipped hour (clock change)"),
        ):
            if count:
                lines.append(f"  {count:,} {description}")
        for kind, count in sorted(self.contradictions.items()):
            treatment = CONTRADICTIONS.get(kind, "see the page of the format")
            lines.append(f"  {format_count(count, 'row')} with {kind.replace('_', ' ')}: {treatment}")
        for reason, count in self.reasons.items():
            if count > 1:
                lines.append(f"  {count:,} rejected: {reason}")
        lines += [f"  {reject}" for reject in self.rejects[:_LINES_SHOWN]]
        if self.rejected > _LINES_SHOWN:
            lines.append(f"  … and {self.rejected - _LINES_SHOWN:,} more rejects")
        lines += [f"  pending: {call}" for call in self.pending[:_LINES_SHOWN]]
        if len(self.pending) > _LINES_SHOWN:
            lines.append(f"  … and {len(self.pending) - _LINES_SHOWN:,} more pending calls")
        lines += [f"  conflict: {conflict}" for conflict in self.conflicting[:_LINES_SHOWN]]
        if self.conflicts > _LINES_SHOWN:
            lines.append(
                f"  … and {self.conflicts - _LINES_SHOWN:,} more conflicts. Check that the options equal those of the "
                "earlier ingest."
            )
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(map(sanitize_text, lines))

    def _summary(self) -> str:
        counts = [f"{self.read:,} rows read", f"{self.added:,} added"]
        others = {name: getattr(self, name) for name in ("duplicates", "conflicts", "rejected")}
        counts += [f"{count:,} {name}" for name, count in others.items() if count]
        return f"{self.source or 'input'} ({self.format}): {', '.join(counts)}"

    def _repr_html_(self) -> str:
        always = ("source", "format", "read", "added")
        facts = {name: getattr(self, name) for name in _FACTS if name in always or getattr(self, name)}
        return html_facts(
            "IngestReport", {name.replace("_", " ").capitalize(): fact for name, fact in facts.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values.

        Rejects are grouped by reason, with one example each. The dict contains at most 100 reasons and 100 pending
        calls.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://report-to-dict")
            >>> csv = b"call_id,start\\n17,yesterday\\n"
            >>> report = store.ingest(csv, format="cdrkit-csv")
            >>> report.to_dict()["reasons"][0]["example"]["text"]
            '17,yesterday'
        """
        examples: dict[str, dict[str, Any]] = {}
        for reject in self.rejects:
            reason = _generalize(reject.reason)
            if reason not in examples and len(examples) < _MOST_IN_DICT:
                about = {"input": reject.input, "row": reject.row, "reason": reject.reason}
                text = reject.text.encode("utf-8", "backslashreplace").decode()
                examples[reason] = {**about, "text": text}
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "contradictions": dict(self.contradictions),
            "reasons": [
                {"reason": reason, "rows": count, "example": examples[reason]}
                for reason, count in self.reasons.items()
                if reason in examples
            ],
            "pending": [
                attrs.asdict(call, filter=lambda field, _: field.name != "text")
                for call in self.pending[:_MOST_IN_DICT]
            ],
            "conflicting": [
                {"start": f"{c.start:%Y-%m-%dT%H:%M:%S.%fZ}", "call_id": c.call_id, "fields": list(c.fields)}
                for c in self.conflicting
            ],
            "notes": list(self.notes),
        }

    def write_rejects(
        self,
        dest: str | os.PathLike[str],
        *,
        raw: bool = False,
        storage_options: Mapping[str, object] | None = None,
    ) -> int:
        """Write the rejected rows to a file, and return how many were written.

        Args:
            dest: A path or URL.
            raw: Write only the header lines and the rows, byte for byte, so that the file can be corrected and
                ingested again. Otherwise write a CSV with the columns ``row, reason, text``, which is safe to open in
                a spreadsheet.
            storage_options: Options for the filesystem of a URL (credentials, endpoint).

        Raises:
            ConfigError: When *dest* is not the path or URL of a file, or an option is invalid.
            StorageError: When the file cannot be written.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://report-write-rejects")
            >>> csv = b"call_id,start\\n17,yesterday\\n"
            >>> report = store.ingest(csv, format="cdrkit-csv")
            >>> report.write_rejects("rejects.csv", raw=True)
            1
            >>> from pathlib import Path
            >>> Path("rejects.csv").read_text()
            'call_id,start\\n17,yesterday\\n'
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


def _generalize(reason: str) -> str:
    """Return *reason* with each quoted value and each number replaced by ``…``.

    Reasons that differ only in the values of their rows then become equal.
    """
    return re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b[0-9]+\b", "…", reason)
