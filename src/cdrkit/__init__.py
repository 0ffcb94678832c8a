"""Store, query, show and export call detail records (CDRs) without a server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cdrkit import errors as errors
    from cdrkit import reports as reports
    from cdrkit import samples as samples
    from cdrkit import sources as sources
    from cdrkit import storage as storage
    from cdrkit import testing as testing
    from cdrkit import viewer as viewer
    from cdrkit._access import AuditEvent
    from cdrkit._engine import Explanation
    from cdrkit._ingest import AppendReport, Conflict, IngestReport, Writer
    from cdrkit._maintenance import (
        EraseReport,
        MoveReport,
        StoreStatus,
        TierStatus,
        VacuumReport,
        VerifyReport,
    )
    from cdrkit._model import (
        FIELDS,
        PRESETS,
        SCHEMA,
        CallRecord,
        Direction,
        DirectionName,
        Disposition,
        DispositionName,
        FieldInfo,
        FieldName,
        HangupParty,
        PresetName,
        TimeRange,
    )
    from cdrkit._numbers import MatchKind
    from cdrkit._output import DisplaySettings, DisplaySettingsStore
    from cdrkit._query import Expr, FieldRef, Query, field
    from cdrkit._recordings import RangeResponse, Recording
    from cdrkit._store import (
        Archive,
        ArchiveMonth,
        CacheOptions,
        Maintenance,
        Page,
        Recordings,
        Result,
        ScopedStore,
        Store,
        TierOptions,
        open_store,
    )
    from cdrkit.reports import DailyTotal, DailyTotals
    from cdrkit.sources import FormatName

__all__ = [
    "FIELDS",
    "PRESETS",
    "SCHEMA",
    "AppendReport",
    "Archive",
    "ArchiveMonth",
    "AuditEvent",
    "CacheOptions",
    "CallRecord",
    "Conflict",
    "DailyTotal",
    "DailyTotals",
    "Direction",
    "DirectionName",
    "DisplaySettings",
    "DisplaySettingsStore",
    "Disposition",
    "DispositionName",
    "EraseReport",
    "Explanation",
    "Expr",
    "FieldInfo",
    "FieldName",
    "FieldRef",
    "FormatName",
    "HangupParty",
    "IngestReport",
    "Maintenance",
    "MatchKind",
    "MoveReport",
    "Page",
    "PresetName",
    "Query",
    "RangeResponse",
    "Recording",
    "Recordings",
    "Result",
    "ScopedStore",
    "Store",
    "StoreStatus",
    "TierOptions",
    "TierStatus",
    "TimeRange",
    "VacuumReport",
    "VerifyReport",
    "Writer",
    "field",
    "open_store",
]

# Public modules, loaded at the first use of ``cdrkit.errors`` and the like.
_SUBMODULES: Final = frozenset({"errors", "reports", "samples", "sources", "storage", "testing", "viewer"})

# The module that defines each public name, loaded at its first use, so that `import cdrkit` and `cdrkit --help`
# load no dependency. The imports above repeat this table for type checkers; tests/test_public_api.py compares both.
_NAMES: Final = {
    "cdrkit._access": ["AuditEvent"],
    "cdrkit._engine": ["Explanation"],
    "cdrkit._ingest": ["AppendReport", "Conflict", "IngestReport", "Writer"],
    "cdrkit._maintenance": [
        "EraseReport", "MoveReport", "StoreStatus", "TierStatus", "VacuumReport", "VerifyReport",
    ],
    "cdrkit._model": [
        "FIELDS", "PRESETS", "SCHEMA", "CallRecord", "Direction", "DirectionName", "Disposition",
        "DispositionName", "FieldInfo", "FieldName", "HangupParty", "PresetName", "TimeRange",
    ],
    "cdrkit._numbers": ["MatchKind"],
    "cdrkit._output": ["DisplaySettings", "DisplaySettingsStore"],
    "cdrkit._query": ["Expr", "FieldRef", "Query", "field"],
    "cdrkit._recordings": ["RangeResponse", "Recording"],
    "cdrkit._store": [
        "Archive", "ArchiveMonth", "CacheOptions", "Maintenance", "Page", "Recordings", "Result", "ScopedStore",
        "Store", "TierOptions", "open_store",
    ],
    "cdrkit.reports": ["DailyTotal", "DailyTotals"],
    "cdrkit.sources": ["FormatName"],
}  # fmt: skip
_MODULES: Final = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # a checker that sees __getattr__ accepts every name

    def __getattr__(name: str) -> object:
        """Load a public name at its first use (PEP 562).

        Raises:
            AttributeError: When cdrkit has no such name.
        """
        if name in _SUBMODULES:
            return importlib.import_module(f"cdrkit.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module 'cdrkit' has no attribute {name!r}")
        value = getattr(importlib.import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the public names and modules, for tab completion in a shell."""
    return sorted({*globals(), *__all__, *_SUBMODULES})
