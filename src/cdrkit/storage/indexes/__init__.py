"""Indexes of one segment: number index, rollups and the index file."""

from __future__ import annotations

__all__: list[str] = []
