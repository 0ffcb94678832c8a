"""Telephone call detail records (CDRs): stored, asked, shown and exported, without a server."""

from __future__ import annotations

from cdrkit._access import AuditEvent
from cdrkit._engine import Explanation
from cdrkit._ingest import IngestReport, Writer
from cdrkit._model import FIELDS, SCHEMA, CallRecord, Direction, Disposition, HangupParty, TimeRange
from cdrkit._output import DisplaySettings, DisplaySettingsStore
from cdrkit._query import Expr, Query, field
from cdrkit._recordings import Recording
from cdrkit._store import Page, Result, ScopedStore, Store, open_store
from cdrkit.reports import DailyTotal, DailyTotals
from cdrkit.storage.append import AppendReport

__all__ = [
    "FIELDS",
    "SCHEMA",
    "AuditEvent",
    "AppendReport",
    "CallRecord",
    "DailyTotal",
    "DailyTotals",
    "Direction",
    "DisplaySettings",
    "DisplaySettingsStore",
    "Disposition",
    "Explanation",
    "Expr",
    "HangupParty",
    "IngestReport",
    "Page",
    "Query",
    "Recording",
    "Result",
    "ScopedStore",
    "Store",
    "TimeRange",
    "Writer",
    "field",
    "open_store",
]
