"""Queries: conditions, serialization, URL parameters and cursors."""

from __future__ import annotations

__all__: list[str] = []
