"""Ingest: sources read into a store, once or as a file grows."""

from __future__ import annotations

from cdrkit._ingest.follow import follow
from cdrkit._ingest.ingest import IngestReport, Progress, ingest
from cdrkit._ingest.report import AppendReport, Conflict, report_append
from cdrkit._ingest.writer import Writer

__all__ = [
    "AppendReport",
    "Conflict",
    "IngestReport",
    "Progress",
    "Writer",
    "follow",
    "ingest",
    "report_append",
]
