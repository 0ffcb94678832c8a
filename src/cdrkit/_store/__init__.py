"""The store: opening, reading, writing, scopes, results and the archive."""

from __future__ import annotations

__all__: list[str] = []
