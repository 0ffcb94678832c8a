"""Ingest: sources read into a store, once or as a file grows."""

from __future__ import annotations

__all__: list[str] = []
