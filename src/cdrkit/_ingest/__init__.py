"""Ingest: store calls from files, growing files and live feeds."""

from __future__ import annotations

from cdrkit._ingest.follow import FollowOptions, follow_file
from cdrkit._ingest.ingest import Progress, ingest_inputs
from cdrkit._ingest.region_check import RegionCheck
from cdrkit._ingest.report import AppendReport, Conflict, IngestReport, report_append
from cdrkit._ingest.tally import Tally
from cdrkit._ingest.writer import Writer

__all__ = [
    "AppendReport",
    "Conflict",
    "FollowOptions",
    "IngestReport",
    "Progress",
    "RegionCheck",
    "Tally",
    "Writer",
    "follow_file",
    "ingest_inputs",
    "report_append",
]
