"""The store: open it, maintain it, limit access; read, write and archive calls."""

from __future__ import annotations

from cdrkit._store.archive import Archive, ArchiveMonth
from cdrkit._store.maintenance import Maintenance
from cdrkit._store.open import open_store
from cdrkit._store.options import CacheOptions, Recordings, TierOptions
from cdrkit._store.page import Page
from cdrkit._store.result import Result
from cdrkit._store.scoped_store import ScopedStore
from cdrkit._store.store import Store

__all__ = [
    "Archive",
    "ArchiveMonth",
    "CacheOptions",
    "Maintenance",
    "Page",
    "Recordings",
    "Result",
    "ScopedStore",
    "Store",
    "TierOptions",
    "open_store",
]
