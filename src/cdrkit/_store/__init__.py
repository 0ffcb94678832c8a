"""The store: opening, reading, writing, scopes, results and the archive."""

from __future__ import annotations

from cdrkit._store.maintenance import Maintenance
from cdrkit._store.open import open_store
from cdrkit._store.result import Page, Result
from cdrkit._store.scoped_store import ScopedStore
from cdrkit._store.store import Store

__all__ = ["Maintenance", "Page", "Result", "ScopedStore", "Store", "open_store"]
