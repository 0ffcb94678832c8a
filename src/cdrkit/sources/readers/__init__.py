"""Readers for CSV, tables, JSON and local times, which several formats share."""

from __future__ import annotations

__all__: list[str] = []
