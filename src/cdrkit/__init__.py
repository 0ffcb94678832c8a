"""Telephone call detail records (CDRs): stored, asked, shown and exported, without a server."""

from __future__ import annotations

from ._expressions import Expr, field
from ._ingest import IngestReport
from ._opening import open_store
from ._query import Query
from ._recordings import Recording
from ._records import FIELDS, SCHEMA, CallRecord, Direction, Disposition, HangupParty
from ._reports import DailyTotal, DailyTotals
from ._results import Page, Result
from ._scoped import ScopedStore
from ._scopes import Access
from ._settings import DisplaySettings, DisplaySettingsStore
from ._store import Store
from ._times import TimeRange
from ._writer import Writer
from .storage import AppendReport, Explanation

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
