"""Maintenance: compaction, tiering, vacuum, verification, rebuild and erasure."""

from __future__ import annotations

__all__: list[str] = []
