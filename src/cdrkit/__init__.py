"""Telephone call detail records (CDRs): stored, asked, shown and exported, without a server."""

from __future__ import annotations

from cdrkit._access.scope import Access
from cdrkit._engine.explain import Explanation
from cdrkit._ingest.ingest import IngestReport
from cdrkit._ingest.writer import Writer
from cdrkit._model.record import FIELDS, SCHEMA, CallRecord, Direction, Disposition, HangupParty
from cdrkit._model.times import TimeRange
from cdrkit._output.settings import DisplaySettings, DisplaySettingsStore
from cdrkit._query.expressions import Expr, field
from cdrkit._query.query import Query
from cdrkit._recordings.recording import Recording
from cdrkit._store.open import open_store
from cdrkit._store.result import Page, Result
from cdrkit._store.scoped_store import ScopedStore
from cdrkit._store.store import Store
from cdrkit.reports.daily import DailyTotal, DailyTotals
from cdrkit.storage.append import AppendReport

__all__ = [
    "FIELDS",
    "SCHEMA",
    "Access",
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
